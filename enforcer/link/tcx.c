/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See tcx.h. The numbers are those of Linux 6.6: Debian 12's headers are older. */
#include "link/tcx.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, BPF_TCX_EGRESS */
#define TCX_EGRESS 47
#define FIRST (1u << 3) /* BPF_F_BEFORE, of none */
#define PROGRAMS_MAX 64 /* BPF_MPROG_MAX */

static int call(int what, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, what, attr, sizeof(*attr));
	return r < 0 ? -errno : r;
}

/* Ids of the programs, their number, or −errno; 0 where the kernel does not know tcx. */
static int list(unsigned ifindex, uint32_t type, uint32_t id[static PROGRAMS_MAX])
{
	union bpf_attr attr = {.query = {.target_fd = ifindex,
				       .attach_type = type,
				       .prog_ids = (uintptr_t)id,
				       .prog_cnt = PROGRAMS_MAX}};
	int r = call(BPF_PROG_QUERY, &attr);
	if (r == -EINVAL || r == -ENOENT) /* no tcx; nothing was ever put there */
		return 0;
	return r < 0 ? r : (int)attr.query.prog_cnt;
}

/* A descriptor of the program if its name is that one, else −ENOENT; −errno. */
static int open_named(uint32_t id, const char *name)
{
	union bpf_attr attr = {.prog_id = id};
	struct bpf_prog_info info = {0};
	int bh_autoclose fd = call(BPF_PROG_GET_FD_BY_ID, &attr);

	if (fd < 0)
		return fd;
	attr = (union bpf_attr){
		.info = {.bpf_fd = (__u32)fd, .info_len = sizeof(info), .info = (uintptr_t)&info}};
	int r = call(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (r < 0)
		return r;
	return strncmp(info.name, name, sizeof(info.name)) == 0 ? BH_TAKE_FD(fd) : -ENOENT;
}

/* The first of that name at the way in. */
static int find(unsigned ifindex, const char *name)
{
	uint32_t id[PROGRAMS_MAX];
	int n = list(ifindex, TCX_INGRESS, id), fd = -ENOENT;

	if (n < 0)
		return n;
	for (int i = 0; i < n && fd == -ENOENT; i++)
		fd = open_named(id[i], name);
	return fd;
}

int bh_tcx_look(unsigned ifindex, const char *name, struct bh_tcx *ret)
{
	uint32_t id[PROGRAMS_MAX];
	int n = list(ifindex, TCX_INGRESS, id);

	*ret = (struct bh_tcx){0};
	ret->unseen = n == -EPERM;
	if (n < 0)
		return n == -EPERM ? 0 : n; /* nor could one be put there */
	for (int i = 0; i < n; i++) {
		int bh_autoclose fd = open_named(id[i], name);
		ret->ours |= fd >= 0;
		ret->others += fd < 0;
		ret->unseen |= fd == -EPERM;
		ret->nameless += fd == -EPERM;
	}
	n = list(ifindex, TCX_EGRESS, id);
	ret->others += n > 0 ? (size_t)n : 0;
	return 0;
}

int bh_tcx_attach(unsigned ifindex, int program, const char *name)
{
	int bh_autoclose old = find(ifindex, name);
	union bpf_attr attr = {
		.target_fd = ifindex,
		.attach_bpf_fd = (__u32)program,
		.attach_type = TCX_INGRESS,
		.attach_flags = old >= 0 ? BPF_F_REPLACE : FIRST,
	};
	if (old >= 0)
		attr.replace_bpf_fd = (__u32)old;
	int r = call(BPF_PROG_ATTACH, &attr);
	return r == -EINVAL ? -EOPNOTSUPP : r;
}

int bh_tcx_detach(unsigned ifindex, const char *name)
{
	int n = 0, fd;

	while ((fd = find(ifindex, name)) >= 0) {
		union bpf_attr attr = {
			.target_fd = ifindex,
			.attach_bpf_fd = (__u32)fd,
			.attach_type = TCX_INGRESS,
		};
		int r = call(BPF_PROG_DETACH, &attr);
		close(fd);
		if (r < 0)
			return r;
		n++;
	}
	return fd == -ENOENT || fd == -EPERM ? n : fd;
}
