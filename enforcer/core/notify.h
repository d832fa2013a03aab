/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sd_notify(3): a datagram to $NOTIFY_SOCKET. Without that variable nothing happens. */
#pragma once

/* "READY=1\nSTATUS=…". 0, also without a service manager; −errno. */
int bh_notify(const char *state);
