/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that writes. Invariants: a record gets its number when the writer takes it out of the
 * ring, in the ring's order, and keeps it until the file has taken it, so numbers have no gaps; the
 * tree holds what the file holds; a checkpoint is signed only after the file is on disk.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/private.h"

#define BATCH 1024
#define SIGN_RECORDS 1000
#define SIGN_US 1000000
#define RETRY_US 250000

struct bh_audit_writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done; /* there is something to do; something was done */

	/* behind the lock */
	struct bh_audit_item *item; /* ring */
	size_t head, count, bytes;
	bool stop, reopen, look, hurry;
	uint64_t pushed; /* tickets given */
	uint64_t durable; /* tickets whose records are on disk */
	uint64_t tries; /* rounds that failed */
	struct bh_audit_stats stats;
	struct bh_verifier pub;

	/* the thread's own */
	struct bh_audit_opts opts; /* texts: path and key, owned */
	const struct bh_audit_ident *id;
	struct bh_audit_log log;
	struct bh_audit_seal seal;
	struct bh_audit_turn turn;
	struct bh_buf pending; /* numbered lines that are not in the file yet */
	uint64_t n_pending; /* records in it */
	uint64_t written;
	uint64_t taken; /* tickets of what was taken out of the ring */
	bool urgent;
	int64_t first_unsigned; /* monotonic, µs; 0: everything is signed */
	int error;
	int64_t ended; /* time of the last checkpoint before this run; 0: there is none */
};

