/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of a record. Names and labels come from whoever starts containers: everything is made
 * valid UTF-8 and cut to a length, and what is not known is null, never a guess.
 */
#include <time.h>

#include "audit/private.h"
#include <bulkhead/utf8.h>

#define MAX_NAME 512
#define MAX_LABELS 64
#define MAX_LABEL 256

void bh_audit_set(json_t *o, const char *key, json_t *v)
{
	if (v)
		json_object_set_new_nocheck(o, key, v); /* keys are ours, or cleaned */
}

/* U+FFFD for every byte that is not UTF-8, as the Unicode standard recommends; "…" where cut. */
static char *clean(const char *s, size_t max)
{
	size_t len = strlen(s);
	struct bh_buf b = {0};

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		if (b.len + (n ? n : 3) > max) {
			bh_buf_str(&b, "…");
			break;
		}
		if (n)
			bh_buf_add(&b, s + i, n);
		else
			bh_buf_str(&b, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	return bh_buf_take(&b);
}

/* Is it ASCII (which nearly everything is) and short enough? Then there is nothing to clean. */
static bool is_plain(const char *s, size_t max, size_t *ret_len)
{
	size_t n = 0;
	for (; s[n]; n++)
		if ((unsigned char)s[n] >= 0x80 || n == max)
			return false;
	*ret_len = n;
	return true;
}

json_t *bh_audit_text(const char *s, size_t max)
{
	size_t len;
	if (!s)
		return json_null();
	if (is_plain(s, max, &len))
		return json_stringn_nocheck(s, len);
	char bh_autofree *text = clean(s, max);
	return json_string(text);
}

json_t *bh_audit_time(int64_t us)
{
	char date[32], text[48];
	time_t s = (time_t)(us / 1000000);
	int frac = (int)(us % 1000000);
	struct tm tm;

	if (frac < 0)
		frac += 1000000, s--;
	if (!gmtime_r(&s, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		return json_null();
	snprintf(text, sizeof(text), "%s.%06dZ", date, frac);
	return json_string(text);
}

/* The host side of the interface that has the address; of the first one if none has. */
static const char *ifname(const struct bh_workload *w, const struct bh_addr *a)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t j = 0; j < w->iface[i].n_addrs; j++)
			if (bh_addr_eq(&w->iface[i].addr[j], a))
				return w->iface[i].host_name;
	return w->n_ifaces ? w->iface[0].host_name : NULL;
}

json_t *bh_audit_workload(const struct bh_workload *w, const struct bh_addr *a)
{
	if (!w)
		return json_null();
	json_t *o = json_object(), *labels = json_object();

	bh_audit_set(o, "id", bh_audit_text(w->id, MAX_NAME));
	bh_audit_set(o, "name", bh_audit_text(w->name, MAX_NAME));
	bh_audit_set(o, "namespace", bh_audit_text(w->namespace, MAX_NAME));
	bh_audit_set(o, "image", bh_audit_text(w->image, MAX_NAME));
	bh_audit_set(o, "digest", bh_audit_text(w->digest, MAX_NAME));
	for (size_t i = 0; i < w->labels.n && i < MAX_LABELS; i++) {
		const char *name = w->labels.item[i].key;
		size_t len;
		char bh_autofree *key =
			is_plain(name, MAX_LABEL, &len) ? NULL : clean(name, MAX_LABEL);
		bh_audit_set(labels, key ? key : name,
			bh_audit_text(w->labels.item[i].value, MAX_LABEL));
	}
	bh_audit_set(o, "labels", labels);
	if (w->labels.n > MAX_LABELS)
		bh_audit_set(
			o, "labels_omitted", json_integer((json_int_t)(w->labels.n - MAX_LABELS)));
	bh_audit_set(o, "ifname", bh_audit_text(ifname(w, a), MAX_NAME));
	return o;
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
json_t *bh_audit_indicator(const struct bh_audit_flow *f)
{
	const struct bh_addr *end[2] = {&f->flow->dst, &f->flow->src};
	json_t *o = json_object();
	char text[BH_ADDR_STRLEN];

	for (int i = 0; i < 2; i++) {
		bool one;
		if (!covers(f->indicator, end[i], &one))
			continue;
		bh_audit_set(o, "ip", json_string(bh_addr_format(end[i], text)));
		bh_audit_set(o, "type",
			json_string(end[i]->family == BH_IPV4 ? "ipv4-addr" : "ipv6-addr"));
		break;
	}
	bh_audit_set(o, "name", bh_audit_text(f->indicator, MAX_NAME));
	return o;
}
