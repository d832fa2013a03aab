/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who did talk to whom: rows of the flow table, put together by role and service. */
#include "analysis/report.h"
#include "answer/clock.h"
#include "history/names.h"

#define SLOTS 16384 /* more than twice BH_REPORT_DID_MAX, a power of two */

uint64_t bh_core_report_version_at(const struct bh_report *r, int64_t when)
{
	uint64_t found = 0;
	for (size_t i = 0; i < r->n_versions && r->version[i].at <= when; i++)
		found = r->version[i].number;
	return found;
}

static uint64_t hash_end(const struct bh_end *e, uint64_t h)
{
	uint8_t kind = (uint8_t)e->kind;
	h = bh_hash(&kind, 1, h);
	if (e->kind == BH_END_ROLE)
		return bh_labels_hash(&e->selector, bh_hash_str(e->namespace, h));
	return bh_hash(&e->addr, sizeof(e->addr), h);
}

/* Of a workload its role. false: of a workload of which nothing is kept. */
static bool end_of(struct bh_core *c, uint64_t stay, const char *id, const char *name,
	const char *addr, struct bh_end *ret)
{
	const struct bh_end *role = bh_core_stay_end(c, stay);

	if (role) {
		bh_end_copy(ret, role);
		return true;
	}
	*ret = (struct bh_end){.kind = bh_streq(name, "host") ? BH_END_HOST : BH_END_ADDR};
	return !stay && !id && (ret->kind == BH_END_HOST || bh_addr_parse(addr, &ret->addr) == 0);
}

static struct bh_report_did *find(struct bh_report *r, const struct bh_end *src,
	const struct bh_end *dst, const struct bh_flow_row *row, bool would_deny)
{
	uint64_t h = bh_hash(&row->proto, 1, bh_hash(&row->port, 2, BH_HASH_SEED + would_deny));
	size_t at = hash_end(dst, hash_end(src, h)) & (SLOTS - 1);

	if (!r->did_slot)
		r->did_slot = bh_xcalloc(SLOTS, sizeof(*r->did_slot));
	for (; r->did_slot[at]; at = (at + 1) & (SLOTS - 1)) {
		struct bh_report_did *d = &r->did[r->did_slot[at] - 1];
		if (d->proto == row->proto && d->port == row->port && d->would_deny == would_deny &&
			bh_end_equal(&d->src, src) && bh_end_equal(&d->dst, dst))
			return d;
	}
	if (r->n_did == BH_REPORT_DID_MAX)
		return NULL;
	BH_GROW(r->did, r->n_did, r->cap_did);
	struct bh_report_did *d = &r->did[r->n_did++];
	r->did_slot[at] = (uint32_t)r->n_did;
	*d = (struct bh_report_did){
		.proto = row->proto, .port = row->port, .would_deny = would_deny};
	bh_end_copy(&d->src, src);
	bh_end_copy(&d->dst, dst);
	return d;
}

static void add(struct bh_report *r, struct bh_report_did *d, const struct bh_flow_row *row)
{
	int64_t first = row->first_seen < r->since ? r->since : row->first_seen;
	uint64_t from = bh_core_report_version_at(r, first);
	uint64_t to = bh_core_report_version_at(r, row->last_seen);

	if (!d->connections || from < d->from)
		d->from = from;
	if (to > d->to)
		d->to = to;
	if (!d->connections || row->first_seen < d->first)
		d->first = row->first_seen;
	if (row->last_seen >= d->last) {
		d->last = row->last_seen;
		free(d->rule);
		d->rule = bh_xstrdup(row->rule);
	}
	d->connections += row->count;
}

void bh_core_report_row(struct bh_core *c, struct bh_report *r, const struct bh_flow_row *row)
{
	bool would_deny = bh_streq(row->verdict, "would-deny");
	struct bh_end src = {0}, dst = {0};

	if (row->last_seen < r->since)
		return;
	if (!would_deny && !bh_streq(row->verdict, "allow")) {
		r->denied += row->count;
		return;
	}
	bool known = end_of(c, row->src_stay, row->src_id, row->src, row->src_addr, &src);
	known &= end_of(c, row->dst_stay, row->dst_id, row->dst, row->dst_addr, &dst);
	struct bh_report_did *d = known ? find(r, &src, &dst, row, would_deny) : NULL;
	if (d)
		add(r, d, row);
	else if (known)
		r->unlisted += row->count;
	else
		r->unnamed += row->count;
	bh_end_finish(&src);
	bh_end_finish(&dst);
}

static json_t *end_json(const struct bh_end *e)
{
	struct bh_buf bh_autobuf text = {0};
	bh_end_format(e, &text);
	json_t *o = json_string(text.s);
	return o ? o : json_string("?");
}

static int compare(const void *a, const void *b)
{
	const struct bh_report_did *x = a, *y = b;
	int r = bh_end_cmp(&x->src, &y->src);
	if (r == 0)
		r = bh_end_cmp(&x->dst, &y->dst);
	if (r == 0)
		r = x->proto - y->proto;
	return r ? r : x->port - y->port;
}

json_t *bh_core_report_did_json(const struct bh_report *r)
{
	json_t *list = json_array();
	char proto[4];

	if (r->n_did) /* nobody looks for one any more */
		qsort(r->did, r->n_did, sizeof(*r->did), compare);
	for (size_t i = 0; i < r->n_did; i++) {
		const struct bh_report_did *d = &r->did[i];
		json_t *o = json_pack("{s:o, s:o, s:s, s:i, s:s, s:I, s:I, s:I, s:s?, s:b}", "src",
			end_json(&d->src), "dst", end_json(&d->dst), "protocol",
			bh_proto_name(d->proto, proto), "port", d->port, "verdict",
			d->would_deny ? "would-deny" : "allow", "connections",
			(json_int_t)d->connections, "from_version", (json_int_t)d->from,
			"to_version", (json_int_t)d->to, "rule", d->rule, "possible_now",
			d->possible);
		json_object_set_new(o, "first_seen", bh_clock_json(d->first));
		json_object_set_new(o, "last_seen", bh_clock_json(d->last));
		json_array_append_new(list, o);
	}
	return list;
}

void bh_core_report_did_finish(struct bh_report *r)
{
	for (size_t i = 0; i < r->n_did; i++) {
		bh_end_finish(&r->did[i].src);
		bh_end_finish(&r->did[i].dst);
		free(r->did[i].rule);
	}
	free(r->did);
	free(r->did_slot);
}
