/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records in the Elastic Common Schema (8.11): objects nested as its documents are, our own fields
 * under `bulkhead`. The order of the keys is fixed, so that people can read the lines too. Whether
 * a flow passed stands in event.type, as the schema has it; event.outcome is for changes.
 */
#include <inttypes.h>

#include "audit/private.h"

#define ECS_VERSION "8.11.0"
#define MAX_TEXT 2048

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

static json_t *categories(const struct kind *k)
{
	json_t *list = json_array();
	for (size_t i = 0; i < BH_ARRAY_SIZE(k->category) && k->category[i]; i++)
		json_array_append_new(list, json_string(k->category[i]));
	return list;
}

/* Alike in all records of a run. */
void bh_audit_ident_render(struct bh_audit_ident *id)
{
	json_t *observer = json_object(), *host = json_object();
	bh_audit_set(observer, "name", bh_audit_text(id->node, MAX_TEXT));
	bh_audit_set(observer, "product", json_string("Bulkhead"));
	bh_audit_set(observer, "type", json_string("firewall"));
	bh_audit_set(observer, "version", bh_audit_text(id->version, MAX_TEXT));
	bh_audit_set(host, "id", bh_audit_text(id->machine_id, MAX_TEXT));
	bh_audit_set(host, "name", bh_audit_text(id->node, MAX_TEXT));
	json_t *boot = json_object();
	bh_audit_set(boot, "id", bh_audit_text(id->boot_id, MAX_TEXT));
	bh_audit_set(host, "boot", boot);
	id->ecs = json_pack("{s:s}", "version", ECS_VERSION);
	id->observer = observer;
	id->host = host;
}

/* The time takes its place only; id and sequence are filled in by number. */
static json_t *begin(const struct bh_audit_ident *id, const char *action, json_t *types)
{
	const struct kind *k = kind_of(action);
	json_t *event = json_object(), *rec = json_object();

	bh_audit_set(rec, "@timestamp", json_null());
	json_object_set_nocheck(rec, "ecs", id->ecs);
	bh_audit_set(event, "kind", json_string(k->alert ? "alert" : "event"));
	bh_audit_set(event, "category", categories(k));
	bh_audit_set(event, "type", types);
	bh_audit_set(event, "action", bh_audit_text(action, 64));
	bh_audit_set(event, "severity", json_integer(k->severity));
	bh_audit_set(event, "module", json_string("bulkhead"));
	bh_audit_set(rec, "event", event);
	json_object_set_nocheck(rec, "observer", id->observer);
	json_object_set_nocheck(rec, "host", id->host);
	return rec;
}

