/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sources that ask the daemon faster than they may: the kernel decides what is beyond their pace
 * and counts it; here it is told, once a minute and source.
 */
#include "flows/pace.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "flows/flows.h"
#include "history/history.h"
#include "modes/modes.h"
#include "nft/nft.h"
#include "store/store.h"

#define READ_MS 2000
#define REPORT_US 60000000
#define FORGET_US 120000000 /* the kernel forgets a source that is quiet for a minute */
#define REPORTS_PER_READ 32 /* further sources share a record */

struct bh_paced {
	struct bh_addr addr;
	uint64_t packets; /* of the kernel's counter, taken already */
	uint64_t untold;
	int64_t when; /* it was seen last: µs since the epoch */
	int64_t seen, told; /* by the steady clock; 0: never */
};

static struct bh_paced *find(struct bh_pace *p, const struct bh_addr *a)
{
	for (size_t i = 0; i < p->n; i++)
		if (bh_addr_eq(&p->source[i].addr, a))
			return &p->source[i];
	return NULL;
}

struct reading {
	struct bh_core *c;
	uint8_t family;
	int64_t now;
};

static void on_source(const struct bh_nft_elem *el, void *arg)
{
	const struct reading *r = arg;
	struct bh_pace *p = &r->c->pace;
	struct bh_addr a = bh_addr_from_bytes(r->family, el->value[0].b);

	if (el->packets == 0)
		return;
	struct bh_paced *s = find(p, &a);
	if (!s && p->n == BH_PACED_MAX) {
		p->crowded = true;
		return;
	}
	if (!s) {
		if (!p->source)
			p->source = bh_xcalloc(BH_PACED_MAX, sizeof(*p->source));
		s = &p->source[p->n++];
		*s = (struct bh_paced){.addr = a};
	}
	uint64_t more = el->packets < s->packets ? el->packets : el->packets - s->packets;
	s->packets = el->packets;
	if (more == 0)
		return;
	s->untold += more;
	s->seen = r->now;
	s->when = bh_clock_now();
	p->packets += more;
}

/* Beside the flows that were decided one by one, a row for those that were not. */
static void note_row(struct bh_core *c, const struct bh_paced *s, int owner, bool enforced)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	struct bh_buf src = {0};
	char text[BH_ADDR_STRLEN];
	const struct bh_workload *w = owner >= 0 ? inv->workload[owner] : NULL;

	bh_core_end_name(inv, owner, &s->addr, &src);
	struct bh_flow_row row = {
		.first_seen = s->when,
		.last_seen = s->when,
		.src = bh_buf_take(&src),
		.dst = bh_xstrdup("(many)"),
		.src_addr = bh_xstrdup(bh_addr_format(&s->addr, text)),
		.dst_addr = bh_xstrdup(""),
		.src_id = w ? bh_xstrdup(w->id) : NULL,
		.src_stay = w ? bh_core_stay_of(c, w) : 0,
		.verdict = bh_xstrdup(enforced ? "drop" : "allow"),
		.reason = bh_xstrdup("scan"),
		.mode = bh_xstrdup(w ? bh_mode_name(w->mode) : ""),
		.rule = bh_xstrdup("faster than its pace"),
		.count = s->untold,
	};
	bh_core_flow_row(c, &row);
}

static void report(struct bh_core *c, struct bh_paced *s)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	int owner = bh_inventory_owner(inv, &s->addr);
	enum bh_mode mode = owner >= 0 ? inv->workload[owner]->mode : bh_core_node_mode(c);
	bool enforced = mode == BH_MODE_ENFORCE;
	struct bh_buf bh_autobuf name = {0};
	char text[BH_ADDR_STRLEN];
	char bh_autofree *what = bh_xasprintf("scan: %llu packets %s before the queue",
		(unsigned long long)s->untold, enforced ? "dropped" : "passed");

	bh_core_end_name(inv, owner, &s->addr, &name);
	bh_audit_event(c->audit, "scan", NULL, what, NULL,
		json_pack("{s:s, s:s, s:I, s:i}", "source", name.s, "address",
			bh_addr_format(&s->addr, text), "count", (json_int_t)s->untold, "rate",
			(int)c->conf->pace_rate));
	note_row(c, s, owner, enforced);
	s->untold = 0;
}

static void report_rest(struct bh_core *c, uint64_t sources, uint64_t packets, bool crowded)
{
	if (sources == 0 && !crowded)
		return;
	bh_audit_event(c->audit, "scan", NULL,
		"packets of further sources were decided before the queue", NULL,
		json_pack("{s:I, s:I, s:b}", "sources", (json_int_t)sources, "count",
			(json_int_t)packets, "more_uncounted", crowded));
}

static void tell(struct bh_core *c, int64_t now, bool all)
{
	struct bh_pace *p = &c->pace;
	uint64_t rest = 0, packets = 0;
	size_t kept = 0, reports = 0;

	for (size_t i = 0; i < p->n; i++) {
		struct bh_paced *s = &p->source[i];
		bool due = s->untold && (all || !s->told || now - s->told >= REPORT_US);
		if (due && reports++ < REPORTS_PER_READ) {
			report(c, s);
		} else if (due) {
			rest++;
			packets += s->untold;
			s->untold = 0;
		}
		if (due)
			s->told = now;
		if (s->untold || now - s->seen < FORGET_US)
			p->source[kept++] = *s;
	}
	p->n = kept;
	report_rest(c, rest, packets,
		p->crowded && (all || !p->crowded_told || now - p->crowded_told >= REPORT_US));
	if (p->crowded)
		p->crowded_told = now;
	p->crowded = false;
}

/* Sources that keep their pace are in the sets as well: a node with many clients must not spend
 * its time here. */
static uint64_t pause_after(uint64_t took_ms)
{
	return 20 * took_ms > READ_MS ? 20 * took_ms : READ_MS;
}

static void read_and_tell(struct bh_core *c, bool all)
{
	int64_t now = bh_clock_steady();
	if (!c->snap || !c->installed || !c->conf->pace_rate)
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		const struct bh_set *set =
			bh_ruleset_find_set(c->installed, v6 ? "paced6" : "paced4");
		struct reading r = {c, v6 ? BH_IPV6 : BH_IPV4, now};
		if (set)
			bh_nft_elems_read(c->nft, set, on_source, &r);
	}
	tell(c, now, all);
}

void bh_core_pace_stop(struct bh_core *c)
{
	read_and_tell(c, true);
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	uint64_t begin = uv_hrtime() / 1000000;

	read_and_tell(c, false);
	uv_timer_start(t, on_timer, pause_after(uv_hrtime() / 1000000 - begin), 0);
}

json_t *bh_core_pace_json(const struct bh_core *c)
{
	size_t n = 0;
	int64_t now = bh_clock_steady();
	for (size_t i = 0; i < c->pace.n; i++)
		n += now - c->pace.source[i].seen < REPORT_US;
	return json_pack("{s:i, s:i, s:I, s:I}", "rate", (int)c->conf->pace_rate, "burst",
		(int)c->conf->pace_burst, "sources", (json_int_t)n, "packets",
		(json_int_t)c->pace.packets);
}

void bh_core_pace_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->pace.timer);
	c->pace.timer.data = c;
	uv_timer_start(&c->pace.timer, on_timer, READ_MS, 0);
}

void bh_core_pace_finish(struct bh_core *c)
{
	free(c->pace.source);
}