int64_t bh_audit_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t monotonic(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- writing, on the thread (or before there is one) --- */

static void number(struct bh_audit_writer *w, const struct bh_audit_item *it)
{
	bh_audit_record_number(it, w->id, ++w->turn.sequence, &w->pending);
	w->n_pending++;
	if (it->urgent)
		w->urgent = true;
}

/* A record of the writer's own; takes details. */
static void note(
	struct bh_audit_writer *w, const char *action, const char *message, json_t *details)
{
	struct bh_audit_change c = {.action = action, .message = message, .details = details};
	struct bh_audit_item it = {.urgent = true};
	struct bh_audit_text rec = {0};

	bh_audit_record_event(w->id, &c, bh_audit_now(), &rec);
	bh_audit_record_item(&rec, &it);
	bh_buf_finish(&rec.b);
	number(w, &it);
	free(it.text);
}

static void add_leaves(struct bh_audit_writer *w, size_t len)
{
	const char *text = w->pending.s;
	for (size_t at = 0; at < len;) {
		size_t line = (size_t)((const char *)memchr(text + at, '\n', len - at) - text) - at;
		bh_audit_seal_add(&w->seal, text + at, line);
		at += line + 1;
		w->n_pending--;
		w->written++;
	}
}

static int write_pending(struct bh_audit_writer *w)
{
	size_t done;

	if (w->pending.len == 0)
		return 0;
	int e = bh_audit_log_write(&w->log, w->pending.s, w->pending.len, &done);
	if (done && !w->first_unsigned)
		w->first_unsigned = monotonic();
	add_leaves(w, done);
	memmove(w->pending.s, w->pending.s + done, w->pending.len - done);
	w->pending.len -= done;
	return e;
}

static int sign(struct bh_audit_writer *w)
{
	int e = write_pending(w);
	if (e == 0)
		e = bh_audit_log_sync(&w->log);
	if (e == 0 && w->seal.signed_size != w->seal.tree.size)
		e = bh_audit_seal_sign(
			&w->seal, w->turn.sequence - w->n_pending, w->log.size, bh_audit_now());
	if (e == 0) {
		w->first_unsigned = 0;
		w->urgent = false;
	}
	return e;
}

static bool is_time_to_sign(const struct bh_audit_writer *w)
{
	return w->urgent || w->seal.tree.size - w->seal.signed_size >= SIGN_RECORDS ||
	       (w->first_unsigned && monotonic() - w->first_unsigned >= SIGN_US);
}

static int turn_file(struct bh_audit_writer *w, bool reopen, const char *message)
{
	json_t *details = NULL;
	int e = sign(w);

	if (e < 0 && !reopen)
		return e;
	/* Where the old file takes no more, what waits goes to the new one. */
	int64_t now = bh_audit_now();
	uint64_t last = w->turn.sequence;
	w->turn.sequence -= w->n_pending;
	e = reopen ? bh_audit_turn_reopen(&w->turn, now, &details)
		   : bh_audit_turn_rotate(&w->turn, now, &details);
	w->turn.sequence = last;
	if (details)
		note(w, reopen ? "log.reopened" : "log.rotated", message, details);
	if (e < 0)
		return e;
	json_t *pruned = bh_audit_turn_prune(&w->turn);
	if (pruned)
		note(w, "log.pruned", "files beyond audit.rotate.keep were removed", pruned);
	return sign(w);
}

static int change_key(struct bh_audit_writer *w)
{
	json_t *details = NULL;
	int e = sign(w);

	if (e == 0)
		e = bh_audit_turn_change_key(&w->turn, bh_audit_now(), &details);
	if (e < 0)
		return e;
	note(w, "key.changed", "checkpoints are signed by another key; the old one is erased",
		details);
	return sign(w);
}

/* Is it time for another file, or another key? */
static int look_after(struct bh_audit_writer *w)
{
	int64_t now = bh_audit_now();

	if (bh_audit_turn_is_due(&w->turn, now))
		return turn_file(w, false, "the log goes on in a new file");
	if (w->opts.key_s && now - w->seal.key.made >= (int64_t)w->opts.key_s * 1000000)
		return change_key(w);
	return 0;
}

struct orders { /* from the loop, for one round */
	bool stop, hurry, reopen, look;
};

static int round_of_work(
	struct bh_audit_writer *w, const struct orders *o, struct bh_audit_item *batch, size_t n)
{
	int e = 0;

	/* First, so that nothing goes to a file that is not there any more. */
	if ((o->reopen || o->look) && bh_audit_log_moved(&w->log))
		e = turn_file(w, true, "the log goes on in a new file");
	for (size_t i = 0; i < n; i++) {
		number(w, &batch[i]);
		free(batch[i].text);
	}
	if (e == 0)
		e = write_pending(w);
	if (e == 0)
		e = look_after(w);
	if (e == 0 && (o->stop || o->hurry || is_time_to_sign(w)))
		e = sign(w);
	return e;
}

/* --- the thread --- */

static struct bh_audit_item pop(struct bh_audit_writer *w)
{
	struct bh_audit_item it = w->item[w->head];
	w->item[w->head] = (struct bh_audit_item){0};
	w->head = (w->head + 1) % BH_AUDIT_RING;
	w->count--;
	w->bytes -= it.len;
	return it;
}

static void wait_until(struct bh_audit_writer *w, int64_t when)
{
	struct timespec ts = {when / 1000000, (long)(when % 1000000) * 1000};
	pthread_cond_timedwait(&w->work, &w->lock, &ts);
}

static void wait_for_work(struct bh_audit_writer *w)
{
	int64_t retry = monotonic() + RETRY_US;
	for (;;) {
		int64_t now = monotonic();
		if (w->stop || w->reopen || w->look || w->hurry)
			return;
		if (w->error < 0) { /* then a record alone is no reason: it would fail as well */
			if (now >= retry)
				return;
			wait_until(w, retry);
		} else if (w->count > 0) {
			return;
		} else if (w->first_unsigned) {
			if (now >= w->first_unsigned + SIGN_US)
				return;
			wait_until(w, w->first_unsigned + SIGN_US);
		} else {
			pthread_cond_wait(&w->work, &w->lock);
		}
	}
}

static void publish(struct bh_audit_writer *w)
{
	struct bh_audit_stats *s = &w->stats;
	s->written = w->written;
	s->sequence = w->turn.sequence - w->n_pending;
	s->waiting = w->n_pending;
	s->checkpoints = w->seal.checkpoints;
	s->signed_sequence = w->seal.signed_sequence;
	s->last_error = w->error;
	w->pub = w->seal.key.pub;
	if (w->error < 0)
		w->tries++;
	else if (!w->log.dirty && w->n_pending == 0)
		w->durable = w->taken;
	pthread_cond_broadcast(&w->done);
}

static void take_batch(struct bh_audit_writer *w, struct bh_audit_item *batch, size_t *ret_n)
{
	size_t n = 0;
	if (w->n_pending == 0) /* else the disk is full: what waits stays in the ring */
		while (n < BATCH && w->count > 0)
			batch[n++] = pop(w);
	w->taken += n;
	*ret_n = n;
}

static void *run(void *arg)
{
	struct bh_audit_writer *w = arg;
	struct bh_audit_item *batch = bh_xcalloc(BATCH, sizeof(*batch));
	bool over = false;

	pthread_mutex_lock(&w->lock);
	while (!over) {
		size_t n;
		wait_for_work(w);
		struct orders o = {w->stop, w->hurry, w->reopen, w->look};
		w->reopen = w->look = w->hurry = false;
		take_batch(w, batch, &n);
		pthread_mutex_unlock(&w->lock);
		w->error = round_of_work(w, &o, batch, n);
		pthread_mutex_lock(&w->lock);
		publish(w);
		over = o.stop && (w->error < 0 || w->count == 0);
	}
	pthread_mutex_unlock(&w->lock);
	free(batch);
	return NULL;
}

/* --- starting: what the last run left is put in order before the first record --- */

static void report_recovery(struct bh_audit_writer *w, const struct bh_audit_recovery *r,
	const struct bh_audit_found *f)
{
	if (f->lost)
		note(w, "log.altered",
			"checkpoints stand beside the log, but their key is gone: another tree "
			"begins",
			json_pack("{s:s}", "class", "key-lost"));
	if (r->aside)
		note(w, f->fresh ? "log.recovered" : "log.altered",
			f->fresh ? "the file has no checkpoints and has been set aside"
				 : "the file is not what the last checkpoint says and has been set "
				   "aside",
			json_pack("{s:s, s:o}", "class", r->why, "saved",
				bh_audit_text(r->aside, 4096)));
	if (!r->unsigned_records && !r->torn && !f->torn)
		return;
	note(w, "log.recovered",
		r->torn ? "the end of the log was no record and has been set aside"
			: "the last run ended without a checkpoint",
		json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:I}", "class",
			r->torn ? "torn-line" : "unsigned", "records",
			(json_int_t)r->unsigned_records, "last_sequence", (json_int_t)r->sequence,
			"bytes", (json_int_t)r->torn, "saved", bh_audit_text(r->torn_path, 4096),
			"text", bh_audit_text(r->torn_text, BH_AUDIT_TORN_SHOWN),
			"checkpoint_bytes", (json_int_t)f->torn));
}

