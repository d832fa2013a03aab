/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A core that invents its answers, behind the real API server in a process of its own: what the
 * tests of the API and of the command line talk to. It says back what it was asked.
 */
#pragma once

#include <sys/types.h>

/* Serves at path until stopped; returns when it listens. −1 on failure. */
pid_t fake_server_start(const char *path);
/* Stops it; 0 if it left cleanly (and, with a sanitizer, without complaint). */
int fake_server_stop(pid_t pid);
