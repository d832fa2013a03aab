/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Versions of the policies. A version is a row, a row per file, and the files' texts, which are
 * kept once however many versions have them: a change of one file among a thousand costs one text.
 * Each put is a savepoint, because a fault that leaves the transaction running (a text too big)
 * must not leave half of a version in it.
 */
#include <errno.h>
#include <nettle/sha2.h>

#include "store/internal.h"

void bh_version_finish(struct bh_version *v)
{
	free(v->sha256);
	free(v->cause);
	free(v->user);
	free(v->comment);
	*v = (struct bh_version){0};
}

static int run_plain(struct bh_store *s, enum bh_store_stmt which, const char *sql)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, which, sql, &st);
	return r < 0 ? r : bh_store_run(s, st);
}

static int run_number(struct bh_store *s, enum bh_store_stmt which, const char *sql, uint64_t n)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, which, sql, &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, n);
	return bh_store_run(s, st);
}

static int begin(struct bh_store *s)
{
	int r = bh_store_begin(s);
	return r < 0 ? r : run_plain(s, BH_STMT_SAVEPOINT, "SAVEPOINT version");
}

static int end(struct bh_store *s, int r)
{
	if (s->failed)
		return r; /* the savepoint went with its transaction */
	if (r < 0) {
		char bh_autofree *why = bh_xstrdup(s->message);
		run_plain(s, BH_STMT_SAVEPOINT_BACK, "ROLLBACK TO version");
		bh_store_set_message(s, "%s", why ? why : "");
	}
	int released = run_plain(s, BH_STMT_SAVEPOINT_RELEASE, "RELEASE version");
	return r < 0 ? r : released;
}

static int put_file(
	struct bh_store *s, uint64_t number, size_t position, const struct bh_policy_source *src)
{
	const char *text = src->text ? src->text : "";
	uint8_t hash[SHA256_DIGEST_SIZE];
	struct sha256_ctx c;
	sqlite3_stmt *st;

	sha256_init(&c);
	sha256_update(&c, src->len, (const uint8_t *)text);
	sha256_digest(&c, sizeof(hash), hash);
	int r = bh_store_statement(s, BH_STMT_PUT_TEXT,
		"INSERT OR IGNORE INTO policy_text (hash, text) VALUES (?,?)", &st);
	if (r < 0)
		return r;
	sqlite3_bind_blob(st, 1, hash, sizeof(hash), SQLITE_STATIC);
	sqlite3_bind_blob64(st, 2, text, src->len, SQLITE_STATIC);
	if ((r = bh_store_run(s, st)) < 0)
		return r;
	r = bh_store_statement(s, BH_STMT_PUT_FILE,
		"INSERT INTO version_file (version, position, file, text)"
		" SELECT ?, ?, ?, id FROM policy_text WHERE hash = ?",
		&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, number);
	bh_store_bind_u64(st, 2, position);
	bh_store_bind_text(st, 3, src->file ? src->file : "");
	sqlite3_bind_blob(st, 4, hash, sizeof(hash), SQLITE_STATIC);
	return bh_store_run(s, st);
}

static int put_files(
	struct bh_store *s, uint64_t number, const struct bh_policy_source *src, size_t n)
{
	int r = run_number(
		s, BH_STMT_CLEAR_FILES, "DELETE FROM version_file WHERE version = ?", number);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_file(s, number, i, &src[i]);
	return r;
}

static int trim_texts(struct bh_store *s)
{
	return run_plain(s, BH_STMT_TRIM_TEXTS,
		"DELETE FROM policy_text WHERE NOT EXISTS"
		" (SELECT 1 FROM version_file WHERE text = policy_text.id)");
}

static int trim(struct bh_store *s, uint64_t newest)
{
	uint64_t last = newest > BH_VERSIONS_KEPT ? newest - BH_VERSIONS_KEPT : 0;
	int r = run_number(
		s, BH_STMT_TRIM_FILES, "DELETE FROM version_file WHERE version <= ?", last);
	if (r == 0)
		r = run_number(
			s, BH_STMT_TRIM_VERSIONS, "DELETE FROM version WHERE number <= ?", last);
	return r == 0 ? trim_texts(s) : r;
}

