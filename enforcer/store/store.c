/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connection, its transaction and its errors.
 *
 * Writes gather in one transaction that bh_store_commit() ends, with synchronous=FULL: once a
 * second is cheap, and what commit has acknowledged survives a power cut. The invariant callers
 * rely on: commit returns 0 only if everything put since the commit before is on disk. SQLite rolls
 * a transaction back by itself on a full disk or an I/O error; the store then refuses further
 * writes until commit has reported the loss, so that nobody takes half a transaction for a whole.
 */
#include "store/internal.h"

#include <errno.h>
#include <time.h>

/* The errno of the last failed write to the database or its log. sqlite3_system_errno() would be
 * the call for it, but it reads errno after SQLite has rolled back, when other calls have changed
 * it. */
static int write_errno(sqlite3 *db)
{
	static const int which[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
	for (size_t i = 0; i < BH_ARRAY_SIZE(which); i++) {
		sqlite3_file *f = NULL;
		int e = 0;
		if (sqlite3_file_control(db, "main", which[i], &f) == SQLITE_OK && f &&
			f->pMethods &&
			f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &e) == SQLITE_OK &&
			e > 0)
			return e;
	}
	return 0;
}

/* The file system's own errno tells a full disk or quota from a broken one. */
static int system_errno(sqlite3 *db, int rc, int fallback)
{
	int e = 0;
	if (db)
		e = rc == SQLITE_IOERR_WRITE ? write_errno(db) : sqlite3_system_errno(db);
	if (e == EDQUOT || e == EFBIG)
		e = ENOSPC; /* to the operator all three are: no room for this file */
	return e > 0 ? -e : fallback;
}

int bh_store_errno(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return rc == SQLITE_IOERR_NOMEM ? -ENOMEM : system_errno(db, rc, -EIO);
	case SQLITE_CANTOPEN:
		return system_errno(db, rc, -EACCES);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

void bh_store_set_message(struct bh_store *s, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return; /* the older message is better than none */
	free(s->message);
	s->message = text;
}

static void describe(struct bh_store *s, int err, const char *sqlite, uint64_t lost)
{
	struct bh_buf bh_autobuf b = {0};
	if (err == -ENOSPC)
		bh_buf_str(&b, "the disk is full; free some space and try again");
	else if (err == -EUCLEAN)
		bh_buf_str(&b, "the database is damaged; restart the daemon, which sets it aside");
	else
		bh_buf_printf(&b, "%s (%s)", sqlite, strerror(-err));
	if (lost)
		bh_buf_printf(&b, "; %llu changes since the last commit were not kept",
			(unsigned long long)lost);
	bh_store_set_message(s, "%s", b.s);
}

static uint64_t ask_number(struct bh_store *s, const char *sql)
{
	sqlite3_stmt *st;
	uint64_t v = 0;
	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return 0;
	if (sqlite3_step(st) == SQLITE_ROW)
		v = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

static void count_rows(struct bh_store *s)
{
	s->flow_rows = ask_number(s, "SELECT count(*) FROM flow");
	s->stay_rows = ask_number(s, "SELECT count(*) FROM stay");
}

/* SQLite's manual (lang_transaction, "Response To Errors Within A Transaction"): FULL, IOERR, NOMEM
 * and others may or may not roll back; an explicit ROLLBACK makes it certain. */
static bool ends_transaction(int err)
{
	return err != -EINVAL && err != -E2BIG && err != -EBUSY;
}

int bh_store_fail(struct bh_store *s, int rc)
{
	int err = bh_store_errno(s->db, rc);
	uint64_t lost = 0;
	char bh_autofree *text = bh_xstrdup(sqlite3_errmsg(s->db));

	if (s->in_transaction && (ends_transaction(err) || sqlite3_get_autocommit(s->db))) {
		if (!sqlite3_get_autocommit(s->db))
			sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		lost = s->changes;
		s->in_transaction = s->decided = false;
		s->changes = 0;
		s->failed = err;
		s->losses++;
		count_rows(s);
	}
	describe(s, err, text, lost);
	s->unwell = true;
	if (err != -EBUSY) /* another writes: nothing is lost, and a later commit tries again */
		s->fault = true;
	return err;
}

int bh_store_statement(
	struct bh_store *s, enum bh_store_stmt which, const char *sql, sqlite3_stmt **ret)
{
	if (!s->stmt[which]) {
		int rc = sqlite3_prepare_v3(
			s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[which], NULL);
		if (rc != SQLITE_OK)
			return bh_store_fail(s, rc);
	}
	sqlite3_reset(s->stmt[which]);
	sqlite3_clear_bindings(s->stmt[which]);
	*ret = s->stmt[which];
	return 0;
}

/* Bound texts are borrowed from the caller, so bindings never outlive the step. The failure is read
 * before the reset; a statement that was reset cannot hold up a ROLLBACK. */
static int end_step(struct bh_store *s, sqlite3_stmt *st, int rc)
{
	int r = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : bh_store_fail(s, rc);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r;
}

int bh_store_change(
	struct bh_store *s, enum bh_store_stmt which, const char *sql, sqlite3_stmt **ret)
{
	int e = bh_store_begin(s);
	return e < 0 ? e : bh_store_statement(s, which, sql, ret);
}

int bh_store_run(struct bh_store *s, sqlite3_stmt *st)
{
	int r = end_step(s, st, sqlite3_step(st));
	if (r == 0)
		s->changes++;
	return r;
}

int bh_store_finish_read(struct bh_store *s, sqlite3_stmt *st, int rc)
{
	return end_step(s, st, rc);
}

void bh_store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, at);
}

