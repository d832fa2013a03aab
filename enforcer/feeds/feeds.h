/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threat feeds: fetch, parse, guard, keep the last good copy, index. On the loop's thread, except
 * the index, which is immutable, reference counted and read by packet threads.
 */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/diag.h>
#include <bulkhead/feed_sets.h>
#include <uv.h>

#include "http/http.h"

/* --- reading: pure, fuzzed --- */
typedef unsigned __int128 bh_u128; /* an address of either family as a number */

struct bh_indicator4 {
	uint32_t first, last; /* inclusive, host order */
	uint32_t line; /* 1-based, in the feed's text */
	uint32_t expires; /* s since the epoch; 0 = never */
};
struct bh_indicator6 {
	bh_u128 first, last;
	uint32_t line, expires;
};
struct bh_indicators {
	struct bh_indicator4 *v4;
	size_t n4, cap4;
	struct bh_indicator6 *v6;
	size_t n6, cap6;
	size_t lines; /* lines or records that held something */
	size_t rejected; /* of those, the ones that could not be read */
};
static inline size_t bh_indicators_count(const struct bh_indicators *i)
{
	return i->n4 + i->n6;
}
void bh_indicators_add(
	struct bh_indicators *i, const struct bh_range *r, uint32_t line, uint32_t expires);
/* The k-th, IPv4 first. */
struct bh_range bh_indicators_range(const struct bh_indicators *i, size_t k);
#define BH_FEED_MAX_INDICATORS 4000000
#define BH_FEED_MAX_BYTES (128u << 20)
#define BH_FEED_WIDEST_V4 8 /* prefix length; wider indicators are left out */
#define BH_FEED_WIDEST_V6 19

struct bh_feed_read_opts {
	const char *name; /* for diagnostics */
	const char *format; /* one of bh_feed_formats; NULL = auto */
	int64_t now; /* s since the epoch: what has expired is left out; 0 = keep all */
	unsigned widest4, widest6; /* 0 = the defaults above */
	unsigned max_rejected_percent; /* 0 = 50 */
	int64_t min_confidence; /* STIX, ThreatFox: 0-100; Suricata's score: 0-127 */
};
extern const char *const bh_feed_formats[]; /* NULL-terminated; the first is "auto" */

struct bh_feed_text {
	struct bh_indicators ind;
	struct bh_indicators removed; /* CrowdSec: taken back since the last answer */
	const char *format; /* what it was read as */
	int64_t declared; /* how many entries the text says that it has; −1: it says nothing */
	char *credit, *dated; /* its own words; NULL: none */
};
/*
 * BOM, CRLF, tabs, no final newline and comments as the format has them; IPv4-mapped addresses are
 * IPv4. What cannot be read is counted, and the first 20 reported in diags as warnings with file
 * and line. −EINVAL: not a feed at all (HTML, NUL bytes, a document that ends in the middle, too
 * many unreadable lines of at least 10), with one error in diags (may be NULL).
 */
int bh_feed_read(const struct bh_feed_read_opts *opts, const char *text, size_t len,
	struct bh_diags *diags, struct bh_feed_text *ret);
void bh_feed_text_finish(struct bh_feed_text *t);
void bh_indicators_finish(struct bh_indicators *i);

/* "2026-01-02T03:04:05[.6][Z|+01:00]", "2026-01-02 03:04:05", "2026-01-02": s since the epoch;
 * −EINVAL. */
int bh_text_time(const char *s, size_t n, int64_t *ret);

/* --- index --- */
#define BH_FEED_IN 1u /* where the address is the source of a new flow */
#define BH_FEED_OUT 2u /* where it is the destination */
#define BH_FEED_BOTH (BH_FEED_IN | BH_FEED_OUT)

/* "192.0.2.1", "192.0.2.0/24" or "192.0.2.1-192.0.2.9". */
#define BH_INDICATOR_STRLEN (2 * BH_ADDR_STRLEN + 2)
const char *bh_indicator_format(const struct bh_range *r, char buf[static BH_INDICATOR_STRLEN]);

struct bh_feed_cut { /* an indicator that is protected, wholly or in part */
	struct bh_range range;
	uint32_t line;
};
struct bh_feed_index;
struct bh_feed_hit {
	const char *feed; /* borrowed from the index */
	char indicator[BH_INDICATOR_STRLEN];
	bool alert_only; /* the feed's action is alert: to be reported, not dropped */
	uint8_t directions; /* BH_FEED_IN | BH_FEED_OUT: in which the feed lists it */
};
struct bh_feed_index *bh_feed_index_ref(struct bh_feed_index *i);
void bh_feed_index_unref(struct bh_feed_index *i);
/* Up to max hits, one of each feed that lists the address (its most specific indicator): blocking
 * feeds before alert-only ones, then most specific first. 0 = not listed, or protected.
 * Thread-safe, no allocation. */
size_t bh_feed_index_lookup(const struct bh_feed_index *i, const struct bh_addr *a,
	struct bh_feed_hit *ret, size_t max);
/* In which directions blocking feeds list the address; 0: it is not blocked. The kernel's sets hold
 * the same. */
unsigned bh_feed_index_blocked(const struct bh_feed_index *i, const struct bh_addr *a);
size_t bh_feed_index_count(const struct bh_feed_index *i); /* indicators, of all feeds */
/* When the next indicator expires, s since the epoch; 0: none does. */
uint32_t bh_feed_index_expires(const struct bh_feed_index *i);
/* When the oldest text that came with it was there to be read, ns of uv_hrtime(); 0: none came. */
uint64_t bh_feed_index_since(const struct bh_feed_index *i);