static int put_row(struct bh_store *s, const struct bh_version *v)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_PUT_VERSION,
		"INSERT OR REPLACE INTO version (number, sha256, at, cause, user, uid, pid,"
		" comment, policies) VALUES (?,?,?,?,?,?,?,?,?)",
		&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, v->number);
	bh_store_bind_text(st, 2, v->sha256 ? v->sha256 : "");
	sqlite3_bind_int64(st, 3, v->at);
	bh_store_bind_text(st, 4, v->cause ? v->cause : "");
	bh_store_bind_text(st, 5, v->user ? v->user : "");
	if (v->by_user) {
		sqlite3_bind_int64(st, 6, v->uid);
		sqlite3_bind_int64(st, 7, v->pid);
	}
	bh_store_bind_text(st, 8, v->comment ? v->comment : "");
	bh_store_bind_u64(st, 9, v->policies);
	return bh_store_run(s, st);
}

int bh_store_put_version(struct bh_store *s, const struct bh_version *v,
	const struct bh_policy_source *src, size_t n)
{
	int r = begin(s);
	if (r < 0)
		return r;
	r = put_row(s, v);
	if (r == 0)
		r = put_files(s, v->number, src, n);
	if (r == 0)
		r = trim(s, v->number);
	return end(s, r);
}

int bh_store_put_version_files(
	struct bh_store *s, uint64_t number, const struct bh_policy_source *src, size_t n)
{
	int r = begin(s);
	if (r < 0)
		return r;
	r = put_files(s, number, src, n);
	if (r == 0)
		r = trim_texts(s);
	return end(s, r);
}

int bh_store_drop_version(struct bh_store *s, uint64_t number)
{
	int r = begin(s);
	if (r < 0)
		return r;
	r = put_files(s, number, NULL, 0);
	if (r == 0)
		r = run_number(
			s, BH_STMT_DROP_VERSION, "DELETE FROM version WHERE number = ?", number);
	if (r == 0)
		r = trim_texts(s);
	return end(s, r);
}

static char *column_dup(sqlite3_stmt *st, int at)
{
	const char *text = (const char *)sqlite3_column_text(st, at);
	return bh_xstrdup(text ? text : "");
}

static void read_row(sqlite3_stmt *st, struct bh_version *ret)
{
	*ret = (struct bh_version){
		.number = (uint64_t)sqlite3_column_int64(st, 0),
		.sha256 = column_dup(st, 1),
		.at = sqlite3_column_int64(st, 2),
		.cause = column_dup(st, 3),
		.user = column_dup(st, 4),
		.by_user = sqlite3_column_type(st, 5) != SQLITE_NULL,
		.uid = (uint32_t)sqlite3_column_int64(st, 5),
		.pid = (int32_t)sqlite3_column_int64(st, 6),
		.comment = column_dup(st, 7),
		.policies = (uint64_t)sqlite3_column_int64(st, 8),
	};
}

#define COLUMNS "number, sha256, at, cause, user, uid, pid, comment, policies"

int bh_store_get_version(struct bh_store *s, uint64_t number, struct bh_version *ret)
{
	sqlite3_stmt *st;
	struct bh_version v = {0};
	int r = bh_store_statement(
		s, BH_STMT_GET_VERSION, "SELECT " COLUMNS " FROM version WHERE number = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, number);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		read_row(st, &v);
	r = bh_store_finish_read(s, st, rc);
	if (r < 0 || rc == SQLITE_DONE) {
		bh_version_finish(&v);
		return r < 0 ? r : -ENOENT;
	}
	*ret = v;
	return 0;
}

int bh_store_list_versions(
	struct bh_store *s, void (*fn)(const struct bh_version *, void *), void *arg)
{
	sqlite3_stmt *st;
	int rc, r = bh_store_statement(s, BH_STMT_LIST_VERSIONS,
			"SELECT " COLUMNS " FROM version ORDER BY number DESC", &st);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_version v;
		read_row(st, &v);
		fn(&v, arg);
		bh_version_finish(&v);
	}
	return bh_store_finish_read(s, st, rc);
}

int bh_store_load_version_files(struct bh_store *s, uint64_t number,
	void (*fn)(const struct bh_policy_source *, void *), void *arg)
{
	sqlite3_stmt *st;
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_FILES,
			"SELECT file, policy_text.text FROM version_file JOIN policy_text"
			" ON policy_text.id = version_file.text WHERE version = ? ORDER BY "
			"position",
			&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, number);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		char bh_autofree *file = column_dup(st, 0);
		const void *blob = sqlite3_column_blob(st, 1);
		size_t len = (size_t)sqlite3_column_bytes(st, 1);
		char bh_autofree *text = bh_xcalloc(len + 1, 1);
		if (len)
			memcpy(text, blob, len);
		fn(&(struct bh_policy_source){.file = file, .text = text, .len = len}, arg);
	}
	return bh_store_finish_read(s, st, rc);
}
