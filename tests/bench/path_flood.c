/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A container that opens connections and exchanges a byte, at a steady rate, while another one
 * sends SYNs to ports that no policy allows it: what does the first one notice? Each slice is
 * measured twice, without and with the flood, in alternating order. The flood has the second CPU
 * for itself as far as the scheduler lets it, the honest container the first.
 */
#include "bench/path.h"

#include <err.h>
#include <stdatomic.h>

#define DENIED_PORT 10000 /* and above */

static struct flood {
	const struct path_opts *o;
	const struct path_lab *lab;
	int64_t until;
	uint64_t sent;
} flood;

/* A burst at a time, each when it is due: behind schedule it sends at once. */
static void *flood_thread(void *arg)
{
	struct flood *f = arg;
	const struct path_lab *l = f->lab;
	path_pin(PATH_CPUS - 1);
	path_enter(l->attacker);
	struct path_sender *s = path_sender_new(IPPROTO_TCP);
	int64_t next = path_now(), step = 1000000000LL * PATH_BURST / f->o->flood;
	uint32_t i = (uint32_t)next;
	while (next < f->until) {
		path_sleep_until(next);
		for (unsigned b = 0; b < PATH_BURST; b++, i++)
			path_send(s, l->evil + i % l->n_evil, (uint16_t)(1024 + i % 60000),
				l->target, (uint16_t)(DENIED_PORT + i % 50021));
		path_send_flush(s);
		next += step;
		if (path_now() > f->until)
			break;
	}
	f->sent = path_sent(s);
	path_sender_free(s);
	return NULL;
}

static void slice(struct path_opts *o, const struct path_lab *lab, unsigned round, bool flooded)
{
	struct path_usage before, after;
	pthread_t t;
	path_usage(lab, &before);
	flood = (struct flood){
		.o = o, .lab = lab, .until = path_now() + (int64_t)o->slice_ms * 1000000};
	if (flooded && pthread_create(&t, NULL, flood_thread, &flood) != 0)
		errx(1, "no thread");
	struct path_calls calls;
	path_call(o, lab, &calls);
	if (flooded)
		pthread_join(t, NULL);
	path_usage(lab, &after);
	path_settle(lab);
	path_line_begin(round, lab, &before, &after);
	printf(", \"flood\": %lu", (unsigned long)flood.sent);
	path_line_calls(&calls);
	path_line_end();
}

static void both(struct path_opts *o, const struct path_lab *lab, unsigned round)
{
	slice(o, lab, round, round % 2);
	slice(o, lab, round, !(round % 2));
}

void path_victim(struct path_opts *o)
{
	if (!o->flood)
		errx(1, "victim: --flood N");
	path_each(o, both);
}
