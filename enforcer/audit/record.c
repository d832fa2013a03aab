/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records in the Elastic Common Schema (8.11): objects nested as its documents are, our own fields
 * under `bulkhead`. The order of the keys is fixed, so that people can read the lines too. Here is
 * what all records have, and those of events; event.outcome is for changes.
 */
#include "audit/json.h"
#include "audit/private.h"

#define ECS_VERSION "8.11.0"

/* What each action is to a SIEM. Severities are those of Elastic's rules: 21 low, 47 medium, 73
 * high, 99 critical; 1 is what happens every day. */
struct kind {
	const char *action;
	bool alert;
	int severity;
	const char *category[2];
	const char *type;
};
static const struct kind kinds[] = {
	{"policy-allow", false, 1, {"network"}, NULL},
	{"flow-end", false, 1, {"network"}, NULL},
	{"policy-deny", false, 47, {"network"}, NULL},
	{"would-deny", false, 21, {"network"}, NULL},
	{"learned", false, 1, {"network"}, NULL},
	{"host", false, 1, {"network"}, NULL},
	{"drift", true, 47, {"network"}, NULL},
	{"quarantine", true, 73, {"network"}, NULL},
	{"threat-block", true, 73, {"network", "intrusion_detection"}, NULL},
	{"threat-alert", true, 47, {"network", "intrusion_detection"}, NULL},
	{"spoof-drop", true, 73, {"network", "intrusion_detection"}, NULL},
	{"policy.change", false, 47, {"configuration"}, "change"},
	{"mode.change", false, 47, {"configuration"}, "change"},
	{"quarantine.add", false, 73, {"configuration"}, "change"},
	{"quarantine.rm", false, 73, {"configuration"}, "change"},
	{"feed.change", false, 47, {"configuration"}, "change"},
	{"feed.update", false, 1, {"configuration"}, "change"},
	{"feed.refused", false, 47, {"configuration"}, "info"},
	{"reload", false, 21, {"configuration"}, "change"},
	{"start", false, 21, {"process"}, "start"},
	{"stop", false, 47, {"process"}, "end"},
	{"tamper", true, 99, {"configuration", "intrusion_detection"}, "change"},
	{"gap", false, 73, {"process"}, "info"},
	{"clock.step", false, 47, {"process"}, "info"},
	{"heartbeat", false, 1, {"process"}, "info"},
	{"log.reopened", false, 1, {"process"}, "info"},
	{"log.rotated", false, 1, {"process"}, "info"},
	{"log.pruned", false, 21, {"process"}, "deletion"},
	{"log.recovered", false, 47, {"process"}, "info"},
	{"log.altered", true, 99, {"process", "intrusion_detection"}, "info"},
	{"key.changed", false, 21, {"process", "configuration"}, "change"},
	{"flows.stopped", true, 73, {"process", "network"}, "info"},
	{"flows.resumed", false, 47, {"process", "network"}, "info"},
	{"conntrack.full", true, 73, {"network"}, "info"},
	{"conntrack.crowded", true, 73, {"network"}, "info"},
	{"conntrack.eased", false, 47, {"network"}, "info"},
	{"scan", true, 47, {"network", "intrusion_detection"}, "info"},
	{"identity.refused", true, 73, {"network", "intrusion_detection"}, "info"},
	{"threat-seen-before", true, 47, {"network", "intrusion_detection"}, "info"},
	{"revoke", false, 47, {"network"}, "info"},
	{"commit", false, 73, {"configuration"}, "info"},
	{"drift.quarantine", true, 73, {"configuration"}, "info"},
	{"feed.exception", false, 47, {"configuration"}, "info"},
	{"learn.reset", false, 21, {"configuration"}, "change"},
	{"learn.review", false, 21, {"configuration"}, "change"},
	{"policy.confirm", false, 47, {"configuration"}, "change"},
	{"sysctl", false, 21, {"configuration"}, "change"},
	{"source.lost", false, 47, {"process"}, "info"},
	{"source.restored", false, 21, {"process"}, "info"},
};
static const struct kind unknown_kind = {NULL, false, 21, {"configuration"}, "info"};

static const struct kind *kind_of(const char *action)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].action, action) == 0)
			return &kinds[i];
	return &unknown_kind;
}

/* Alike in all records of a run. */
void bh_audit_ident_render(struct bh_audit_ident *id)
{
	struct bh_buf b = {0};

	bh_audit_put_open(&b, "observer");
	bh_audit_put_text(&b, "name", id->node, BH_AUDIT_MAX_TEXT);
	bh_audit_put_word(&b, "product", "Bulkhead");
	bh_audit_put_word(&b, "type", "firewall");
	bh_audit_put_text(&b, "version", id->version, BH_AUDIT_MAX_TEXT);
	bh_audit_put_close(&b);
	bh_audit_put_open(&b, "host");
	bh_audit_put_text(&b, "id", id->machine_id, BH_AUDIT_MAX_TEXT);
	bh_audit_put_text(&b, "name", id->node, BH_AUDIT_MAX_TEXT);
	bh_audit_put_open(&b, "boot");
	bh_audit_put_text(&b, "id", id->boot_id, BH_AUDIT_MAX_TEXT);
	bh_audit_put_close(&b);
	bh_audit_put_close(&b);
	id->fixed_len = b.len;
	id->fixed = bh_buf_take(&b);
}

