/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "audit/key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <nettle/eddsa.h>
#include <sys/random.h>
#include <sys/stat.h>

#define HEAD "PRIVATE+KEY+"
#define KEY_FILE_MAX 1024

static int from_seed(const char *name, const uint8_t seed[static 32], struct bh_audit_key *ret)
{
	struct bh_audit_key k = {0};
	uint8_t pub[32];

	ed25519_sha512_public_key(pub, seed);
	if (bh_verifier_init(name, pub, &k.pub) < 0)
		return -EINVAL;
	memcpy(k.seed, seed, sizeof(k.seed));
	*ret = k;
	return 0;
}

int bh_audit_key_new(const char *name, int64_t now, struct bh_audit_key *ret)
{
	uint8_t seed[32];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	int e = from_seed(name, seed, ret);
	explicit_bzero(seed, sizeof(seed));
	if (e == 0)
		ret->made = now;
	return e;
}

static int parse(char *text, struct bh_audit_key *ret)
{
	char *nl = strchr(text, '\n'), name[BH_NOTE_NAME_MAX + 1];
	uint8_t data[33];
	int64_t made;

	if (!nl || strncmp(text, HEAD, strlen(HEAD)) != 0 ||
		sscanf(nl + 1, "made %" SCNd64, &made) != 1)
		return -EINVAL;
	*nl = '\0';
	char *start = text + strlen(HEAD), *plus = strchr(start, '+');
	if (!plus || (size_t)(plus - start) > BH_NOTE_NAME_MAX || strlen(plus) < 11 ||
		plus[9] != '+')
		return -EINVAL;
	snprintf(name, sizeof(name), "%.*s", (int)(plus - start), start);
	if (bh_base64_decode(plus + 10, strlen(plus + 10), data, sizeof(data)) != 33 ||
		data[0] != 0x01)
		return -EINVAL;
	int e = from_seed(name, data + 1, ret);
	explicit_bzero(data, sizeof(data));
	if (e == 0)
		ret->made = made;
	return e;
}

int bh_audit_key_load(const char *path, struct bh_audit_key *ret)
{
	char text[KEY_FILE_MAX + 1] = "";
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, KEY_FILE_MAX);
	int e = n < 0 ? -errno : parse(text, ret);
	explicit_bzero(text, sizeof(text));
	return e;
}

static int sync_directory_of(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path);
	int bh_autoclose fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_whole(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

int bh_audit_key_save(const struct bh_audit_key *k, const char *path)
{
	char bh_autofree *temporary = bh_xasprintf("%s.tmp", path);
	struct bh_buf b = {0};
	uint8_t data[33] = {0x01};

	unlink(temporary);
	int bh_autoclose fd =
		open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	memcpy(data + 1, k->seed, 32);
	bh_buf_printf(&b, HEAD "%s+%02x%02x%02x%02x+", k->pub.name, k->pub.id[0], k->pub.id[1],
		k->pub.id[2], k->pub.id[3]);
	bh_base64_add(&b, data, sizeof(data));
	bh_buf_printf(&b, "\nmade %" PRId64 "\n", k->made);
	int e = write_whole(fd, b.s, b.len);
	explicit_bzero(b.s, b.len);
	explicit_bzero(data, sizeof(data));
	bh_buf_finish(&b);
	if (e == 0 && rename(temporary, path) < 0)
		e = -errno;
	if (e < 0) {
		bh_audit_key_erase(temporary);
		unlink(temporary);
		return e;
	}
	return sync_directory_of(path);
}

int bh_audit_key_erase(const char *path)
{
	char zero[KEY_FILE_MAX] = {0};
	int bh_autoclose fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	size_t len = st.st_size < KEY_FILE_MAX ? (size_t)st.st_size : KEY_FILE_MAX;
	return len ? write_whole(fd, zero, len) : 0;
}

void bh_audit_key_sign(
	const struct bh_audit_key *k, const void *text, size_t len, uint8_t ret[static 64])
{
	ed25519_sha512_sign(k->pub.key, k->seed, len, text, ret);
}

void bh_audit_key_sign_line(
	const struct bh_audit_key *k, const void *text, size_t len, struct bh_buf *out)
{
	uint8_t data[4 + 64];

	memcpy(data, k->pub.id, 4);
	bh_audit_key_sign(k, text, len, data + 4);
	bh_buf_printf(out, "\xe2\x80\x94 %s ", k->pub.name);
	bh_base64_add(out, data, sizeof(data));
	bh_buf_str(out, "\n");
}

void bh_audit_key_finish(struct bh_audit_key *k)
{
	explicit_bzero(k->seed, sizeof(k->seed));
	*k = (struct bh_audit_key){0};
}
