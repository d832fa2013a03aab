/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The last good copy of a feed on disk: a few comment lines, then the text as it was served, so
 * that it is itself a feed that a person can read. The hash is checked when it is loaded, because a
 * copy cut short would silently unblock what it lost. Its modification time says when the source
 * was last found to offer just this.
 */
#include "feeds/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/stat.h>

#define MAGIC "# bulkhead feed copy 1\n"
#define HEADER_MAX 16384
#define PIECE (1u << 20)

void bh_feed_meta_finish(struct bh_feed_meta *m)
{
	free(m->url);
	free(m->etag);
	free(m->last_modified);
	free(m->format);
	*m = (struct bh_feed_meta){0};
}

void bh_feed_sha256(const char *text, size_t len, char ret[static BH_SHA256_HEX])
{
	uint8_t md[SHA256_DIGEST_SIZE];
	struct sha256_ctx c;
	sha256_init(&c);
	sha256_update(&c, len, (const uint8_t *)text);
	sha256_digest(&c, sizeof(md), md);
	for (unsigned i = 0; i < sizeof(md); i++)
		snprintf(ret + 2 * i, 3, "%02x", md[i]);
}

static bool is_plain(const char *s)
{
	size_t n = 0;
	for (; s[n]; n++)
		if (s[n] < ' ' || s[n] > '~')
			return false;
	return n > 0 && n < 4096;
}

/* What a server sent may hold anything; what would break the line is not kept. */
static void add_line(struct bh_buf *b, const char *name, const char *value)
{
	if (value && is_plain(value))
		bh_buf_printf(b, "# %s: %s\n", name, value);
}

/* Synced piece by piece: many MiB at once would keep whoever else syncs a file waiting, such as a
 * change of policy. */
static int write_all(int fd, const char *p, size_t n)
{
	size_t unsynced = 0;
	while (n > 0) {
		ssize_t w = write(fd, p, n < PIECE ? n : PIECE);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
		unsynced += (size_t)w;
		if (unsynced >= PIECE && fdatasync(fd) < 0)
			return -errno;
		unsynced %= PIECE;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	char bh_autofree *dir = bh_xstrdup(path);
	*strrchr(dir, '/') = '\0';
	int bh_autoclose fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_file(
	const char *tmp, const char *path, const struct bh_buf *head, const char *text, size_t len)
{
	int bh_autoclose fd =
		open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, head->s, head->len);
	if (r == 0)
		r = write_all(fd, text, len);
	if (r == 0 && (fsync(fd) < 0 || rename(tmp, path) < 0))
		r = -errno;
	if (r == 0)
		r = sync_parent(path);
	else
		unlink(tmp);
	return r;
}

int bh_feed_keep(const char *path, const struct bh_feed_meta *m, const char *text, size_t len)
{
	struct bh_buf bh_autobuf head = {0};
	char bh_autofree *tmp = bh_xasprintf("%s.new", path);
	char sha[BH_SHA256_HEX];
	bh_feed_sha256(text, len, sha);
	bh_buf_str(&head, MAGIC);
	add_line(&head, "url", m->url);
	add_line(&head, "etag", m->etag);
	add_line(&head, "last-modified", m->last_modified);
	add_line(&head, "format", m->format);
	if (!bh_streq(sha, m->sha256)) /* not kept as it was served */
		add_line(&head, "source-sha256", m->sha256);
	bh_buf_printf(&head, "# loaded: %lld\n# length: %zu\n# sha256: %s\n#\n",
		(long long)m->loaded_at, len, sha);
	return write_file(tmp, path, &head, text, len);
}

/* The whole file with a NUL behind it; owned. */
static int read_whole(const char *path, struct stat *ret_st, char **ret, size_t *ret_len)
{
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode) || ret_st->st_size > BH_FEED_MAX_BYTES + HEADER_MAX)
		return -EBADMSG;
	char bh_autofree *text = bh_xcalloc((size_t)ret_st->st_size + 1, 1);
	size_t n = 0;
	while (n < (size_t)ret_st->st_size) {
		ssize_t r = read(fd, text + n, (size_t)ret_st->st_size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret = BH_TAKE_PTR(text);
	*ret_len = n;
	return 0;
}

/* Value of the line "# NAME: VALUE" if that is what `line` is; owned. */
static char *value_of(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);
	if (n < len + 4 || memcmp(line, "# ", 2) != 0 || memcmp(line + 2, name, len) != 0 ||
		memcmp(line + 2 + len, ": ", 2) != 0)
		return NULL;
	return bh_xstrndup(line + len + 4, n - len - 4);
}

static void take_value(char **to, const char *line, size_t n, const char *name)
{
	char *v = value_of(line, n, name);
	if (!v)
		return;
	free(*to);
	*to = v;
}

/* Fills m and gives the text behind the header, or NULL. */
static const char *read_header(const char *s, struct bh_feed_meta *m, uint64_t *ret_length,
	char ret_source[static BH_SHA256_HEX])
{
	char bh_autofree *source = NULL;
	char bh_autofree *loaded = NULL, bh_autofree *length = NULL, bh_autofree *sha = NULL;
	uint64_t at;
	if (strncmp(s, MAGIC, strlen(MAGIC)) != 0)
		return NULL;
	for (const char *eol; (eol = strchr(s, '\n')); s = eol + 1) {
		size_t n = (size_t)(eol - s);
		if (n == 1 && *s == '#') {
			if (!loaded || bh_parse_u64(loaded, INT64_MAX, &at) < 0 || !length ||
				bh_parse_u64(length, UINT64_MAX, ret_length) < 0 || !sha ||
				strlen(sha) != BH_SHA256_HEX - 1)
				return NULL;
			m->loaded_at = (int64_t)at;
			memcpy(m->sha256, sha, BH_SHA256_HEX);
			if (source && strlen(source) == BH_SHA256_HEX - 1)
				memcpy(ret_source, source, BH_SHA256_HEX);
			return eol + 1;
		}
		if (*s != '#')
			return NULL;
		take_value(&m->url, s, n, "url");
		take_value(&m->etag, s, n, "etag");
		take_value(&m->last_modified, s, n, "last-modified");
		take_value(&m->format, s, n, "format");
		take_value(&loaded, s, n, "loaded");
		take_value(&length, s, n, "length");
		take_value(&sha, s, n, "sha256");
		take_value(&source, s, n, "source-sha256");
	}
	return NULL;
}

int bh_feed_kept(const char *path, struct bh_feed_meta *ret, int64_t *ret_checked_at,
	char **ret_text, size_t *ret_len)
{
	struct bh_feed_meta m = {0};
	struct stat st;
	char bh_autofree *all = NULL;
	char sha[BH_SHA256_HEX], source[BH_SHA256_HEX] = "";
	size_t n = 0;
	uint64_t length = 0;

	int r = read_whole(path, &st, &all, &n);
	if (r < 0)
		return r;
	const char *text = read_header(all, &m, &length, source);
	if (text && length == n - (size_t)(text - all))
		bh_feed_sha256(text, length, sha);
	else
		sha[0] = '\0';
	if (!sha[0] || !bh_streq(sha, m.sha256)) {
		bh_feed_meta_finish(&m);
		return -EBADMSG;
	}
	if (source[0])
		memcpy(m.sha256, source, sizeof(m.sha256));
	*ret_text = bh_xcalloc(length + 1, 1);
	memcpy(*ret_text, text, length);
	*ret_len = length;
	*ret_checked_at = st.st_mtim.tv_sec;
	*ret = m;
	return 0;
}

void bh_feed_kept_touch(const char *path)
{
	utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}
