/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "evidence/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm[2];
static pthread_key_t contexts[2];

static void free_context(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void prepare(void)
{
	static const char *const name[2] = {[BH_SHA256] = "SHA256", [BH_SHA1] = "SHA1"};
	for (int i = 0; i < 2; i++) {
		algorithm[i] = EVP_MD_fetch(NULL, name[i], NULL);
		if (pthread_key_create(&contexts[i], free_context) != 0)
			abort(); /* as without memory */
	}
}

static EVP_MD_CTX *context(enum bh_digest d)
{
	EVP_MD_CTX *ctx = pthread_getspecific(contexts[d]);
	if (ctx)
		return ctx;
	if (!(ctx = EVP_MD_CTX_new()) || pthread_setspecific(contexts[d], ctx) != 0)
		abort();
	return ctx;
}

bool bh_digest(enum bh_digest d, const struct bh_bytes *part, size_t n, uint8_t *ret)
{
	unsigned len;

	pthread_once(&once, prepare);
	if (!algorithm[d])
		return false;
	EVP_MD_CTX *ctx = context(d);
	bool ok = EVP_DigestInit_ex2(ctx, algorithm[d], NULL) == 1;
	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_DigestUpdate(ctx, part[i].p, part[i].len) == 1;
	return ok && EVP_DigestFinal_ex(ctx, ret, &len) == 1;
}
