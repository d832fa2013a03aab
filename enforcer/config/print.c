/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration in force, as a file that parses to the same. Texts are always quoted, so that
 * no content can change its type or its structure. */
#include <time.h>

#include "config/config.h"

/* Characters that a YAML reader takes for more than themselves, in a text that is UTF-8: controls,
 * line breaks of YAML 1.1, byte order marks. Gives the bytes it dealt with, 0 if it is none. */
static size_t put_escaped(struct bh_buf *out, const char *s)
{
	const uint8_t *u = (const uint8_t *)s;
	if (u[0] < 0x20 || u[0] == 0x7f || u[0] == '"' || u[0] == '\\') {
		bh_buf_printf(out, "\\x%02x", u[0]);
		return 1;
	}
	if (u[0] == 0xc2 && u[1] < 0xa0) {
		bh_buf_printf(out, "\\x%02x", u[1]);
		return 2;
	}
	if ((u[0] & 0xf0) != 0xe0)
		return 0;
	unsigned c = (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	if (c != 0x2028 && c != 0x2029 && c != 0xfeff && c < 0xfffe)
		return 0;
	bh_buf_printf(out, "\\u%04x", c);
	return 3;
}

static void put_string(struct bh_buf *out, const char *s)
{
	bh_buf_str(out, "\"");
	while (*s) {
		size_t n = put_escaped(out, s);
		if (n == 0) {
			bh_buf_add(out, s, 1);
			n = 1;
		}
		s += n;
	}
	bh_buf_str(out, "\"");
}

static void put_field(struct bh_buf *out, const char *key, const char *value)
{
	bh_buf_printf(out, "%s: ", key);
	put_string(out, value);
	bh_buf_str(out, "\n");
}

static void put_selector(struct bh_buf *out, const struct bh_selector *s)
{
	static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	bh_buf_str(out, "{matchExpressions: [");
	for (size_t i = 0; i < s->n; i++) {
		bh_buf_str(out, i ? ", {key: " : "{key: ");
		put_string(out, s->req[i].key);
		bh_buf_printf(out, ", operator: %s", operators[s->req[i].op]);
		for (size_t k = 0; k < s->req[i].n_values; k++) {
			bh_buf_str(out, k ? ", " : ", values: [");
			put_string(out, s->req[i].value[k]);
		}
		bh_buf_str(out, s->req[i].n_values ? "]}" : "}");
	}
	bh_buf_str(out, "]}");
}

static void put_modes(struct bh_buf *out, const struct bh_config *c)
{
	bh_buf_str(out, c->n_modes ? "modes:\n" : "modes: []\n");
	for (size_t i = 0; i < c->n_modes; i++) {
		const struct bh_mode_rule *m = &c->modes[i];
		bh_buf_printf(out, "- mode: %s\n", bh_mode_name(m->mode));
		if (m->namespace)
			put_field(out, "  namespace", m->namespace);
		if (m->has_selector) {
			bh_buf_str(out, "  selector: ");
			put_selector(out, &m->selector);
			bh_buf_str(out, "\n");
		}
	}
}

static void put_sources(struct bh_buf *out, const struct bh_config *c)
{
	if (c->n_sources == 0) {
		bh_buf_str(out, c->sources_auto ? "sources: auto\n" : "sources: []\n");
		return;
	}
	bh_buf_str(out, c->sources_auto ? "sources:\n- auto\n" : "sources:\n");
	for (size_t i = 0; i < c->n_sources; i++) {
		bh_buf_printf(out, "- %s: ", bh_source_kind_names[c->sources[i].kind]);
		if (c->sources[i].path)
			put_string(out, c->sources[i].path);
		else
			bh_buf_str(out, "off");
		bh_buf_str(out, "\n");
	}
}

static void put_namespace_labels(struct bh_buf *out, const struct bh_config *c)
{
	if (!c->namespace_labels)
		return;
	bh_buf_str(out, "namespace_labels: [");
	for (size_t i = 0; c->namespace_labels[i]; i++) {
		bh_buf_str(out, i ? ", " : "");
		put_string(out, c->namespace_labels[i]);
	}
	bh_buf_str(out, "]\n");
}

static void put_labels(struct bh_buf *out, const struct bh_labels *l)
{
	bh_buf_str(out, "{");
	for (size_t k = 0; k < l->n; k++) {
		bh_buf_str(out, k ? ", " : "");
		put_string(out, l->item[k].key);
		bh_buf_str(out, ": ");
		put_string(out, l->item[k].value);
	}
	bh_buf_str(out, "}");
}

static void put_namespaces(struct bh_buf *out, const struct bh_config *c)
{
	bh_buf_str(out, c->n_namespaces ? "namespaces:\n" : "namespaces: {}\n");
	for (size_t i = 0; i < c->n_namespaces; i++) {
		bh_buf_str(out, "  ");
		put_string(out, c->namespaces[i].name);
		bh_buf_str(out, ": ");
		put_labels(out, &c->namespaces[i].labels);
		bh_buf_str(out, "\n");
	}
}

static void put_nodes(struct bh_buf *out, const struct bh_config *c)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_str(out, c->n_nodes ? "nodes:\n" : "nodes: {}\n");
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct bh_node_conf *n = &c->nodes[i];
		bh_buf_str(out, "  ");
		put_string(out, n->name);
		bh_buf_str(out, ":\n    labels: ");
		put_labels(out, &n->labels);
		bh_buf_str(out, "\n    ips: [");
		for (size_t k = 0; k < n->n_addrs; k++) {
			bh_buf_str(out, k ? ", " : "");
			put_string(out, bh_addr_format(&n->addr[k], text));
		}
		bh_buf_str(out, "]\n");
	}
}

