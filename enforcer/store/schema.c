/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening the database: its directory and permissions, its integrity, its schema. Whatever is found
 * in the place of the database, the daemon must be able to start: a file that is damaged or no
 * database is kept beside for a person to look at. A database of a newer version is neither: it is
 * refused, so that going back a version loses nothing.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SET_ASIDE_MAX 9 /* the last one is replaced, so that a bad disk is not filled with them */

/* Times are µs since the epoch, UTC. Unsigned counters are kept as signed 64 bit. */
static const char *const migration[BH_STORE_VERSION] = {
	"CREATE TABLE tuple (key TEXT PRIMARY KEY, src TEXT NOT NULL, dst TEXT NOT NULL,"
	" proto INTEGER NOT NULL, port INTEGER NOT NULL, icmp_type INTEGER NOT NULL,"
	" egress INTEGER NOT NULL, ingress INTEGER NOT NULL, answered INTEGER NOT NULL,"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, connections INTEGER NOT NULL,"
	" images TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE flow (seq INTEGER PRIMARY KEY, src TEXT NOT NULL, dst TEXT NOT NULL,"
	" proto INTEGER NOT NULL, port INTEGER NOT NULL, verdict TEXT NOT NULL,"
	" reason TEXT NOT NULL, rule TEXT NOT NULL, mode TEXT NOT NULL,"
	" src_addr TEXT NOT NULL, dst_addr TEXT NOT NULL, src_id TEXT, dst_id TEXT,"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,"
	" UNIQUE (src, dst, proto, port, verdict, reason, rule));"
	"CREATE TABLE mode (scope TEXT PRIMARY KEY, mode TEXT NOT NULL, set_at INTEGER NOT NULL,"
	" uid INTEGER NOT NULL);"
	"CREATE TABLE policy (position INTEGER PRIMARY KEY, file TEXT NOT NULL,"
	" text BLOB NOT NULL);"
	"CREATE TABLE policy_hash (one INTEGER PRIMARY KEY CHECK (one = 1),"
	" sha256 TEXT NOT NULL);"
	"CREATE TABLE value (name TEXT PRIMARY KEY, value INTEGER NOT NULL);",

	/* Versions of the policies. What was last in force becomes the first of them; its texts get
	 * names instead of hashes, which only means that they are not shared with later ones. */
	"CREATE TABLE policy_text (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"
	" text BLOB NOT NULL);"
	"CREATE TABLE version (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL,"
	" at INTEGER NOT NULL, cause TEXT NOT NULL, user TEXT NOT NULL, uid INTEGER, pid INTEGER,"
	" comment TEXT NOT NULL, policies INTEGER NOT NULL);"
	"CREATE TABLE version_file (version INTEGER NOT NULL, position INTEGER NOT NULL,"
	" file TEXT NOT NULL, text INTEGER NOT NULL, PRIMARY KEY (version, position))"
	" WITHOUT ROWID;"
	"CREATE INDEX version_file_text ON version_file (text);"
	"INSERT INTO version SELECT value.value, policy_hash.sha256, 0, 'before', 'directory',"
	" NULL, NULL, '', (SELECT count(*) FROM policy) FROM value, policy_hash"
	" WHERE value.name = 'policy_generation';"
	"INSERT INTO policy_text SELECT position + 1, 'before-' || position, text FROM policy"
	" WHERE EXISTS (SELECT 1 FROM version);"
	"INSERT INTO version_file SELECT version.number, position, file, position + 1"
	" FROM policy, version;"
	"DROP TABLE policy; DROP TABLE policy_hash;",

	"CREATE TABLE quarantine (namespace TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,"
	" allow TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL, uid INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, PRIMARY KEY (namespace, name)) WITHOUT ROWID;",

	/* Modes for a time: until when, and what comes back. */
	"ALTER TABLE mode ADD COLUMN until INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mode ADD COLUMN back TEXT NOT NULL DEFAULT '';",

	/* Stays, and flows that name them. Flows of before name none. */
	"CREATE TABLE stay (number INTEGER PRIMARY KEY, id TEXT NOT NULL, runtime TEXT NOT NULL,"
	" name TEXT NOT NULL, namespace TEXT NOT NULL, image TEXT, digest TEXT,"
	" labels TEXT NOT NULL, mark TEXT NOT NULL, started INTEGER NOT NULL,"
	" early INTEGER NOT NULL, stopped INTEGER NOT NULL, unseen INTEGER NOT NULL);"
	"CREATE INDEX stay_id ON stay (id); CREATE INDEX stay_name ON stay (name);"
	"CREATE INDEX stay_image ON stay (image); CREATE INDEX stay_digest ON stay (digest);"
	"CREATE INDEX stay_stopped ON stay (stopped);"
	"CREATE TABLE stay_addr (stay INTEGER NOT NULL, addr BLOB NOT NULL,"
	" since INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (stay, addr, since))"
	" WITHOUT ROWID;"
	"CREATE INDEX stay_addr_addr ON stay_addr (addr);"
	"CREATE TABLE flow_new (seq INTEGER PRIMARY KEY, src TEXT NOT NULL, dst TEXT NOT NULL,"
	" proto INTEGER NOT NULL, port INTEGER NOT NULL, verdict TEXT NOT NULL,"
	" reason TEXT NOT NULL, rule TEXT NOT NULL, mode TEXT NOT NULL,"
	" src_addr TEXT NOT NULL, dst_addr TEXT NOT NULL, src_id TEXT, dst_id TEXT,"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,"
	" src_stay INTEGER NOT NULL, dst_stay INTEGER NOT NULL,"
	" src_key BLOB NOT NULL, dst_key BLOB NOT NULL,"
	" UNIQUE (src, dst, proto, port, verdict, reason, rule, src_addr, dst_addr, src_stay,"
	" dst_stay));"
	"INSERT INTO flow_new SELECT seq, src, dst, proto, port, verdict, reason, rule, mode,"
	" src_addr, dst_addr, src_id, dst_id, first_seen, last_seen, count, 0, 0,"
	" bh_addr_key(src_addr), bh_addr_key(dst_addr) FROM flow;"
	"DROP TABLE flow; ALTER TABLE flow_new RENAME TO flow;"
	"CREATE INDEX flow_src_stay ON flow (src_stay);"
	"CREATE INDEX flow_dst_stay ON flow (dst_stay);"
	"CREATE INDEX flow_src_key ON flow (src_key);"
	"CREATE INDEX flow_dst_key ON flow (dst_key);",

	/* When tuples became edges, and how well roles were seen. */
	"ALTER TABLE tuple ADD COLUMN answered_at INTEGER NOT NULL DEFAULT 0;"
	"UPDATE tuple SET answered_at = first_seen WHERE answered;"
	"CREATE TABLE role (end TEXT PRIMARY KEY, since INTEGER NOT NULL, last INTEGER NOT NULL,"
	" learned INTEGER NOT NULL, starts INTEGER NOT NULL, hours BLOB NOT NULL,"
	" instances BLOB NOT NULL) WITHOUT ROWID;",

	/* What an operator said of tuples. */
	"ALTER TABLE tuple ADD COLUMN review INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN widened TEXT NOT NULL DEFAULT '';",

	/* What was transferred, as conntrack counted it by the end of flows; duration in µs. */
	"ALTER TABLE tuple ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN packets_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN packets_back INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN bytes_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN bytes_back INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN duration INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN packets_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN packets_back INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN bytes_out INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN bytes_back INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE flow ADD COLUMN duration INTEGER NOT NULL DEFAULT 0;",

	/* Names that DNS answers gave to addresses. */
	"CREATE TABLE name (end TEXT NOT NULL, addr TEXT NOT NULL, name TEXT NOT NULL,"
	" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
	" PRIMARY KEY (end, addr, name)) WITHOUT ROWID;",

	/* Images of a pod's further containers. */
	"CREATE TABLE stay_other (stay INTEGER NOT NULL, position INTEGER NOT NULL, image TEXT,"
	" digest TEXT, PRIMARY KEY (stay, position)) WITHOUT ROWID;"
	"CREATE INDEX stay_other_image ON stay_other (image);"
	"CREATE INDEX stay_other_digest ON stay_other (digest);",

	/* What was put together, because there was too much of it. */
	"ALTER TABLE tuple ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tuple ADD COLUMN span TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE flow_fold (src TEXT NOT NULL, dst TEXT NOT NULL, proto INTEGER NOT NULL,"
	" port INTEGER NOT NULL, verdict TEXT NOT NULL, first_seen INTEGER NOT NULL,"
	" last_seen INTEGER NOT NULL, count INTEGER NOT NULL, rows INTEGER NOT NULL,"
	" PRIMARY KEY (src, dst, proto, port, verdict)) WITHOUT ROWID;",
};

