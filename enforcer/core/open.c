/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See open.h. */
#include "core/open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "conntrack/conntrack.h"
#include "core/files.h"
#include "core/state.h"
#include "flows/events.h"
#include "flows/gap.h"
#include "history/history.h"
#include "history/names.h"
#include "learn/learn.h"
#include "link/link.h"
#include "modes/modes.h"
#include "modes/quarantine.h"
#include "nft/nft.h"
#include "policies/versions.h"
#include "store/store.h"

static int fail(char **why, int err, const char *fmt, ...) BH_PRINTF(3, 4);
static int fail(char **why, int err, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	*why = text;
	return err;
}

static char *read_line(const char *path)
{
	char *text = NULL;
	size_t len;
	if (bh_file_read(path, 4096, &text, &len) < 0)
		return bh_xstrdup("");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

void bh_core_identify(struct bh_core *c)
{
	char name[256] = "localhost";
	gethostname(name, sizeof(name) - 1);
	c->node = bh_xstrdup(name);
	c->machine_id = read_line("/etc/machine-id");
	c->boot_id = read_line("/proc/sys/kernel/random/boot_id");
	c->started = c->queues_ticked = c->pulse.ticked = bh_clock_now();
	c->pulse.started = bh_clock_steady();
}

int bh_core_take_state(struct bh_core *c, char **why)
{
	int r = bh_file_mkdirs(c->conf->state, 0700);
	if (r < 0)
		return fail(why, r, "state directory %s: %s%s", c->conf->state, strerror(-r),
			r == -EACCES ? ": bulkheadd needs root" : "");
	char bh_autofree *path = bh_xasprintf("%s/lock", c->conf->state);
	c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		return fail(why, -errno, "%s: %s%s", path, strerror(errno),
			errno == EACCES ? ": bulkheadd needs root" : "");
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return fail(why, -EBUSY,
			"another bulkheadd is running with the state directory %s: stop it first, "
			"or give "
			"this one its own `state:` and `socket:`",
			c->conf->state);
	return 0;
}

int bh_core_open_kernel(struct bh_core *c, char **why)
{
	int r = bh_nft_open(&c->nft);
	if (r == -EPERM || r == -EACCES)
		return fail(
			why, r, "nftables: %s: bulkheadd needs root (CAP_NET_ADMIN)", strerror(-r));
	if (r < 0)
		return fail(why, r, "nftables: %s: does this kernel have nf_tables?", strerror(-r));
	bh_nft_set_owner(c->nft, !c->conf->table_owner_never);
	c->earlier = bh_nft_exists(c->nft) != 0;
	if (bh_nft_taken(c->nft) > 0)
		return fail(why, -EBUSY,
			"the tables of nftables belong to another process (another bulkheadd?): "
			"stop "
			"it");
	if ((r = bh_link_open(&c->link)) < 0)
		return fail(why, r, "rtnetlink: %s", strerror(-r));
	if ((r = bh_ct_open(&c->ct)) < 0 || (r = bh_ct_open(&c->revoking.ct)) < 0)
		return fail(why, r, "conntrack: %s: does this kernel have nf_conntrack_netlink?",
			strerror(-r));
	return 0;
}

int bh_core_open_records(struct bh_core *c, char **why)
{
	int r = bh_store_open(c->conf->state, &c->store);
	if (r < 0)
		return fail(why, r, "%s/bulkhead.db: %s", c->conf->state, strerror(-r));
	char bh_autofree *key = bh_xasprintf("%s/audit.key", c->conf->state);
	struct bh_audit_opts opts = {
		.path = c->conf->audit_path,
		.key = key,
		.node = c->node,
		.machine_id = c->machine_id,
		.boot_id = c->boot_id,
		.version = BH_VERSION,
		.rotate_size = c->conf->audit_rotate_size,
		.rotate_s = c->conf->audit_rotate_s,
		.keep = c->conf->audit_keep,
		.key_s = c->conf->audit_key_s,
	};
	int opened = r;
	if ((r = bh_audit_open(&opts, &c->audit)) < 0)
		return fail(why, r, "audit log %s: %s", c->conf->audit_path,
			r == -EBUSY ? "another process writes it: stop that one, or give this one "
				      "its own `audit.path`"
				    : strerror(-r));
	c->store_reset = opened == 1;
	if (c->store_reset)
		bh_core_gap(c, "store", -1, 0,
			bh_store_restored(c->store)
				? "the state database was unreadable or gone, and a new one was "
				  "made; modes set by command and quarantines are in force again, "
				  "from their copy"
				: "the state database was unreadable or gone, and a new one was "
				  "made: modes set by command and quarantines are forgotten");
	if ((r = bh_learn_new(c->store, c->conf->learn_edges, bh_core_learned, c, &c->learn)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	if ((r = bh_core_names_start(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	bh_core_clock_load(c);
	bh_core_versions_load(c);
	bh_core_modes_load(c);
	if ((r = bh_core_history_load(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	/* Without the list the first commit would set the quarantined free. */
	if ((r = bh_core_quarantine_load(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	return 0;
}