void bh_config_print_feed(const struct bh_feed_conf *f, struct bh_buf *out)
{
	static const char *const direction[] = {"both", "in", "out", "both"};
	put_field(out, "- name", f->name);
	put_field(out, "  url", f->url);
	bh_buf_printf(out, "  format: %s\n  action: %s\n  direction: %s\n  special: %s\n",
		f->format, f->alert_only ? "alert" : "block", direction[f->directions & 3],
		f->special ? "true" : "false");
	bh_buf_printf(out, "  interval: %llus\n  timeout: %llus\n  max_bytes: %llu\n",
		(unsigned long long)f->interval_s, (unsigned long long)f->timeout_s,
		(unsigned long long)f->max_bytes);
	bh_buf_printf(out, "  min_entries: %llu\n  max_shrink_percent: %u\n",
		(unsigned long long)f->min_entries, f->max_shrink_percent);
	bh_buf_printf(out, "  max_growth_percent: %u\n  max_rejected_percent: %u\n",
		f->max_growth_percent, f->max_rejected_percent);
	bh_buf_printf(out, "  widest_ipv4: %u\n  widest_ipv6: %u\n  min_confidence: %u\n",
		f->widest4, f->widest6, f->min_confidence);
	if (f->headers_file)
		put_field(out, "  headers_file", f->headers_file);
	if (f->ca_file)
		put_field(out, "  ca_file", f->ca_file);
	if (f->proxy)
		put_field(out, "  proxy", f->proxy);
}

static void put_prefix(const struct bh_prefix *p, void *arg)
{
	struct bh_buf *out = arg;
	char text[BH_PREFIX_STRLEN];
	if (out->len && out->s[out->len - 1] != '[')
		bh_buf_str(out, ", ");
	put_string(out, bh_prefix_format(p, text));
}

static void put_ranges(struct bh_buf *out, const struct bh_ranges *r)
{
	bh_buf_str(out, "[");
	for (size_t i = 0; i < r->n; i++)
		bh_range_prefixes(r->item[i], put_prefix, out);
	bh_buf_str(out, "]\n");
}

static void put_until(struct bh_buf *out, int64_t until)
{
	time_t t = (time_t)until;
	struct tm tm;
	char text[32];
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_field(out, "  until", text);
}

static void put_feeds(struct bh_buf *out, const struct bh_config *c)
{
	bh_buf_str(out, c->n_feeds ? "feeds:\n" : "feeds: []\n");
	for (size_t i = 0; i < c->n_feeds; i++)
		bh_config_print_feed(&c->feeds[i], out);
	bh_buf_str(out, "feed_allow: ");
	put_ranges(out, &c->feed_allow);
	bh_buf_str(out, c->feed_exceptions.n ? "feed_exceptions:\n" : "feed_exceptions: []\n");
	for (size_t i = 0; i < c->feed_exceptions.n; i++) {
		const struct bh_feed_exception *x = &c->feed_exceptions.item[i];
		put_field(out, "- namespace", x->namespace);
		bh_buf_str(out, "  addresses: ");
		put_ranges(out, &x->addrs);
		if (x->feed)
			put_field(out, "  feed", x->feed);
		put_field(out, "  reason", x->reason);
		put_until(out, x->until);
	}
}

