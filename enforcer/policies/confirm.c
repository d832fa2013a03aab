/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A change on trial: it is in force, and is taken back by itself unless somebody confirms it before
 * the deadline. Made for the change that cuts the line of whoever made it. What is on trial and
 * until when is on disk with its version, by the wall clock, so that a daemon that dies meanwhile
 * finds it at its next start. Only the files that the change touched are put back; what else was
 * edited in the directory meanwhile was not in force and is read afterwards.
 */
#include "policies/confirm.h"

#include <errno.h>

#include "answer/actor.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "policies/edits.h"
#include "policies/file_set.h"
#include "policies/policies.h"
#include "policies/versions.h"
#include "store/store.h"

#define RETRY_MS 5000
#define SECONDS_MAX 3600
#define COMMENT_MAX 1000

static void on_timer(uv_timer_t *t);

int bh_core_confirm_put(struct bh_core *c, const struct bh_confirm *what)
{
	int r = bh_store_put_u64(c->store, "confirm_version", what->version);
	if (r == 0)
		r = bh_store_put_u64(c->store, "confirm_back", what->back);
	if (r == 0)
		r = bh_store_put_u64(c->store, "confirm_deadline", (uint64_t)what->deadline);
	return r < 0 ? r : bh_store_put_u64(c->store, "confirm_within", (uint64_t)what->within);
}

static uint64_t stored(struct bh_core *c, const char *name)
{
	uint64_t v = 0;
	bh_store_get_u64(c->store, name, &v);
	return v;
}

void bh_core_confirm_load(struct bh_core *c)
{
	uint64_t version = stored(c, "confirm_version");
	c->confirm = (struct bh_confirm){0};
	if (version == 0 || version != c->generation)
		return;
	c->confirm = (struct bh_confirm){
		.version = version,
		.back = stored(c, "confirm_back"),
		.deadline = (int64_t)stored(c, "confirm_deadline"),
		.within = (int64_t)stored(c, "confirm_within"),
	};
}

void bh_core_confirm_shift(struct bh_core *c, int64_t step)
{
	uint64_t deadline = stored(c, "confirm_deadline");
	if (deadline)
		bh_store_put_u64(c->store, "confirm_deadline", deadline + (uint64_t)step);
}

void bh_core_confirm_rebase(struct bh_core *c, int64_t now)
{
	uint64_t deadline = stored(c, "confirm_deadline"), within = stored(c, "confirm_within");
	if (deadline > (uint64_t)now + within)
		bh_store_put_u64(c->store, "confirm_deadline", (uint64_t)now + within);
}

bool bh_core_confirm_pending(const struct bh_core *c, struct bh_answer *ret_error)
{
	char by[32];
	if (!c->confirm.version)
		return false;
	bh_clock_text(c->confirm.deadline, by);
	*ret_error = bh_answer_error(409, NULL,
		"version %llu awaits its confirmation until %.19s UTC: `bulkhead policy confirm` "
		"or "
		"`bulkhead policy cancel` first",
		(unsigned long long)c->confirm.version, by);
	return true;
}

json_t *bh_core_confirm_json(const struct bh_core *c)
{
	if (!c->confirm.version)
		return json_null();
	int64_t left = c->confirm.deadline - bh_clock_now();
	return json_pack("{s:I, s:I, s:o, s:I}", "version", (json_int_t)c->confirm.version,
		"back_to", (json_int_t)c->confirm.back, "deadline",
		bh_clock_json(c->confirm.deadline), "seconds_left",
		(json_int_t)(left > 0 ? left / 1000000 : 0));
}

static enum bh_install take_back(
	struct bh_core *c, const struct bh_policy_change *change, char **ret_why)
{
	struct bh_file_set on_trial = {0}, back = {0}, dir = {0};
	struct bh_edits e = {0};
	struct bh_policy_set *set = NULL;
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_parse_opts opts = bh_core_parse_opts(c);
	char bh_autofree *where = NULL;
	enum bh_install how = BH_INSTALL_STORE;

	int r = bh_core_version_files(c, c->confirm.version, &on_trial);
	if (r == 0)
		r = bh_core_version_files(c, c->confirm.back, &back);
	if (r < 0) {
		*ret_why = bh_xasprintf(
			"%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	} else if (bh_policy_set_parse(back.src, back.n, &opts, &d, &set) < 0) {
		*ret_why = bh_xasprintf(
			"version %llu can no longer be read", (unsigned long long)c->confirm.back);
	} else {
		/* A directory that can't be read can't be put right: the attempt to write says why.
		 */
		bh_file_set_read(c->conf->policies, &dir, &where);
		bh_edits_between(&e, &dir, &on_trial, &back);
		struct bh_policy_set *again = bh_policy_set_ref(set);
		how = bh_core_policies_install(c, set, &back, &e, change, ret_why);
		if (how == BH_INSTALL_STORE || how == BH_INSTALL_FILES) {
			/* Whatever the disk says, traffic goes back to what it was. */
			struct bh_policy_set *before = c->policies;
			c->policies = bh_policy_set_ref(again);
			bh_policy_set_unref(before);
			bh_core_reconcile(c);
		}
		bh_policy_set_unref(again);
	}
	bh_edits_finish(&e);
	bh_file_set_finish(&on_trial);
	bh_file_set_finish(&back);
	bh_file_set_finish(&dir);
	return how;
}

/* Also the answer to `policy cancel`; who NULL: the time is over. */
static enum bh_install roll_back(
	struct bh_core *c, const char *cause, const struct bh_core_actor *who, char **ret_why)
{
	struct bh_confirm was = c->confirm;
	char bh_autofree *comment =
		bh_xasprintf("version %llu was not confirmed; back to version %llu",
			(unsigned long long)was.version, (unsigned long long)was.back);
	struct bh_policy_change change = {.cause = cause, .who = who, .comment = comment};

