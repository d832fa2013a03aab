/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the queue share: a callback that answers what it is told, and sockets. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "queue/queue.h"
#include "system/netns.h"

#define PORT 9000

static inline int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* What the callback answers, and what it saw. */
struct oracle {
	_Atomic enum bh_packet_verdict answer, answer_held, answer_expired;
	atomic_int calls, held_calls, expired_calls;
	atomic_bool shut; /* the callback waits */
	pthread_mutex_t lock;
	struct bh_packet last;
	atomic_size_t longest;
};

static inline enum bh_packet_verdict ask(const struct bh_packet *p, void *arg)
{
	struct oracle *o = arg;

	while (o->shut)
		sleep_ms(1);
	pthread_mutex_lock(&o->lock);
	o->last = *p;
	pthread_mutex_unlock(&o->lock);
	if (p->len > o->longest)
		o->longest = p->len;
	o->calls++;
	if (p->expired) {
		o->expired_calls++;
		return o->answer_expired;
	}
	if (p->held) {
		o->held_calls++;
		return o->answer_held;
	}
	return o->answer;
}

static inline struct bh_packet last(struct oracle *o)
{
	pthread_mutex_lock(&o->lock);
	struct bh_packet p = o->last;
	pthread_mutex_unlock(&o->lock);
	return p;
}

static inline void oracle_init(struct oracle *o, enum bh_packet_verdict answer)
{
	memset(o, 0, sizeof(*o));
	o->answer = answer;
	o->answer_held = BH_PACKET_HOLD;
	o->answer_expired = BH_PACKET_DROP;
	pthread_mutex_init(&o->lock, NULL);
}

static const struct bh_queue_opts plain BH_UNUSED = {
	.num = 10, .maxlen = 4096, .hold_max = 64, .hold_ms = 300};

static inline struct bh_queue *start(const struct bh_queue_opts *opts, struct oracle *o)
{
	struct bh_queue *q = NULL;

	assert_int_equal(bh_queue_start(opts, ask, o, &q), 0);
	assert_non_null(q);
	return q;
}

static inline struct bh_queue_stats stats(struct bh_queue *q)
{
	struct bh_queue_stats s;

	bh_queue_get_stats(q, &s);
	return s;
}

/* Waits until a counter of the callback has reached n. */
static inline void until(atomic_int *counter, int n)
{
	int64_t end = now_ms() + 5000;

	while (*counter < n && now_ms() < end)
		sleep_ms(2);
	assert_true(*counter >= n);
}

static inline struct sockaddr_in v4(const char *addr, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	assert_int_equal(inet_pton(AF_INET, addr, &a.sin_addr), 1);
	return a;
}

static inline void bind_udp(int fd, const char *addr)
{
	struct sockaddr_in a = v4(addr, PORT);
	int size = 64 << 20, one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
}

static inline int server(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	bind_udp(fd, "127.0.0.1");
	return fd;
}

/* A connected socket, so that ICMP errors come back as ECONNREFUSED and the like. */
static inline int client(void)
{
	struct sockaddr_in a = v4("127.0.0.1", PORT);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = 64 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void say(int fd, const char *what)
{
	assert_int_equal(send(fd, what, strlen(what), 0), strlen(what));
}

/* What arrives within ms; -1 and errno otherwise. */
static inline ssize_t hear(int fd, char *buf, size_t size, int ms)
{
	struct pollfd p = {fd, POLLIN, 0};

	if (poll(&p, 1, ms) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return recv(fd, buf, size, MSG_DONTWAIT);
}

static inline void assert_hears(int fd, const char *what)
{
	char buf[2048] = {};

	assert_true(hear(fd, buf, sizeof(buf) - 1, 3000) >= 0);
	assert_string_equal(buf, what);
}

static inline void assert_silent(int fd, int ms)
{
	char buf[64];

	assert_int_equal(hear(fd, buf, sizeof(buf), ms), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void assert_kernel_queue_empty(void)
{
	unsigned num, port, total = 0;
	FILE *p = fopen("/proc/self/net/netfilter/nfnetlink_queue", "r");

	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u %u %u", &num, &port, &total), 3);
	assert_int_equal(total, 0);
	fclose(p);
}
