/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who reads our queues while no daemon does: whoever it is says of each packet whether it passes.
 * (While one runs they are its own: the kernel gives a queue to one socket.)
 */
#include "private.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>

#include "config/config.h"

#define QUEUES 3 /* queue.base and the next two */
#define DESCRIPTORS_MAX 200000

/* The inode of the netlink socket with that port; 0: not found. */
static unsigned long socket_of(unsigned portid)
{
	FILE bh_autofclose *f = fopen("/proc/net/netlink", "re");
	char line[256];
	while (f && fgets(line, sizeof(line), f)) {
		unsigned protocol, port;
		unsigned long inode;
		if (sscanf(line, "%*s %u %u %*s %*s %*s %*s %*s %*s %lu", &protocol, &port,
			    &inode) == 3 &&
			protocol == NETLINK_NETFILTER && port == portid)
			return inode;
	}
	return 0;
}

static bool has_socket(int fds, const char *want, size_t *looked)
{
	DIR *dir = fdopendir(fds);
	bool found = false;
	if (!dir) {
		close(fds);
		return false;
	}
	for (struct dirent *e; !found && (e = readdir(dir)) && ++*looked < DESCRIPTORS_MAX;) {
		char link[64];
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		found = bh_streq(link, want);
	}
	closedir(dir);
	return found;
}

/* "snort (pid 4711)", or the port alone. Owned. */
static char *who_reads(unsigned portid)
{
	char path[64], comm[32] = "?", want[64];
	size_t looked = 0;
	snprintf(want, sizeof(want), "socket:[%lu]", socket_of(portid));
	DIR *proc = opendir("/proc");
	char *who = NULL;
	for (struct dirent *e; proc && !who && (e = readdir(proc));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/fd", e->d_name);
		int fds = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds < 0 || !has_socket(fds, want, &looked))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		FILE bh_autofclose *f = fopen(path, "re");
		if (f && fscanf(f, "%31[^\n]", comm) == 1)
			who = bh_xasprintf("%s (pid %s)", comm, e->d_name);
	}
	if (proc)
		closedir(proc);
	return who ? who : bh_xasprintf("a process with netlink port %u", portid);
}

void bh_doctor_queues(const struct bh_doctor_look *k)
{
	FILE bh_autofclose *f = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	unsigned num, portid, base = k->d->conf->queue_base;
	size_t strangers = 0;
	char line[256];

	if (k->d->daemon)
		return;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%u %u", &num, &portid) != 2 || num < base || num >= base + QUEUES)
			continue;
		char bh_autofree *who = who_reads(portid);
		strangers++;
		bh_finding(k->checks, "queues", BH_HEALTH_FAIL,
			"stop it, or set queue.base in the configuration",
			"queue %u is read by %s: it says which unmatched packets pass", num, who);
	}
	if (!f)
		bh_finding(k->checks, "queues", BH_HEALTH_SKIP, NULL,
			"this kernel has no NFQUEUE, or its /proc is not to be read");
	else if (!strangers)
		bh_finding(k->checks, "queues", BH_HEALTH_OK, NULL, "nobody reads queues %u to %u",
			base, base + QUEUES - 1);
}
