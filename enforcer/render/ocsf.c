/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open Cybersecurity Schema Framework 1.3.0 (schema.ocsf.io). What it has no field for is in
 * `unmapped`, whole. A profile is named only where its required attributes are there:
 * security_control wants action_id.
 */
#include "render/render.h"

#define NETWORK_ACTIVITY 4001
#define ENTITY_MANAGEMENT 3004
#define APPLICATION_LIFECYCLE 6002
#define OTHER_ACTIVITY 99

static void put(json_t *o, const char *key, const json_t *v)
{
	if (v && !json_is_null(v))
		json_object_set(o, key, (json_t *)v);
}

static int severity(const json_t *rec)
{
	json_int_t s = bh_render_num(rec, "event.severity");
	return s >= 99 ? 5 : s >= 73 ? 4 : s >= 47 ? 3 : s >= 21 ? 2 : 1;
}

static void put_time(json_t *o, const char *key, const char *rfc3339)
{
	if (rfc3339)
		json_object_set_new(o, key, json_integer((json_int_t)bh_render_ms(rfc3339)));
}

static json_t *metadata(const json_t *rec)
{
	json_t *o = json_pack("{s:s, s:{s:s, s:s}, s:[s]}", "version", "1.3.0", "product", "name",
		"Bulkhead", "vendor_name", "Bulkhead", "profiles", "host");
	put(json_object_get(o, "product"), "version", bh_render_at(rec, "observer.version"));
	put(o, "uid", bh_render_at(rec, "event.id"));
	put(o, "event_code", bh_render_at(rec, "event.action"));
	put(o, "sequence", bh_render_at(rec, "event.sequence"));
	return o;
}

static json_t *base(const json_t *rec, int class, int category, int activity)
{
	struct bh_buf bh_autobuf sentence = {0};
	json_t *o = json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I}", "class_uid", class,
		"category_uid", category, "activity_id", activity, "type_uid",
		class * 100 + activity, "severity_id", severity(rec), "time",
		(json_int_t)bh_render_ms(bh_render_str(rec, "@timestamp")), "count",
		bh_render_num(rec, "bulkhead.repeat") ?: (json_int_t)1);
	json_t *device = json_pack("{s:i}", "type_id", 1); /* server */

	if (activity == OTHER_ACTIVITY) /* which wants its own name told */
		put(o, "activity_name", bh_render_at(rec, "event.action"));
	put_time(o, "start_time", bh_render_str(rec, "event.start"));
	put_time(o, "end_time", bh_render_str(rec, "event.end"));
	json_object_set_new(o, "metadata", metadata(rec));
	put(device, "hostname", bh_render_at(rec, "host.name"));
	put(device, "uid", bh_render_at(rec, "host.id"));
	json_object_set_new(o, "device", device);
	bh_render_sentence(rec, &sentence);
	json_object_set_new(o, "message", json_string(sentence.s ? sentence.s : ""));
	return o;
}

static json_t *endpoint(const json_t *rec, const char *side, const char *own)
{
	const json_t *ecs = json_object_get(rec, side);
	const json_t *w = json_object_get(json_object_get(rec, "bulkhead"), own);
	json_t *o = json_object();
	put(o, "ip", json_object_get(ecs, "ip"));
	put(o, "port", json_object_get(ecs, "port"));
	put(o, "name", json_object_get(w, "name"));
	put(o, "uid", json_object_get(w, "id"));
	put(o, "zone", json_object_get(w, "namespace"));
	return o;
}

/* 1 inbound, 2 outbound, 3 lateral */
static int direction(const json_t *rec)
{
	const char *d = bh_render_str(rec, "network.direction");
	return bh_streq(d, "ingress") ? 1 : bh_streq(d, "egress") ? 2 : 3;
}

/* 1 allowed, 6 dropped, 25 rejected, 17 logged: it would have been denied */
static int disposition(const json_t *rec)
{
	const char *v = bh_render_str(rec, "bulkhead.verdict");
	if (bh_streq(bh_render_str(rec, "event.action"), "would-deny"))
		return 17;
	return bh_streq(v, "drop") ? 6 : bh_streq(v, "reject") ? 25 : 1;
}

static json_t *connection(const json_t *rec)
{
	json_t *c = json_pack("{s:i, s:i}", "direction_id", direction(rec), "protocol_ver_id",
		bh_streq(bh_render_str(rec, "network.type"), "ipv6") ? 6 : 4);
	const char *number = bh_render_str(rec, "network.iana_number");

	put(c, "protocol_name", bh_render_at(rec, "network.transport"));
	json_object_set_new(c, "protocol_num", json_integer(number ? atoi(number) : -1));
	return c;
}

static void put_traffic(json_t *o, const json_t *rec)
{
	json_t *t = json_object();
	put(t, "bytes", bh_render_at(rec, "network.bytes"));
	put(t, "packets", bh_render_at(rec, "network.packets"));
	put(t, "bytes_out", bh_render_at(rec, "source.bytes"));
	put(t, "packets_out", bh_render_at(rec, "source.packets"));
	put(t, "bytes_in", bh_render_at(rec, "destination.bytes"));
	put(t, "packets_in", bh_render_at(rec, "destination.packets"));
	if (json_object_size(t))
		json_object_set(o, "traffic", t);
	json_decref(t);
}

