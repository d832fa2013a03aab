/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store's files share. Not for other modules. */
#pragma once

#include <bulkhead/util.h>
#include <sqlite3.h>

#include "store/store.h"

#define BH_STORE_VERSION 11 /* user_version of the schema that this program writes */

/* Prepared statements, kept for the life of the connection. */
enum bh_store_stmt {
	BH_STMT_BEGIN,
	BH_STMT_COMMIT,
	BH_STMT_ROLLBACK,
	BH_STMT_PUT_TUPLE,
	BH_STMT_LOAD_TUPLES,
	BH_STMT_DROP_TUPLE,
	BH_STMT_CLEAR_TUPLES,
	BH_STMT_PUT_ROLE,
	BH_STMT_DROP_ROLE,
	BH_STMT_LOAD_ROLES,
	BH_STMT_PUT_NAME,
	BH_STMT_DROP_NAME,
	BH_STMT_LOAD_NAMES,
	BH_STMT_PUT_FLOW,
	BH_STMT_TRIM_FLOWS,
	BH_STMT_FOLD_FLOWS,
	BH_STMT_FOLD_PORTS,
	BH_STMT_FOLD_PORTS_DROP,
	BH_STMT_FOLD_NAMES,
	BH_STMT_FOLD_NAMES_DROP,
	BH_STMT_COUNT_FOLDS,
	BH_STMT_LIST_FOLDS,
	BH_STMT_SUM_FOLDS,
	BH_STMT_FLOWS_SINCE,
	BH_STMT_FLOWS_NEWEST,
	BH_STMT_FLOWS_UNMATCHED,
	BH_STMT_FLOWS_SRC_STAY,
	BH_STMT_FLOWS_DST_STAY,
	BH_STMT_FLOW_SRC_ADDRS,
	BH_STMT_FLOW_DST_ADDRS,
	BH_STMT_FLOWS_SRC_RANGE,
	BH_STMT_FLOWS_DST_RANGE,
	BH_STMT_UPDATE_STAY,
	BH_STMT_INSERT_STAY,
	BH_STMT_NTH_STOP,
	BH_STMT_CLEAR_STAY_ADDRS,
	BH_STMT_PUT_STAY_ADDR,
	BH_STMT_LOAD_STAY_ADDRS,
	BH_STMT_CLEAR_STAY_IMAGES,
	BH_STMT_PUT_STAY_IMAGE,
	BH_STMT_LOAD_STAY_IMAGES,
	BH_STMT_TRIM_STAY_IMAGES,
	BH_STMT_TRIM_STAY_ADDRS,
	BH_STMT_TRIM_STAYS,
	BH_STMT_STAYS, /* and one for each enum bh_stay_by */
	BH_STMT_STAYS_LAST = BH_STMT_STAYS + BH_STAY_OTHER_DIGEST,
	BH_STMT_GET_STAY,
	BH_STMT_STAYS_RANGE,
	BH_STMT_NEXT_IMAGE,
	BH_STMT_PUT_MODE,
	BH_STMT_LOAD_MODES,
	BH_STMT_DROP_MODE,
	BH_STMT_PUT_QUARANTINE,
	BH_STMT_DROP_QUARANTINE,
	BH_STMT_LOAD_QUARANTINE,
	BH_STMT_PUT_VERSION,
	BH_STMT_DROP_VERSION,
	BH_STMT_CLEAR_FILES,
	BH_STMT_PUT_TEXT,
	BH_STMT_PUT_FILE,
	BH_STMT_TRIM_VERSIONS,
	BH_STMT_TRIM_FILES,
	BH_STMT_TRIM_TEXTS,
	BH_STMT_GET_VERSION,
	BH_STMT_LIST_VERSIONS,
	BH_STMT_LOAD_FILES,
	BH_STMT_SHIFT_MODES,
	BH_STMT_REBASE_MODES,
	BH_STMT_PUT_VALUE,
	BH_STMT_GET_VALUE,
	BH_STMT_SAVEPOINT,
	BH_STMT_SAVEPOINT_BACK,
	BH_STMT_SAVEPOINT_RELEASE,
	BH_STMT_MAX
};

/* The copy of what was decided by command. */
struct bh_keep {
	bool attached;
	int error; /* 0, or why it has not all of it (−errno): tried again if it is attached */
	bool had, taken; /* there was one at the start; it was the later one, and was taken over */
};

