/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the command line asks of this program where no daemon answers it. */
#pragma once

struct bh_config;

/* Prints {"checks": […]}: the node as it is, without what only a daemon knows. file: of the
 * configuration; NULL: none. 0, or −errno with a complaint. */
int bh_daemon_doctor(const struct bh_config *conf, const char *file);

/* Prints {"checks": […]}: what this kernel does, shown with packets in namespaces of its own. 0, or
 * −errno when it could not be shown to the end; a finding says why. */
int bh_daemon_prove(void);
