/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of what a quarantined workload may still do, and its text. */
#include <bulkhead/flow.h>
#include <bulkhead/quarantine.h>
#include <errno.h>

struct bh_quarantine *bh_quarantine_new(void)
{
	struct bh_quarantine *q = bh_xcalloc(1, sizeof(*q));
	q->refs = 1;
	return q;
}

static int compare(const void *a, const void *b)
{
	const struct bh_quarantine_allow *x = a, *y = b;
	int c = bh_addr_cmp(&x->cidr.addr, &y->cidr.addr);
	if (c)
		return c;
	if (x->cidr.len != y->cidr.len)
		return x->cidr.len < y->cidr.len ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (int)x->port - (int)y->port;
}

static void insert(struct bh_quarantine *q, const struct bh_quarantine_allow *a)
{
	size_t i = 0;
	while (i < q->n && compare(&q->allow[i], a) < 0)
		i++;
	if (i < q->n && compare(&q->allow[i], a) == 0)
		return;
	q->allow = bh_xrealloc(q->allow, q->n + 1, sizeof(*q->allow));
	memmove(q->allow + i + 1, q->allow + i, (q->n++ - i) * sizeof(*q->allow));
	q->allow[i] = *a;
}

static int read_cidr(const char *text, struct bh_prefix *ret)
{
	struct bh_addr a;
	size_t len = strlen(text);
	bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	bh_autofree char *bare = brackets ? bh_xstrndup(text + 1, len - 2) : bh_xstrdup(text);
	if (strchr(bare, ':') && !brackets)
		return -EINVAL; /* where the address ends and the port begins must be plain */
	if (bh_addr_parse(bare, &a) == 0) {
		*ret = (struct bh_prefix){.addr = a, .len = (uint8_t)bh_addr_bits(&a)};
		return 0;
	}
	return bh_prefix_parse(bare, ret) == 0 ? 0 : -EINVAL;
}

int bh_quarantine_allow(struct bh_quarantine *q, const char *text, const char **ret_why)
{
	struct bh_quarantine_allow a = {.proto = BH_TCP};
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (!colon) {
		*ret_why = "no port: CIDR:PORT, like 10.0.0.5/32:22";
		return -EINVAL;
	}
	const char *slash = strchr(colon, '/');
	bh_autofree char *number =
		bh_xstrndup(colon + 1, slash ? (size_t)(slash - colon - 1) : strlen(colon + 1));
	bh_autofree char *cidr = bh_xstrndup(text, (size_t)(colon - text));
	if (read_cidr(cidr, &a.cidr) < 0) {
		*ret_why = "not an address or CIDR (IPv6 in brackets); bits beyond "
			   "the prefix must be zero";
		return -EINVAL;
	}
	if (bh_parse_u64(number, 65535, &port) < 0 || port == 0) {
		*ret_why = "the port must be a number from 1 to 65535";
		return -EINVAL;
	}
	if (slash && (bh_proto_parse(slash + 1, &a.proto) < 0 ||
			     (a.proto != BH_TCP && a.proto != BH_UDP && a.proto != BH_SCTP))) {
		*ret_why = "the protocol must be tcp, udp or sctp";
		return -EINVAL;
	}
	a.port = (uint16_t)port;
	insert(q, &a);
	return 0;
}

void bh_quarantine_format(const struct bh_quarantine_allow *a, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN], number[4];
	bool v6 = a->cidr.addr.family == BH_IPV6;
	bh_buf_printf(out, "%s%s%s:%u/%s", v6 ? "[" : "", bh_prefix_format(&a->cidr, text),
		v6 ? "]" : "", a->port, bh_proto_name(a->proto, number));
}

bool bh_quarantine_equal(const struct bh_quarantine *a, const struct bh_quarantine *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare(&a->allow[i], &b->allow[i]) != 0)
			return false;
	return true;
}

struct bh_quarantine *bh_quarantine_ref(struct bh_quarantine *q)
{
	if (q)
		__atomic_add_fetch(&q->refs, 1, __ATOMIC_RELAXED);
	return q;
}

void bh_quarantine_unref(struct bh_quarantine *q)
{
	if (!q || __atomic_sub_fetch(&q->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(q->allow);
	free(q);
}
