/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Quarantine: a workload cut off from everything, its own node included, but for a list of
 * addresses and ports. It stands above policies and modes. Implemented in rules/base/quarantine.c.
 */
#pragma once

#include <bulkhead/addr.h>

struct bh_quarantine_allow {
	struct bh_prefix cidr; /* of the other end */
	uint8_t proto; /* IANA; BH_TCP, BH_UDP, BH_SCTP */
	uint16_t port; /* destination, 1..65535: the workload's own, or the other end's */
};

/* Immutable once attached to a workload, reference counted (atomic). */
struct bh_quarantine {
	struct bh_quarantine_allow *allow; /* sorted, unique */
	size_t n;
	int refs;
};

struct bh_quarantine *bh_quarantine_new(void); /* allows nothing; one reference */
/* "CIDR:PORT", "CIDR:PORT/udp", "[CIDR]:PORT" for IPv6; a bare address is one address. 0, or
 * -EINVAL with the reason in *ret_why (static text). */
int bh_quarantine_allow(struct bh_quarantine *q, const char *text, const char **ret_why);
/* The text of one entry, as bh_quarantine_allow reads it. */
void bh_quarantine_format(const struct bh_quarantine_allow *a, struct bh_buf *out);
bool bh_quarantine_equal(
	const struct bh_quarantine *a, const struct bh_quarantine *b); /* NULL ok */
struct bh_quarantine *bh_quarantine_ref(struct bh_quarantine *q); /* NULL is fine */
void bh_quarantine_unref(struct bh_quarantine *q); /* NULL is fine */