/* Fails if a table or column that this version uses is not there. */
static const char probe[] =
	"SELECT key, src, dst, images, answered_at, review, widened, ended, duration, folded, span"
	" FROM tuple LIMIT 1;"
	"SELECT src, port, verdict, rows FROM flow_fold LIMIT 1;"
	"SELECT end, learned, hours, instances FROM role LIMIT 1;"
	"SELECT seq, rule, src_id, count, src_stay, dst_key, ended, duration FROM flow LIMIT 1;"
	"SELECT end, addr, name, last_seen FROM name LIMIT 1;"
	"SELECT number, id, digest, mark, unseen FROM stay LIMIT 1;"
	"SELECT stay, addr, since, until FROM stay_addr LIMIT 1;"
	"SELECT stay, position, image, digest FROM stay_other LIMIT 1;"
	"SELECT scope, mode, set_at, uid, until, back FROM mode LIMIT 1;"
	"SELECT namespace, name, id, allow, pid FROM quarantine LIMIT 1;"
	"SELECT number, sha256, uid, comment FROM version LIMIT 1;"
	"SELECT version, position, file, text FROM version_file LIMIT 1;"
	"SELECT id, hash, text FROM policy_text LIMIT 1;"
	"SELECT name, value FROM value LIMIT 1;";

