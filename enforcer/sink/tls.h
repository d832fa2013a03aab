/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TLS of sinks, in a module of its own (bulkhead-tls.so): libssl and libcrypto take some MiB, which
 * only a daemon that has such a sink should spend.
 */
#pragma once

#include <stddef.h>

struct bh_tls; /* one connection */
struct bh_tls_module {
	/* On a connected socket, which stays the caller's; `ca` NULL: the system's authorities. The
	 * certificate must be for `host`, a name or an address. NULL with a reason. */
	struct bh_tls *(*start)(
		int fd, const char *host, const char *ca, char *ret_why, size_t why_size);
	/* Bytes that went, 16384 at most; ≤ 0: it broke. */
	int (*write)(struct bh_tls *t, const char *p, size_t n);
	void (*close)(struct bh_tls *t);
};
/* What the module exports. */
#define BH_TLS_SYMBOL "bh_tls_module"
