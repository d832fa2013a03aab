/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is kept of JSON does not depend on the pieces that it comes in, keeps to its bound, and is
 * JSON again where all of it was.
 */
#include <errno.h>
#include <jansson.h>

#include "http/sieve.h"
#include "inventory/docker_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static int sieve(struct bh_sieve *s, const char *p, size_t n, size_t piece)
{
	bh_sieve_init(s, bh_docker_container_wanted, 4096);
	int r = 0;
	for (size_t at = 0; at < n && !r; at += piece)
		r = bh_sieve_feed(s, p + at, n - at < piece ? n - at : piece);
	return r ? r : bh_sieve_end(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_sieve whole, bits;
	int r = sieve(&whole, (const char *)data, size, size ? size : 1);
	must(r == sieve(&bits, (const char *)data, size, 1));
	must(r == 0 || r == -EFBIG || r == -EBADMSG);
	must(whole.out.len == bits.out.len && whole.out.len <= 4096);
	must(!whole.out.len || memcmp(whole.out.s, bits.out.s, whole.out.len) == 0);
	json_t *all = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (all && !r) {
		json_t *kept = json_loadb(
			whole.out.s, whole.out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		must(kept);
		json_decref(kept);
	}
	/* jansson takes a NUL for the end */
	must(!all || r != -EBADMSG || size > BH_SIEVE_MAX_TOKEN || memchr(data, 0, size));
	json_decref(all);
	bh_sieve_finish(&whole);
	bh_sieve_finish(&bits);
	return 0;
}
