/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the audit log's files share: the file, the thread that writes it, records, repetitions. */
#pragma once

#include <pthread.h>

#include "audit/audit.h"
#include "audit/seal.h"

#define BH_AUDIT_MAX_LINE ((size_t)256 << 10)
#define BH_AUDIT_MAX_RECORD                                                                        \
	(BH_AUDIT_MAX_LINE - 256) /* a longer one loses its details, and says so */
#define BH_AUDIT_RING 16384 /* records that wait for the writer */
#define BH_AUDIT_RING_BYTES ((size_t)32 << 20)
#define BH_AUDIT_TORN_SHOWN 4096 /* bytes of a torn line kept in the record itself */

struct bh_audit_ident {
	char *node, *machine_id, *boot_id, *version;
	uint8_t prefix[8]; /* random, of this run */
	char *fixed; /* what all records of a run have alike: "observer":{…},"host":{…} */
	size_t fixed_len;
};

/* --- recover.c: what the last run left in the file --- */
struct bh_audit_recovery {
	uint64_t sequence; /* of the last complete record; 0 = none */
	uint64_t unsigned_records; /* complete ones after the last checkpoint */
	size_t torn; /* bytes at the end that are no records, taken out */
	char *torn_text; /* their first BH_AUDIT_TORN_SHOWN bytes; owned */
	char *torn_path; /* where all of it went; NULL if only in torn_text; owned */
	char *aside; /* the file does not go on from the checkpoint; renamed to this; owned */
	const char *why; /* aside: "altered-file" or "unsigned-file" */
};
/*
 * Reads what the file holds beyond the last checkpoint (NULL: there is none) and adds it to the
 * seal's tree; takes out what is no record there. With ret->aside set the descriptor is the renamed
 * file's and the caller opens a new one. −errno: the file is as it was.
 */
int bh_audit_recover(const char *path, int fd, const struct bh_checkpoint *last,
	struct bh_audit_seal *seal, struct bh_audit_recovery *ret);
void bh_audit_recovery_finish(struct bh_audit_recovery *r);
/* Renames to PATH.WORD-N, the first N that is free; *ret owned. */
int bh_audit_set_aside(const char *path, const char *word, char **ret);
/* The last `max` bytes of a file of that size; owned. */
int bh_audit_read_end(int fd, size_t size, size_t max, char **ret, size_t *ret_len);

/* --- log.c: the file --- */
struct bh_audit_log {
	char *path;
	int fd;
	uint64_t size;
	size_t offset; /* bytes of the next line that are in the file already (see write) */
	bool dirty; /* written since the last sync */
};
/* Opens what is at the path and makes it ours (flock): −EBUSY when another process writes it. */
int bh_audit_log_open(const char *path, struct bh_audit_log *ret);
/* The path is free, or an empty file waits there (else −EEXIST); the old one is closed. */
int bh_audit_log_open_new(struct bh_audit_log *l);
void bh_audit_log_finish(struct bh_audit_log *l);
/* Appends whole lines. *ret_done: bytes of those that are in the file now, all of them for 0. */
int bh_audit_log_write(struct bh_audit_log *l, const char *text, size_t len, size_t *ret_done);
int bh_audit_log_sync(struct bh_audit_log *l);
int bh_audit_make_directory(const char *path); /* that the file is in, and those above */
bool bh_audit_moved(const char *path, int fd); /* something else is at the path, or nothing */

/* --- writer.c: the thread that owns the file and the seal --- */
struct bh_audit_item {
	char *text; /* a record without number; with newline */
	size_t len, hole; /* where the number belongs */
	uint64_t events; /* that it stands for */
	bool urgent; /* a checkpoint at once */
};
struct bh_audit_writer;
int bh_audit_writer_start(
	const struct bh_audit_opts *o, struct bh_audit_ident *id, struct bh_audit_writer **ret);
