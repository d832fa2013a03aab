/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread of a queue: reads packets, asks the callback, sends verdicts.
 *
 * Invariant: every packet id that was read gets exactly one verdict. An id is in one place at a
 * time: in the message being handled, in the ring of held packets, or in the batch of verdicts
 * about to be sent; each step moves it on, and stopping empties all three before unbinding.
 *
 * The thread shares three things with others: the two request flags and the counters, all atomic,
 * and the socket, by which others wake it (see bh_nfq_wake).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "queue/packet.h"
#include "queue/private.h"

#define MAX_LENGTH 65536
/* How long stopping may go on deciding packets that keep coming. */
#define STOP_NS (500 * 1000000LL)

struct counters {
	atomic_uint_fast64_t received, accepted, dropped, repeated, rejected, held, expired;
	atomic_uint_fast64_t malformed, overruns, lost_ids;
};

struct bh_queue {
	struct bh_queue_opts opts;
	bh_packet_fn fn;
	void *arg;
	struct bh_nfq nfq;
	struct bh_hold hold;
	atomic_uint_least32_t last_id; /* of the packet read last; ids start at 1 */
	bool stopping; /* nothing may be held any more */
	struct counters count;
	atomic_bool stop, recheck;
	int proc; /* the kernel's counters, opened in the queue's network namespace; −1 = not there
		   */
	pthread_t thread;
	sem_t started;
	int start_result;
};