/* One integer or text cell of a pragma; text goes to the optional buffer. */
static int pragma(sqlite3 *db, const char *sql, int64_t *ret_value, char *text, size_t size)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const char *cell = (const char *)sqlite3_column_text(st, 0);
		if (ret_value)
			*ret_value = sqlite3_column_int64(st, 0);
		if (text)
			snprintf(text, size, "%s", cell ? cell : "");
	}
	sqlite3_finalize(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int bh_store_check(sqlite3 *db, const char *sql)
{
	char text[16] = "";
	int rc = pragma(db, sql, NULL, text, sizeof(text));
	if (rc == SQLITE_OK && !bh_streq(text, "ok"))
		rc = SQLITE_CORRUPT;
	return rc;
}

/* bh_addr_key(TEXT): what a flow row's src_key and dst_key are; empty if it is no address. */
static void sql_addr_key(sqlite3_context *x, int n BH_UNUSED, sqlite3_value **v)
{
	const char *text = (const char *)sqlite3_value_text(v[0]);
	uint8_t key[BH_STORE_KEY_MAX];
	struct bh_addr a;
	size_t len = text && bh_addr_parse(text, &a) == 0 ? bh_store_addr_key(&a, key) : 0;
	sqlite3_result_blob(x, key, (int)len, SQLITE_TRANSIENT);
}

static int migrate(sqlite3 *db)
{
	int64_t version = 0;
	int rc = pragma(db, "PRAGMA user_version", &version, NULL, 0);
	if (rc != SQLITE_OK)
		return bh_store_errno(db, rc);
	if (version < 0 || version > BH_STORE_VERSION)
		return -EPROTONOSUPPORT;
	for (; version < BH_STORE_VERSION; version++) {
		char bh_autofree *sql =
			bh_xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version=%d; COMMIT;",
				migration[version], (int)version + 1);
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
		if (rc != SQLITE_OK) {
			int err = rc == SQLITE_ERROR ? -EUCLEAN : bh_store_errno(db, rc);
			sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			return err;
		}
	}
	rc = sqlite3_exec(db, probe, NULL, NULL, NULL);
	/* "no such table": somebody else's database, or a damaged one that passes for whole */
	return rc == SQLITE_ERROR ? -EUCLEAN : bh_store_errno(db, rc);
}