static json_t *network_activity(const json_t *rec)
{
	bool allowed = bh_streq(bh_render_str(rec, "bulkhead.verdict"), "allow");
	bool ended = bh_streq(bh_render_str(rec, "event.action"), "flow-end");
	json_t *o = base(rec, NETWORK_ACTIVITY, 4, !allowed ? 5 : ended ? 2 : 1);

	json_array_append_new(json_object_get(json_object_get(o, "metadata"), "profiles"),
		json_string("security_control"));
	json_object_set_new(o, "connection_info", connection(rec));
	json_object_set_new(o, "action_id", json_integer(allowed ? 1 : 2));
	json_object_set_new(o, "disposition_id", json_integer(disposition(rec)));
	json_object_set_new(o, "src_endpoint", endpoint(rec, "source", "src"));
	json_object_set_new(o, "dst_endpoint", endpoint(rec, "destination", "dst"));
	put_traffic(o, rec);
	if (bh_render_at(rec, "rule")) {
		json_t *rule = json_object();
		put(rule, "name", bh_render_at(rec, "rule.name"));
		put(rule, "uid", bh_render_at(rec, "rule.ruleset"));
		put(rule, "version", bh_render_at(rec, "rule.version"));
		json_object_set_new(o, "firewall_rule", rule);
	}
	return o;
}

/* What an action is about, "policy" of "policy.change"; NULL: about the daemon and its log. */
static const char *entity_type(const char *action)
{
	static const char *const type[] = {"policy", "mode", "quarantine", "feed", "key"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(type); i++) {
		size_t n = strlen(type[i]);
		if (strncmp(action, type[i], n) == 0 && action[n] == '.')
			return type[i];
	}
	return NULL;
}

static json_t *entity(const json_t *rec, const char *type)
{
	static const char *const name[] = {"workload", "feed", "selector", "namespace", "scope"};
	const json_t *change = bh_render_at(rec, "bulkhead.change"), *found = NULL;
	const json_t *generation = bh_render_at(change, "generation");
	json_t *o = json_pack("{s:s}", "type", type ? type : "configuration");

	for (size_t i = 0; i < BH_ARRAY_SIZE(name) && !json_is_string(found); i++)
		found = bh_render_at(change, name[i]);
	put(o, "name", json_is_string(found) ? found : json_object_get(o, "type"));
	if (json_is_integer(generation)) {
		char text[32];
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
			json_integer_value(generation));
		json_object_set_new(o, "version", json_string(text));
	}
	return o;
}

static void put_actor(json_t *o, const json_t *rec)
{
	json_t *user = json_object(), *process = json_object();
	put(user, "uid", bh_render_at(rec, "user.id"));
	put(user, "name", bh_render_at(rec, "user.name"));
	put(process, "pid", bh_render_at(rec, "process.pid"));
	json_object_set_new(o, "actor", json_pack("{s:o, s:o}", "user", user, "process", process));
}

/* Entity Management: what was created, updated or deleted. */
static json_t *management(const json_t *rec, const char *action, const char *type)
{
	int activity = bh_streq(action, "quarantine.add")  ? 1
		       : bh_streq(action, "quarantine.rm") ? 4
							   : 3;
	json_t *o = base(rec, ENTITY_MANAGEMENT, 3, activity);
	const char *comment = bh_render_str(rec, "bulkhead.change.comment")
				      ?: bh_render_str(rec, "bulkhead.change.reason");

	json_object_set_new(o, "entity", entity(rec, type));
	if (comment)
		json_object_set_new(o, "comment", json_string(comment));
	return o;
}

static json_t *lifecycle(const json_t *rec, const char *action)
{
	json_t *o = base(rec, APPLICATION_LIFECYCLE, 6,
		bh_streq(action, "start")  ? 3
		: bh_streq(action, "stop") ? 4
					   : OTHER_ACTIVITY);
	json_t *app = json_pack("{s:s, s:s}", "name", "bulkheadd", "vendor_name", "Bulkhead");

	put(app, "version", bh_render_at(rec, "observer.version"));
	json_object_set_new(o, "app", app);
	return o;
}

static json_t *other(const json_t *rec)
{
	const char *action = bh_render_str(rec, "event.action") ?: "";
	const char *outcome = bh_render_str(rec, "event.outcome"), *type = entity_type(action);
	bool by_user = bh_render_at(rec, "user");
	json_t *o = by_user || type ? management(rec, action, type) : lifecycle(rec, action);

	json_object_set_new(o, "status_id",
		json_integer(bh_streq(outcome, "success")   ? 1
			     : bh_streq(outcome, "failure") ? 2
							    : 0));
	if (by_user)
		put_actor(o, rec);
	return o;
}

json_t *bh_render_ocsf(const json_t *rec)
{
	json_t *o = json_is_object(json_object_get(rec, "network")) ? network_activity(rec)
								    : other(rec);
	json_t *rest = json_object();
	const json_t *community = bh_render_at(rec, "network.community_id");

	put(rest, "event", json_object_get(rec, "event"));
	if (community) /* which connection_info has in later versions only */
		json_object_set_new(
			rest, "network", json_pack("{s:O}", "community_id", (json_t *)community));
	put(rest, "threat", json_object_get(rec, "threat"));
	put(rest, "bulkhead", json_object_get(rec, "bulkhead"));
	json_object_set_new(o, "unmapped", rest);
	return o;
}
