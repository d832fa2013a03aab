/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be taken away from a world, one thing after another; see shrink.c. */
#include "agree.h"

static bool within(size_t *at, size_t n)
{
	if (*at < n)
		return true;
	*at -= n;
	return false;
}

static enum edit drop_label(struct bh_labels *l, size_t i)
{
	bh_autofree char *key = bh_xstrdup(l->item[i].key);
	bh_labels_remove(l, key);
	return EDITED;
}

static void drop_port(struct bh_workload *w, size_t i)
{
	free(w->port[i].name);
	memmove(&w->port[i], &w->port[i + 1], (--w->n_ports - i) * sizeof(*w->port));
}

static enum edit clear_flag(bool *flag)
{
	bool was = *flag;
	*flag = false;
	return was ? EDITED : NOTHING_TO_EDIT;
}

static enum edit make_plain(struct bh_workload *w, size_t what)
{
	bool changed = what ? w->unenforceable != NULL : w->mode != BH_MODE_ENFORCE;
	if (what) {
		free(w->unenforceable);
		w->unenforceable = NULL;
	} else {
		w->mode = BH_MODE_ENFORCE;
	}
	return changed ? EDITED : NOTHING_TO_EDIT;
}

static enum edit edit_workload(struct bh_workload *w, size_t *at)
{
	if (within(at, 2))
		return make_plain(w, *at);
	if (within(at, w->labels.n))
		return drop_label(&w->labels, *at);
	if (within(at, w->n_ports)) {
		drop_port(w, *at);
		return EDITED;
	}
	for (size_t i = 0; i < w->n_ifaces; i++) {
		struct bh_interface *f = &w->iface[i];
		if (!within(at, f->n_addrs))
			continue;
		memmove(&f->addr[*at], &f->addr[*at + 1], (--f->n_addrs - *at) * sizeof(*f->addr));
		return EDITED;
	}
	return NO_MORE;
}

static enum edit edit_node(struct random_world *w, size_t i, size_t *at)
{
	struct bh_node_info *n = &w->node[i];
	if (within(at, n->labels.n))
		return drop_label(&n->labels, *at);
	if (!within(at, 1))
		return NO_MORE;
	if (i + 1 < w->n_nodes || i == 0) /* the last first; this one stays */
		return NOTHING_TO_EDIT;
	random_world_drop_node(w, i);
	return EDITED;
}

static enum edit edit_policy(char **text, size_t *at)
{
	char *less = prune(*text, *at);
	if (!less) {
		size_t n = 0; /* how many there are, so that the next policy is counted from 0 */
		bh_autofree char *part = NULL;
		while ((part = prune(*text, n))) {
			free(BH_TAKE_PTR(part));
			n++;
		}
		*at -= n;
		return NO_MORE;
	}
	free(*text);
	*text = less;
	return EDITED;
}

enum edit edit_world(struct random_world *w, size_t at)
{
	bool *flag[] = {&w->opts.unselected_deny, &w->opts.host_policy, &w->opts.reject};
	enum edit e = NO_MORE;
	if (within(&at, w->n_policies)) {
		random_world_drop_policy(w, at);
		return EDITED;
	}
	if (within(&at, w->n_workloads)) {
		random_world_drop_workload(w, at);
		return EDITED;
	}
	if (within(&at, BH_ARRAY_SIZE(flag)))
		return clear_flag(flag[at]);
	for (size_t i = 0; e == NO_MORE && i < w->n_policies; i++)
		e = edit_policy(&w->policy[i], &at);
	for (size_t i = 0; e == NO_MORE && i < w->n_workloads; i++)
		e = edit_workload(w->workload[i], &at);
	for (size_t i = 0; e == NO_MORE && i < w->n_ns; i++)
		if (within(&at, w->ns[i].labels.n))
			e = drop_label(&w->ns[i].labels, at);
	for (size_t i = 0; e == NO_MORE && i < w->n_nodes; i++)
		e = edit_node(w, i, &at);
	return e;
}

/* --- the same elsewhere --- */

static bool mirror_policies(const struct random_world *before, const struct random_world *after,
	struct random_world *other)
{
	size_t i = 0;
	while (i < after->n_policies && bh_streq(before->policy[i], after->policy[i]))
		i++;
	for (size_t k = 0; i < before->n_policies && k < other->n_policies; k++) {
		if (!bh_streq(other->policy[k], before->policy[i]))
			continue;
		random_world_drop_policy(other, k);
		if (before->n_policies == after->n_policies) {
			BH_GROW(other->policy, other->n_policies, other->cap_policies);
			other->policy[other->n_policies++] = bh_xstrdup(after->policy[i]);
		}
		return true;
	}
	return false;
}

static bool mirror_workloads(const struct random_world *before, const struct random_world *after,
	struct random_world *other)
{
	size_t i = 0;
	if (before->n_workloads == after->n_workloads)
		return false;
	while (i < after->n_workloads &&
		bh_streq(before->workload[i]->name, after->workload[i]->name))
		i++;
	for (size_t k = 0; k < other->n_workloads; k++) {
		if (!bh_streq(other->workload[k]->name, before->workload[i]->name))
			continue;
		random_world_drop_workload(other, k);
		return true;
	}
	return false;
}

/* Labels of `before` that `after` has not. */
static bool mirror_labels(
	const struct bh_labels *before, const struct bh_labels *after, struct bh_labels *other)
{
	bool any = false;
	for (size_t i = 0; i < before->n; i++) {
		const char *key = before->item[i].key;
		if (bh_labels_get(after, key) || !bh_labels_get(other, key))
			continue;
		bh_labels_remove(other, key);
		any = true;
	}
	return any;
}

bool mirror(const struct random_world *before, const struct random_world *after,
	struct random_world *other)
{
	bool any = !bh_engine_same_options(&other->opts, &after->opts);
	any |= mirror_policies(before, after, other);
	any |= mirror_workloads(before, after, other);
	other->opts = after->opts;
	for (size_t i = 0; i < other->n_ns; i++)
		any |= mirror_labels(
			&before->ns[i].labels, &after->ns[i].labels, &other->ns[i].labels);
	if (after->n_nodes != before->n_nodes && other->n_nodes > after->n_nodes) {
		random_world_drop_node(other, other->n_nodes - 1);
		any = true;
	}
	for (size_t i = 0; i < other->n_nodes && i < after->n_nodes; i++)
		any |= mirror_labels(
			&before->node[i].labels, &after->node[i].labels, &other->node[i].labels);
	for (size_t i = 0; i < other->n_workloads; i++)
		for (size_t k = 0; k < after->n_workloads; k++)
			if (before->n_workloads == after->n_workloads &&
				bh_streq(other->workload[i]->name, after->workload[k]->name))
				any |= mirror_labels(&before->workload[k]->labels,
					&after->workload[k]->labels, &other->workload[i]->labels);
	return any;
}
