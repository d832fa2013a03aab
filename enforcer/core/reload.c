/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A changed configuration: read and checked whole first, then put in force. With any error, or a
 * change of what is read at the start only, nothing of the file is.
 */
#include "audit/audit.h"
#include "config/config.h"
#include "core/change.h"
#include "core/fast_path.h"
#include "core/files.h"
#include "core/lifecycle.h"
#include "core/reconcile.h"
#include "core/sources.h"
#include "core/state.h"
#include "core/watch.h"
#include "core/watches.h"
#include "inventory/inventory.h"
#include "policies/policies.h"
#include "threats/edit.h"

static bool same_sinks(const struct bh_config *a, const struct bh_config *b)
{
	if (a->n_sinks != b->n_sinks)
		return false;
	for (size_t i = 0; i < a->n_sinks; i++)
		if (!bh_streq(a->sinks[i].name, b->sinks[i].name) ||
			!bh_streq(a->sinks[i].address, b->sinks[i].address) ||
			!bh_streq(a->sinks[i].ca, b->sinks[i].ca) ||
			a->sinks[i].kind != b->sinks[i].kind ||
			a->sinks[i].format != b->sinks[i].format)
			return false;
	return true;
}

/* What is read at the start only; a change waits for a restart and is said. */
static const char *needs_restart(const struct bh_config *a, const struct bh_config *b)
{
	if (!bh_streq(a->state, b->state))
		return "state";
	if (!bh_streq(a->socket, b->socket))
		return "socket";
	if (!bh_streq(a->audit_path, b->audit_path))
		return "audit.path";
	if (a->audit_rotate_size != b->audit_rotate_size ||
		a->audit_rotate_s != b->audit_rotate_s || a->audit_keep != b->audit_keep)
		return "audit.rotate";
	if (!same_sinks(a, b))
		return "audit.sinks";
	if (a->audit_key_s != b->audit_key_s)
		return "audit.key_interval";
	if (a->queue_base != b->queue_base || a->queue_length != b->queue_length)
		return "queue";
	if (a->learn_names != b->learn_names || a->learn_edges != b->learn_edges)
		return "learn";
	if (a->table_owner_never != b->table_owner_never)
		return "table_owner";
	if (a->sources_auto != b->sources_auto || a->n_sources != b->n_sources)
		return "sources";
	if (a->image_labels_ignore != b->image_labels_ignore)
		return "image_labels";
	for (size_t i = 0; i < a->n_sources; i++)
		if (a->sources[i].kind != b->sources[i].kind ||
			!bh_streq(a->sources[i].path, b->sources[i].path))
			return "sources";
	return NULL;
}

/* The directory of what is on trial is where it has to be taken back. */
static bool moves_a_trial(const struct bh_core *c, const struct bh_config *conf)
{
	return c->confirm.version && !bh_streq(c->conf->policies, conf->policies);
}

static void config_error(struct bh_core *c, char *why)
{
	if (why && !bh_streq(why, c->config_error))
		bh_audit_event(c->audit, "reload", "failure", why, NULL, NULL);
	free(c->config_error);
	c->config_error = why;
}

/* Phase one: read and check everything. The new configuration, or NULL with the reason kept. */
static struct bh_config *read_config(struct bh_core *c)
{
	char bh_autofree *text = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_config *conf = NULL;
	size_t len = 0;

	int r = bh_file_read(c->conf_file, BH_FILE_MAX, &text, &len);
	if (r < 0) {
		config_error(c, bh_xasprintf("%s: %s", c->conf_file, strerror(-r)));
		return NULL;
	}
	if (bh_config_parse(c->conf_file, text, len, &d, &conf) < 0) {
		struct bh_buf b = {0};
		bh_diags_format(&d, &b);
		while (b.len && b.s[b.len - 1] == '\n')
			b.s[--b.len] = '\0';
		config_error(c, bh_buf_take(&b));
		return NULL;
	}
	const char *key = needs_restart(c->conf, conf);
	if (moves_a_trial(c, conf)) {
		config_error(c, bh_xasprintf("%s: `policies` can't move while version %llu awaits "
					     "its confirmation; nothing of the file is in force",
					c->conf_file, (unsigned long long)c->confirm.version));
		bh_config_free(conf);
		return NULL;
	}
	if (key) {
		config_error(
			c, bh_xasprintf(
				   "%s: a change of `%s` needs a restart of bulkheadd; nothing of "
				   "the file is in force until then",
				   c->conf_file, key));
		bh_config_free(conf);
		return NULL;
	}
	config_error(c, NULL);
	return conf;
}

void bh_core_reload(struct bh_core *c)
{
	bh_audit_reopen(c->audit);
	if (c->conf_file) {
		struct bh_config *conf = read_config(c);
		if (conf) {
			bool moved = !bh_streq(conf->policies, c->conf->policies);
			json_t *what = bh_core_config_changes_json(c->conf, conf);
			bh_config_free(c->conf);
			c->conf = conf;
			c->options_changed = true;
			bh_core_fast_path_again(c);
			if (moved) {
				bh_watch_free(c->watch_policies);
				c->watch_policies = NULL;
				bh_core_watch_policies(c);
			}
			bh_core_sources_settings(c);
			bh_core_feeds_configure(c);
			bh_audit_event(c->audit, "reload", "success", NULL, NULL, what);
		}
	}
	bh_inventory_mgr_reload(c->inventory);
	bh_core_policies_load(c, "reload");
	bh_core_schedule(c);
}
