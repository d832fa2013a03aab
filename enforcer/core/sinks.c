/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit log's other receivers: started with the daemon, shown in status and /metrics. */
#include "core/sinks.h"

#include "audit/audit.h"
#include "core/state.h"
#include "render/render.h"
#include "sink/sink.h"

int bh_core_sinks_start(struct bh_core *c, char **why)
{
	struct bh_audit_stats a;

	bh_audit_settle(c->audit, 1000);
	bh_audit_get_stats(c->audit, &a);
	c->sink = bh_xcalloc(c->conf->n_sinks, sizeof(*c->sink));
	for (size_t i = 0; i < c->conf->n_sinks; i++) {
		const struct bh_sink_conf *s = &c->conf->sinks[i];
		struct bh_sink_opts o = {.name = s->name,
			.kind = s->kind,
			.address = s->address,
			.ca = s->ca,
			.format = s->format,
			.log = c->conf->audit_path,
			.state = c->conf->state,
			.from = a.sequence};
		int r = bh_sink_start(&o, &c->sink[i]);
		if (r < 0) {
			*why = bh_xasprintf("audit sink %s: %s", s->name, strerror(-r));
			return r;
		}
		c->n_sinks = i + 1;
	}
	return 0;
}

void bh_core_sinks_stop(struct bh_core *c)
{
	for (size_t i = 0; i < c->n_sinks; i++)
		bh_sink_stop(c->sink[i]);
	free(BH_TAKE_PTR(c->sink));
	c->n_sinks = 0;
}

static uint64_t lag(const struct bh_audit_stats *a, const struct bh_sink_stats *s)
{
	return a->sequence > s->sequence ? a->sequence - s->sequence : 0;
}

json_t *bh_core_sinks_json(struct bh_core *c)
{
	json_t *list = json_array();
	struct bh_audit_stats a;

	bh_audit_get_stats(c->audit, &a);
	for (size_t i = 0; i < c->n_sinks; i++) {
		struct bh_sink_stats s;
		bh_sink_get_stats(c->sink[i], &s);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:s?}", "name",
				c->conf->sinks[i].name, "to", c->conf->sinks[i].address, "format",
				bh_render_names[c->conf->sinks[i].format], "connected", s.connected,
				"sent", (json_int_t)s.sent, "dropped", (json_int_t)s.dropped, "lag",
				(json_int_t)lag(&a, &s), "error", s.error[0] ? s.error : NULL));
	}
	return list;
}

void bh_core_sinks_metrics(struct bh_core *c, struct bh_buf *b)
{
	static const struct {
		const char *name, *type, *help;
	} shown[] = {
		{"lag_records", "gauge", "Records that the receiver has not got yet."},
		{"sent_records_total", "counter", "Records that the receiver has got."},
		{"dropped_records_total", "counter",
			"Records that were gone before the receiver could get them."},
		{"connected", "gauge", "1 while there is a connection."},
	};
	struct bh_audit_stats a;

	bh_audit_get_stats(c->audit, &a);
	for (size_t k = 0; c->n_sinks && k < BH_ARRAY_SIZE(shown); k++) {
		bh_buf_printf(b,
			"# HELP bulkhead_audit_sink_%s %s\n# TYPE bulkhead_audit_sink_%s %s\n",
			shown[k].name, shown[k].help, shown[k].name, shown[k].type);
		for (size_t i = 0; i < c->n_sinks; i++) {
			struct bh_sink_stats s;
			bh_sink_get_stats(c->sink[i], &s);
			const uint64_t value[] = {lag(&a, &s), s.sent, s.dropped, s.connected};
			bh_buf_printf(b, "bulkhead_audit_sink_%s{sink=\"%s\"} %llu\n",
				shown[k].name, c->conf->sinks[i].name,
				(unsigned long long)value[k]);
		}
	}
}