/* A file that begins here says so in its first record, and the notes in theirs. A rotation that was
 * not finished is. */
static int begin_file(struct bh_audit_writer *w, const struct bh_audit_found *f)
{
	char bh_autofree *name = bh_audit_turn_name(&w->turn);
	int64_t now = bh_audit_now();
	bool rotated = !f->fresh && f->last.offset > 0 && access(name, F_OK) == 0;

	w->turn.file_since = now;
	if (!f->fresh && f->last.offset > 0)
		note(w, rotated ? "log.rotated" : "log.reopened",
			rotated ? "the log goes on in a new file"
				: "the file of the log was not there any more",
			bh_audit_turn_previous(&w->turn, rotated ? name : NULL));
	if (rotated &&
		bh_audit_seal_turn(&w->seal, name, w->turn.sequence - w->n_pending, now) == 0)
		return 0;
	return bh_audit_seal_sign(&w->seal, w->turn.sequence - w->n_pending, 0, now);
}

static int recover(struct bh_audit_writer *w, const struct bh_audit_found *f)
{
	struct bh_audit_recovery r = {0};

	int e = bh_audit_recover(w->log.path, w->log.fd, f->fresh ? NULL : &f->last, &w->seal, &r);
	if (e == 0 && r.aside)
		e = bh_audit_log_open_new(&w->log);
	if (e == 0) {
		struct stat st;
		w->log.size = fstat(w->log.fd, &st) == 0 ? (uint64_t)st.st_size : 0;
		w->turn.sequence = r.sequence;
		w->ended = f->fresh ? 0 : f->last.time;
		w->turn.file_since = f->fresh ? bh_audit_now() : f->last.time;
		if (w->log.size == 0)
			e = begin_file(w, f);
	}
	if (e == 0) {
		report_recovery(w, &r, f);
		if (w->seal.tree.size != w->seal.signed_size)
			w->urgent = true;
		w->error = sign(w);
	}
	bh_audit_recovery_finish(&r);
	return e;
}

