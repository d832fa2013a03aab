/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the audit log's files share: the file with its backlog, the records, the repeat table. */
#pragma once

#include "audit/audit.h"

#define BH_AUDIT_MAX_LINE ((size_t)256 << 10) /* a longer record loses its details, and says so */
#define BH_AUDIT_MAX_BACKLOG 4096 /* records waiting for a file that refuses writes */
#define BH_AUDIT_MAX_BACKLOG_BYTES ((size_t)16 << 20)
#define BH_AUDIT_TORN_SHOWN 4096 /* bytes of a torn line kept in the gap record itself */

/* --- recover.c: what the last run left in the file --- */
struct bh_audit_recovery {
	uint64_t sequence; /* of the last complete record; 0 = none */
	size_t torn; /* bytes after the last newline, cut off */
	char *torn_text; /* its first BH_AUDIT_TORN_SHOWN bytes; owned */
	char *torn_path; /* where all of it went; NULL if only in torn_text; owned */
	char *aside; /* the file held no record and was renamed to this; owned */
};
/* Reads the end of the file, cuts off a torn last line. With ret->aside set the descriptor is the
 * renamed file's and the caller opens a new one. −errno: the file is as it was. */
int bh_audit_recover(const char *path, int fd, struct bh_audit_recovery *ret);
void bh_audit_recovery_finish(struct bh_audit_recovery *r);

/* --- log.c: the file --- */
struct bh_audit_line {
	char *text; /* with the newline */
	size_t len;
};
struct bh_audit_log {
	char *path;
	int fd;
	struct bh_audit_line *line; /* ring of BH_AUDIT_MAX_BACKLOG */
	size_t head, count, bytes;
	size_t offset; /* of the first line that is in the file already (see write_line) */
	bool dirty; /* written since the last sync */
	uint64_t written;
	int last_error;
};
int bh_audit_log_open(const char *path, struct bh_audit_recovery *rec, struct bh_audit_log *ret);
void bh_audit_log_finish(struct bh_audit_log *l);
bool bh_audit_log_room(const struct bh_audit_log *l);
void bh_audit_log_push(struct bh_audit_log *l, char *text, size_t len); /* takes text */
int bh_audit_log_drain(struct bh_audit_log *l); /* 0: nothing waits any more */
int bh_audit_log_sync(struct bh_audit_log *l);
/* Changes over to what is now at the path. 1: it is another file; 0: the same. */
int bh_audit_log_reopen(struct bh_audit_log *l, struct bh_audit_recovery *rec);
bool bh_audit_log_unlinked(const struct bh_audit_log *l);

/* --- record.c, fields.c: one record as JSON --- */
struct bh_audit_ident {
	char *node, *machine_id, *boot_id, *version;
	uint8_t prefix[8]; /* random, of this run */
};
json_t *bh_audit_record_flow(const struct bh_audit_ident *id, const struct bh_audit_flow *f);
struct bh_audit_change {
	const char *action, *outcome, *message;
	const struct bh_audit_actor *actor;
	json_t *details; /* taken */
};
json_t *bh_audit_record_event(const struct bh_audit_ident *id, const struct bh_audit_change *c);
/* Fills in what is known only when the record is written. */
void bh_audit_record_stamp(
	json_t *rec, const struct bh_audit_ident *id, uint64_t sequence, int64_t when);
/* Makes a record of one flow that of `count`, seen from `first` to `last`. */
void bh_audit_record_repeat(
	json_t *rec, uint64_t count, int64_t first, int64_t last, bool ports_differ);
json_t *bh_audit_text(const char *s, size_t max); /* valid UTF-8, cut at max bytes; null for NULL */
json_t *bh_audit_time(int64_t us);
json_t *bh_audit_workload(const struct bh_workload *w, const struct bh_addr *a); /* null for NULL */
json_t *bh_audit_indicator(const struct bh_audit_flow *f);
void bh_audit_set(json_t *o, const char *key, json_t *v); /* takes v; NULL v: leaves the key out */

/* --- repeat.c: the table of what was seen within the last seconds --- */
#define BH_AUDIT_REPEATS 8192
#define BH_AUDIT_WINDOW 10000000 /* µs */
#define BH_AUDIT_OVERFLOW_ACTIONS 16

struct bh_audit_overflow { /* events that found the table full, by action */
	char action[32];
	uint64_t count;
	int64_t first, last;
};
struct bh_audit_repeats {
	struct bh_audit_repeat *entry; /* BH_AUDIT_REPEATS */
	int32_t *bucket;
	int32_t free;
	size_t n;
	uint64_t seed;
	struct bh_audit_overflow overflow[BH_AUDIT_OVERFLOW_ACTIONS];
	size_t n_overflow;
};
/* Called with the record of a window that is over; takes rec. */
typedef void (*bh_audit_repeat_fn)(json_t *rec, int64_t last, void *arg);

enum bh_audit_seen { BH_AUDIT_FIRST, BH_AUDIT_AGAIN, BH_AUDIT_FULL };
void bh_audit_repeats_init(struct bh_audit_repeats *t, uint64_t seed);
void bh_audit_repeats_finish(struct bh_audit_repeats *t);
enum bh_audit_seen bh_audit_repeats_note(struct bh_audit_repeats *t,
	const struct bh_audit_ident *id, const struct bh_audit_flow *f, bh_audit_repeat_fn fn,
	void *arg);
/* Reports windows that are over at `now` (all of them if `all`). */
void bh_audit_repeats_expire(
	struct bh_audit_repeats *t, int64_t now, bool all, bh_audit_repeat_fn fn, void *arg);
