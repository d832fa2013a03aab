/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * New TCP connections: connect, accept, one byte there and one back, reset. A thread plays both
 * ends, so that nothing waits for the other CPU; the whole way through the node runs in its system
 * calls. A reset leaves no TIME_WAIT behind, of which there would be hundreds of thousands.
 */
#include "bench/path.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PATIENCE_US 900000 /* less than the first retransmission of a SYN: it was lost */

struct caller {
	struct path_opts *o;
	const struct path_lab *lab;
	unsigned cpu;
	int64_t start, until;
	uint64_t n, failed;
	int64_t used; /* ns of CPU */
	struct path_samples connect, whole;
};

static int listener(struct caller *c, struct sockaddr_in *to)
{
	int one = 1;
	*to = path_addr(c->lab->target, (uint16_t)(c->o->port + c->cpu));
	path_enter(c->lab->server);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	struct timeval patience = {.tv_usec = PATIENCE_US};
	setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(l, (struct sockaddr *)to, sizeof(*to)) < 0 || listen(l, 64) < 0)
		err(1, "%s: listen", c->lab->name);
	path_enter(c->lab->client);
	return l;
}

static void limit(int s)
{
	struct timeval patience = {.tv_usec = PATIENCE_US};
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static bool exchange(int a, int b)
{
	char x = 'x';
	return send(a, &x, 1, 0) == 1 && recv(b, &x, 1, 0) == 1 && send(b, &x, 1, 0) == 1 &&
	       recv(a, &x, 1, 0) == 1;
}

static bool call(struct caller *c, int l, const struct sockaddr_in *to)
{
	struct linger reset = {.l_onoff = 1};
	int64_t start = path_now();
	bh_autoclose int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	limit(s);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	int64_t asked = path_now();
	if (connect(s, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return false;
	int64_t connected = path_now();
	bh_autoclose int in = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	if (in < 0)
		return false;
	limit(in);
	if (!exchange(s, in))
		return false;
	path_sample(&c->connect, connected - asked);
	path_sample(&c->whole, path_now() - start);
	return true;
}

static void *caller_thread(void *arg)
{
	struct caller *c = arg;
	struct sockaddr_in to;
	path_pin(c->cpu);
	bh_autoclose int l = listener(c, &to);
	int64_t step = c->o->rate ? 1000000000 / c->o->rate : 0, next = c->start;
	int64_t cpu = path_thread_cpu();
	path_sleep_until(c->start);
	while (path_now() < c->until) {
		if (step)
			path_sleep_until(next += step);
		if (call(c, l, &to))
			c->n++;
		else
			c->failed++;
	}
	c->used = path_thread_cpu() - cpu;
	return NULL;
}

static void join(struct path_calls *r, struct caller *c)
{
	r->n += c->n;
	r->failed += c->failed;
	r->cpu += c->used;
	path_samples_join(&r->connect, &c->connect);
	path_samples_join(&r->whole, &c->whole);
}

void path_call(struct path_opts *o, const struct path_lab *lab, struct path_calls *ret)
{
	struct caller c[PATH_CPUS] = {0};
	pthread_t t[PATH_CPUS];
	int64_t start = path_now() + 2000000;
	*ret = (struct path_calls){0};
	for (unsigned i = 0; i < o->threads; i++) {
		c[i] = (struct caller){.o = o,
			.lab = lab,
			.cpu = i,
			.start = start,
			.until = start + (int64_t)o->slice_ms * 1000000};
		if (pthread_create(&t[i], NULL, caller_thread, &c[i]) != 0)
			errx(1, "no thread");
	}
	for (unsigned i = 0; i < o->threads; i++)
		pthread_join(t[i], NULL);
	ret->took = path_now() - start;
	for (unsigned i = 0; i < o->threads; i++)
		join(ret, &c[i]);
}

void path_line_calls(struct path_calls *c)
{
	printf(", \"rate\": %.1f, \"count\": %lu, \"failed\": %lu, \"cpu\": %.6f",
		(double)c->n / ((double)c->took / 1e9), (unsigned long)c->n,
		(unsigned long)c->failed, (double)c->cpu / 1e9);
	path_line_samples("", &c->connect);
	path_line_samples("whole_", &c->whole);
	path_samples_finish(&c->connect);
	path_samples_finish(&c->whole);
}

static void slice(struct path_opts *o, const struct path_lab *lab, unsigned round)
{
	struct path_usage before, after;
	struct path_calls calls;
	path_usage(lab, &before);
	path_call(o, lab, &calls);
	path_settle(lab);
	path_usage(lab, &after);
	path_line_begin(round, lab, &before, &after);
	path_line_calls(&calls);
	path_line_end();
}

void path_connect(struct path_opts *o)
{
	path_each(o, slice);
}
