/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections of sinks. Blocking, each step bounded by a timeout, on the sink's own thread. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "beside.h"
#include "sink/private.h"
#include "sink/tls.h"

#define TIMEOUT_S 5
#define DRAIN_MS 10000

static int open_unix(const char *path, struct bh_transport *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path));
	for (int i = 0; i < 2; i++) {
		t->stream = i == 1;
		t->fd = socket(AF_UNIX, (i ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
		if (t->fd < 0)
			return -errno;
		if (connect(t->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
			return 0;
		int e = -errno;
		close(t->fd);
		t->fd = -1;
		if (e != -EPROTOTYPE)
			return e;
	}
	return -EPROTOTYPE;
}

/* "host:port", "[::1]:port"; both owned. */
static int split(const char *address, char **host, char **port)
{
	const char *colon = strrchr(address, ':');
	if (!colon || !colon[1])
		return -EINVAL;
	bool brackets = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
	*host = bh_xstrndup(address + brackets, (size_t)(colon - address) - 2 * brackets);
	*port = bh_xstrdup(colon + 1);
	return 0;
}

static void set_timeouts(int fd)
{
	struct timeval tv = {.tv_sec = TIMEOUT_S};
	unsigned user = 1000 * TIMEOUT_S;
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)); /* of connect too */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user, sizeof(user));
}

static int open_tcp(const char *host, const char *port, struct bh_transport *t)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *list;
	int e = -EHOSTUNREACH;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && e < 0; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			e = -errno;
			continue;
		}
		set_timeouts(fd);
		e = connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
		if (e < 0)
			close(fd);
		else
			t->fd = fd;
	}
	freeaddrinfo(list);
	t->stream = true;
	return e == -EINPROGRESS ? -ETIMEDOUT : e;
}

static const struct bh_tls_module *tls;
static char tls_missing[256];

static void load_tls(void)
{
	char bh_autofree *path = bh_beside("bulkhead-tls.so", BH_LIBDIR);
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays */
	tls = module ? dlsym(module, BH_TLS_SYMBOL) : NULL;
	if (!tls)
		snprintf(tls_missing, sizeof(tls_missing), "TLS: %s", dlerror());
}

static int start_tls(
	const char *host, const char *ca, struct bh_transport *t, char *why, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT; /* each sink has a thread */
	pthread_once(&once, load_tls);
	if (tls)
		t->tls = tls->start(t->fd, host, ca, why, size);
	else
		snprintf(why, size, "%s", tls_missing);
	return t->tls ? 0 : -EPROTO;
}

int bh_transport_open(
	const struct bh_sink_opts *o, struct bh_transport *ret, char *why, size_t why_size)
{
	struct bh_transport t = {.kind = o->kind, .fd = -1};
	char bh_autofree *host = NULL, *port = NULL;
	int e;

	why[0] = '\0';
	if (o->kind == BH_SINK_UNIX || o->kind == BH_SINK_JOURNALD) {
		e = open_unix(o->address, &t);
	} else {
		e = split(o->address, &host, &port);
		if (e == 0)
			e = open_tcp(host, port, &t);
		if (e == 0 && o->kind == BH_SINK_TLS)
			e = start_tls(host, o->ca, &t, why, why_size);
	}
	if (e < 0) {
		if (!why[0])
			snprintf(why, why_size, "%s: %s", o->address, strerror(-e));
		bh_transport_close(&t);
		return e;
	}
	*ret = t;
	return 0;
}

void bh_transport_close(struct bh_transport *t)
{
	if (t->tls)
		tls->close(t->tls);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct bh_transport){.fd = -1};
}

static int write_all(struct bh_transport *t, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = t->tls ? tls->write(t->tls, text, len)
				   : send(t->fd, text, len, MSG_NOSIGNAL);
		if (n <= 0) {
			if (!t->tls && errno == EINTR)
				continue;
			return t->tls || errno == EAGAIN ? -EPIPE : -errno;
		}
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int bh_transport_send(struct bh_transport *t, const char *message, size_t len)
{
	char head[24];

	if (!t->stream)
		return send(t->fd, message, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
	int n = snprintf(head, sizeof(head), "%zu ", len);
	int e = write_all(t, head, (size_t)n);
	return e < 0 ? e : write_all(t, message, len);
}

static bool is_gone(const struct bh_transport *t)
{
	char c;
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	if (poll(&p, 1, 0) <= 0)
		return false;
	return p.revents & (POLLERR | POLLHUP) || recv(t->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int bh_transport_drain(struct bh_transport *t)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	if (!t->stream)
		return 0;
	for (int waited = 0; waited < DRAIN_MS; waited += 2) {
		int left = 0;
		if (is_gone(t))
			return -EPIPE;
		if (ioctl(t->fd, SIOCOUTQ, &left) < 0 || left == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}
