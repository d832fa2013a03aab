/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers of a request, for both variants. */
#pragma once

#include "http/http.h"

/* Calls fn for each that the options ask for, as "Name: value", until it fails. 0 or −errno. */
int bh_http_each_header(
	const struct bh_http_opts *o, int (*fn)(const char *line, void *arg), void *arg);
