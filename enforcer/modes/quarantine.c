/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which workloads are quarantined. An entry means the container with its id, wherever it is called
 * something else by now, and whoever has its namespace and name: a container that is made again is
 * still cut off. Where two entries mean one workload, the one with its id counts.
 */
#include "modes/quarantine.h"

#include "core/state.h"

void bh_quarantine_row_finish(struct bh_quarantine_row *q)
{
	free(q->namespace);
	free(q->name);
	free(q->id);
	free(q->reason);
	bh_quarantine_unref(q->allow);
	*q = (struct bh_quarantine_row){0};
}

void bh_quarantine_keep(struct bh_core *c, const struct bh_quarantine_row *q)
{
	c->quarantine = bh_xrealloc(c->quarantine, c->n_quarantines + 1, sizeof(*c->quarantine));
	c->quarantine[c->n_quarantines++] = (struct bh_quarantine_row){
		.namespace = bh_xstrdup(q->namespace),
		.name = bh_xstrdup(q->name),
		.id = bh_xstrdup(q->id),
		.reason = bh_xstrdup(q->reason),
		.allow = bh_quarantine_ref(q->allow),
		.at = q->at,
		.uid = q->uid,
		.pid = q->pid,
	};
}

static void load_one(const struct bh_quarantine_row *q, void *core)
{
	bh_quarantine_keep(core, q);
}

int bh_core_quarantine_load(struct bh_core *c)
{
	return bh_store_load_quarantine(c->store, load_one, c);
}

void bh_core_quarantine_finish(struct bh_core *c)
{
	for (size_t i = 0; i < c->n_quarantines; i++)
		bh_quarantine_row_finish(&c->quarantine[i]);
	free(c->quarantine);
}

unsigned bh_core_quarantine_match(const struct bh_quarantine_row *q, const struct bh_workload *w)
{
	bool id = *q->id && bh_streq(q->id, w->id);
	bool name = bh_streq(q->namespace, w->namespace) && bh_streq(q->name, w->name);
	return (id ? BH_QUARANTINE_BY_ID : 0) | (name ? BH_QUARANTINE_BY_NAME : 0);
}

struct bh_quarantine *bh_core_quarantine_of(const struct bh_core *c, const struct bh_workload *w)
{
	struct bh_quarantine *found = NULL;
	for (size_t i = 0; i < c->n_quarantines; i++) {
		unsigned m = bh_core_quarantine_match(&c->quarantine[i], w);
		if (m & BH_QUARANTINE_BY_ID)
			return c->quarantine[i].allow;
		if (m)
			found = c->quarantine[i].allow;
	}
	return found;
}
