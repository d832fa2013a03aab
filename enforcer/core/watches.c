/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directories that are listened to: the policies', and the configuration file's. */
#include "core/watches.h"

#include <libgen.h>

#include "core/lifecycle.h"
#include "core/state.h"
#include "core/watch.h"
#include "policies/policies.h"

static void on_policy_files(void *arg)
{
	struct bh_core *c = arg;
	if (!c->stopping)
		bh_core_policies_load(c, "directory changed");
}

static void on_config_file(void *arg)
{
	struct bh_core *c = arg;
	if (!c->stopping)
		bh_core_reload(c);
}

/* Of a directory that is not there any more nothing is heard, nor of another one that got its name.
 */
static bool drop_stale(struct bh_watch **w)
{
	if (!*w || !bh_watch_is_stale(*w))
		return false;
	bh_watch_free(*w);
	*w = NULL;
	return true;
}

void bh_core_watch_policies(struct bh_core *c)
{
	bool dropped = drop_stale(&c->watch_policies);
	if (c->watch_policies || c->starting)
		return;
	if (bh_watch_dir(
		    c->loop, c->conf->policies, NULL, on_policy_files, c, &c->watch_policies) == 0)
		bh_core_policies_load(c, "directory found");
	else if (dropped)
		bh_core_policies_load(c, "directory changed"); /* says that it is gone */
}

/* 0: the file's directory is watched now, and was not. */
static int watch_config(struct bh_core *c)
{
	if (!c->conf_file || c->watch_config)
		return -EALREADY;
	char bh_autofree *dir = bh_xstrdup(c->conf_file), bh_autofree *name = bh_xstrdup(dir);
	return bh_watch_dir(
		c->loop, dirname(dir), basename(name), on_config_file, c, &c->watch_config);
}

void bh_core_watches_tick(struct bh_core *c)
{
	bh_core_watch_policies(c);
	bool dropped = drop_stale(&c->watch_config);
	if (!c->starting && (watch_config(c) == 0 || dropped))
		bh_core_reload(c);
}

void bh_core_watches_start(struct bh_core *c)
{
	bh_watch_dir(c->loop, c->conf->policies, NULL, on_policy_files, c, &c->watch_policies);
	watch_config(c);
}

void bh_core_watches_stop(struct bh_core *c)
{
	bh_watch_free(c->watch_policies);
	bh_watch_free(c->watch_config);
}
