/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a record that say who and what. What is not known is null, never a guess. */
#include "audit/json.h"
#include "audit/private.h"

#define MAX_NAME 512
#define MAX_LABELS 64
#define MAX_LABEL 256

/* --- as values, for the details of events --- */

void bh_audit_set(json_t *o, const char *key, json_t *v)
{
	if (v)
		json_object_set_new_nocheck(o, key, v); /* keys are ours */
}

static json_t *value_of(const struct bh_buf *b)
{
	return json_loadb(b->s, b->len, JSON_DECODE_ANY, NULL);
}

json_t *bh_audit_text(const char *s, size_t max)
{
	struct bh_buf bh_autobuf b = {0};
	if (!s)
		return json_null();
	bh_audit_put_string(&b, s, max);
	return value_of(&b);
}

json_t *bh_audit_time(int64_t us)
{
	struct bh_buf bh_autobuf b = {0};
	bh_audit_put_open(&b, NULL);
	bh_audit_put_time(&b, "t", us);
	bh_audit_put_close(&b);
	json_t *o = value_of(&b), *v = json_incref(json_object_get(o, "t"));
	json_decref(o);
	return v;
}

/* --- as text --- */

/* The host side of the interface that has the address; of the first one if none has. */
static const char *ifname(const struct bh_workload *w, const struct bh_addr *a)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t j = 0; j < w->iface[i].n_addrs; j++)
			if (bh_addr_eq(&w->iface[i].addr[j], a))
				return w->iface[i].host_name;
	return w->n_ifaces ? w->iface[0].host_name : NULL;
}

/* Is it ASCII and short enough to be written as it is? */
static bool is_kept(const char *key)
{
	size_t n = 0;
	for (; key[n]; n++)
		if ((unsigned char)key[n] >= 0x80 || n == MAX_LABEL)
			return false;
	return true;
}

/* Two names that are no UTF-8 can look alike once they are, and a reader wants each only once: the
 * first one stays. `names` has those written so far that may be meant, each with its quotes. */
static bool is_new(struct bh_buf *names, const char *key)
{
	if (is_kept(key))
		return true;
	struct bh_buf bh_autobuf text = {0};
	bh_buf_add(&text, "\n", 1); /* which is in no JSON: found only where a name begins */
	bh_audit_put_string(&text, key, MAX_LABEL);
	if (names->len && memmem(names->s, names->len, text.s, text.len))
		return false;
	bh_buf_add(names, text.s, text.len);
	return true;
}

static void add_labels(struct bh_buf *out, const struct bh_labels *l, size_t max)
{
	struct bh_buf bh_autobuf names = {0};
	size_t written = 0;

	bh_audit_put_open(out, "labels");
	for (size_t i = 0; i < l->n && i < max; i++) {
		const struct bh_label *label = &l->item[i];
		if (!is_new(&names, label->key))
			continue;
		bh_audit_put_member_of(out, label->key, MAX_LABEL, label->value, MAX_LABEL);
		written++;
	}
	bh_audit_put_close(out);
	if (written < l->n)
		bh_audit_put_u64(out, "labels_omitted", l->n - written);
}

/* Of a pod's further containers: references, or where there is none the digest. */
static void add_images(struct bh_buf *out, const struct bh_images *l)
{
	struct bh_buf bh_autobuf list = {0};
	for (size_t i = 0; i < l->n; i++) {
		const struct bh_run_image *x = &l->item[i];
		bh_buf_add(&list, i ? "," : "[", 1);
		bh_audit_put_string(&list, x->image ? x->image : x->digest, MAX_NAME);
	}
	bh_buf_add(&list, "]", 1);
	bh_audit_put_raw(out, "other_images", list.s, list.len);
}

void bh_audit_workload(struct bh_buf *out, const char *key, const struct bh_workload *w,
	const struct bh_addr *a, bool labels)
{
	if (!w) {
		bh_audit_put_null(out, key);
		return;
	}
	bh_audit_put_open(out, key);
	bh_audit_put_text(out, "id", w->id, MAX_NAME);
	bh_audit_put_text(out, "name", w->name, MAX_NAME);
	bh_audit_put_text(out, "namespace", w->namespace, MAX_NAME);
	bh_audit_put_text(out, "image", w->image, MAX_NAME);
	bh_audit_put_text(out, "digest", w->digest, MAX_NAME);
	if (w->others.n)
		add_images(out, &w->others);
	add_labels(out, &w->labels, labels ? MAX_LABELS : 0);
	bh_audit_put_text(out, "ifname", ifname(w, a), MAX_NAME);
	bh_audit_put_close(out);
}

/* Does the indicator (an address, a CIDR or "a-b") cover the address? *ret_one: it is one address.
 */
static bool covers(const char *indicator, const struct bh_addr *a, bool *ret_one)
{
	struct bh_prefix p;
	struct bh_addr first, last;

	*ret_one = bh_addr_parse(indicator, &first) == 0;
	if (*ret_one)
		return bh_addr_eq(&first, a);
	if (bh_prefix_parse(indicator, &p) >= 0)
		return bh_prefix_contains(&p, a);
	const char *dash = strchr(indicator, '-');
	if (!dash)
		return false;
	char bh_autofree *head = bh_xstrndup(indicator, (size_t)(dash - indicator));
	return bh_addr_parse(head, &first) == 0 && bh_addr_parse(dash + 1, &last) == 0 &&
	       a->family == first.family && bh_addr_cmp(&first, a) <= 0 &&
	       bh_addr_cmp(a, &last) <= 0;
}

/*
 * threat.indicator: `name` as the feed has it; `ip` must be an address to be valid ECS, so for a
 * CIDR it is the end of the flow that the CIDR covers.
 */
void bh_audit_indicator(struct bh_buf *out, const struct bh_audit_flow *f)
{
	const struct bh_addr *end[2] = {&f->flow->dst, &f->flow->src};
	char text[BH_ADDR_STRLEN];

	bh_audit_put_open(out, "indicator");
	for (int i = 0; i < 2; i++) {
		bool one;
		if (!covers(f->indicator, end[i], &one))
			continue;
		bh_audit_put_word(out, "ip", bh_addr_format(end[i], text));
		bh_audit_put_word(
			out, "type", end[i]->family == BH_IPV4 ? "ipv4-addr" : "ipv6-addr");
		break;
	}
	bh_audit_put_text(out, "name", f->indicator, MAX_NAME);
	bh_audit_put_close(out);
}