struct bh_store {
	sqlite3 *db;
	char *message; /* of the last failure; owned */
	bool unwell; /* no transaction has gone well from beginning to end since that */
	bool fault; /* something failed since the last one began */
	bool in_transaction;
	bool decided; /* the running transaction changes what keep.c keeps */
	struct bh_keep keep;
	bool restored; /* from it, at the start */
	int failed; /* −errno: the running transaction was rolled back; commit reports it */
	uint64_t changes; /* put into the running transaction */
	uint64_t seq; /* last one given to a flow row */
	uint64_t flow_rows; /* rows in table flow, the running transaction included */
	uint64_t stay_rows; /* likewise in table stay */
	uint64_t stay; /* the last number given */
	uint64_t losses; /* transactions rolled back */
	sqlite3_stmt *stmt[BH_STMT_MAX];
};

/* schema.c: opens DIR/bulkhead.db, checks it, brings its schema up to date. 0, 1 (a damaged one was
 * set aside, or there was one and it, or the end of it, is gone) or −errno. */
int bh_store_open_database(
	const char *dir, sqlite3 **ret, struct bh_keep *ret_keep, bool *ret_restored);
int bh_store_check(sqlite3 *db, const char *sql); /* a quick_check: an SQLite result code */
/* Makes what is not there, with its mode; what is no file of its own is refused: −ELOOP, −EINVAL.
 */
int bh_store_make_file(const char *path);

/* keep.c: attaches the copy of what was decided by command, and takes it over where it is the later
 * one, or makes it again. −errno: it is the later one, and the disk does not let it be taken over;
 * both are as they were. */
int bh_store_keep_open(sqlite3 *db, const char *dir, struct bh_keep *ret);
/* In the running transaction: it decides. An SQLite result code. */
int bh_store_keep_count(sqlite3 *db);
int bh_store_keep_save(sqlite3 *db); /* outside of one: makes the copy again; −errno */

/* store.c */
int bh_store_errno(sqlite3 *db, int rc); /* −errno of an SQLite result code */
/* Notes the failure `rc` of the last call and, where SQLite cannot keep the running transaction,
 * ends it. Returns −errno. */
int bh_store_fail(struct bh_store *s, int rc);
void bh_store_set_message(struct bh_store *s, const char *fmt, ...) BH_PRINTF(2, 3);
int bh_store_begin(struct bh_store *s); /* before each write */
/* The cached statement of `which`, prepared from `sql` on first use, reset and unbound. */
int bh_store_statement(
	struct bh_store *s, enum bh_store_stmt which, const char *sql, sqlite3_stmt **ret);
/* The same of a write, in a transaction. */
int bh_store_change(
	struct bh_store *s, enum bh_store_stmt which, const char *sql, sqlite3_stmt **ret);
int bh_store_run(struct bh_store *s, sqlite3_stmt *st); /* a write: steps to the end */
int bh_store_finish_read(struct bh_store *s, sqlite3_stmt *st, int rc); /* after the last step */

/* Texts are borrowed until the statement is stepped; NULL binds NULL. */
void bh_store_bind_text(sqlite3_stmt *st, int at, const char *text);
void bh_store_bind_u64(sqlite3_stmt *st, int at, uint64_t v);
/* Six parameters or columns: ended, packets_out, packets_back, bytes_out, bytes_back, duration. */
#define BH_STORE_VOLUME_COLUMNS "ended, packets_out, packets_back, bytes_out, bytes_back, duration"
void bh_store_bind_volume(sqlite3_stmt *st, int at, const struct bh_volume *v);
void bh_store_read_volume(sqlite3_stmt *st, int at, struct bh_volume *ret);

/* flow_fold.c: puts the oldest rows together when there are more than max_rows. */
int bh_store_trim_flows(struct bh_store *s, uint64_t max_rows);

/* An address as the indexes have it: the family and its bytes, so that memcmp() orders them. */
#define BH_STORE_KEY_MAX 17
size_t bh_store_addr_key(const struct bh_addr *a, uint8_t key[static BH_STORE_KEY_MAX]);
/* A range of them as two parameters, borrowed until the statement is stepped. */
struct bh_store_range_key {
	uint8_t first[BH_STORE_KEY_MAX], last[BH_STORE_KEY_MAX];
};
void bh_store_bind_range(
	sqlite3_stmt *st, int at, const struct bh_range *r, struct bh_store_range_key *key);

/* ends.c: "host", "addr 203.0.113.9", "role shop app=web,tier=db"; words are %-escaped. */
void bh_store_format_end(const struct bh_end *e, struct bh_buf *out);
int bh_store_parse_end(const char *text, struct bh_end *ret); /* 0 or −EINVAL; ret is owned */
void bh_store_format_labels(const struct bh_labels *l, struct bh_buf *out);
int bh_store_parse_labels(const char *text, struct bh_labels *ret); /* into an empty one */
void bh_store_format_words(char *const *word, size_t n, struct bh_buf *out);
int bh_store_parse_words(const char *text, size_t max, char ***ret, size_t *ret_n);
