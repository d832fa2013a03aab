/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the writer's thread does with what it took out of the ring: number it, write it, sync, sign,
 * and go on in another file or with another key. Invariants: a record keeps its number until the
 * file has taken it, so numbers have no gaps; the tree holds what the file holds; a checkpoint is
 * signed only after the file is on disk.
 */
#include <time.h>

#include "audit/private.h"

#define SIGN_RECORDS 1000

int64_t bh_audit_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t bh_audit_monotonic(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void number(struct bh_audit_commit *c, const struct bh_audit_item *it)
{
	bh_audit_record_number(it, c->id, ++c->turn.sequence, &c->pending);
	c->n_pending++;
	if (it->urgent)
		c->urgent = true;
}

/* A record of the writer's own; takes details. */
void bh_audit_commit_note(
	struct bh_audit_commit *c, const char *action, const char *message, json_t *details)
{
	struct bh_audit_change change = {.action = action, .message = message, .details = details};
	struct bh_audit_item it = {.urgent = true};
	struct bh_audit_text rec = {0};

	bh_audit_record_event(c->id, &change, bh_audit_now(), &rec);
	bh_audit_record_item(&rec, &it);
	bh_buf_finish(&rec.b);
	number(c, &it);
	free(it.text);
}

static void add_leaves(struct bh_audit_commit *c, size_t len)
{
	const char *text = c->pending.s;
	for (size_t at = 0; at < len;) {
		size_t line = (size_t)((const char *)memchr(text + at, '\n', len - at) - text) - at;
		bh_audit_seal_add(&c->seal, text + at, line);
		at += line + 1;
		c->n_pending--;
		c->written++;
	}
}

static int write_pending(struct bh_audit_commit *c)
{
	size_t done;

	if (c->pending.len == 0)
		return 0;
	int e = bh_audit_log_write(&c->log, c->pending.s, c->pending.len, &done);
	if (done && !c->first_unsigned)
		c->first_unsigned = bh_audit_monotonic();
	add_leaves(c, done);
	memmove(c->pending.s, c->pending.s + done, c->pending.len - done);
	c->pending.len -= done;
	return e;
}

int bh_audit_commit_sign(struct bh_audit_commit *c)
{
	int e = write_pending(c);
	if (e == 0)
		e = bh_audit_log_sync(&c->log);
	if (e == 0 && c->seal.signed_size != c->seal.tree.size)
		e = bh_audit_seal_sign(
			&c->seal, c->turn.sequence - c->n_pending, c->log.size, bh_audit_now());
	if (e == 0) {
		c->first_unsigned = 0;
		c->urgent = false;
	}
	return e;
}

static bool is_time_to_sign(const struct bh_audit_commit *c)
{
	return c->urgent || c->seal.tree.size - c->seal.signed_size >= SIGN_RECORDS ||
	       (c->first_unsigned && bh_audit_monotonic() - c->first_unsigned >= BH_AUDIT_SIGN_US);
}

static int turn_file(struct bh_audit_commit *c, bool reopen, const char *message)
{
	json_t *details = NULL;
	int e = bh_audit_commit_sign(c);

	if (e < 0 && !reopen)
		return e;
	/* Where the old file takes no more, what waits goes to the new one. */
	int64_t now = bh_audit_now();
	uint64_t last = c->turn.sequence;
	c->turn.sequence -= c->n_pending;
	e = reopen ? bh_audit_turn_reopen(&c->turn, now, &details)
		   : bh_audit_turn_rotate(&c->turn, now, &details);
	c->turn.sequence = last;
	if (details)
		bh_audit_commit_note(c, reopen ? "log.reopened" : "log.rotated", message, details);
	if (e < 0)
		return e;
	json_t *pruned = bh_audit_turn_prune(&c->turn);
	if (pruned)
		bh_audit_commit_note(
			c, "log.pruned", "files beyond audit.rotate.keep were removed", pruned);
	return bh_audit_commit_sign(c);
}

static int change_key(struct bh_audit_commit *c)
{
	json_t *details = NULL;
	int e = bh_audit_commit_sign(c);

	if (e == 0)
		e = bh_audit_turn_change_key(&c->turn, bh_audit_now(), &details);
	if (e < 0)
		return e;
	bh_audit_commit_note(c, "key.changed",
		"checkpoints are signed by another key; the old one is erased", details);
	return bh_audit_commit_sign(c);
}

/* Is it time for another file, or another key? */
static int look_after(struct bh_audit_commit *c)
{
	int64_t now = bh_audit_now();

	if (bh_audit_turn_is_due(&c->turn, now))
		return turn_file(c, false, "the log goes on in a new file");
	if (bh_audit_is_old(c->seal.key.made, c->opts->key_s, now))
		return change_key(c);
	return 0;
}

/* The log, or what vouches for it, was removed or replaced: whatever comes has to be where it is
 * looked for. Notes that begin in the middle of a file could not say where it began: hence another
 * one. */
static int find_files(struct bh_audit_commit *c)
{
	bool found, moved = bh_audit_moved(c->log.path, c->log.fd);
	int e = bh_audit_seal_find(&c->seal, &found);

	if (moved)
		e = turn_file(c, true, "the log goes on in a new file");
	if (e < 0 || found)
		return e;
	bh_audit_commit_note(c, "log.altered",
		"the checkpoints or the keys beside the log were removed or replaced; they begin "
		"anew, with the same key",
		json_pack("{s:s}", "class", "seal-removed"));
	return moved ? 0 : turn_file(c, false, "the log goes on in a new file");
}

int bh_audit_commit_round(struct bh_audit_commit *c, const struct bh_audit_orders *o,
	struct bh_audit_item *batch, size_t n)
{
	int e = 0;

	/* First, so that nothing goes to a file that is not there any more. */
	if (o->reopen || o->look)
		e = find_files(c);
	for (size_t i = 0; i < n; i++) {
		number(c, &batch[i]);
		free(batch[i].text);
	}
	if (e == 0)
		e = write_pending(c);
	if (e == 0)
		e = look_after(c);
	if (e == 0 && (o->stop || o->hurry || is_time_to_sign(c)))
		e = bh_audit_commit_sign(c);
	return e;
}
