/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records of flows whose ends have any names at all. The input: protocol, flags, ports, then texts
 * that end with NUL: id, name, namespace, image, rule, policy, feed, indicator, then labels. What
 * comes out is one line of JSON without doubled keys, also as the record of many flows.
 */
#include "audit/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;

static uint8_t byte(void)
{
	return at < end ? *at++ : 0;
}

static char *text(void)
{
	size_t n = strnlen((const char *)at, (size_t)(end - at));
	char *s = bh_xstrndup((const char *)at, n);
	at += n + (at + n < end);
	return s;
}

static void check(const struct bh_audit_text *t, const struct bh_workload *w)
{
	struct bh_audit_ident id = {0};
	struct bh_buf bh_autobuf line = {0};
	struct bh_audit_item it;

	bh_audit_record_item(t, &it);
	bh_audit_record_number(&it, &id, 1, &line);
	if (line.s[line.len - 1] != '\n' || memchr(line.s, '\n', line.len - 1) ||
		line.len > BH_AUDIT_MAX_LINE)
		abort();
	json_t *rec = json_loadb(line.s, line.len, JSON_REJECT_DUPLICATES, NULL);
	json_t *own = json_object_get(json_object_get(rec, "bulkhead"), "src");
	json_t *name = bh_audit_text(w->name, 512);
	if (!json_is_object(own) || !json_equal(json_object_get(own, "name"), name))
		abort();
	if (json_integer_value(json_object_get(json_object_get(rec, "event"), "sequence")) != 1)
		abort();
	json_decref(name);
	json_decref(rec);
	free(it.text);
}

static struct bh_workload *workload(void)
{
	struct bh_workload *w = bh_workload_new();
	w->id = text();
	w->name = text();
	w->namespace = text();
	w->image = text();
	return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_audit_ident id = {.node = (char *)"n", .version = (char *)"\xff\""};
	struct bh_audit_text rec = {0}, many = {0};

	at = data;
	end = data + size;
	struct bh_flow f = {.proto = byte()};
	uint8_t flags = byte();
	f.src.family = f.dst.family = flags & 1 ? BH_IPV6 : BH_IPV4;
	f.sport = byte();
	f.dport = byte();
	f.src.b[0] = byte();
	struct bh_workload *w = workload();
	char bh_autofree *rule = text();
	char bh_autofree *policy = text();
	char bh_autofree *feed = text();
	char bh_autofree *indicator = text();
	while (at < end) {
		char bh_autofree *k = text();
		char bh_autofree *v = text();
		bh_labels_set(&w->labels, k, v);
	}
	bh_audit_ident_render(&id);
	struct bh_audit_flow flow = {.action = flags & 2 ? "policy-deny" : "threat-block",
		.flow = &f,
		.src = w,
		.dst = flags & 4 ? w : NULL,
		.verdict = flags & 8 ? BH_ALLOW : BH_DROP,
		.rule = flags & 16 ? rule : NULL,
		.policy = flags & 32 ? policy : NULL,
		.feed = flags & 64 ? feed : NULL,
		.indicator = flags & 64 ? indicator : NULL,
		.when = (int64_t)f.sport << 48};
	bh_audit_record_flow(&id, &flow, &rec);
	check(&rec, w);
	bh_audit_record_repeat(&rec, UINT64_MAX >> 1, flow.when, flow.when, flags & 128, &many);
	check(&many, w);
	bh_buf_finish(&rec.b);
	bh_buf_finish(&many.b);
	free(id.fixed);
	bh_workload_free(w);
	return 0;
}
