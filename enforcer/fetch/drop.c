/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See drop.h. */
#include "fetch/drop.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534 /* the kernel's overflow id, and Debian's nobody and nogroup */
#define FILES 64
#define CPU_S 600

static int limit(int what, rlim_t value)
{
	const struct rlimit l = {value, value};
	return setrlimit(what, &l);
}

/* Only a wish: the limit of memory stands either way. */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "500", 3) < 0)
		errno = 0;
	close(fd);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_capset, &h, d);
}

static int become_nobody(void)
{
	if (geteuid() != 0 && getuid() != 0)
		return 0;
	if (setgroups(0, 0) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0)
		return -1;
	return setresuid(NOBODY, NOBODY, NOBODY);
}

const char *bh_fetch_drop(void)
{
	pid_t parent = getppid();
	offer_to_oom_killer();
	if (syscall(SYS_close_range, 3u, ~0u, 0u) < 0 && errno != ENOSYS && errno != EPERM)
		return "close_range";
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_FSIZE, 0) < 0 ||
		limit(RLIMIT_NOFILE, FILES) < 0 || limit(RLIMIT_CPU, CPU_S) < 0 ||
		(BH_FETCH_MEMORY && limit(RLIMIT_AS, BH_FETCH_MEMORY) < 0))
		return "setrlimit";
	if (become_nobody() < 0)
		return "becoming nobody";
	if (drop_capabilities() < 0)
		return "dropping capabilities";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return "PR_SET_NO_NEW_PRIVS";
	/* After the change of user, which takes it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return "PR_SET_PDEATHSIG";
	if (getppid() != parent)
		return "its parent is gone";
	return NULL;
}
