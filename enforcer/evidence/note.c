/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verifier keys, and notes with their signatures. What is read here may be anybody's. */
#include "evidence/note.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/eddsa.h>
#include <nettle/sha2.h>

#define ALGORITHM 0x01 /* Ed25519 */
#define DASH "\xe2\x80\x94 " /* an em dash begins a line with a signature */

void bh_base64_add(struct bh_buf *out, const void *data, size_t len)
{
	size_t n = BASE64_ENCODE_RAW_LENGTH(len);
	char bh_autofree *text = bh_xcalloc(1, n + 1);
	base64_encode_raw(text, len, data);
	bh_buf_add(out, text, n);
}

ssize_t bh_base64_decode(const char *text, size_t len, void *ret, size_t max)
{
	struct bh_buf bh_autobuf again = {0};
	size_t pad = 0;

	if (len == 0)
		return 0;
	if (len % 4 || len > 2 * BH_NOTE_MAX)
		return -EINVAL;
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	size_t want = len / 4 * 3 - pad;
	size_t got = 0;
	struct base64_decode_ctx ctx;
	uint8_t bh_autofree *data = bh_xcalloc(1, BASE64_DECODE_LENGTH(len));
	base64_decode_init(&ctx);
	if (want > max || !base64_decode_update(&ctx, &got, data, len, text) ||
		!base64_decode_final(&ctx) || got != want)
		return -EINVAL;
	/* nettle skips white space and may take bits that mean nothing. */
	bh_base64_add(&again, data, want);
	if (again.len != len || memcmp(again.s, text, len) != 0)
		return -EINVAL;
	memcpy(ret, data, want);
	return (ssize_t)want;
}

static bool good_name(const char *name, size_t len)
{
	if (len == 0 || len > BH_NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= 0x20 || (unsigned char)name[i] >= 0x7f ||
			name[i] == '+')
			return false;
	return true;
}

static void key_id(const char *name, const uint8_t key[static 32], uint8_t ret[static 4])
{
	struct bh_buf bh_autobuf b = {0};
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx c;

	bh_buf_str(&b, name);
	bh_buf_add(&b, "\n\x01", 2);
	bh_buf_add(&b, key, 32);
	sha256_init(&c);
	sha256_update(&c, b.len, (const uint8_t *)b.s);
	sha256_digest(&c, sizeof(sum), sum);
	memcpy(ret, sum, 4);
}

int bh_verifier_init(const char *name, const uint8_t key[static 32], struct bh_verifier *ret)
{
	struct bh_verifier v = {0};

	if (!good_name(name, strlen(name)))
		return -EINVAL;
	memcpy(v.name, name, strlen(name));
	memcpy(v.key, key, sizeof(v.key));
	key_id(name, key, v.id);
	*ret = v;
	return 0;
}

int bh_verifier_parse(const char *text, size_t len, struct bh_verifier *ret)
{
	const char *plus = memchr(text, '+', len);
	char name[BH_NOTE_NAME_MAX + 1] = "", hex[9];
	uint8_t key[33];
	struct bh_verifier v;

	if (!plus || (size_t)(plus - text) > BH_NOTE_NAME_MAX)
		return -EINVAL;
	size_t name_len = (size_t)(plus - text), rest = len - name_len - 1;
	memcpy(name, text, name_len);
	if (rest < 10 || plus[9] != '+' || memchr(name, '\0', name_len))
		return -EINVAL;
	if (bh_base64_decode(plus + 10, rest - 9, key, sizeof(key)) != 33 || key[0] != ALGORITHM ||
		bh_verifier_init(name, key + 1, &v) < 0)
		return -EINVAL;
	snprintf(hex, sizeof(hex), "%02x%02x%02x%02x", v.id[0], v.id[1], v.id[2], v.id[3]);
	if (memcmp(hex, plus + 1, 8) != 0)
		return -EINVAL;
	*ret = v;
	return 0;
}

char *bh_verifier_format(const struct bh_verifier *v)
{
	struct bh_buf b = {0};
	uint8_t key[33] = {ALGORITHM};

	memcpy(key + 1, v->key, 32);
	bh_buf_printf(&b, "%s+%02x%02x%02x%02x+", v->name, v->id[0], v->id[1], v->id[2], v->id[3]);
	bh_base64_add(&b, key, sizeof(key));
	return bh_buf_take(&b);
}

bool bh_verifier_eq(const struct bh_verifier *a, const struct bh_verifier *b)
{
	return strcmp(a->name, b->name) == 0 && memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

/* One line with a signature, without its newline. Of other algorithms: −ENOTSUP. */
static int parse_signature(const char *line, size_t len, struct bh_note *n)
{
	uint8_t data[4 + 64];
	size_t dash = strlen(DASH);

	const char *name = line + dash;
	const char *space = memchr(name, ' ', len - dash);
	if (!space || !good_name(name, (size_t)(space - name)))
		return -EINVAL;
	ssize_t got =
		bh_base64_decode(space + 1, len - (size_t)(space + 1 - line), data, sizeof(data));
	if (got < 0)
		return -EINVAL;
	if ((size_t)got != sizeof(data) || n->n_signatures == BH_NOTE_SIGNATURES_MAX)
		return -ENOTSUP;
	n->signature[n->n_signatures].name = name;
	n->signature[n->n_signatures].name_len = (size_t)(space - name);
	memcpy(n->signature[n->n_signatures].id, data, 4);
	memcpy(n->signature[n->n_signatures].sig, data + 4, 64);
	n->n_signatures++;
	return 0;
}

int bh_note_parse(const char *text, size_t len, struct bh_note *ret, size_t *ret_used)
{
	struct bh_note n = {.text = text};
	size_t max = len < BH_NOTE_MAX ? len : BH_NOTE_MAX, at;

	const char *end = max ? memmem(text, max, "\n\n", 2) : NULL;
	if (!end)
		return len < BH_NOTE_MAX ? -EAGAIN : -EINVAL;
	if (end == text)
		return -EINVAL;
	n.text_len = (size_t)(end + 1 - text);
	for (at = n.text_len + 1; at < len;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t line = (nl ? (size_t)(nl - text) : len) - at;
		if (at + line > BH_NOTE_MAX)
			return -EINVAL;
		if (line < strlen(DASH) || memcmp(text + at, DASH, strlen(DASH)) != 0)
			break;
		if (!nl)
			return -EAGAIN;
		if (parse_signature(text + at, line, &n) == -EINVAL)
			return -EINVAL;
		at += line + 1;
	}
	if (n.n_signatures == 0)
		return at >= len || len - at < strlen(DASH) ? -EAGAIN : -EINVAL;
	if (at < len && text[at] == '\n')
		at++;
	*ret = n;
	*ret_used = at;
	return 0;
}

static bool verify(const struct bh_note *n, const uint8_t sig[static 64], const uint8_t *key)
{
	return ed25519_sha512_verify(key, n->text_len, (const uint8_t *)n->text, sig) == 1;
}

bool bh_note_is_signed_by(const struct bh_note *n, const struct bh_verifier *v)
{
	for (size_t i = 0; i < n->n_signatures; i++) {
		if (n->signature[i].name_len != strlen(v->name) ||
			memcmp(n->signature[i].name, v->name, n->signature[i].name_len) != 0 ||
			memcmp(n->signature[i].id, v->id, 4) != 0)
			continue;
		if (verify(n, n->signature[i].sig, v->key))
			return true;
	}
	return false;
}