void bh_audit_writer_stop(struct bh_audit_writer *w); /* writes what can be written; NULL is fine */
/* Takes it->text, or leaves it and says −ENOBUFS: there is no room. may_drop: of the class that
 * goes first. *ret_ticket is what to wait for. */
int bh_audit_writer_push(struct bh_audit_writer *w, const struct bh_audit_item *it, bool may_drop,
	uint64_t *ret_ticket);
/* 0 once it is on disk; −errno of a write that failed; −ETIMEDOUT after `ms`. */
int bh_audit_writer_wait(struct bh_audit_writer *w, uint64_t ticket, unsigned ms);
void bh_audit_writer_reopen(struct bh_audit_writer *w);
void bh_audit_writer_tick(struct bh_audit_writer *w); /* looks after file and key */
int64_t bh_audit_writer_ended(const struct bh_audit_writer *w);
char *bh_audit_writer_public_key(struct bh_audit_writer *w); /* owned */
void bh_audit_writer_get_stats(struct bh_audit_writer *w, struct bh_audit_stats *ret);

/* --- turn.c: another file, another key; on the writer's thread --- */
struct bh_audit_turn {
	const struct bh_audit_opts *opts; /* rotation */
	struct bh_audit_log *log;
	struct bh_audit_seal *seal;
	uint64_t sequence;
	int64_t file_since; /* µs since the epoch */
};
char *bh_audit_turn_name(const struct bh_audit_turn *t); /* of the file, once rotated; owned */
/* What the first record of a new file says of the one before, `name`; NULL: not known. */
json_t *bh_audit_turn_previous(const struct bh_audit_turn *t, const char *name);
bool bh_audit_is_old(int64_t since, uint64_t age_s, int64_t now); /* age_s 0: never */
bool bh_audit_turn_is_due(const struct bh_audit_turn *t, int64_t now);
/* Each: everything is written and signed. *ret_details for the first record of the new file. */
int bh_audit_turn_rotate(struct bh_audit_turn *t, int64_t now, json_t **ret_details);
int bh_audit_turn_reopen(struct bh_audit_turn *t, int64_t now, json_t **ret_details);
int bh_audit_turn_change_key(struct bh_audit_turn *t, int64_t now, json_t **ret_details);
/* Removes rotated files beyond opts->keep; NULL: none was. */
json_t *bh_audit_turn_prune(struct bh_audit_turn *t);

/* --- commit.c, begin.c: what that thread does --- */
#define BH_AUDIT_SIGN_US 1000000 /* how long a record may be in the file unsigned */
struct bh_audit_commit {
	const struct bh_audit_opts *opts;
	const struct bh_audit_ident *id;
	struct bh_audit_log log;
	struct bh_audit_seal seal;
	struct bh_audit_turn turn;
	struct bh_buf pending; /* numbered lines that are not in the file yet */
	uint64_t n_pending; /* records in it */
	uint64_t written;
	bool urgent;
	int64_t first_unsigned; /* monotonic, µs; 0: everything is signed */
	int error;
	int64_t ended; /* time of the last checkpoint before this run; 0: there is none */
};
struct bh_audit_orders { /* from the loop, for one round */
	bool stop, hurry, reopen, look;
};
/* Writes a batch, whose texts it takes, and signs if it is time to. */
int bh_audit_commit_round(struct bh_audit_commit *c, const struct bh_audit_orders *o,
	struct bh_audit_item *batch, size_t n);
/* Puts what is in the open file in order: it goes on from the last checkpoint, or is set aside. */
int bh_audit_commit_recover(struct bh_audit_commit *c, const struct bh_audit_found *f);
/* A record of the writer's own; takes details. */
void bh_audit_commit_note(
	struct bh_audit_commit *c, const char *action, const char *message, json_t *details);
int bh_audit_commit_sign(struct bh_audit_commit *c); /* writes what waits, syncs and signs */
int64_t bh_audit_monotonic(void); /* µs */

