/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From ruleset and diff to transactions.
 *
 * Rebuilding never touches a base chain that stays: unregistering any base chain makes the kernel
 * drop every packet that waits in a queue of the network namespace. Everything else goes and comes
 * within one transaction; that a chain or a set of the same name may be deleted and made again in
 * one transaction is verified on 6.1 and 6.18. The order follows from what refers to what: rules
 * refer to sets and chains, maps to chains; so rules go first and come last.
 */
#include "private.h"

#include <errno.h>
#include <time.h>

#define REBUILD_TRIES 8 /* while others keep changing the ruleset of this namespace */
#define REBUILD_PAUSE_MS 5
#define FLUSH_TRIES 4

#define ADD_NEW (NLM_F_CREATE | NLM_F_EXCL)

static int refuse(struct bh_nft_error *error, int err, const char *what, const char *name)
{
	if (error) {
		*error = (struct bh_nft_error){.err = err};
		snprintf(error->object, sizeof(error->object), "%s %s", what, name ? name : "");
	}
	return err;
}

static const struct bh_nft_found_chain *find_chain(const struct bh_nft_found *f, const char *name)
{
	for (size_t i = 0; i < f->n_chains; i++)
		if (strcmp(f->chain[i].name, name) == 0)
			return &f->chain[i];
	return NULL;
}

static bool is_base(const struct bh_chain *c)
{
	return c && c->hook != BH_HOOK_NONE;
}

static bool stays(const struct bh_nft_found_chain *have, const struct bh_chain *want)
{
	return have->plain && is_base(want) && have->hook == (int)want->hook &&
	       have->priority == want->priority;
}

/* Ownership can only be given to a table at its birth, or taken over from one that died. */
static bool other_owner(const struct bh_nft_found *f, bool own)
{
	bool persists = (f->flags & BH_NFT_OWNED) != 0;
	return persists != own;
}

/* A base chain of ours with another hook or priority was left by another layout, and a flow table
 * or a stateful object by somebody else: then the whole table goes. */
static bool must_replace(
	const struct bh_nft_found *f, const struct bh_ruleset *to, uint8_t table, bool own)
{
	if (f->alien || other_owner(f, own))
		return true;
	for (size_t i = 0; i < to->n_chains; i++) {
		const struct bh_chain *want = &to->chain[i];
		const struct bh_nft_found_chain *have =
			want->table == table ? find_chain(f, want->name) : NULL;
		if (have && is_base(want) != (have->hook >= 0))
			return true;
		if (have && is_base(want) && !stays(have, want))
			return true;
	}
	return false;
}

static void put_removals(struct bh_nft_batch *b, const struct bh_nft_found *f,
	const struct bh_ruleset *to, uint8_t table)
{
	bh_nft_put_rules_del(b, table, NULL);
	for (size_t i = 0; i < f->n_sets; i++)
		bh_nft_put_set_del(b, table, f->set[i]);
	for (size_t i = 0; i < f->n_chains; i++) {
		const struct bh_chain *want = bh_ruleset_find_chain(to, f->chain[i].name);
		if (!want || want->table != table || !stays(&f->chain[i], want))
			bh_nft_put_chain_del(b, table, f->chain[i].name);
	}
}

/* Everything out of the way of what is to be in this table. */
static int put_clearing(
	struct bh_nft *n, struct bh_nft_batch *b, const struct bh_ruleset *to, uint8_t table)
{
	bh_autofound struct bh_nft_found found = {0};
	bool own = n->own && n->caps.owner;
	int rc = bh_nft_find(n, table, &found);
	if (rc < 0)
		return rc;
	if (found.table && must_replace(&found, to, table, own)) {
		bh_nft_put_table_del(b, table);
		found.table = false;
	}
	bh_nft_put_table(b, table, NLM_F_CREATE, BH_TABLE, own ? BH_NFT_OWNED : 0);
	if (found.table)
		put_removals(b, &found, to, table);
	return 0;
}

/* Without bridge tables the other one has to do: better half of the rules than none. */
static bool has_table(const struct bh_nft *n, uint8_t table)
{
	return table == BH_TABLE_INET || n->caps.bridge;
}

