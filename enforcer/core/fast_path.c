/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who takes the fast path: flows between workloads of one bridge, as long as nothing is wanted of
 * each of their packets (what flows carried is counted by conntrack, which does not see them
 * there), and the veths are such that the way by the bridge would have been no other.
 *
 * Whoever leaves it while his flows go on is handed back: conntrack is told not to mind that it has
 * missed what they sent (conntrack/relax.c), before and after the program stops to take them. Who
 * is gone has no flows any more (revoke/departed.c).
 */
#include "core/fast_path.h"

#include <errno.h>

#include "audit/audit.h"
#include "config/config.h"
#include "conntrack/conntrack.h"
#include "core/fast_permits.h"
#include "core/state.h"
#include "link/attach.h"
#include "verdict/snapshot.h"

#define AGAIN_TICKS 15 /* timeouts are read again */
#define PORTS_A_TICK 16 /* looked at again: others may have put something there */
#define LEFT_OUT_MAX 16 /* that status names */

/* --- who --- */

static bool is_counted(const struct bh_core *c, const struct bh_workload *w)
{
	const struct bh_config *conf = c->conf;
	enum bh_audit_flows level = conf->audit_flows;
	for (size_t i = 0; i < conf->n_flows_of; i++)
		if (bh_streq(conf->flows_of[i].namespace, w->namespace))
			level = conf->flows_of[i].flows;
	return level == BH_AUDIT_FLOWS_FULL || (conf->learn_volume && w->mode == BH_MODE_LEARN);
}

static bool may_have_it(const struct bh_workload *w, void *arg BH_UNUSED)
{
	return bh_workload_governable(w);
}

/* --- handing back --- */

struct leaving {
	const struct bh_fast_homes *from, *to; /* to NULL: all of them leave */
};

static bool left(const struct leaving *l, const struct bh_addr *a)
{
	return !l->to || !bh_fast_home(l->to, a);
}

static bool is_leaving(const struct bh_ct_entry *e, void *arg)
{
	const struct leaving *l = arg;
	const struct bh_flow *f = &e->flow;
	return f->proto == IPPROTO_TCP && e->answered && bh_fast_home(l->from, &f->src) &&
	       bh_fast_home(l->from, &f->dst) && (left(l, &f->src) || left(l, &f->dst));
}

static void relax(struct bh_core *c, bool (*fn)(const struct bh_ct_entry *, void *), void *arg)
{
	struct bh_ct_found *found = NULL;
	int r = bh_ct_find(c->ct, fn, arg, NULL, &found);
	if (r == 0)
		r = bh_ct_relax(c->ct, found);
	bh_ct_found_free(found);
	if (r < 0)
		bh_audit_event(c->audit, "fast-path", "failure",
			"connections that took the fast path may stall: conntrack can't be told of "
			"them",
			NULL, json_pack("{s:s}", "error", strerror(-r)));
}

static bool anybody_left(const struct bh_core *c, const struct leaving *l)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (size_t i = 0; i < l->from->n; i++)
		if (left(l, &l->from->item[i].addr) &&
			bh_inventory_owner(inv, &l->from->item[i].addr) >= 0)
			return true;
	return false;
}

/* Its list is another one afterwards. */
static int set_homes(struct bh_core *c, struct bh_fast_homes *to)
{
	struct bh_fast *fast = c->fast_path.fast;
	struct leaving l = {bh_fast_in_force(fast), to};
	bool alive = anybody_left(c, &l);

	if (alive)
		relax(c, is_leaving, &l);
	int r = bh_fast_set_homes(fast, to);
	l = (struct leaving){to, bh_fast_in_force(fast)};
	if (alive && r == 0)
		relax(c, is_leaving, &l); /* those that came to be established meanwhile */
	return r;
}

/* --- interfaces --- */

static int by_ifindex(const void *a, const void *b)
{
	unsigned x = ((const struct bh_fast_port *)a)->ifindex,
		 y = ((const struct bh_fast_port *)b)->ifindex;
	return x < y ? -1 : x > y;
}