static void put_sinks(struct bh_buf *out, const struct bh_config *c)
{
	static const char *const prefix[] = {
		[BH_SINK_UNIX] = "unix:", [BH_SINK_TCP] = "tcp://", [BH_SINK_TLS] = "tls://"};
	bh_buf_str(out, c->n_sinks ? "  sinks:\n" : "  sinks: []\n");
	for (size_t i = 0; i < c->n_sinks; i++) {
		const struct bh_sink_conf *s = &c->sinks[i];
		bool journald = s->kind == BH_SINK_JOURNALD;
		bh_autofree char *to = bh_xasprintf("%s%s", journald ? "" : prefix[s->kind],
			journald ? "journald" : s->address);
		put_field(out, "  - name", s->name);
		put_field(out, "    to", to);
		bh_buf_printf(out, "    format: %s\n", bh_render_names[s->format]);
		if (s->ca)
			put_field(out, "    ca", s->ca);
	}
}

static void put_flows(struct bh_buf *out, const struct bh_config *c)
{
	static const char *const names[] = {"none", "new", "full"};
	bh_buf_printf(out, "  flows: %s\n", names[c->audit_flows]);
	bh_buf_str(out, c->n_flows_of ? "  flows_of:\n" : "  flows_of: {}\n");
	for (size_t i = 0; i < c->n_flows_of; i++) {
		bh_buf_str(out, "    ");
		put_string(out, c->flows_of[i].namespace);
		bh_buf_printf(out, ": %s\n", names[c->flows_of[i].flows]);
	}
	bh_buf_printf(out, "  flows_aggregate: %us\n", c->audit_aggregate_s);
}

void bh_config_print(const struct bh_config *c, struct bh_buf *out)
{
	static const char *const failure[] = {"continue", "block-new-flows", "exit"};
	bh_buf_printf(out, "mode: %s\n", bh_mode_name(c->mode));
	put_modes(out, c);
	bh_buf_printf(out, "unselected: %s\n", c->unselected_deny ? "deny" : "allow");
	bh_buf_printf(out, "host: %s\n", c->host_policy ? "policy" : "allow");
	bh_buf_printf(out, "deny: %s\n", c->reject ? "reject" : "drop");
	bh_buf_printf(out, "table_owner: %s\n", c->table_owner_never ? "never" : "auto");
	bh_buf_printf(out, "fast_path: %s\n", c->fast_path ? "true" : "false");
	put_field(out, "policies", c->policies);
	put_field(out, "state", c->state);
	put_field(out, "socket", c->socket);
	put_sources(out, c);
	put_namespace_labels(out, c);
	bh_buf_printf(out, "image_labels: %s\n", c->image_labels_ignore ? "ignore" : "count");
	put_namespaces(out, c);
	put_nodes(out, c);
	put_feeds(out, c);
	bh_buf_str(out, "audit:\n");
	put_field(out, "  path", c->audit_path);
	put_flows(out, c);
	bh_buf_printf(out, "  rotate:\n    size: %lluK\n    age: %llus\n    keep: %llu\n",
		(unsigned long long)c->audit_rotate_size >> 10,
		(unsigned long long)c->audit_rotate_s, (unsigned long long)c->audit_keep);
	bh_buf_printf(out, "  key_interval: %llus\n", (unsigned long long)c->audit_key_s);
	put_sinks(out, c);
	bh_buf_printf(out, "  on_log_failure: %s\n", failure[c->audit_failure]);
	bh_buf_printf(out, "learn:\n  edges: %u\n  flows: %u\n  names: %u\n  volume: %s\n",
		c->learn_edges, c->learn_flows, c->learn_names, c->learn_volume ? "true" : "false");
	bh_buf_printf(out, "queue:\n  base: %u\n  length: %u\n", c->queue_base, c->queue_length);
	bh_buf_printf(out, "history:\n  keep: %llus\n  max: %u\n",
		(unsigned long long)c->history_keep_s, c->history_max);
	bh_buf_printf(out,
		"drift:\n  quarantine: {denied_peers: %u, within: %llus, feed_hit: %s}\n",
		c->drift_peers, (unsigned long long)c->drift_within_s,
		c->drift_feed_hit ? "true" : "false");
	bh_buf_printf(out, "pace:\n  rate: %u\n  burst: %u\n", c->pace_rate, c->pace_burst);
	bh_buf_printf(out, "crowding:\n  share: %u\n", c->crowding_share);
}
