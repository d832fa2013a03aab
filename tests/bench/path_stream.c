/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Throughput of open TCP connections, one for each CPU. A thread plays both ends of one: it sends
 * what fits and receives what has come, in turns, each byte copied in and out. The whole way
 * through the node runs in its system calls, so that what is measured is the work and not how soon
 * a busy machine's scheduler wakes a receiver. The connections of labs whose turn it is not are
 * silent.
 */
#include "bench/path.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define CHUNK (128u << 10)

struct stream {
	const struct path_lab *lab;
	unsigned cpu;
	int out, in; /* the two ends */
	int64_t until, used; /* ns; used: of CPU */
	uint64_t received;
};

static struct stream streams[PATH_LABS][PATH_CPUS];

static void open_stream(struct stream *s, uint16_t port)
{
	const struct path_lab *lab = s->lab;
	struct sockaddr_in to = path_addr(lab->target, port);
	int one = 1;
	path_enter(lab->server);
	bh_autoclose int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(l, (struct sockaddr *)&to, sizeof(to)) < 0 || listen(l, 1) < 0)
		err(1, "%s: listen", lab->name);
	path_enter(lab->client);
	s->out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(s->out, (struct sockaddr *)&to, sizeof(to)) < 0)
		err(1, "%s: connect", lab->name);
	s->in = accept(l, NULL, NULL);
	if (s->in < 0)
		err(1, "%s: accept", lab->name);
}

/* Neither full nor empty: something is under way, which another context has to move on. */
static void wait_for_stream(struct stream *s)
{
	struct pollfd fd[2] = {{s->out, POLLOUT, 0}, {s->in, POLLIN, 0}};
	poll(fd, 2, 100);
}

static void *stream_thread(void *arg)
{
	static char data[PATH_CPUS][CHUNK];
	struct stream *s = arg;
	char *mine = data[s->cpu];
	path_pin(s->cpu);
	int64_t cpu = path_thread_cpu();
	while (path_now() < s->until) {
		ssize_t sent = send(s->out, mine, CHUNK, MSG_DONTWAIT);
		ssize_t got = recv(s->in, mine, CHUNK, MSG_DONTWAIT);
		if ((sent < 0 && errno != EAGAIN) || got == 0)
			errx(1, "%s: the connection was cut", s->lab->name);
		s->received += got > 0 ? (uint64_t)got : 0;
		if (sent < 0 && got < 0)
			wait_for_stream(s);
	}
	s->used = path_thread_cpu() - cpu;
	return NULL;
}

static void slice(struct path_opts *o, const struct path_lab *lab, unsigned round)
{
	struct stream *s = streams[lab - o->lab];
	struct path_usage before, after;
	pthread_t t[PATH_CPUS];
	double bits = 0, cpu = 0;
	path_usage(lab, &before);
	int64_t start = path_now();
	for (unsigned i = 0; i < o->threads; i++) {
		s[i].until = start + (int64_t)o->slice_ms * 1000000;
		s[i].received = 0;
		if (pthread_create(&t[i], NULL, stream_thread, &s[i]) != 0)
			errx(1, "no thread");
	}
	for (unsigned i = 0; i < o->threads; i++) {
		pthread_join(t[i], NULL);
		bits += (double)s[i].received * 8;
		cpu += (double)s[i].used / 1e9;
	}
	double seconds = (double)(path_now() - start) / 1e9;
	path_settle(lab);
	path_usage(lab, &after);
	path_line_begin(round, lab, &before, &after);
	printf(", \"rate\": %.0f, \"count\": %.0f, \"cpu\": %.6f", bits / seconds, bits, cpu);
	path_line_end();
}

void path_stream(struct path_opts *o)
{
	for (size_t i = 0; i < o->n_labs; i++) {
		for (unsigned c = 0; c < o->threads; c++) {
			streams[i][c] = (struct stream){.lab = &o->lab[i], .cpu = c};
			open_stream(&streams[i][c], (uint16_t)(o->port + c));
		}
	}
	path_each(o, slice);
}
