/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names that DNS answers give to addresses, read from copies of packets (NFLOG, group of the
 * ruleset's chain "names"). Nothing here can delay or stop a packet: the kernel makes a copy and
 * goes on, and drops the copy where we are too slow.
 *
 * An answer counts only if this asker asked that question, of that server, from that port, with
 * that number, less than BH_DNS_WAIT_US ago, and was not answered yet: it takes a server that the
 * asker chose, or somebody who sees its questions, to name an address. Names are labels, never a
 * reason to allow anything.
 *
 * Read are UDP, and TCP where a whole message, or its beginning, is in one segment. Not read are
 * other ports, and what is encrypted (DNS over TLS, HTTPS or QUIC).
 */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/util.h>

/* --- message.c: RFC 1035 (and 6891: what EDNS adds is passed over) --- */

#define BH_DNS_NAME_STRLEN 254 /* with the NUL; without the root's dot */
#define BH_DNS_ADDRS 32 /* of one answer; further ones are left out */

struct bh_dns_message {
	uint16_t id;
	bool is_answer;
	uint8_t rcode; /* 0: no error */
	uint16_t type; /* of the question: 1 A, 28 AAAA, 255 any … */
	/* What is asked for, in lower case: letters, digits, '-', '_' and dots, nothing else. */
	char name[BH_DNS_NAME_STRLEN];
	struct bh_addr addr[BH_DNS_ADDRS]; /* of an answer: of the name, at the end of its CNAMEs */
	size_t n_addrs;
	uint32_t ttl; /* s: the least one of those; at most a week */
};
/*
 * One message, or the beginning of one: what is whole of it counts. 0; −EBADMSG: not a message with
 * one question of class IN about a host's name. Reads nothing beyond data[0..len); the time it
 * takes grows with len only. Sets *ret on success.
 */
int bh_dns_parse(const uint8_t *data, size_t len, struct bh_dns_message *ret);

/* --- snoop.c: from packets to names --- */

#define BH_DNS_WAIT_US 10000000

struct bh_dns_opts {
	uint16_t group; /* of NFLOG, in the network namespace that the process is in */
	/* An answer with addresses that `asker` asked for; all borrowed for the call. */
	void (*named)(const struct bh_addr *asker, const struct bh_dns_message *m, void *arg);
	void *arg;
};
struct bh_dns_stats {
	uint64_t packets, questions, answers; /* answers: that were asked for */
	uint64_t unasked; /* answers that nobody waited for: late, again, or forged */
	uint64_t malformed;
	uint64_t overruns; /* times that copies were lost because we were too slow */
};

struct bh_dns;
/* 0; −EBUSY: another process reads that group; −EOPNOTSUPP: the kernel has no NFLOG; −errno. */
int bh_dns_open(const struct bh_dns_opts *opts, struct bh_dns **ret);
/* Without a socket, for bh_dns_packet alone. */
struct bh_dns *bh_dns_new(const struct bh_dns_opts *opts);
void bh_dns_close(struct bh_dns *d); /* NULL is fine */
int bh_dns_fd(const struct bh_dns *d); /* poll for reading */
/* Reads what is there, a bounded part of it. now: µs, of whatever clock that does not jump. */
void bh_dns_read(struct bh_dns *d, int64_t now);
/* One packet from its IP header on, or the beginning of one. */
void bh_dns_packet(struct bh_dns *d, const uint8_t *data, size_t len, int64_t now);
const struct bh_dns_stats *bh_dns_get_stats(const struct bh_dns *d);
