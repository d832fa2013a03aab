/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * That there are programs of the fast path at interfaces is written down, with the boot that it is
 * true of: they stay when the daemon ends, and a later one without the right to (bpf, of the unit's
 * drop-in) sees none of them, where the kernel has tcx.
 */
#include <errno.h>

#include "core/fast_path.h"
#include "core/files.h"
#include "core/state.h"

#define LINE_MAX_LEN 256

static char *path_of(const struct bh_core *c)
{
	return bh_xasprintf("%s/fast-path", c->conf->state);
}

static bool is_noted(const struct bh_core *c)
{
	char bh_autofree *path = path_of(c), *text = NULL;
	size_t len;
	return c->boot_id && bh_file_read(path, LINE_MAX_LEN, &text, &len) == 0 &&
	       bh_streq(text, c->boot_id);
}

void bh_core_fast_left_note(struct bh_core *c)
{
	char bh_autofree *path = path_of(c);
	if (!c->fast_path.noted && c->boot_id)
		c->fast_path.noted =
			bh_file_write_atomic(path, c->boot_id, strlen(c->boot_id), 0600) == 0;
}

void bh_core_fast_left_looked(struct bh_core *c, bool all, bool unseen)
{
	struct bh_fast_path *x = &c->fast_path;
	x->left = unseen && is_noted(c);
	if (!all || unseen)
		return;
	char bh_autofree *path = path_of(c);
	unlink(path);
	x->noted = false;
}

void bh_core_fast_left_problem(const struct bh_core *c, json_t *problems)
{
	if (!c->fast_path.left)
		return;
	char bh_autofree *text = bh_xasprintf(
		"programs of the fast path that an earlier run put at interfaces may be there "
		"still, go by where addresses lived then, and can't be seen without CAP_SYS_ADMIN "
		"and bpf: start once with fast-path.conf for the unit; or stop the daemon, run "
		"bulkhead flush as root, remove %s/fast-path, and start it",
		c->conf->state);
	json_array_append_new(problems, json_string(text));
}
