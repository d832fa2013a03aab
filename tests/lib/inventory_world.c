/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/inventory_world.h"

#include <errno.h>
#include <fcntl.h>

/* --- the kernel --- */
struct kernel kernel;

void kernel_ns(size_t i, const char *path, uint64_t inode, const char *addr)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = inode;
	kernel.ns[i].addr = addr;
}

uint64_t bh_link_own_netns(const struct bh_link *l)
{
	(void)l;
	return OWN;
}

static int find_ns(const char *path)
{
	for (int i = 0; i < (int)BH_ARRAY_SIZE(kernel.ns); i++) {
		if (kernel.ns[i].path && strcmp(kernel.ns[i].path, path) == 0)
			return i;
	}
	return -ENOENT;
}

int bh_link_netns_inode(const char *path, uint64_t *ret)
{
	int i = find_ns(path);
	if (i >= 0)
		*ret = kernel.ns[i].inode;
	return i < 0 ? i : 0;
}

int bh_link_inspect(struct bh_link *l, const char *path, struct bh_workload *w)
{
	int i = find_ns(path);
	struct bh_addr a;
	(void)l;
	kernel.inspections++;
	if (i < 0)
		return i;
	if (kernel.ns[i].err)
		return kernel.ns[i].err;
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	f->host_name = bh_xstrdup("veth0");
	f->bridge_ifindex = kernel.ns[i].bridge;
	f->host_ifindex = kernel.ns[i].port;
	f->mac[5] = kernel.ns[i].mac;
	bh_addr_parse(kernel.ns[i].addr, &a);
	bh_interface_add_addr_since(f, &a, kernel.ns[i].since);
	if (kernel.ns[i].more) {
		bh_addr_parse(kernel.ns[i].more, &a);
		bh_interface_add_addr_since(f, &a, 100 + kernel.ns[i].since);
	}
	w->netns = kernel.ns[i].inode;
	return 0;
}

void bh_link_forget(struct bh_link *l BH_UNUSED, uint64_t netns)
{
	kernel.forgotten = netns;
}

int bh_link_host(struct bh_link *l, struct bh_inventory *inv, bool anew BH_UNUSED)
{
	struct bh_addr a;
	struct bh_prefix p;
	(void)l;
	kernel.host_looks++;
	if (kernel.host_err)
		return kernel.host_err;
	if (kernel.host_addr) {
		bh_addr_parse(kernel.host_addr, &a);
		bh_inventory_add_host(inv, &a);
	}
	bh_addr_parse("192.0.2.1", &a);
	bh_prefix_parse("192.0.2.0/24", &p);
	bh_inventory_add_host(inv, &a);
	bh_inventory_add_network(inv, &p);
	return 0;
}

int bh_link_networks(struct bh_link *l BH_UNUSED, unsigned ifindex, struct bh_prefix **ret)
{
	const char *subnet = kernel.subnet[ifindex];
	if (!subnet)
		return 0;
	*ret = bh_xcalloc(1, sizeof(**ret));
	bh_prefix_parse(subnet, *ret);
	return 1;
}

int bh_link_watch_fd(struct bh_link *l)
{
	(void)l;
	return kernel.pipe[0];
}

void bh_link_watch_drain(struct bh_link *l BH_UNUSED, struct bh_link_news *news)
{
	char c[64];
	while (read(kernel.pipe[0], c, sizeof(c)) > 0)
		continue;
	news->all |= kernel.lost;
	news->host |= kernel.told_host || kernel.lost;
	for (size_t i = 0; i < BH_ARRAY_SIZE(kernel.ns); i++) {
		if (!kernel.told[i])
			continue;
		BH_GROW(news->netns, news->n, news->cap);
		news->netns[news->n++] = kernel.ns[i].inode;
		kernel.told[i] = false;
	}
	kernel.lost = kernel.told_host = false;
}

void bh_link_news_finish(struct bh_link_news *news)
{
	free(news->netns);
}

void ring(void)
{
	assert_int_equal(write(kernel.pipe[1], "x", 1), 1);
}

void notice(unsigned i)
{
	kernel.told[i] = true;
	ring();
}

void notice_host(void)
{
	kernel.told_host = true;
	ring();
}

void notices_lost(void)
{
	kernel.lost = true;
	ring();
}

