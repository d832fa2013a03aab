/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Going on until somebody interrupts it, or whoever read the output is gone. */
#include <signal.h>
#include <time.h>

#include "cli/cli.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig BH_UNUSED)
{
	interrupted = 1;
}

void cli_watch_begin(void)
{
	struct sigaction sa = {.sa_handler = on_interrupt};
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool cli_watch_pause(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	if (interrupted || fflush(stdout) != 0)
		return false;
	nanosleep(&pause, NULL);
	return !interrupted;
}

bool cli_watch_over(void)
{
	return interrupted;
}