static struct bh_fast_port *find_port(const struct bh_fast_path *x, unsigned ifindex)
{
	const struct bh_fast_port key = {.ifindex = ifindex};
	return x->n_ports ? bsearch(&key, x->port, x->n_ports, sizeof(key), by_ifindex) : NULL;
}

static void look_at(struct bh_core *c, struct bh_fast_port *p)
{
	p->plain = bh_link_is_plain(c->link, p->ifindex, p->bridge, BH_FAST_NAME, &p->attached);
}

/* The interfaces of these addresses; what is known of them stays. Who is new is looked at. */
static void follow_ports(struct bh_core *c, const struct bh_fast_homes *h)
{
	struct bh_fast_path *x = &c->fast_path, was = *x;
	size_t n = 0;

	x->port = h->n ? bh_xcalloc(h->n, sizeof(*x->port)) : NULL;
	for (size_t i = 0; i < h->n; i++)
		x->port[i] = (struct bh_fast_port){
			.ifindex = h->item[i].home.port, .bridge = h->item[i].home.bridge};
	if (h->n)
		qsort(x->port, h->n, sizeof(*x->port), by_ifindex);
	for (size_t i = 0; i < h->n; i++)
		if (n == 0 || x->port[n - 1].ifindex != x->port[i].ifindex)
			x->port[n++] = x->port[i];
	x->n_ports = n;
	for (size_t i = 0; i < n; i++) {
		struct bh_fast_port *p = &x->port[i];
		const struct bh_fast_port *known = find_port(&was, p->ifindex);
		if (known && known->bridge == p->bridge && known->plain >= 0)
			*p = *known;
		else
			look_at(c, p);
	}
	for (size_t i = 0; i < was.n_ports; i++)
		if (was.port[i].attached && !find_port(x, was.port[i].ifindex))
			bh_link_detach(c->link, was.port[i].ifindex, BH_FAST_NAME);
	free(was.port);
}

/* Those whose interface is such, and of whom nothing is wanted that conntrack would have to see. */
static void keep_wanted(
	const struct bh_core *c, const struct bh_inventory *inv, struct bh_fast_homes *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++) {
		const struct bh_fast_at *at = &h->item[i];
		int owner = bh_inventory_owner(inv, &at->addr);
		if (find_port(&c->fast_path, at->home.port)->plain == BH_LINK_PLAIN && owner >= 0 &&
			!is_counted(c, inv->workload[owner]))
			h->item[n++] = *at;
	}
	h->n = n;
}

/* Was there anything to do? */
static bool attach(struct bh_core *c, struct bh_fast_port *p)
{
	bool wanted = p->plain == BH_LINK_PLAIN;
	if (wanted ? p->attached && !p->stale : !p->attached)
		return false;
	if (wanted) {
		int r = bh_link_attach(
			c->link, p->ifindex, bh_fast_program(c->fast_path.fast), BH_FAST_NAME);
		p->attached = r == 0;
		p->stale = false;
		if (r == 0 || r == -ENODEV) /* it is gone, as its workload will be */
			return true;
		p->plain = r; /* one of an earlier run goes by what that one knew */
	}
	p->attached = bh_link_detach(c->link, p->ifindex, BH_FAST_NAME) < 0;
	return true;
}

/* --- on and off --- */

static bool between_workloads(const struct bh_ct_entry *e, void *inventory)
{
	return e->flow.proto == IPPROTO_TCP && e->answered &&
	       bh_inventory_owner(inventory, &e->flow.src) >= 0 &&
	       bh_inventory_owner(inventory, &e->flow.dst) >= 0;
}

/* Programs of an earlier run at interfaces that are not to have one, or all of them. Is it known
 * that there are no others? */
