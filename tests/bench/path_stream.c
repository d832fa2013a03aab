/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Throughput of open TCP connections, one for each CPU. A thread plays both ends of one: it sends
 * what fits and receives what has come, in turns, each byte copied in and out. The whole way
 * through the node runs in its system calls, so that what is measured is the work and not how soon
 * a busy machine's scheduler wakes a receiver; it never sleeps, or the kernel's own thread for
 * deferred packets would be waited for. Every slice has connections of its own, since
 * one may find another way to fill its window than the next and keep it; Reno opens the window
 * until it is wide enough, where CUBIC looks at delays and may stay at a tenth of the rate for
 * seconds.
 */
#include "bench/path.h"

#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define CHUNK (128u << 10)
#define WARM_UP_NS 15000000LL
/* Fixed, or each connection would find another size for itself, and with it another place in the
 * CPU's caches. */
#define SEND_BUFFER (256 << 10)
#define RECEIVE_BUFFER (4 << 20)

struct stream {
	const struct path_lab *lab;
	unsigned cpu;
	uint16_t port;
	int out, in; /* the two ends */
	int64_t span, took, used; /* ns: to do, done, of CPU */
	uint64_t received;
};

static void open_stream(struct stream *s, uint16_t port)
{
	const struct path_lab *lab = s->lab;
	struct sockaddr_in to = path_addr(lab->target, port);
	int one = 1, sndbuf = SEND_BUFFER, rcvbuf = RECEIVE_BUFFER;
	path_enter(lab->server);
	bh_autoclose int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(l, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf));
	if (bind(l, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(l, 1) < 0)
		err(1, "%s: listen", lab->name);
	path_enter(lab->client);
	s->out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->out, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	setsockopt(s->out, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	if (connect(s->out, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "%s: connect", lab->name);
	s->in = accept(l, NULL, NULL);
	if (s->in < 0)
		err(1, "%s: accept", lab->name);
}

/* A chunk there and out again. */
static void turn(struct stream *s, char *data)
{
	ssize_t got = send(s->out, data, CHUNK, MSG_DONTWAIT);
	if (got < 0 && errno != EAGAIN)
		err(1, "%s: send", s->lab->name);
	/* All of it, or what stays behind would be found in a farther cache. */
	while ((got = recv(s->in, data, CHUNK, MSG_DONTWAIT)) > 0)
		s->received += (uint64_t)got;
	if (got == 0)
		errx(1, "%s: the connection was cut", s->lab->name);
}

static void *stream_thread(void *arg)
{
	static char data[PATH_CPUS][CHUNK];
	struct stream *s = arg;
	path_pin(s->cpu);
	open_stream(s, s->port);
	int64_t begin = path_now() + WARM_UP_NS;
	while (path_now() < begin)
		turn(s, data[s->cpu]);
	int64_t until = path_now() + s->span, cpu = path_thread_cpu();
	s->received = 0;
	begin = path_now();
	while (path_now() < until)
		turn(s, data[s->cpu]);
	s->took = path_now() - begin;
	s->used = path_thread_cpu() - cpu;
	close(s->out);
	close(s->in);
	return NULL;
}

static void slice(struct path_opts *o, const struct path_lab *lab, unsigned round)
{
	struct stream s[PATH_CPUS];
	struct path_usage before, after;
	pthread_t t[PATH_CPUS];
	double bits = 0, rate = 0, cpu = 0;
	path_usage(lab, &before);
	for (unsigned i = 0; i < o->threads; i++) {
		s[i] = (struct stream){.lab = lab,
			.cpu = i,
			.port = (uint16_t)(o->port + i),
			.span = (int64_t)o->slice_ms * 1000000};
		if (pthread_create(&t[i], NULL, stream_thread, &s[i]) != 0)
			errx(1, "no thread");
	}
	for (unsigned i = 0; i < o->threads; i++) {
		pthread_join(t[i], NULL);
		bits += (double)s[i].received * 8;
		rate += (double)s[i].received * 8e9 / (double)s[i].took;
		cpu += (double)s[i].used / 1e9;
	}
	path_settle(lab);
	path_usage(lab, &after);
	path_line_begin(round, lab, &before, &after);
	printf(", \"rate\": %.0f, \"count\": %.0f, \"cpu\": %.6f", rate, bits, cpu);
	path_line_end();
}

void path_stream(struct path_opts *o)
{
	path_each(o, slice);
}