/* --- record.c, record_flow.c, fields.c: one record as text --- */
#define BH_AUDIT_MAX_TEXT 2048 /* bytes of a text that is no name */
struct bh_audit_span {
	size_t at, len;
};
struct bh_audit_text { /* a record without its number; no newline */
	struct bh_buf b;
	size_t hole; /* where id and sequence belong */
	/* Members with their commas, in the order in which they stand; all but time are empty in
	 * records that are of no flow. */
	struct bh_audit_span time, community_id, source_port, repeat;
};
void bh_audit_ident_render(struct bh_audit_ident *id); /* `fixed`, from the rest */
/* The head of any record, up to the members of its own, in an empty t->b. `types`: event.type as
 * JSON. `outcome` may be NULL, as may `more`: further members of event, as JSON. */
void bh_audit_record_begin(struct bh_audit_text *t, const struct bh_audit_ident *id,
	const char *action, const char *types, const char *outcome, const char *more, int64_t when);
/* Each overwrites what ret->b held. */
void bh_audit_record_flow(
	const struct bh_audit_ident *id, const struct bh_audit_flow *f, struct bh_audit_text *ret);
/* Of a record of one flow that of `count`, seen from `first` to `last`. */
void bh_audit_record_repeat(const struct bh_audit_text *t, uint64_t count, int64_t first,
	int64_t last, bool ports_differ, struct bh_audit_text *ret);
struct bh_audit_change {
	const char *action, *outcome, *message;
	const struct bh_audit_actor *actor;
	json_t *details; /* taken */
};
void bh_audit_record_event(const struct bh_audit_ident *id, const struct bh_audit_change *c,
	int64_t when, struct bh_audit_text *ret);
/* Sets text (owned), len and hole. */
void bh_audit_record_item(const struct bh_audit_text *t, struct bh_audit_item *ret);
/* The line with its number, appended to out. */
void bh_audit_record_number(const struct bh_audit_item *it, const struct bh_audit_ident *id,
	uint64_t sequence, struct bh_buf *out);
/* Members of the record; labels: as many as fit, or none. NULL is null. */
void bh_audit_workload(struct bh_buf *out, const char *key, const struct bh_workload *w,
	const struct bh_addr *a, bool labels);
void bh_audit_indicator(struct bh_buf *out, const struct bh_audit_flow *f);
/* For the details of events: as in json.h, but as values. */
json_t *bh_audit_text(const char *s, size_t max);
json_t *bh_audit_time(int64_t us);
void bh_audit_set(json_t *o, const char *key, json_t *v); /* takes v; NULL v: leaves the key out */
int64_t bh_audit_now(void); /* µs since the epoch */

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
	struct bh_audit_repeat *entry; /* from 1 to BH_AUDIT_REPEATS */
	uint32_t *bucket;
	uint32_t free; /* the list of those that were used and are not; 0: none */
	uint32_t used; /* those from here on never were: their memory is not touched */
	size_t n;
	uint64_t seed;
	struct bh_audit_overflow overflow[BH_AUDIT_OVERFLOW_ACTIONS];
	size_t n_overflow;
};
/* Called with the record of a window that is over, which stands for `count`. */
typedef void (*bh_audit_repeat_fn)(
	const struct bh_audit_text *rec, uint64_t count, int64_t last, void *arg);

enum bh_audit_seen { BH_AUDIT_FIRST, BH_AUDIT_AGAIN, BH_AUDIT_FULL };
void bh_audit_repeats_init(struct bh_audit_repeats *t, uint64_t seed);
void bh_audit_repeats_finish(struct bh_audit_repeats *t);
enum bh_audit_seen bh_audit_repeats_note(struct bh_audit_repeats *t,
	const struct bh_audit_ident *id, const struct bh_audit_flow *f, bh_audit_repeat_fn fn,
	void *arg);
/* Reports windows that are over at `now` (all of them if `all`). */
void bh_audit_repeats_expire(
	struct bh_audit_repeats *t, int64_t now, bool all, bh_audit_repeat_fn fn, void *arg);
