/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What feeds never list, and exceptions that end. */
#pragma once

#include <bulkhead/addr.h>

struct bh_core;

void bh_core_feeds_protect(struct bh_core *c);
void bh_core_feeds_tick(struct bh_core *c);
/* Texts of /etc/resolv.conf, /proc/net/route and /proc/net/ipv6_route: whom the node depends on. */
void bh_core_parse_resolvers(const char *text, struct bh_ranges *r);
void bh_core_parse_routes4(const char *text, struct bh_ranges *r);
void bh_core_parse_routes6(const char *text, struct bh_ranges *r);
