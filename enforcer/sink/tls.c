/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See tls.h. */
#include "sink/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <bulkhead/util.h>

#define RECORD 16384

struct bh_tls {
	SSL_CTX *ctx;
	SSL *ssl;
};

static void tls_close(struct bh_tls *t)
{
	if (t->ssl)
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	free(t);
}

static void tell(char *why, size_t size, SSL *ssl)
{
	long v = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	if (v != X509_V_OK)
		snprintf(why, size, "TLS: %s", X509_verify_cert_error_string(v));
	else
		snprintf(why, size, "TLS: %s",
			ERR_reason_error_string(ERR_peek_last_error()) ?: "no answer");
	ERR_clear_error();
}

static bool connect_tls(struct bh_tls *t, int fd, const char *host, const char *ca)
{
	unsigned char literal[16];

	t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1 ||
		(ca ? SSL_CTX_load_verify_locations(t->ctx, ca, NULL)
		    : SSL_CTX_set_default_verify_paths(t->ctx)) != 1)
		return false;
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	if (!(t->ssl = SSL_new(t->ctx)))
		return false;
	/* A certificate is for a name or for an address. */
	bool is_address =
		inet_pton(AF_INET, host, literal) == 1 || inet_pton(AF_INET6, host, literal) == 1;
	return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host) == 1
			   : SSL_set1_host(t->ssl, host) == 1 &&
				       SSL_set_tlsext_host_name(t->ssl, host) == 1) &&
	       SSL_set_fd(t->ssl, fd) == 1 && SSL_connect(t->ssl) == 1;
}

static struct bh_tls *tls_start(
	int fd, const char *host, const char *ca, char *ret_why, size_t why_size)
{
	struct bh_tls *t = calloc(1, sizeof(*t));
	if (!t)
		abort(); /* see bulkhead/util.h */
	if (connect_tls(t, fd, host, ca))
		return t;
	tell(ret_why, why_size, t->ssl);
	tls_close(t);
	return NULL;
}

static int tls_write(struct bh_tls *t, const char *p, size_t n)
{
	int put = SSL_write(t->ssl, p, n > RECORD ? RECORD : (int)n);
	if (put <= 0)
		ERR_clear_error();
	return put;
}

extern const struct bh_tls_module bh_tls_module;
const struct bh_tls_module bh_tls_module = {tls_start, tls_write, tls_close};
