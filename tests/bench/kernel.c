/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See kernel.h. */
#include "bench/kernel.h"

#include "bench/measure.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static int namespace_here(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

void bench_kernel_open(struct bench_kernel *k)
{
	if (unshare(CLONE_NEWNET) < 0)
		err(1, "no new network namespace (root is needed)");
	k->tool_ns = namespace_here();
	if (k->tool_ns < 0 || unshare(CLONE_NEWNET) < 0)
		err(1, "no second network namespace");
	int r = bh_nft_open(&k->nft);
	if (r < 0)
		errx(1, "nftables: %s", strerror(-r));
	/* As the daemon has them: the tables are its own, and it hears of every change. */
	bh_nft_set_owner(k->nft, true);
	if (bh_nft_watch_fd(k->nft) < 0)
		errx(1, "no announcements of changes");
	char name[] = "/tmp/bulkhead-bench-XXXXXX";
	k->fd = mkostemp(name, O_CLOEXEC);
	if (k->fd < 0)
		err(1, "%s", name);
	unlink(name); /* nothing stays behind, however this ends */
	snprintf(k->file, sizeof(k->file), "/proc/%d/fd/%d", (int)getpid(), k->fd);
}

void bench_kernel_close(struct bench_kernel *k)
{
	bh_nft_close(k->nft);
	close(k->tool_ns);
	close(k->fd);
}

void bench_kernel_clear(struct bench_kernel *k)
{
	struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	int r = bh_nft_flush(k->nft);
	if (r < 0)
		errx(1, "flush: %s", strerror(-r));
	nanosleep(&pause, NULL);
}

size_t bench_kernel_write(struct bench_kernel *k, const struct bh_ruleset *rs, bool replace)
{
	bh_autobuf struct bh_buf text = {0};
	bh_autofclose FILE *f = fopen(k->file, "w");
	if (replace)
		bh_buf_str(&text, "delete table inet " BH_TABLE "\n");
	bh_ruleset_print(rs, &text);
	if (!f || fwrite(text.s, 1, text.len, f) != text.len)
		err(1, "%s", k->file);
	return text.len;
}

/* Exit status of nft in its namespace, or -1 if the alarm (which exec keeps) stopped it. */
static int run_tool(const struct bench_kernel *k, const char *const argv[])
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		if (setns(k->tool_ns, CLONE_NEWNET) < 0)
			_exit(126);
		alarm(BENCH_NFT_CAP);
		execvp("nft", (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		err(1, "nft");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

double bench_kernel_tool(struct bench_kernel *k)
{
	const char *const argv[] = {"nft", "-f", k->file, NULL};
	double start = bench_now();
	int r = run_tool(k, argv);
	double took = bench_now() - start;
	if (r > 0)
		errx(1, "nft -f %s: exit status %d", k->file, r);
	return r < 0 ? -1 : took;
}

void bench_kernel_tool_clear(struct bench_kernel *k)
{
	const char *const argv[] = {"nft", "flush", "ruleset", NULL};
	if (run_tool(k, argv) != 0)
		errx(1, "nft flush ruleset failed");
}
