/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread of a sink: connect, send what is new, remember how far, try again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "sink/private.h"

#define BATCH 256
#define POLL_MS 200
#define RETRY_MS 2000

struct bh_sink {
	struct bh_sink_opts o; /* texts owned */
	char *cursor; /* file */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	int fd; /* of the connection, for stopping; −1 */
	struct bh_sink_stats stats;

	/* the thread's own */
	struct bh_follow follow;
	struct bh_transport t;
	uint64_t delivered, sent, dropped;
	uint64_t unsaved; /* sent and dropped, not acknowledged yet */
	uint64_t unsaved_dropped;
};

/* --- the position --- */

static uint64_t read_cursor(const char *path, uint64_t fallback)
{
	char text[32] = "";
	uint64_t v;
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return fallback;
	text[strcspn(text, "\n")] = '\0';
	return bh_parse_u64(text, INT64_MAX, &v) == 0 ? v : fallback;
}

/* Not synced: after a loss of power some records are sent again, which receivers have to bear. */
static void write_cursor(const char *path, uint64_t v)
{
	char bh_autofree *temporary = bh_xasprintf("%s.tmp", path);
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)v);
	int bh_autoclose fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, text, (size_t)n) == n)
		rename(temporary, path);
}

/* --- sending --- */

static bool wanted(const struct bh_sink *s, const json_t *rec)
{
	/* journald is for who looks after the machine: events, no flows. */
	return s->o.kind != BH_SINK_JOURNALD || !json_object_get(rec, "network");
}

static int send_record(struct bh_sink *s, const char *line, size_t len, const json_t *rec)
{
	struct bh_buf bh_autobuf out = {0};

	if (!wanted(s, rec))
		return 0;
	if (s->o.kind == BH_SINK_JOURNALD) {
		bh_render_journal(rec, &out);
	} else {
		char bh_autofree *body = bh_render(s->o.format, line, len, rec);
		bh_render_syslog(rec, body, (uint32_t)getpid(), &out);
	}
	int e = bh_transport_send(&s->t, out.s, out.len);
	if (e == -EMSGSIZE) { /* a datagram can't take it: nobody ever gets it this way */
		s->unsaved_dropped++;
		return 0;
	}
	if (e == 0)
		s->unsaved++;
	return e;
}

/* Up to a batch; 1 if there was something, 0 if not, −errno when the connection is of no use. */
static int send_batch(struct bh_sink *s)
{
	uint64_t before = s->delivered;
	int n, e = 0;

	s->unsaved = s->unsaved_dropped = 0;
	for (n = 0; n < BATCH; n++) {
		const char *line;
		json_t *rec;
		size_t len;
		if ((e = bh_follow_next(&s->follow, &line, &len, &rec)) <= 0)
			break;
		if (s->follow.sequence > before + 1)
			s->unsaved_dropped += s->follow.sequence - before - 1;
		before = s->follow.sequence;
		e = send_record(s, line, len, rec);
		json_decref(rec);
		if (e < 0)
			return e;
	}
	if (e < 0)
		return e;
	if ((e = bh_transport_drain(&s->t)) < 0)
		return e;
	if (n > 0) {
		s->delivered = s->follow.sequence;
		s->sent += s->unsaved;
		s->dropped += s->unsaved_dropped;
		write_cursor(s->cursor, s->delivered);
	}
	return n > 0;
}

/* --- the thread --- */

static bool pause_for(struct bh_sink *s, unsigned ms)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += (long)(ms % 1000) * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	pthread_mutex_lock(&s->lock);
	if (!s->stop)
		pthread_cond_timedwait(&s->wake, &s->lock, &ts);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return !stop;
}

static bool publish(struct bh_sink *s, const char *error)
{
	pthread_mutex_lock(&s->lock);
	s->fd = s->t.fd;
	s->stats.connected = s->t.fd >= 0;
	s->stats.sent = s->sent;
	s->stats.dropped = s->dropped;
	s->stats.sequence = s->delivered;
	if (error)
		snprintf(s->stats.error, sizeof(s->stats.error), "%s", error);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return !stop;
}

static void serve(struct bh_sink *s)
{
	int e = 0;

	bh_follow_seek(&s->follow, s->delivered); /* what was not acknowledged goes again */
	while (publish(s, "") && (e = send_batch(s)) >= 0)
		if (e == 0 && !pause_for(s, POLL_MS))
			break;
	pthread_mutex_lock(&s->lock);
	s->fd = -1;
	pthread_mutex_unlock(&s->lock);
	bh_transport_close(&s->t);
	if (e < 0) {
		char why[160];
		snprintf(why, sizeof(why), "%s: %s", s->o.address, strerror(-e));
		publish(s, why);
	}
}

static void *run(void *arg)
{
	struct bh_sink *s = arg;
	char why[160];

	do {
		if (bh_transport_open(&s->o, &s->t, why, sizeof(why)) == 0)
			serve(s);
		else
			publish(s, why);
	} while (pause_for(s, RETRY_MS));
	return NULL;
}

static char *copy(const char *s)
{
	return bh_xstrdup(s);
}

static void release(struct bh_sink *s)
{
	bh_follow_finish(&s->follow);
	free((char *)s->o.name);
	free((char *)s->o.address);
	free((char *)s->o.ca);
	free((char *)s->o.log);
	free((char *)s->o.state);
	free(s->cursor);
	free(s);
}

static int start_thread(struct bh_sink *s)
{
	pthread_condattr_t attr;
	sigset_t all, before;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = -pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e;
}

int bh_sink_start(const struct bh_sink_opts *o, struct bh_sink **ret)
{
	struct bh_sink *s = bh_xcalloc(1, sizeof(*s));

	s->o = *o;
	s->o.name = copy(o->name);
	s->o.address = copy(o->address);
	s->o.ca = copy(o->ca);
	s->o.log = copy(o->log);
	s->o.state = copy(o->state);
	s->cursor = bh_xasprintf("%s/sink-%s", o->state, o->name);
	s->fd = s->t.fd = -1;
	s->delivered = s->stats.sequence = read_cursor(s->cursor, o->from);
	bh_follow_init(&s->follow, o->log, s->delivered);
	int e = start_thread(s);
	if (e < 0) {
		release(s);
		return e;
	}
	*ret = s;
	return 0;
}

void bh_sink_stop(struct bh_sink *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RD); /* it may wait for the peer; TLS still says goodbye */
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	release(s);
}

void bh_sink_get_stats(struct bh_sink *s, struct bh_sink_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	pthread_mutex_unlock(&s->lock);
}