static int put_all_sets(struct bh_nft *n, struct bh_nft_batch *b, const struct bh_ruleset *to,
	struct bh_nft_error *error)
{
	bh_autofree size_t *order = bh_nft_set_order(to);
	for (size_t i = 0; i < to->n_sets; i++) {
		const struct bh_set *s = &to->set[order[i]];
		int rc = has_table(n, s->table) ? bh_nft_put_set(b, s, ADD_NEW) : 0;
		if (rc < 0)
			return refuse(error, rc, "set", s->name);
	}
	return 0;
}

/* Sets, chains, elements, rules. Base chains without NLM_F_EXCL: one that stays is only told its
 * policy. */
static int put_everything(struct bh_nft *n, struct bh_nft_batch *b, const struct bh_ruleset *to,
	struct bh_nft_error *error)
{
	int rc = put_all_sets(n, b, to, error);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < to->n_chains; i++) {
		const struct bh_chain *c = &to->chain[i];
		if (!has_table(n, c->table))
			continue;
		if ((rc = bh_nft_put_chain(b, c, is_base(c) ? NLM_F_CREATE : ADD_NEW)) < 0)
			return refuse(error, rc, "chain", c->name);
	}
	for (size_t i = 0; i < to->n_sets; i++) {
		const struct bh_set *s = &to->set[i];
		if (s->volatile_ || !has_table(n, s->table))
			continue;
		if ((rc = bh_nft_put_elems(b, s, NULL, s->n, NFT_MSG_NEWSETELEM, ADD_NEW)) < 0)
			return refuse(error, rc, "elements of set", s->name);
	}
	for (size_t i = 0; i < to->n_chains; i++) {
		const struct bh_chain *c = &to->chain[i];
		rc = has_table(n, c->table) ? bh_nft_put_rules(b, &n->caps, c) : 0;
		if (rc < 0)
			return refuse(error, rc, "the rules of chain", c->name);
	}
	return 0;
}

static int rebuild_once(struct bh_nft *n, const struct bh_ruleset *to,
	const struct bh_nft_beside *beside, bool strict, struct bh_nft_error *error)
{
	bh_autobatch struct bh_nft_batch b = {0};
	uint32_t gen = 0;
	int rc = bh_nft_generation(n, &gen);
	if (rc == 0)
		rc = put_clearing(n, &b, to, BH_TABLE_INET);
	if (rc == 0 && n->caps.bridge)
		rc = put_clearing(n, &b, to, BH_TABLE_BRIDGE);
	if (rc < 0)
		return refuse(error, rc, "the listing of tables", BH_TABLE);
	rc = put_everything(n, &b, to, error);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < beside->n_bulk; i++)
		bh_nft_put_bulk(&b, &beside->bulk[i]);
	for (size_t i = 0; i < beside->n_keys; i++)
		bh_nft_put_keys(&b, &beside->keys[i]);
	return bh_nft_transact(n, &b, strict ? gen : 0, NULL, NULL, error);
}

int bh_nft_rebuild(struct bh_nft *n, const struct bh_ruleset *to, struct bh_nft_error *ret_error)
{
	return bh_nft_rebuild_with(n, to, &(struct bh_nft_beside){0}, ret_error);
}

int bh_nft_rebuild_with(struct bh_nft *n, const struct bh_ruleset *to,
	const struct bh_nft_beside *beside, struct bh_nft_error *ret_error)
{
	for (int try = 1;; try++) {
		bool last = try == REBUILD_TRIES;
		int rc = rebuild_once(n, to, beside, !last, ret_error);
		if (last || (rc != -ERESTART && rc != -EINTR))
			return rc;
		struct timespec pause = {.tv_nsec = try * REBUILD_PAUSE_MS * 1000000L};
		nanosleep(&pause, NULL);
	}
}

