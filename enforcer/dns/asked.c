/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions that wait for their answer. */
#include <sys/random.h>

#include "dns/private.h"

void bh_asked_init(struct bh_asked *a)
{
	if (getrandom(a->seed, sizeof(a->seed), GRND_NONBLOCK) != sizeof(a->seed))
		a->seed[0] = (uintptr_t)a; /* early boot: the address layout will have to do */
}

static uint64_t add(uint64_t h, const void *p, size_t n)
{
	return bh_hash(p, n, h);
}

static uint64_t key_of(
	const struct bh_asked *a, const struct bh_flow *f, const struct bh_dns_message *m)
{
	uint64_t h = a->seed[0];
	h = add(h, f->src.b, bh_addr_size(&f->src));
	h = add(h, f->dst.b, bh_addr_size(&f->dst));
	h = add(h, &f->proto, sizeof(f->proto));
	h = add(h, &f->sport, sizeof(f->sport));
	h = add(h, &f->dport, sizeof(f->dport));
	h = add(h, &m->id, sizeof(m->id));
	h = add(h, &m->type, sizeof(m->type));
	h = add(h, m->name, strlen(m->name));
	return add(h, &a->seed[1], sizeof(a->seed[1]));
}

static struct bh_asked_slot *bucket(struct bh_asked *a, uint64_t key)
{
	return a->slot[key % BH_ASKED_BUCKETS];
}

void bh_asked_add(
	struct bh_asked *a, const struct bh_flow *flow, const struct bh_dns_message *m, int64_t now)
{
	uint64_t key = key_of(a, flow, m);
	struct bh_asked_slot *s = bucket(a, key), *to = s;
	for (size_t i = 0; i < BH_ASKED_WAYS; i++) {
		if (s[i].at && s[i].key == key) {
			to = &s[i];
			break;
		}
		if (s[i].at < to->at)
			to = &s[i];
	}
	*to = (struct bh_asked_slot){key, now};
}

bool bh_asked_take(
	struct bh_asked *a, const struct bh_flow *flow, const struct bh_dns_message *m, int64_t now)
{
	uint64_t key = key_of(a, flow, m);
	struct bh_asked_slot *s = bucket(a, key);
	for (size_t i = 0; i < BH_ASKED_WAYS; i++) {
		if (!s[i].at || s[i].key != key)
			continue;
		bool fresh = now - s[i].at < BH_DNS_WAIT_US;
		s[i].at = 0;
		return fresh;
	}
	return false;
}
