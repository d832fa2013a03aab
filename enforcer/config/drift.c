/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drift: what happens by itself to who deviates from the policies. */
#include "config/private.h"

#define PEERS_MAX 64 /* as many as are remembered */

static void read_quarantine(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"denied_peers", "within", "feed_hit", NULL};
	bh_autofree char *peers = NULL, *within = NULL, *feed = NULL;
	const struct bh_node *n;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	n = conf_field(map, path, "denied_peers", false, &peers);
	if (n && bh_read_int(&x->r, n, peers, 0, PEERS_MAX, &v) == 0)
		x->c->drift_peers = (uint32_t)v;
	if ((n = conf_field(map, path, "within", false, &within)))
		conf_duration(x, n, within, 1, &x->c->drift_within_s);
	if ((n = conf_field(map, path, "feed_hit", false, &feed)))
		bh_read_bool(&x->r, n, feed, &x->c->drift_feed_hit);
}

void conf_read_drift(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"quarantine", NULL};
	bh_autofree char *quarantine = NULL;
	const struct bh_node *n;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "quarantine", true, &quarantine)))
		read_quarantine(x, n, quarantine);
}
