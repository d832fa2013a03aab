/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ring between the loop and the thread that writes. A record gets its number when the thread
 * takes it out, in the ring's order.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/private.h"

#define BATCH 1024
#define GATHER 256 /* records, or… */
#define GATHER_US 2000 /* …how long the first of some waits for others */
#define RETRY_US 250000

struct bh_audit_writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done; /* there is something to do; something was done */

	/* behind the lock */
	struct bh_audit_item *item; /* ring */
	size_t head, count, bytes;
	bool stop, reopen, look, hurry;
	bool rush; /* a record waits that wants its checkpoint at once */
	uint64_t pushed; /* tickets given */
	uint64_t durable; /* tickets whose records are on disk */
	uint64_t tries; /* rounds that failed */
	struct bh_audit_stats stats;
	struct bh_verifier pub;

	struct bh_audit_commit c; /* the thread's own */
	uint64_t taken; /* tickets of what the thread took out of the ring */
	struct bh_audit_opts opts; /* texts: path and key, owned */
};

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

/* How long there is nothing to do, if nothing comes: until then, 0 for ever, −1 for not at all.
 * `seen`: when the first of the records that wait was noticed. */
static int64_t idle_until(const struct bh_audit_writer *w, int64_t began, int64_t seen)
{
	const struct bh_audit_commit *c = &w->c;

	if (w->stop || w->reopen || w->look || w->hurry)
		return -1;
	if (c->error < 0) /* then a record alone is no reason: it would fail as well */
		return began + RETRY_US;
	if (w->rush || w->count >= GATHER)
		return -1;
	/* Seldom does one come alone: the next ones are written with it, for one wake-up. */
	if (w->count > 0)
		return seen + GATHER_US;
	return c->first_unsigned ? c->first_unsigned + BH_AUDIT_SIGN_US : 0;
}

static void wait_for_work(struct bh_audit_writer *w)
{
	int64_t began = bh_audit_monotonic(), seen = w->count > 0 ? began : 0;
	for (;;) {
		int64_t now = bh_audit_monotonic();
		if (w->count > 0 && !seen)
			seen = now;
		int64_t until = idle_until(w, began, seen);
		if (until < 0 || (until > 0 && now >= until))
			return;
		if (until > 0)
			wait_until(w, until);
		else
			pthread_cond_wait(&w->work, &w->lock);
	}
}

static void publish(struct bh_audit_writer *w)
{
	struct bh_audit_stats *s = &w->stats;
	s->written = w->c.written;
	s->sequence = w->c.turn.sequence - w->c.n_pending;
	s->waiting = w->c.n_pending;
	s->checkpoints = w->c.seal.checkpoints;
	s->signed_sequence = w->c.seal.signed_sequence;
	s->last_error = w->c.error;
	w->pub = w->c.seal.key.pub;
	if (w->c.error < 0)
		w->tries++;
	else if (!w->c.log.dirty && w->c.n_pending == 0)
		w->durable = w->taken;
	pthread_cond_broadcast(&w->done);
}

static void take_batch(struct bh_audit_writer *w, struct bh_audit_item *batch, size_t *ret_n)
{
	size_t n = 0;
	if (w->c.n_pending == 0) /* else the disk is full: what waits stays in the ring */
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
		struct bh_audit_orders o = {w->stop, w->hurry, w->reopen, w->look};
		w->reopen = w->look = w->hurry = w->rush = false;
		take_batch(w, batch, &n);
		pthread_mutex_unlock(&w->lock);
		w->c.error = bh_audit_commit_round(&w->c, &o, batch, n);
		pthread_mutex_lock(&w->lock);
		publish(w);
		over = o.stop && (w->c.error < 0 || w->count == 0);
	}
	pthread_mutex_unlock(&w->lock);
	free(batch);
	return NULL;
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
	bh_buf_finish(&w->c.pending);
	bh_audit_log_finish(&w->c.log);
	bh_audit_seal_finish(&w->c.seal);
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
	w->c.id = id;
	w->c.opts = &w->opts;
	w->item = bh_xcalloc(BH_AUDIT_RING, sizeof(*w->item));
	w->c.log.fd = w->c.seal.fd = -1;
	w->c.turn = (struct bh_audit_turn){.opts = &w->opts, .log = &w->c.log, .seal = &w->c.seal};
	int e = bh_audit_log_open(o->path, &w->c.log);
	if (e == 0)
		e = bh_audit_seal_open(
			o->path, w->opts.key, id->node, bh_audit_now(), &w->c.seal, &f);
	if (e == 0)
		e = bh_audit_commit_recover(&w->c, &f);
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
		w->rush |= it->urgent;
		if (w->count == 1 || w->count == GATHER || it->urgent)
			pthread_cond_signal(&w->work);
		e = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return e;
}

int bh_audit_writer_wait(struct bh_audit_writer *w, uint64_t ticket, unsigned ms)
{
	int64_t end = bh_audit_monotonic() + (int64_t)ms * 1000;
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
	return w->c.ended;
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