/* `types`: JSON. The number is not known yet, and comes first in `event`. */
void bh_audit_record_begin(struct bh_audit_text *t, const struct bh_audit_ident *id,
	const char *action, const char *types, const char *outcome, const char *more, int64_t when)
{
	const struct kind *k = kind_of(action);
	struct bh_buf *b = &t->b;

	bh_audit_put_open(b, NULL);
	t->time.at = b->len;
	bh_audit_put_time(b, "@timestamp", when);
	t->time.len = b->len - t->time.at;
	bh_audit_put_open(b, "ecs");
	bh_audit_put_word(b, "version", ECS_VERSION);
	bh_audit_put_close(b);
	bh_audit_put_open(b, "event");
	t->hole = b->len;
	bh_audit_put_word(b, "kind", k->alert ? "alert" : "event");
	bh_buf_str(b, ",\"category\":[");
	for (size_t i = 0; i < BH_ARRAY_SIZE(k->category) && k->category[i]; i++) {
		bh_buf_str(b, i ? ",\"" : "\"");
		bh_buf_str(b, k->category[i]);
		bh_buf_str(b, "\"");
	}
	bh_buf_str(b, "]");
	bh_audit_put_raw(b, "type", types, strlen(types));
	bh_audit_put_text(b, "action", action, 64);
	bh_audit_put_u64(b, "severity", (uint64_t)k->severity);
	bh_audit_put_word(b, "module", "bulkhead");
	if (outcome)
		bh_audit_put_text(b, "outcome", outcome, 32);
	if (more) {
		bh_buf_str(b, ",");
		bh_buf_str(b, more);
	}
	bh_audit_put_close(b);
	bh_buf_str(b, ",");
	bh_buf_add(b, id->fixed, id->fixed_len);
}

/* A RFC 9562 version 8 UUID: random bits of this run, then the sequence. */
static void add_event_id(const struct bh_audit_ident *id, uint64_t seq, struct bh_buf *out)
{
	static const char hex[] = "0123456789abcdef";
	char text[36], *at = text;
	uint8_t b[16];

	memcpy(b, id->prefix, 8);
	for (int i = 0; i < 8; i++)
		b[8 + i] = (uint8_t)(seq >> (56 - 8 * i));
	b[6] = (b[6] & 0x0f) | 0x80;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = hex[b[i] >> 4];
		*at++ = hex[b[i] & 15];
	}
	bh_buf_add(out, text, sizeof(text));
}

void bh_audit_record_item(const struct bh_audit_text *t, struct bh_audit_item *ret)
{
	ret->text = bh_xmemdup(t->b.s, t->b.len + 1);
	ret->text[t->b.len] = '\n';
	ret->len = t->b.len + 1;
	ret->hole = t->hole;
}

void bh_audit_record_number(const struct bh_audit_item *it, const struct bh_audit_ident *id,
	uint64_t sequence, struct bh_buf *out)
{
	bh_buf_add(out, it->text, it->hole);
	bh_buf_str(out, "\"id\":\"");
	add_event_id(id, sequence, out);
	bh_buf_str(out, "\"");
	bh_audit_put_u64(out, "sequence", sequence);
	bh_buf_str(out, ",");
	bh_buf_add(out, it->text + it->hole, it->len - it->hole);
}

static void add_actor(struct bh_buf *b, const struct bh_audit_actor *who)
{
	bh_audit_put_open(b, "user");
	bh_audit_put_u64_text(b, "id", who->uid);
	if (who->user)
		bh_audit_put_text(b, "name", who->user, BH_AUDIT_MAX_TEXT);
	bh_audit_put_open(b, "group");
	bh_audit_put_u64_text(b, "id", who->gid);
	bh_audit_put_close(b);
	bh_audit_put_close(b);
	bh_audit_put_open(b, "process");
	bh_audit_put_u64(b, "pid", who->pid > 0 ? (uint64_t)who->pid : 0);
	bh_audit_put_close(b);
}

/* The details as the caller made them, or how many bytes they would have been. */
static void add_change(struct bh_buf *b, const struct bh_audit_change *c)
{
	char bh_autofree *text = c->details ? json_dumps(c->details, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;

	if (!c->details)
		bh_audit_put_null(b, "change");
	else if (text && b->len + len <= BH_AUDIT_MAX_RECORD)
		bh_audit_put_raw(b, "change", text, len);
	else {
		bh_audit_put_open(b, "change");
		bh_audit_put_raw(b, "omitted", "true", 4);
		bh_audit_put_u64(b, "bytes", b->len + len);
		bh_audit_put_close(b);
	}
}

void bh_audit_record_event(const struct bh_audit_ident *id, const struct bh_audit_change *c,
	int64_t when, struct bh_audit_text *ret)
{
	char bh_autofree *types = bh_xasprintf("[\"%s\"]", kind_of(c->action)->type ?: "info");
	struct bh_buf *b = &ret->b;

	b->len = 0;
	bh_audit_record_begin(ret, id, c->action, types, c->outcome, NULL, when);
	if (c->message)
		bh_audit_put_text(b, "message", c->message, BH_AUDIT_MAX_TEXT);
	if (c->actor)
		add_actor(b, c->actor);
	bh_audit_put_open(b, "bulkhead");
	add_change(b, c);
	if (c->actor) {
		bh_audit_put_open(b, "actor");
		if (c->actor->has_login)
			bh_audit_put_u64(b, "login_uid", c->actor->login_uid);
		else
			bh_audit_put_null(b, "login_uid");
		bh_audit_put_close(b);
	}
	bh_audit_put_close(b);
	bh_audit_put_close(b);
	json_decref(c->details);
}
