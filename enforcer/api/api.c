/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server: libmicrohttpd without threads. Its epoll descriptor is polled by the event loop and
 * its timeouts are a timer of the loop, so that a request runs between other events and never
 * beside them. What a client can hold is bounded: connections, header memory, body and lifetime.
 */
#include <errno.h>
#include <sys/socket.h>

#include "api/private.h"

struct bh_api_limits bh_api_limits = {.lifetime_ms = 30000, .idle_s = 10, .readers = 48};

#define MEMORY_PER_CONNECTION ((size_t)64 << 10) /* headers and write buffer */

static void on_poll(uv_poll_t *p, int status BH_UNUSED, int events BH_UNUSED)
{
	bh_api_run(p->data);
}

static void on_timer(uv_timer_t *t)
{
	bh_api_run(t->data);
}

void bh_api_run(struct bh_api *a)
{
	MHD_UNSIGNED_LONG_LONG ms;

	a->closed_one = false;
	MHD_run(a->mhd);
	/* libmicrohttpd 0.9.75 looks at the listening socket again, after the connection limit was
	 * reached, only at the start of the next run: without it nobody would be let in any more.
	 */
	if (a->closed_one)
		uv_timer_start(&a->timer, on_timer, 0, 0);
	else if (MHD_get_timeout(a->mhd, &ms) == MHD_YES)
		uv_timer_start(&a->timer, on_timer, ms, 0);
	else
		uv_timer_stop(&a->timer);
}

/* shutdown rather than close: the descriptor is MHD's, which sees the end and closes it. */
static void on_reaper(uv_timer_t *t)
{
	struct bh_api *a = t->data;
	for (struct bh_api_conn *c = a->conns; c; c = c->next)
		if (uv_now(a->loop) - c->started >= bh_api_limits.lifetime_ms)
			shutdown(c->fd, SHUT_RDWR);
}

static void opened(struct bh_api *a, struct MHD_Connection *mhd, void **state)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct bh_api_conn *c = bh_xcalloc(1, sizeof(*c));
	struct ucred cred;
	socklen_t len = sizeof(cred);

	uv_update_time(a->loop);
	*c = (struct bh_api_conn){
		.next = a->conns, .fd = info->connect_fd, .started = uv_now(a->loop)};
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
		c->who = (struct bh_core_actor){.uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
		c->known = true;
	}
	if (c->next)
		c->next->prev = c;
	else
		uv_timer_start(&a->reaper, on_reaper, 1000, 1000);
	a->conns = c;
	*state = c;
	if (c->known && c->who.uid == 0)
		return;
	if (++a->n_readers > bh_api_limits.readers)
		shutdown(c->fd, SHUT_RDWR);
}

static void closed(struct bh_api *a, struct bh_api_conn *c)
{
	if (!c->known || c->who.uid != 0)
		a->n_readers--;
	if (c->prev)
		c->prev->next = c->next;
	else
		a->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	a->closed_one = true;
	if (!a->conns)
		uv_timer_stop(&a->reaper);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **state,
	enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		opened(cls, mhd, state);
	else if (*state)
		closed(cls, BH_TAKE_PTR(*state));
}

static struct MHD_Daemon *start_mhd(struct bh_api *a, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		bh_api_request, a, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned)BH_API_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		bh_api_limits.idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_PER_CONNECTION,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, a, MHD_OPTION_NOTIFY_COMPLETED,
		bh_api_request_done, a, MHD_OPTION_END);
}

static void api_free(struct bh_api *a)
{
	free(a->path);
	free(a);
}

static void on_closed(uv_handle_t *h)
{
	struct bh_api *a = h->data;
	if (--a->handles == 0)
		api_free(a);
}

static void close_handle(struct bh_api *a, uv_handle_t *h)
{
	a->handles++;
	h->data = a;
	uv_close(h, on_closed);
}

int bh_api_start(uv_loop_t *loop, struct bh_core *core, const char *path, struct bh_api **ret)
{
	uint64_t dev, ino;
	int fd = bh_api_listen(path, &dev, &ino);
	if (fd < 0)
		return fd;

	struct bh_api *a = bh_xcalloc(1, sizeof(*a));
	a->core = core;
	a->loop = loop;
	a->path = bh_xstrdup(path);
	a->dev = dev;
	a->ino = ino;
	a->mhd = start_mhd(a, fd); /* takes fd */
	if (!a->mhd) {
		int e = errno ? -errno : -ENOMEM;
		close(fd);
		bh_api_unlisten(path, dev, ino);
		api_free(a);
		return e;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	uv_timer_init(loop, &a->timer);
	uv_timer_init(loop, &a->reaper);
	uv_timer_init(loop, &a->turn);
	a->timer.data = a->reaper.data = a->turn.data = a->poll.data = a;
	int e = uv_poll_init(loop, &a->poll, info->epoll_fd);
	if (e < 0) {
		MHD_stop_daemon(a->mhd);
		bh_api_unlisten(path, dev, ino);
		close_handle(a, (uv_handle_t *)&a->timer);
		close_handle(a, (uv_handle_t *)&a->reaper);
		close_handle(a, (uv_handle_t *)&a->turn);
		return e;
	}
	uv_poll_start(&a->poll, UV_READABLE, on_poll);
	*ret = a;
	return 0;
}

void bh_api_stop(struct bh_api *a)
{
	if (!a)
		return;
	uv_poll_stop(&a->poll); /* before MHD closes the descriptor under it */
	bh_api_unlisten(a->path, a->dev, a->ino);
	bh_api_turns_end(a);
	MHD_stop_daemon(a->mhd);
	close_handle(a, (uv_handle_t *)&a->poll);
	close_handle(a, (uv_handle_t *)&a->timer);
	close_handle(a, (uv_handle_t *)&a->reaper);
	close_handle(a, (uv_handle_t *)&a->turn);
}
