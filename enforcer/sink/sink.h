/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other places that the audit log's records go to. A sink follows the log's files, also over
 * rotations, with a thread of its own, and remembers in the state directory how far it got. So the
 * log itself is the spool for a receiver that is away, bounded by how many of its files are kept;
 * what was pruned before it could be sent is counted as dropped, exactly, by the records' numbers.
 * A receiver by TCP or TLS gets each record at least once: the position moves only when the peer's
 * kernel has acknowledged every byte.
 */
#pragma once

#include "render/render.h"

enum bh_sink_kind { BH_SINK_UNIX, BH_SINK_TCP, BH_SINK_TLS, BH_SINK_JOURNALD };
struct bh_sink_opts {
	const char *name; /* a file name's part */
	enum bh_sink_kind kind;
	const char *address; /* path of a socket, or HOST:PORT, [ADDRESS]:PORT */
	const char *ca; /* TLS: file with those who may vouch for it; NULL: the system's */
	enum bh_render_format format; /* not of journald */
	const char *log; /* the live file */
	const char *state; /* directory */
	uint64_t from; /* a new sink begins after this record */
};
struct bh_sink;
/* What is in o is copied. −errno. */
int bh_sink_start(const struct bh_sink_opts *o, struct bh_sink **ret);
void bh_sink_stop(struct bh_sink *s); /* what is not sent yet waits in the log; NULL is fine */

struct bh_sink_stats {
	bool connected;
	uint64_t sent, dropped; /* records, of this run */
	uint64_t sequence; /* the last one delivered or passed over */
	char error[160]; /* of the last failure; "" while all is well */
};
void bh_sink_get_stats(struct bh_sink *s, struct bh_sink_stats *ret);