/* SQLite's integers are signed: the bits are kept and cast back on the way out. */
void bh_store_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

void bh_store_bind_volume(sqlite3_stmt *st, int at, const struct bh_volume *v)
{
	const uint64_t n[] = {
		v->flows, v->packets[0], v->packets[1], v->bytes[0], v->bytes[1], v->duration};
	for (int i = 0; i < (int)BH_ARRAY_SIZE(n); i++)
		bh_store_bind_u64(st, at + i, n[i]);
}

/* Nothing that somebody wrote into the file may come back as a huge number. */
static uint64_t column_count(sqlite3_stmt *st, int at)
{
	int64_t v = sqlite3_column_int64(st, at);
	return v < 0 ? 0 : (uint64_t)v;
}

void bh_store_read_volume(sqlite3_stmt *st, int at, struct bh_volume *ret)
{
	*ret = (struct bh_volume){
		.flows = column_count(st, at),
		.packets = {column_count(st, at + 1), column_count(st, at + 2)},
		.bytes = {column_count(st, at + 3), column_count(st, at + 4)},
		.duration = column_count(st, at + 5),
	};
}

int bh_store_begin(struct bh_store *s)
{
	sqlite3_stmt *st;
	if (s->failed)
		return s->failed;
	if (s->in_transaction)
		return 0;
	int r = bh_store_statement(s, BH_STMT_BEGIN, "BEGIN IMMEDIATE", &st);
	if (r == 0)
		r = end_step(s, st, sqlite3_step(st));
	if (r == 0) {
		s->in_transaction = true;
		s->fault = false;
	}
	return r;
}

/* What was decided is on disk, and stands: whether its copy can be written does not change that. */
static void copy_decisions(struct bh_store *s, bool decided)
{
	if (s->keep.attached && (decided || s->keep.error < 0))
		s->keep.error = bh_store_keep_save(s->db);
}

int bh_store_commit(struct bh_store *s)
{
	sqlite3_stmt *st;
	int r = s->failed;
	if (r < 0) {
		s->failed = 0; /* reported; the message of the failure still stands */
		return r;
	}
	if (!s->in_transaction) {
		copy_decisions(s, false);
		return 0;
	}
	bool decided = s->decided;
	if (decided) {
		int rc = bh_store_keep_count(s->db);
		r = rc == SQLITE_OK ? 0 : bh_store_fail(s, rc);
	}
	if (r == 0)
		r = bh_store_statement(s, BH_STMT_COMMIT, "COMMIT", &st);
	if (r == 0)
		r = end_step(s, st, sqlite3_step(st));
	s->failed = 0; /* reported right here */
	if (r == 0) {
		s->in_transaction = s->decided = false;
		s->changes = 0;
		s->unwell = s->fault;
		copy_decisions(s, decided);
	}
	return r; /* −EBUSY leaves the transaction open: a later commit tries again */
}

const char *bh_store_message(const struct bh_store *s)
{
	return s->message ? s->message : "";
}

const char *bh_store_trouble(const struct bh_store *s)
{
	return s->unwell ? s->message : NULL;
}

/* A cursor that `flows -f` got before a crash may be ahead of what was committed: start beyond
 * anything that can have been handed out since. A database made anew knows no number at all and
 * starts from the clock instead. */
static void start_sequence(struct bh_store *s, bool set_aside)
{
	sqlite3_stmt *st;
	if (sqlite3_prepare_v2(s->db, "SELECT max(seq) FROM flow", -1, &st, NULL) != SQLITE_OK)
		return;
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
		s->seq = (uint64_t)sqlite3_column_int64(st, 0) + (1u << 20);
	sqlite3_finalize(st);
	if (set_aside) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		s->seq = (uint64_t)now.tv_sec << 20;
	}
}

/* Likewise for the numbers of stays, which flows name that may outlive them. */
static void start_stays(struct bh_store *s)
{
	static const char *const last[] = {"SELECT max(number) FROM stay",
		"SELECT max(src_stay) FROM flow", "SELECT max(dst_stay) FROM flow"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(last); i++) {
		uint64_t v = ask_number(s, last[i]);
		s->stay = v > s->stay ? v : s->stay;
	}
	if (s->stay)
		s->stay += 1u << 20;
}

uint64_t bh_store_losses(const struct bh_store *s)
{
	return s->losses;
}

bool bh_store_has_changes(const struct bh_store *s)
{
	return s->changes > 0;
}

int bh_store_kept(const struct bh_store *s)
{
	return s->keep.error;
}

bool bh_store_restored(const struct bh_store *s)
{
	return s->restored;
}

int bh_store_open(const char *dir, struct bh_store **ret)
{
	sqlite3 *db;
	struct bh_keep keep = {0};
	bool restored = false;
	int r = bh_store_open_database(dir, &db, &keep, &restored);
	if (r < 0)
		return r;
	struct bh_store *s = bh_xcalloc(1, sizeof(*s));
	s->db = db;
	s->keep = keep;
	s->restored = restored;
	start_sequence(s, r == 1);
	count_rows(s);
	start_stays(s);
	*ret = s;
	return r;
}

void bh_store_close(struct bh_store *s)
{
	if (!s)
		return;
	bh_store_commit(s);
	for (size_t i = 0; i < BH_STMT_MAX; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close(s->db);
	free(s->message);
	free(s);
}
