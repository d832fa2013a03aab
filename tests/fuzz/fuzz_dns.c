/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DNS messages and packets with them, from anybody: no read beyond them; names are host names. */
#include <stdlib.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bh_dns_message *m)
{
	size_t n = strlen(m->name);
	if (n == 0 || n >= BH_DNS_NAME_STRLEN || m->n_addrs > BH_DNS_ADDRS)
		abort();
	if (strspn(m->name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != n)
		abort();
	for (size_t i = 0; i < m->n_addrs; i++)
		if (m->addr[i].family != BH_IPV4 && m->addr[i].family != BH_IPV6)
			abort();
}

static void on_named(const struct bh_addr *asker, const struct bh_dns_message *m, void *arg)
{
	(void)asker;
	(void)arg;
	check(m);
	if (m->n_addrs == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bh_dns *d;
	struct bh_dns_message m;
	if (!d)
		d = bh_dns_new(&(struct bh_dns_opts){.named = on_named});
	if (bh_dns_parse(data, size, &m) == 0)
		check(&m);
	bh_dns_packet(d, data, size, 1);
	return 0;
}