static void add(atomic_uint_fast64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static uint64_t get(atomic_uint_fast64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void answer(struct bh_queue *q, uint32_t id, uint32_t mark, enum bh_packet_verdict v)
{
	switch (v) {
	case BH_PACKET_ACCEPT:
		add(&q->count.accepted, 1);
		bh_nfq_verdict(&q->nfq, id, NF_ACCEPT, false, 0);
		return;
	case BH_PACKET_REPEAT:
		add(&q->count.repeated, 1);
		bh_nfq_verdict(&q->nfq, id, NF_REPEAT, false, 0);
		return;
	case BH_PACKET_REJECT:
		/* The kernel sets the mark before it runs the chain again. */
		add(&q->count.rejected, 1);
		bh_nfq_verdict(&q->nfq, id, NF_REPEAT, true, mark | BH_QUEUE_REJECT_MARK);
		return;
	case BH_PACKET_DROP:
	case BH_PACKET_HOLD: /* not an answer now */
		break;
	}
	add(&q->count.dropped, 1);
	bh_nfq_verdict(&q->nfq, id, NF_DROP, false, 0);
}

/* For a packet that can't be held (any longer): whatever comes back is final. */
static void ask_last(struct bh_queue *q, uint32_t id, struct bh_packet *p)
{
	p->expired = true;
	add(&q->count.expired, 1);
	answer(q, id, p->mark, q->fn(p, q->arg));
}

static void on_packet(const struct bh_nfq_packet *in, void *arg)
{
	struct bh_queue *q = arg;
	struct bh_held x = {.id = in->id};
	uint32_t gap = in->id - atomic_load_explicit(&q->last_id, memory_order_relaxed) - 1;

	add(&q->count.received, 1);
	/* In this order: see lost_at_the_end. */
	atomic_store_explicit(&q->last_id, in->id, memory_order_release);
	if (gap < UINT32_MAX / 2)
		atomic_fetch_add_explicit(&q->count.lost_ids, gap, memory_order_release);
	bh_packet_parse_copy(in->data, in->len, in->real, &x.packet);
	if (x.packet.fault == BH_PACKET_TRUNCATED || x.packet.fault == BH_PACKET_MALFORMED)
		add(&q->count.malformed, 1);
	x.packet.indev = in->indev;
	x.packet.outdev = in->outdev;
	x.packet.physindev = in->physindev;
	x.packet.hook = in->hook;
	x.packet.mark = in->mark;
	enum bh_packet_verdict v = q->fn(&x.packet, q->arg);
	if (v != BH_PACKET_HOLD) {
		answer(q, x.id, x.packet.mark, v);
		return;
	}
	x.deadline = now_ns() + (int64_t)q->opts.hold_ms * 1000000;
	x.packet.held = true;
	if (!q->stopping && bh_hold_add(&q->hold, &x)) {
		add(&q->count.held, 1);
		return;
	}
	x.packet.held = false;
	ask_last(q, x.id, &x.packet);
}

static bool ask_held(struct bh_held *x, void *arg)
{
	struct bh_queue *q = arg;
	enum bh_packet_verdict v = q->fn(&x->packet, q->arg);

	if (v == BH_PACKET_HOLD)
		return false;
	answer(q, x->id, x->packet.mark, v);
	return true;
}

static bool ask_expired(struct bh_held *x, void *arg)
{
	ask_last(arg, x->id, &x->packet);
	return true;
}

static void send_verdicts(struct bh_queue *q)
{
	bh_nfq_flush(&q->nfq);
	if (q->opts.sent)
		q->opts.sent(q->arg);
}

static unsigned read_some(struct bh_queue *q, bool wait)
{
	unsigned n = bh_nfq_receive(&q->nfq, wait);

	if (q->nfq.congested)
		add(&q->count.overruns, 1);
	q->nfq.congested = false;
	send_verdicts(q);
	return n;
}

/* Until a packet, a request or the next deadline. */
static void wait_for_deadline(struct bh_queue *q)
{
	struct pollfd fd = {mnl_socket_get_fd(q->nfq.nl), POLLIN, 0};
	int64_t left = bh_hold_next(&q->hold) - now_ns();

	if (left > 0)
		ppoll(&fd, 1, &(struct timespec){left / 1000000000, left % 1000000000}, NULL);
}

/* Empties the held packets and what waits on the socket: every id that we own gets its verdict. */
static void wind_up(struct bh_queue *q)
{
	int64_t until = now_ns() + STOP_NS;

	q->stopping = true;
	bh_hold_sweep(&q->hold, INT64_MAX, ask_expired, q);
	while (read_some(q, false) > 0 && now_ns() < until)
		;
	bh_nfq_unbind(&q->nfq);
}

static void serve(struct bh_queue *q)
{
	while (!atomic_load(&q->stop)) {
		if (atomic_exchange(&q->recheck, false))
			bh_hold_sweep(&q->hold, INT64_MAX, ask_held, q);
		if (q->hold.n > 0)
			bh_hold_sweep(&q->hold, now_ns(), ask_expired, q);
		send_verdicts(q);
		/* The usual case, with no other system call than one to read and one to answer. */
		bool wait = q->hold.n == 0;
		if (read_some(q, wait) == 0 && !wait)
			wait_for_deadline(q);
	}
	wind_up(q);
}

/* The socket is opened here, not by the caller: packets that arrive before the configuration is
 * complete are answered by the queue's own thread as well. */
static void *run(void *arg)
{
	struct bh_queue *q = arg;
	char name[16];

	snprintf(name, sizeof(name), "queue-%u", q->opts.num);
	pthread_setname_np(pthread_self(), name);
	bh_queue_short_turns();
	/* /proc/net is the main thread's, whose network namespace may be another. */
	q->proc = open("/proc/thread-self/net/netfilter/nfnetlink_queue", O_RDONLY | O_CLOEXEC);
	q->start_result = bh_nfq_open(&q->nfq, &q->opts);
	bool ok = q->start_result == 0;
	sem_post(&q->started);
	if (ok)
		serve(q);
	return NULL;
}

static void queue_free(struct bh_queue *q)
{
	bh_nfq_finish(&q->nfq);
	bh_hold_finish(&q->hold);
	sem_destroy(&q->started);
	if (q->proc >= 0)
		close(q->proc);
	free(q);
}

/* Signals belong to the event loop: the thread starts with all of them blocked. */
static int start_thread(struct bh_queue *q)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&q->thread, NULL, run, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int bh_queue_start(
	const struct bh_queue_opts *opts, bh_packet_fn fn, void *arg, struct bh_queue **ret)
{
	if (opts->maxlen == 0 || opts->maxlen > MAX_LENGTH)
		return -EINVAL;
	struct bh_queue *q = bh_xcalloc(1, sizeof(*q));
	*q = (struct bh_queue){.opts = *opts, .fn = fn, .arg = arg, .proc = -1};
	q->nfq.packet = on_packet;
	q->nfq.arg = q;
	bh_hold_init(
		&q->hold, opts->hold_max < opts->maxlen / 2 ? opts->hold_max : opts->maxlen / 2);
	sem_init(&q->started, 0, 0);
	int r = start_thread(q);
	if (r == 0) {
		while (sem_wait(&q->started) < 0)
			;
		r = q->start_result;
		if (r == 0) {
			*ret = q;
			return 0;
		}
		pthread_join(q->thread, NULL);
	}
	queue_free(q);
	return r;
}

void bh_queue_recheck(struct bh_queue *q)
{
	atomic_store(&q->recheck, true);
	bh_nfq_wake(&q->nfq);
}

void bh_queue_stop(struct bh_queue *q)
{
	if (!q)
		return;
	atomic_store(&q->stop, true);
	bh_nfq_wake(&q->nfq);
	pthread_join(q->thread, NULL);
	queue_free(q);
}

/* One line a queue: number, port id, waiting, copy mode, copy range, dropped, dropped by the
 * socket, last id, 1 (net/netfilter/nfnetlink_queue.c, seq_show). */
struct kernel_view {
	bool idle; /* no packet waits for its verdict, read or not */
	uint32_t last_id; /* that it gave */
};

static struct kernel_view kernel_counters(const struct bh_queue *q, struct bh_queue_stats *ret)
{
	struct kernel_view view = {0};
	char buf[8192];
	size_t len = 0;
	ssize_t n;

	if (q->proc < 0)
		return view;
	while ((n = pread(q->proc, buf + len, sizeof(buf) - 1 - len, (off_t)len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	for (char *line = buf, *end; line && *line; line = end ? end + 1 : NULL) {
		unsigned num, port, total, mode, range, dropped, user_dropped, id;
		end = strchr(line, '\n');
		if (sscanf(line, "%u %u %u %u %u %u %u %u", &num, &port, &total, &mode, &range,
			    &dropped, &user_dropped, &id) == 8 &&
			num == q->opts.num) {
			ret->kernel_dropped = dropped;
			ret->user_dropped = user_dropped;
			view = (struct kernel_view){total == 0, id};
		}
	}
	return view;
}

/* Ids that the kernel gave to packets behind the last one that came: no later one tells of the gap
 * yet. When no packet waits, all that came were answered, and their ids are seen here: read after
 * the kernel's view, and after lost_ids, so that none counts twice. */
static uint64_t lost_at_the_end(struct bh_queue *q, const struct kernel_view *view)
{
	uint32_t gap = view->last_id - atomic_load_explicit(&q->last_id, memory_order_acquire);
	return view->idle && gap < UINT32_MAX / 2 ? gap : 0;
}

void bh_queue_get_stats(struct bh_queue *q, struct bh_queue_stats *ret)
{
	*ret = (struct bh_queue_stats){
		.received = get(&q->count.received),
		.accepted = get(&q->count.accepted),
		.dropped = get(&q->count.dropped),
		.repeated = get(&q->count.repeated),
		.held = get(&q->count.held),
		.expired = get(&q->count.expired),
		.malformed = get(&q->count.malformed),
		.overruns = get(&q->count.overruns),
		.rejected = get(&q->count.rejected),
	};
	struct kernel_view view = kernel_counters(q, ret);
	ret->lost_ids = atomic_load_explicit(&q->count.lost_ids, memory_order_acquire);
	ret->lost_ids += lost_at_the_end(q, &view);
	ret->bypassed = q->opts.fail_open ? ret->lost_ids : 0;
}