	enum bh_install how = take_back(c, &change, ret_why);
	if (how != BH_INSTALLED) {
		c->confirm.expired = true;
		bh_core_policies_stale(c,
			bh_xasprintf(
				"version %llu was not confirmed and %s: %s; tried again every 5 s",
				(unsigned long long)was.version,
				how == BH_INSTALL_KERNEL
					? "could not be taken back"
					: "is no longer enforced, but the directory and the "
					  "history still have it",
				*ret_why));
		uv_timer_start(&c->confirm_timer, on_timer, RETRY_MS, 0);
		return how;
	}
	c->confirm = (struct bh_confirm){0};
	uv_timer_stop(&c->confirm_timer);
	bh_core_policies_load(c, "directory changed");
	return how;
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	char bh_autofree *why = NULL;
	if (c->confirm.version && !c->stopping)
		roll_back(c, "confirm-timeout", NULL, &why);
}

void bh_core_confirm_start(struct bh_core *c)
{
	bh_core_confirm_load(c);
	if (!c->confirm.version)
		return;
	int64_t left = c->confirm.deadline - bh_clock_now();
	/* A clock that was set back must not make the trial longer. */
	if (left > c->confirm.within)
		left = c->confirm.within;
	uv_timer_start(&c->confirm_timer, on_timer, left > 0 ? (uint64_t)left / 1000 + 1 : 0, 0);
}

void bh_core_confirm_resume(struct bh_core *c)
{
	if (!c->confirm.version)
		return;
	if (c->confirm.deadline <= bh_clock_now())
		on_timer(&c->confirm_timer);
	else
		bh_core_confirm_start(c);
}

static struct bh_answer nothing_pending(void)
{
	return bh_answer_error(409, NULL, "no version awaits its confirmation");
}

struct bh_answer bh_core_policy_confirm(struct bh_core *c, const struct bh_core_actor *who)
{
	uint64_t version = c->confirm.version;
	if (!version)
		return nothing_pending();
	if (c->confirm.expired)
		return bh_answer_error(409, NULL,
			"the time to confirm version %llu is over; it is being taken back",
			(unsigned long long)version);
	bh_store_commit(c->store); /* what others could not write is not ours to fail with */
	int r = bh_core_confirm_put(c, &(struct bh_confirm){0});
	int done = bh_store_commit(c->store);
	if (r < 0 || done < 0)
		return bh_answer_error(507, NULL,
			"version %llu is not confirmed: %s/bulkhead.db: %s",
			(unsigned long long)version, c->conf->state, bh_store_message(c->store));
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	c->confirm = (struct bh_confirm){0};
	uv_timer_stop(&c->confirm_timer);
	bh_audit_event(c->audit, "policy.confirm", "success", NULL, &actor,
		json_pack("{s:I}", "generation", (json_int_t)version));
	bh_core_policies_load(c, "directory changed");
	return bh_answer_json(200, json_pack("{s:I, s:s}", "generation", (json_int_t)c->generation,
					   "sha256", c->sha256));
}

struct bh_answer bh_core_policy_cancel(struct bh_core *c, const struct bh_core_actor *who)
{
	uint64_t version = c->confirm.version, back = c->confirm.back;
	char *why = NULL;
	if (!version)
		return nothing_pending();
	enum bh_install how = roll_back(c, "cancel", who, &why);
	if (how != BH_INSTALLED) {
		free(why);
		return bh_answer_error(
			how == BH_INSTALL_KERNEL ? 503 : 507, NULL, "%s", c->policies_stale);
	}
	return bh_answer_json(200,
		json_pack("{s:I, s:s, s:I, s:I}", "generation", (json_int_t)c->generation, "sha256",
			c->sha256, "cancelled", (json_int_t)version, "to", (json_int_t)back));
}

bool bh_core_change_options(
	const json_t *body, struct bh_policy_change *ret, struct bh_answer *ret_error)
{
	const json_t *comment = json_object_get(body, "comment");
	const json_t *within = json_object_get(body, "confirm_within");

	if (comment && !json_is_null(comment) &&
		(!json_is_string(comment) || json_string_length(comment) > COMMENT_MAX)) {
		*ret_error = bh_answer_error(
			400, NULL, "comment must be a text of at most %d bytes", COMMENT_MAX);
		return false;
	}
	if (within && !json_is_null(within) &&
		(!json_is_integer(within) || json_integer_value(within) < 1 ||
			json_integer_value(within) > SECONDS_MAX)) {
		*ret_error = bh_answer_error(400, NULL,
			"confirm_within must be a number of seconds from 1 to %d", SECONDS_MAX);
		return false;
	}
	ret->comment = json_string_value(comment);
	ret->confirm_s = (uint32_t)json_integer_value(within);
	return true;
}

struct bh_answer bh_core_install_error(enum bh_install how, char *why)
{
	struct bh_answer a = bh_answer_error(
		how == BH_INSTALL_KERNEL ? 503 : 507, NULL, "%s; nothing was changed", why);
	free(why);
	return a;
}