/* --- a source --- */
static void nothing(struct bh_source *s)
{
	(void)s;
}
static void drop_source(struct bh_source *s)
{
	free(s->name);
	free(s);
}
static const struct bh_source_ops ops = {.kind = "test",
	.rank = BH_RANK_DOCKER,
	.start = nothing,
	.reload = nothing,
	.free = drop_source};
const struct bh_source_ops richer = {.kind = "richer",
	.rank = BH_RANK_PODMAN,
	.start = nothing,
	.reload = nothing,
	.free = drop_source};

void on_changed(void *arg)
{
	((struct world *)arg)->told++;
}

struct bh_source *add_source_of(struct world *w, const char *name, const struct bh_source_ops *of)
{
	struct bh_source *s = bh_xcalloc(1, sizeof(*s));
	s->ops = of;
	s->name = bh_xstrdup(name);
	bh_inventory_mgr_add(w->m, s);
	return s;
}

struct bh_source *add_source(struct world *w, const char *name)
{
	return add_source_of(w, name, &ops);
}

void on_beat(uv_timer_t *t)
{
	(void)t;
}

static void on_stop(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

void run_for(struct world *w, unsigned ms)
{
	bool over = false;
	w->stop.data = &over;
	uv_timer_start(&w->stop, on_stop, ms, 0);
	while (!over)
		uv_run(&w->loop, UV_RUN_ONCE);
}

int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(pipe2(kernel.pipe, O_NONBLOCK | O_CLOEXEC), 0);
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->stop);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	assert_int_equal(bh_inventory_mgr_new(&w->loop, NULL, on_changed, w, &w->m), 0);
	*state = w;
	return 0;
}

int teardown(void **state)
{
	struct world *w = *state;
	bh_inventory_mgr_free(w->m);
	uv_close((uv_handle_t *)&w->stop, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	close(kernel.pipe[0]);
	close(kernel.pipe[1]);
	free(w);
	return 0;
}

struct bh_container *container(const char *id, const char *path, const char *label)
{
	struct bh_container *c = bh_container_new();
	c->id = bh_xstrdup(id);
	c->runtime = bh_xstrdup("docker");
	c->name = bh_xasprintf("name-%s", id);
	c->netns_path = bh_xstrdup(path);
	if (label)
		bh_labels_set(&c->labels, label, id);
	return c;
}

void upsert(struct bh_source *s, struct bh_container *c)
{
	s->sink.upsert(s->sink.arg, c);
}

static enum bh_mode mode_of(const struct bh_workload *x, void *arg)
{
	const struct world *w = arg;
	return bh_streq(x->namespace, w->enforced) ? BH_MODE_ENFORCE : BH_MODE_LEARN;
}

static void add_frame(struct bh_inventory *frame, void *arg)
{
	const struct world *w = arg;
	if (w->declared)
		bh_inventory_add_namespace(frame, w->declared, NULL);
}

static struct bh_quarantine *quarantine_of(const struct bh_workload *x, void *arg)
{
	const struct world *w = arg;
	return bh_streq(x->name, "name-one") ? w->quarantine : NULL;
}

static void on_claim(const struct bh_workload *x, const char *what, void *arg)
{
	struct world *w = arg;
	size_t n = strlen(w->claims);
	snprintf(w->claims + n, sizeof(w->claims) - n, "%s %s\n", x->name, what);
}

struct bh_inventory *build(struct world *w)
{
	const struct bh_inventory_settings settings = {
		mode_of, add_frame, w, quarantine_of, on_claim};
	return bh_inventory_mgr_build(w->m, &settings);
}

const struct bh_workload *named(const struct bh_inventory *inv, const char *name)
{
	int i = bh_inventory_resolve(inv, name, NULL, 0, NULL);
	assert_true(i >= 0);
	return inv->workload[i];
}

/* Until all that was heard has been looked at, without waiting for it. */
void settle(struct world *w)
{
	uv_timer_t *const t[] = {&w->m->look, &w->m->walk};
	do {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
			if (i == 0 ? uv_is_active((uv_handle_t *)t[i]) : w->m->hurry > 0) {
				uv_timer_stop(t[i]);
				t[i]->timer_cb(t[i]);
			}
		}
	} while (kernel.lost || kernel.told_host || w->m->heard_id.n > 0 || w->m->hurry > 0 ||
		 uv_is_active((uv_handle_t *)&w->m->look));
}
