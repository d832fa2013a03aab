/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One container's network namespace, as the kernel shows it. A pid is bound to the start time of
 * its process: a recycled pid must not lend a container the namespace of a stranger.
 */
#include <errno.h>
#include <fcntl.h>

#include "inventory/manager.h"

struct bh_record *bh_record_new(struct bh_container *c, enum bh_source_rank rank, size_t source)
{
	struct bh_record *r = bh_xcalloc(1, sizeof(*r));
	r->container = c;
	r->rank = rank;
	r->source = source;
	r->stale = true;
	return r;
}

void bh_record_free(void *record)
{
	struct bh_record *r = record;
	if (!r)
		return;
	bh_container_free(r->container);
	bh_workload_unref(r->seen);
	free(r);
}

static char *netns_path(const struct bh_record *r)
{
	if (r->container->netns_path)
		return bh_xstrdup(r->container->netns_path);
	return bh_xasprintf("/proc/%d/ns/net", r->container->pid);
}

void bh_record_inherit(struct bh_record *r, struct bh_record *from)
{
	if (r->container->pid != from->container->pid ||
		!bh_streq(r->container->netns_path, from->container->netns_path))
		return;
	r->start_time = from->start_time;
	r->seen = BH_TAKE_PTR(from->seen);
	r->err = from->err;
	r->failing_since = from->failing_since;
	r->persists = from->persists;
}

/* Field 22 of /proc/PID/stat (proc(5)); the second field is in parentheses and may hold any. */
static int process_start(int pid, uint64_t *ret)
{
	char path[40], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	bh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at + 1, ' ');
	}
	if (!at)
		return -EPROTO;
	*ret = strtoull(at + 1, NULL, 10);
	return 0;
}

static int check_process(struct bh_record *r)
{
	uint64_t start;
	if (r->container->pid <= 0)
		return 0;
	int err = process_start(r->container->pid, &start);
	if (err)
		return err;
	if (r->start_time && r->start_time != start)
		return -ESRCH;
	r->start_time = start;
	return 0;
}

static bool means_gone(int err)
{
	return err == -ENOENT || err == -ESRCH || err == -ENOTDIR;
}

static void failed(struct bh_inventory_mgr *m, struct bh_record *r, int err)
{
	r->err = err;
	/* Anything else may be a passing fault of the dump: the last good answer stays as long as
	 * it is about the same namespace. */
	if (means_gone(err) || !r->seen || bh_record_moved(r)) {
		bh_workload_unref(r->seen);
		r->seen = NULL;
	}
	if (!r->failing_since) {
		r->failing_since = uv_now(m->loop) ? uv_now(m->loop) : 1;
		r->persists = false;
	}
}

static bool inspect(struct bh_inventory_mgr *m, struct bh_record *r)
{
	struct bh_workload *w = bh_workload_new();
	bh_autofree char *path = netns_path(r);
	int err = check_process(r);
	if (!err)
		err = bh_link_inspect(m->link, path, w);
	if (err) {
		bool had = r->seen != NULL;
		int before = r->err;
		bh_workload_unref(w);
		failed(m, r, err);
		return had != (r->seen != NULL) || before != err;
	}
	bool news = r->err || !r->seen || !bh_workload_equal(r->seen, w);
	bh_workload_unref(r->seen);
	r->seen = w;
	r->err = 0;
	r->failing_since = 0;
	r->persists = false;
	return news;
}

bool bh_record_refresh(struct bh_inventory_mgr *m, struct bh_record *r)
{
	bool stale = r->stale;
	r->stale = false;
	return stale && inspect(m, r);
}

bool bh_record_failing(const struct bh_record *r)
{
	return r->err && r->err != -EOPNOTSUPP;
}

bool bh_record_moved(const struct bh_record *r)
{
	uint64_t inode;
	bh_autofree char *path = netns_path(r);
	return !r->seen || bh_link_netns_inode(path, &inode) < 0 || inode != r->seen->netns;
}

char *bh_record_reason(const struct bh_record *r)
{
	bh_autofree char *path = netns_path(r);
	if (r->err == -EOPNOTSUPP)
		return bh_xstrdup("this kernel does not show the interfaces of other network "
				  "namespaces");
	if (means_gone(r->err) && r->container->pid <= 0)
		return bh_xasprintf("its network namespace %s does not exist (yet)", path);
	if (means_gone(r->err))
		return bh_xasprintf("its process %d has ended", r->container->pid);
	return bh_xasprintf("its network namespace %s cannot be read: %s", path, strerror(-r->err));
}