static int start_thread(struct bh_audit_writer *w)
{
	pthread_condattr_t attr;
	sigset_t all, before;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->done, &attr);
	pthread_condattr_destroy(&attr);
	publish(w);
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -e;
}

static void release(struct bh_audit_writer *w)
{
	for (; w->count > 0;)
		free(pop(w).text);
	free(w->item);
	bh_buf_finish(&w->pending);
	bh_audit_log_finish(&w->log);
	bh_audit_seal_finish(&w->seal);
	free((char *)w->opts.path);
	free((char *)w->opts.key);
	free(w);
}

int bh_audit_writer_start(
	const struct bh_audit_opts *o, struct bh_audit_ident *id, struct bh_audit_writer **ret)
{
	struct bh_audit_writer *w = bh_xcalloc(1, sizeof(*w));
	struct bh_audit_found f = {0};

	w->opts = *o;
	w->opts.path = bh_xstrdup(o->path);
	w->opts.key = o->key ? bh_xstrdup(o->key) : bh_xasprintf("%s.key", o->path);
	w->id = id;
	w->item = bh_xcalloc(BH_AUDIT_RING, sizeof(*w->item));
	w->log.fd = w->seal.fd = -1;
	w->turn = (struct bh_audit_turn){.opts = &w->opts, .log = &w->log, .seal = &w->seal};
	int e = bh_audit_log_open(o->path, &w->log);
	if (e == 0)
		e = bh_audit_seal_open(
			o->path, w->opts.key, id->node, bh_audit_now(), &w->seal, &f);
	if (e == 0)
		e = recover(w, &f);
	if (e == 0)
		e = start_thread(w);
	bh_audit_found_finish(&f);
	if (e < 0) {
		release(w);
		return e;
	}
	*ret = w;
	return 0;
}

/* --- from the loop --- */

void bh_audit_writer_stop(struct bh_audit_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->done);
	release(w);
}

int bh_audit_writer_push(struct bh_audit_writer *w, const struct bh_audit_item *it, bool may_drop,
	uint64_t *ret_ticket)
{
	size_t part = may_drop ? 2 : 1;
	int e = -ENOBUFS;

	pthread_mutex_lock(&w->lock);
	if (w->count < BH_AUDIT_RING / part && w->bytes + it->len <= BH_AUDIT_RING_BYTES / part) {
		w->item[(w->head + w->count) % BH_AUDIT_RING] = *it;
		w->count++;
		w->bytes += it->len;
		*ret_ticket = ++w->pushed;
		if (w->count == 1)
			pthread_cond_signal(&w->work);
		e = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return e;
}

int bh_audit_writer_wait(struct bh_audit_writer *w, uint64_t ticket, unsigned ms)
{
	int64_t end = monotonic() + (int64_t)ms * 1000;
	struct timespec ts = {end / 1000000, (long)(end % 1000000) * 1000};
	int e = 0;

	pthread_mutex_lock(&w->lock);
	uint64_t tries = w->tries;
	/* Two failures: the first may have begun before the record was there. */
	while (w->durable < ticket && w->tries < tries + 2 && e == 0) {
		w->hurry = true;
		pthread_cond_signal(&w->work);
		e = -pthread_cond_timedwait(&w->done, &w->lock, &ts);
	}
	e = w->durable >= ticket ? 0 : w->stats.last_error < 0 ? w->stats.last_error : -ETIMEDOUT;
	pthread_mutex_unlock(&w->lock);
	return e;
}

static void ask(struct bh_audit_writer *w, bool *what)
{
	pthread_mutex_lock(&w->lock);
	*what = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
}

void bh_audit_writer_reopen(struct bh_audit_writer *w)
{
	ask(w, &w->reopen);
}

void bh_audit_writer_tick(struct bh_audit_writer *w)
{
	ask(w, &w->look);
}

int64_t bh_audit_writer_ended(const struct bh_audit_writer *w)
{
	return w->ended;
}

char *bh_audit_writer_public_key(struct bh_audit_writer *w)
{
	pthread_mutex_lock(&w->lock);
	char *text = bh_verifier_format(&w->pub);
	pthread_mutex_unlock(&w->lock);
	return text;
}

void bh_audit_writer_get_stats(struct bh_audit_writer *w, struct bh_audit_stats *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->stats;
	ret->waiting += w->count;
	pthread_mutex_unlock(&w->lock);
}