/* SQLite makes room for the index of its write-ahead log, which is shared memory in a file, by
 * writing one byte of each 4 KiB. Where blocks are smaller (ext4 of less than 512 MiB) the others
 * stay holes, and on a full disk whoever touches one is killed by SIGBUS. */
static bool has_small_blocks(const char *path)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 && fs.f_bsize < 4096;
}

static int prepare_database(sqlite3 *db, const char *path)
{
	sqlite3_busy_timeout(db, 500); /* a person's sqlite3 shell, or a backup */
	/* Then the index is in memory of our own, and others have to wait until we are gone. */
	if (has_small_blocks(path))
		sqlite3_exec(db, "PRAGMA main.locking_mode=EXCLUSIVE", NULL, NULL, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_create_function(db, "bh_addr_key", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
		sql_addr_key, NULL, NULL);
	int rc = bh_store_check(db, "PRAGMA quick_check(1)");
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			"PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY;",
			NULL, NULL, NULL);
	return rc == SQLITE_OK ? migrate(db) : bh_store_errno(db, rc);
}

/* The file is made here, with its mode, because SQLite would take it from the umask; -wal and -shm
 * inherit it. Links are not followed: the directory may be writable by others in a bad set-up. */
int bh_store_make_file(const char *path)
{
	struct stat st;
	int bh_autoclose fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return -errno;
	return 0;
}

static int open_once(const char *path, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int r = bh_store_make_file(path);
	if (r < 0)
		return r;
	int rc = sqlite3_open_v2(path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	r = rc == SQLITE_OK ? prepare_database(db, path) : bh_store_errno(db, rc);
	if (r < 0) {
		sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

/* The write-ahead log goes along under the name that SQLite looks for, so that what can still be
 * read of the database can be read; the shared-memory index is made anew by whoever opens it. */
static int set_aside(const char *path)
{
	struct stat st;
	char bh_autofree *to = NULL;
	for (int i = 1; i <= SET_ASIDE_MAX; i++) {
		free(to);
		to = bh_xasprintf("%s.corrupt-%d", path, i);
		if (lstat(to, &st) < 0 && errno == ENOENT)
			break;
	}
	char bh_autofree *wal = bh_xasprintf("%s-wal", path);
	char bh_autofree *to_wal = bh_xasprintf("%s-wal", to);
	char bh_autofree *shm = bh_xasprintf("%s-shm", path);
	if (rename(path, to) < 0)
		return -errno;
	if (rename(wal, to_wal) < 0)
		unlink(to_wal); /* a replaced one's */
	unlink(shm);
	return 0;
}

static int make_directory(const char *dir)
{
	char bh_autofree *path = bh_xstrdup(dir);
	for (char *p = path + 1; *path && (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	/* An existing directory is the operator's: its mode stays. The files are 0600 anyway. */
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_or_replace(const char *path, sqlite3 **ret)
{
	int r = open_once(path, ret);
	if (r != -EUCLEAN)
		return r;
	r = set_aside(path);
	if (r == 0)
		r = open_once(path, ret);
	return r < 0 ? r : 1;
}

int bh_store_open_database(
	const char *dir, sqlite3 **ret, struct bh_keep *ret_keep, bool *ret_restored)
{
	char bh_autofree *path = bh_xasprintf("%s/bulkhead.db", dir);
	sqlite3 *db = NULL;
	int r = make_directory(dir);
	if (r == 0)
		r = open_or_replace(path, &db);
	int e = r < 0 ? r : bh_store_keep_open(db, dir, ret_keep);
	if (e < 0) {
		sqlite3_close(db);
		return e;
	}
	*ret = db;
	*ret_restored = ret_keep->taken || (r == 1 && ret_keep->had);
	return r == 1 || ret_keep->taken;
}