static bool clear(struct bh_core *c, bool all)
{
	struct bh_inventory *inv =
		(struct bh_inventory *)bh_engine_inventory(c->snap->engine); /* read only */
	unsigned bh_autofree *at = NULL;
	bool told = false, unseen = false;
	int n = bh_link_attached(c->link, BH_FAST_NAME, &at, &unseen), gone = 0;
	bool ok = n >= 0;

	for (int i = 0; i < n; i++) {
		const struct bh_fast_port *p = find_port(&c->fast_path, at[i]);
		if (!all && p && p->plain == BH_LINK_PLAIN)
			continue;
		if (!told)
			relax(c, between_workloads, inv);
		told = true;
		int r = bh_link_detach(c->link, at[i], BH_FAST_NAME);
		gone += r > 0;
		ok &= r >= 0;
	}
	if (told)
		relax(c, between_workloads, inv);
	if (all && gone)
		bh_audit_event(c->audit, "fast-path", "success",
			"established flows go by the bridge and its hooks again", NULL,
			json_pack("{s:i}", "interfaces", gone));
	if (ok)
		bh_core_fast_left_looked(c, all, unseen);
	return ok;
}

/* What an earlier run left would go on by where addresses lived then. */
static void put_away(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	bh_core_fast_gate_shut(c);
	if (x->fast || !x->looked)
		x->looked = clear(c, true);
	x->again = !x->looked;
	bh_fast_close(x->fast);
	x->fast = NULL;
	free(x->port);
	x->port = NULL;
	x->n_ports = x->at = 0;
}

/* Once; after that with the next change of the configuration. */
static bool open_it(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	if (x->fast || x->error)
		return x->fast != NULL;
	int r = bh_fast_open(&x->fast, &x->error);
	bh_mirror_init(&x->permits, false);
	if (r < 0 && !x->error)
		x->error = bh_xstrdup(strerror(-r));
	bh_audit_event(c->audit, "fast-path", r < 0 ? "failure" : "success",
		r < 0 ? x->error
		      : "established flows between workloads of one bridge go from veth to veth",
		NULL, NULL);
	x->looked &= r < 0; /* what is still there has other maps */
	return r == 0;
}

static void on_timer(uv_timer_t *t);

/* One interface at a time: the kernel takes ten milliseconds for each, and others wait for the
 * loop. */
static void attach_next(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	while (x->at < x->n_ports)
		if (attach(c, &x->port[x->at++])) {
			uv_timer_start(&x->timer, on_timer, 0, 0);
			return;
		}
	if (!x->looked)
		x->looked = clear(c, false);
	x->again |= !x->looked;
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	if (c->fast_path.fast && c->snap && !c->stopping)
		attach_next(c);
}

/* A commit of something else than workloads costs nothing here. What does not change of them is the
 * same object. */
static bool is_followed(const struct bh_fast_path *x, const struct bh_inventory *inv)
{
	const struct bh_inventory *was = x->followed;
	return was && !x->again && was->n == inv->n && bh_inventory_same_frame(was, inv) &&
	       (inv->n == 0 ||
		       memcmp(was->workload, inv->workload, inv->n * sizeof(*inv->workload)) == 0);
}

static void follow(struct bh_core *c, const struct bh_inventory *inv)
{
	struct bh_fast_path *x = &c->fast_path;
	struct bh_fast_homes h;

	if (!c->conf->fast_path || !open_it(c)) {
		put_away(c);
		return;
	}
	/* The program is wherever it may come to be wanted: putting it there costs packets where
	 * the kernel has no tcx, and that is better done at a container's start. */
	bh_fast_find_homes(inv, may_have_it, NULL, &h);
	follow_ports(c, &h);
	keep_wanted(c, inv, &h);
	int r = set_homes(c, &h);
	bh_fast_homes_finish(&h);
	if (r < 0) {
		x->again = true;
		return;
	}
	bh_core_fast_left_note(c);
	for (size_t i = 0; i < x->n_ports && !x->looked; i++)
		x->port[i].stale = true;
	x->at = 0;
	x->again = false;
	attach_next(c);
}

void bh_core_fast_path_follow(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	struct bh_inventory *inv =
		c->snap ? (struct bh_inventory *)bh_engine_inventory(c->snap->engine) : NULL;

	if (!inv || is_followed(x, inv))
		return;
	follow(c, inv);
	bh_inventory_unref(x->followed);
	x->followed = bh_inventory_ref(inv);
}

/* Whoever gives up an address, or gets another's, is not to speak from it for the time that the
 * commit takes, and what follows it: flows of the next one may begin in between. */