/* What the kernel's sets are to hold: sorted, disjoint; single addresses apart from networks, in
 * host order. What `action: alert` feeds list is not among them. Borrowed from the index. */
struct bh_net4 {
	uint32_t first, last;
};
struct bh_net6 {
	bh_u128 first, last;
};
struct bh_feed_elems {
	uint32_t *host4;
	struct bh_net4 *net4;
	bh_u128 *host6;
	struct bh_net6 *net6;
	uint32_t *near4; /* ascending: the keys of the networks in net4, bh_feed_near_first() */
	size_t n_near4, cap_near4;
	size_t n_host4, n_net4, n_host6, n_net6;
	size_t cap_host4, cap_net4, cap_host6, cap_net6;
};
enum bh_feed_class { BH_FEEDS_BOTH, BH_FEEDS_IN, BH_FEEDS_OUT, BH_FEEDS_CLASSES };
const struct bh_feed_elems *bh_feed_index_elems(
	const struct bh_feed_index *i, enum bh_feed_class class);

/* --- the manager --- */
struct bh_feed_conf {
	char *name, *url; /* url: http(s)://, file:// or a path; of a directory: all files in it */
	char *format; /* one of bh_feed_formats */
	bool alert_only; /* action: alert */
	uint8_t directions; /* BH_FEED_IN | BH_FEED_OUT; 0 = both */
	bool special; /* list private and special-purpose ranges too, if the text does */
	uint64_t interval_s;
	uint64_t min_entries; /* fewer: the download is refused; default 1 */
	unsigned
		max_shrink_percent; /* refused when it lost more than that; default 90, 100 = off */
	unsigned max_growth_percent; /* the same for growth beyond 10,000 entries; 0 = off */
	unsigned max_rejected_percent; /* refused when so many entries can't be read; 0 = 50 */
	unsigned widest4, widest6; /* prefix lengths; 0 = the defaults */
	unsigned min_confidence; /* 0..127 */
	/* http(s) */
	char *headers_file; /* lines "Name: value", read for each request; NULL = none */
	char *proxy; /* URL; NULL = as the environment says */
	char *ca_file; /* PEM; NULL = the system's */
	uint64_t timeout_s; /* of a download; 0 = 300 */
	uint64_t max_bytes; /* 0 = BH_FEED_MAX_BYTES */
};
struct bh_feed_status {
	const char *name, *url, *action, *direction;
	const char *format; /* what the copy in force was read as; "" = none is */
	const char *credit, *dated; /* its own words; may be NULL */
	const char *sha256; /* of the copy in force; "" */
	size_t entries, rejected;
	size_t subtracted; /* indicators cut because they are private, special, ours or allowed */
	const struct bh_feed_cut *cuts; /* the first of them; borrowed */
	size_t n_cuts;
	int64_t loaded_at; /* s since the epoch of the copy in force; 0 = none */
	int64_t checked_at, success_at;
	bool ok, stale;
	const char *message; /* last error or warning; "" */
};
struct bh_feeds;
/* `changed` is called on the loop when a new index is in force; `event` for people and the audit
 * log (a feed was updated or refused). state_dir keeps the last good copies (feeds/NAME.list), used
 * at start before the first fetch. */
struct bh_feeds_callbacks {
	void *arg;
	void (*changed)(void *arg);
	void (*event)(void *arg, const struct bh_feed_status *st, bool updated);
};
int bh_feeds_new(uv_loop_t *loop, struct bh_http *http, const char *state_dir,
	const struct bh_feeds_callbacks *cb, struct bh_feeds **ret);
/* Starts, changes and drops feeds to match; unchanged ones keep going. Takes nothing. */
void bh_feeds_configure(struct bh_feeds *f, const struct bh_feed_conf *conf, size_t n);
/* Never block these: own addresses, bridge subnets, gateways, resolvers, the allow list. Copied.
 * Private and special-purpose ranges (RFC 6890, except the documentation ranges) are protected
 * anyway, unless the feed is configured otherwise. */
void bh_feeds_set_protected(struct bh_feeds *f, const struct bh_ranges *protect);
bool bh_feeds_protects(const struct bh_feeds *f, const struct bh_addr *a);
void bh_feeds_clock_set(struct bh_feeds *f); /* indicators may have expired by it */
/* What a source offered is not in force yet. */
bool bh_feeds_loading(const struct bh_feeds *f);
/* The same, or a copy for the next start is being written. */
bool bh_feeds_busy(const struct bh_feeds *f);
/* NULL name = all. Returns how many were started, -ENOENT for a name that is not there, or -EAGAIN:
 * its publisher was asked too lately. */
int bh_feeds_refresh(struct bh_feeds *f, const char *name);
/* The index that was built last: a reference; never NULL. Never waits. */
struct bh_feed_index *bh_feeds_index(struct bh_feeds *f);
/* The same, after making it up to date on this thread: for the start. */
struct bh_feed_index *bh_feeds_settle(struct bh_feeds *f);
size_t bh_feeds_status(const struct bh_feeds *f, struct bh_feed_status *ret, size_t max);
void bh_feeds_free(struct bh_feeds *f);