static int put_change(struct bh_nft *n, struct bh_nft_batch *b, const struct bh_change *c)
{
	if (!has_table(n, c->set ? c->set->table : c->chain->table))
		return 0;
	/* The kernel has no error for adding what is there without NLM_F_EXCL: it would hide that
	 * somebody else was at work. */
	switch (c->kind) {
	case BH_CHANGE_ADD_SET: {
		int rc = bh_nft_put_set(b, c->set, ADD_NEW);
		size_t count = c->set->volatile_ ? 0 : c->set->n;
		return rc < 0 ? rc
			      : bh_nft_put_elems(
					b, c->set, NULL, count, NFT_MSG_NEWSETELEM, ADD_NEW);
	}
	case BH_CHANGE_ADD_CHAIN:
		return bh_nft_put_chain(b, c->chain, ADD_NEW);
	case BH_CHANGE_FLUSH_CHAIN:
		bh_nft_put_rules_del(b, c->chain->table, c->chain->name);
		return 0;
	case BH_CHANGE_ADD_RULES:
		return bh_nft_put_rules(b, &n->caps, c->chain);
	case BH_CHANGE_DEL_ELEMS:
		return bh_nft_put_elems(b, c->set, c->elem, c->n_elems, NFT_MSG_DELSETELEM, 0);
	case BH_CHANGE_ADD_ELEMS:
		return bh_nft_put_elems(
			b, c->set, c->elem, c->n_elems, NFT_MSG_NEWSETELEM, ADD_NEW);
	case BH_CHANGE_DEL_CHAIN:
		bh_nft_put_chain_del(b, c->chain->table, c->chain->name);
		return 0;
	case BH_CHANGE_DEL_SET:
		bh_nft_put_set_del(b, c->set->table, c->set->name);
		return 0;
	case BH_CHANGE_FLUSH_SET:
		bh_nft_put_set_flush(b, c->set);
		return 0;
	}
	return -EINVAL;
}

static int put_changes(struct bh_nft *n, struct bh_nft_batch *b, const struct bh_diff *diff,
	struct bh_nft_error *error)
{
	for (size_t i = 0; i < diff->n; i++) {
		const struct bh_change *c = &diff->change[i];
		int rc = put_change(n, b, c);
		if (rc < 0)
			return refuse(error, rc, c->set ? "set" : "chain",
				c->set ? c->set->name : c->chain->name);
	}
	return 0;
}

struct refused {
	const struct bh_nft_batch *batch;
	bool flush; /* of a set */
};

static void note_refused(ssize_t i, int err, void *arg)
{
	struct refused *r = arg;
	r->flush |= i >= 0 && err == -ENOENT && r->batch->msg[i].what == BH_NFT_FLUSH;
}

/* Kernels such as 6.1 refuse to flush a set from which they are taking an element for its age at
 * the same moment. */
static int transact_flushes(
	struct bh_nft *n, struct bh_nft_batch *b, struct bh_nft_error *ret_error)
{
	for (int try = 1;; try++) {
		struct refused r = {.batch = b};
		int rc = bh_nft_transact(n, b, 0, note_refused, &r, ret_error);
		if (rc != -ENOENT || !r.flush || try == FLUSH_TRIES)
			return rc;
	}
}

int bh_nft_apply(struct bh_nft *n, const struct bh_diff *diff, struct bh_nft_error *ret_error)
{
	bh_autobatch struct bh_nft_batch b = {0};
	int rc = put_changes(n, &b, diff, ret_error);
	return rc < 0 ? rc : transact_flushes(n, &b, ret_error);
}

int bh_nft_keys_add(struct bh_nft *n, const struct bh_nft_keys *keys, size_t n_keys,
	struct bh_nft_error *ret_error)
{
	bh_autobatch struct bh_nft_batch b = {0};
	for (size_t i = 0; i < n_keys; i++)
		bh_nft_put_keys(&b, &keys[i]);
	return bh_nft_transact(n, &b, 0, NULL, NULL, ret_error);
}

int bh_nft_keys_replace(struct bh_nft *n, const struct bh_nft_keys *keys, size_t n_keys,
	struct bh_nft_error *ret_error)
{
	bh_autobatch struct bh_nft_batch b = {0};
	for (size_t i = 0; i < n_keys; i++) {
		bh_nft_put_set_flush(&b, keys[i].set);
		bh_nft_put_keys(&b, &keys[i]);
	}
	return transact_flushes(n, &b, ret_error);
}