/* A RFC 9562 version 8 UUID: random bits of this run, then the sequence. */
static void add_event_id(const struct bh_audit_ident *id, uint64_t seq, struct bh_buf *out)
{
	uint8_t b[16];

	memcpy(b, id->prefix, 8);
	for (int i = 0; i < 8; i++)
		b[8 + i] = (uint8_t)(seq >> (56 - 8 * i));
	b[6] = (b[6] & 0x0f) | 0x80;
	b[8] = (b[8] & 0x3f) | 0x80;
	bh_buf_printf(out, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}

#define HOLE "\"event\":{"

static char *dump(json_t *rec, size_t *ret_len)
{
	char *text = json_dumps(rec, JSON_COMPACT);
	*ret_len = text ? strlen(text) : 0;
	return text;
}

bool bh_audit_record_render(json_t *rec, int64_t when, struct bh_audit_item *ret)
{
	size_t len;

	bh_audit_set(rec, "@timestamp", bh_audit_time(when));
	char bh_autofree *text = dump(rec, &len);
	if (len + 256 > BH_AUDIT_MAX_LINE) {
		free(text);
		json_object_set_new(json_object_get(rec, "bulkhead"), "change",
			json_pack("{s:b, s:I}", "omitted", 1, "bytes", (json_int_t)len));
		text = dump(rec, &len);
	}
	json_decref(rec);
	/* Before it stand the time and the version only: nothing of anybody's. */
	char *hole = text ? strstr(text, HOLE) : NULL;
	if (!hole)
		return false;
	ret->hole = (size_t)(hole - text) + strlen(HOLE);
	ret->text = bh_xrealloc(BH_TAKE_PTR(text), len + 1, 1);
	ret->text[len] = '\n';
	ret->len = len + 1;
	return true;
}

void bh_audit_record_number(const struct bh_audit_item *it, const struct bh_audit_ident *id,
	uint64_t sequence, struct bh_buf *out)
{
	bh_buf_add(out, it->text, it->hole);
	bh_buf_str(out, "\"id\":\"");
	add_event_id(id, sequence, out);
	bh_buf_printf(out, "\",\"sequence\":%" PRIu64 ",", sequence);
	bh_buf_add(out, it->text + it->hole, it->len - it->hole);
}

static bool has_ports(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

/* ECS: internal is between two ends of the same network, which two workloads are. */
static const char *direction(const struct bh_audit_flow *f)
{
	return f->src && f->dst ? "internal" : bh_direction_name(f->direction);
}

static void add_network(json_t *rec, const struct bh_audit_flow *f)
{
	const struct bh_flow *w = f->flow;
	json_t *net = json_object(), *src = json_object(), *dst = json_object();
	char bh_autofree *community = bh_audit_community_id(w);
	char proto[4], text[BH_ADDR_STRLEN];

	bh_audit_set(net, "transport",
		json_string(w->proto == 58 ? "ipv6-icmp" : bh_proto_name(w->proto, proto)));
	bh_audit_set(net, "type", json_string(w->src.family == BH_IPV4 ? "ipv4" : "ipv6"));
	snprintf(text, sizeof(text), "%u", w->proto);
	bh_audit_set(net, "iana_number", json_string(text));
	bh_audit_set(net, "direction", json_string(direction(f)));
	bh_audit_set(net, "community_id", json_string(community));
	bh_audit_set(rec, "network", net);
	bh_audit_set(src, "ip", json_string(bh_addr_format(&w->src, text)));
	bh_audit_set(dst, "ip", json_string(bh_addr_format(&w->dst, text)));
	if (has_ports(w->proto)) {
		bh_audit_set(src, "port", json_integer(w->sport));
		bh_audit_set(dst, "port", json_integer(w->dport));
	}
	bh_audit_set(rec, "source", src);
	bh_audit_set(rec, "destination", dst);
}

static void add_rule(json_t *rec, const struct bh_audit_flow *f)
{
	char text[24];
	if (f->policy || f->rule) {
		json_t *rule = json_object();
		if (f->rule)
			bh_audit_set(rule, "name", bh_audit_text(f->rule, MAX_TEXT));
		if (f->policy)
			bh_audit_set(rule, "ruleset", bh_audit_text(f->policy, MAX_TEXT));
		snprintf(text, sizeof(text), "%" PRIu64, f->generation);
		bh_audit_set(rule, "version", json_string(text));
		bh_audit_set(rec, "rule", rule);
	}
	if (f->feed || f->indicator) {
		json_t *threat = json_object();
		if (f->feed) {
			json_t *feed = json_object();
			bh_audit_set(feed, "name", bh_audit_text(f->feed, MAX_TEXT));
			bh_audit_set(threat, "feed", feed);
		}
		if (f->indicator)
			bh_audit_set(threat, "indicator", bh_audit_indicator(f));
		bh_audit_set(rec, "threat", threat);
	}
}

/* Why an end has no identity. */
static const char *nobody(const struct bh_audit_flow *f, const struct bh_addr *a, bool host)
{
	if (host)
		return "the node itself";
	if (bh_addr_is_multicast(a))
		return "multicast address";
	if (f->reason == BH_REASON_UNKNOWN_WORKLOAD)
		return "address of no known workload";
	if (bh_addr_is_link_local(a))
		return "link-local address";
	return "outside address";
}

static void add_end(json_t *o, const char *key, const struct bh_audit_flow *f,
	const struct bh_workload *w, const struct bh_addr *a, bool host)
{
	bh_audit_set(o, key, bh_audit_workload(w, a));
	if (w)
		return;
	char bh_autofree *reason = bh_xasprintf("%s_reason", key);
	bh_audit_set(o, reason, json_string(nobody(f, a, host)));
}

static json_t *policy_version(uint64_t generation, const char *sha256)
{
	json_t *o = json_object();
	bh_audit_set(o, "generation", json_integer((json_int_t)generation));
	bh_audit_set(o, "sha256", bh_audit_text(sha256 && *sha256 ? sha256 : NULL, 128));
	return o;
}

json_t *bh_audit_record_flow(const struct bh_audit_ident *id, const struct bh_audit_flow *f)
{
	json_t *rec = begin(id, f->action,
		json_pack("[s, s]", "connection", f->verdict == BH_ALLOW ? "allowed" : "denied"));
	json_t *own = json_object();

	add_network(rec, f);
	add_rule(rec, f);
	add_end(own, "src", f, f->src, &f->flow->src, f->src_host);
	add_end(own, "dst", f, f->dst, &f->flow->dst, f->dst_host);
	bh_audit_set(own, "verdict", json_string(bh_verdict_name(f->verdict)));
	bh_audit_set(own, "mode", json_string(bh_mode_name(f->mode)));
	bh_audit_set(own, "reason", json_string(bh_reason_name(f->reason)));
	bh_audit_set(own, "policy", policy_version(f->generation, f->policy_sha256));
	if (f->flow->proto == 1 || f->flow->proto == 58)
		bh_audit_set(own, "icmp",
			json_pack("{s:i, s:i}", "type", f->flow->icmp_type, "code",
				f->flow->icmp_code));
	bh_audit_set(own, "repeat", json_integer(1));
	bh_audit_set(rec, "bulkhead", own);
	return rec;
}

void bh_audit_record_repeat(
	json_t *rec, uint64_t count, int64_t first, int64_t last, bool ports_differ)
{
	json_t *event = json_object_get(rec, "event");
	bh_audit_set(event, "start", bh_audit_time(first));
	bh_audit_set(event, "end", bh_audit_time(last));
	bh_audit_set(json_object_get(rec, "bulkhead"), "repeat", json_integer((json_int_t)count));
	if (!ports_differ)
		return;
	/* One source port, and the hash over it, would speak for one of many flows only. */
	json_object_del(json_object_get(rec, "source"), "port");
	json_object_del(json_object_get(rec, "network"), "community_id");
}

static void add_actor(json_t *rec, const struct bh_audit_actor *who)
{
	json_t *user = json_object(), *group = json_object();
	char text[16];

	snprintf(text, sizeof(text), "%" PRIu32, who->uid);
	bh_audit_set(user, "id", json_string(text));
	if (who->user)
		bh_audit_set(user, "name", bh_audit_text(who->user, MAX_TEXT));
	snprintf(text, sizeof(text), "%" PRIu32, who->gid);
	bh_audit_set(group, "id", json_string(text));
	bh_audit_set(user, "group", group);
	bh_audit_set(rec, "user", user);
	bh_audit_set(rec, "process", json_pack("{s:i}", "pid", (int)who->pid));
}

json_t *bh_audit_record_event(const struct bh_audit_ident *id, const struct bh_audit_change *c)
{
	json_t *rec = begin(id, c->action, json_pack("[s]", kind_of(c->action)->type ?: "info"));

	if (c->outcome)
		bh_audit_set(
			json_object_get(rec, "event"), "outcome", bh_audit_text(c->outcome, 32));
	if (c->message)
		bh_audit_set(rec, "message", bh_audit_text(c->message, MAX_TEXT));
	if (c->actor)
		add_actor(rec, c->actor);
	json_t *own = json_object();
	bh_audit_set(own, "change", c->details ? c->details : json_null());
	if (c->actor)
		bh_audit_set(own, "actor",
			json_pack("{s:o}", "login_uid",
				c->actor->has_login ? json_integer(c->actor->login_uid)
						    : json_null()));
	bh_audit_set(rec, "bulkhead", own);
	return rec;
}
