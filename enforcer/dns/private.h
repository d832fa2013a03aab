/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of enforcer/dns. */
#pragma once

#include <bulkhead/flow.h>
#include <libmnl/libmnl.h>

#include "dns/dns.h"

/* asked.c: questions that wait for their answer. Fixed size; the oldest of a bucket goes. */
#define BH_ASKED_BUCKETS 2048
#define BH_ASKED_WAYS 8
struct bh_asked {
	struct bh_asked_slot {
		uint64_t key; /* a seeded hash of the whole question */
		int64_t at; /* µs; 0: free */
	} slot[BH_ASKED_BUCKETS][BH_ASKED_WAYS];
	uint64_t seed[2];
};
void bh_asked_init(struct bh_asked *a); /* of memory that is zero */
/* flow: the question's, from the asker to the server. */
void bh_asked_add(struct bh_asked *a, const struct bh_flow *flow, const struct bh_dns_message *m,
	int64_t now);
/* True, once, if that was asked less than BH_DNS_WAIT_US ago. */
bool bh_asked_take(struct bh_asked *a, const struct bh_flow *flow, const struct bh_dns_message *m,
	int64_t now);

/* nflog.c: the socket. */
struct bh_nflog {
	struct mnl_socket *nl; /* NULL: there is none */
	char *buf;
	uint64_t overruns;
	void (*packet)(const uint8_t *data, size_t len, void *arg);
	void *arg;
};
int bh_nflog_open(struct bh_nflog *n, uint16_t group); /* finish also after a failure */
void bh_nflog_finish(struct bh_nflog *n);
void bh_nflog_read(struct bh_nflog *n);

struct bh_dns {
	struct bh_dns_opts opts;
	struct bh_dns_stats stats;
	struct bh_asked asked;
	struct bh_nflog log;
	int64_t now; /* of the running call */
};