void bh_core_fast_path_before_commit(struct bh_core *c, const struct bh_inventory *to)
{
	struct bh_fast *fast = c->fast_path.fast;
	bh_core_fast_gate_shut(c);
	if (fast && bh_fast_leave(fast, to) != 0)
		c->fast_path.again = true; /* the commit may fail */
}

/* Some of the interfaces a second: what others do there is no change of ours. */
static bool look_again(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	bool changed = false;
	for (size_t i = 0; i < PORTS_A_TICK && i < x->n_ports; i++) {
		struct bh_fast_port *p = &x->port[x->next++ % x->n_ports], was = *p;
		look_at(c, p);
		changed |= p->plain != was.plain || p->attached != was.attached;
	}
	return changed;
}

void bh_core_fast_path_tick(struct bh_core *c)
{
	struct bh_fast_path *x = &c->fast_path;
	if (!c->snap)
		return;
	if (x->fast && x->ticks++ % AGAIN_TICKS == 0)
		bh_fast_set_timeouts(x->fast);
	x->again |= look_again(c);
	if (x->again)
		bh_core_fast_path_follow(c);
	bh_core_fast_permits_read(c);
	bh_core_fast_gate_hold(c);
}

void bh_core_fast_path_again(struct bh_core *c)
{
	free(c->fast_path.error);
	c->fast_path.error = NULL;
	c->fast_path.again = true;
}

void bh_core_fast_path_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->fast_path.timer);
	c->fast_path.timer.data = c;
}

void bh_core_fast_path_finish(struct bh_core *c)
{
	bh_fast_close(c->fast_path.fast);
	bh_mirror_finish(&c->fast_path.permits);
	bh_inventory_unref(c->fast_path.followed);
	free(c->fast_path.port);
	free(c->fast_path.error);
}

/* --- told --- */

void bh_core_fast_path_counts(const struct bh_core *c, struct bh_fast_counts *ret)
{
	*ret = (struct bh_fast_counts){0};
	if (c->fast_path.fast && bh_fast_read_counts(c->fast_path.fast, ret) < 0)
		*ret = (struct bh_fast_counts){0};
}

static json_t *left_out_json(const struct bh_core *c)
{
	const struct bh_fast_path *x = &c->fast_path;
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	json_t *list = json_array();
	for (size_t i = 0; i < x->n_ports; i++) {
		const struct bh_fast_port *p = &x->port[i];
		if (p->plain == BH_LINK_PLAIN || json_array_size(list) == LEFT_OUT_MAX)
			continue;
		int at = inv ? bh_inventory_by_ifindex(inv, p->ifindex) : BH_OWNER_NONE;
		char bh_autofree *who = at < 0 ? NULL
					       : bh_xasprintf("%s/%s", inv->workload[at]->namespace,
							 inv->workload[at]->name);
		json_array_append_new(list,
			json_pack("{s:s?, s:i, s:s}", "workload", who, "ifindex", (int)p->ifindex,
				"reason",
				p->plain < 0 ? strerror(-p->plain)
					     : bh_link_plain_name((enum bh_link_plain)p->plain)));
	}
	return list;
}

json_t *bh_core_fast_path_json(struct bh_core *c, json_t *problems)
{
	const struct bh_fast_path *x = &c->fast_path;
	struct bh_fast_counts n;
	size_t ports = 0;

	for (size_t i = 0; i < x->n_ports; i++)
		ports += x->port[i].attached;
	bh_core_fast_path_counts(c, &n);
	bh_core_fast_left_problem(c, problems);
	if (x->error) {
		char bh_autofree *text = bh_xasprintf("fast_path: true, but there is none: %s%s",
			x->error, x->left ? "" : "; all flows go by the bridge and its hooks");
		json_array_append_new(problems, json_string(text));
	}
	return json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:s?}", "wanted",
		c->conf->fast_path, "on", x->fast != NULL, "interfaces", (json_int_t)ports,
		"addresses", x->fast ? (json_int_t)bh_fast_in_force(x->fast)->n : 0, "packets",
		(json_int_t)n.packets, "bytes", (json_int_t)n.bytes, "connections",
		(json_int_t)x->begun, "left_out", left_out_json(c), "error", x->error);
}
