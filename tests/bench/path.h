/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The load of the data path's benchmark. tests/bench/path.py makes the network namespaces, starts
 * the daemon and runs this program, which prints one line of JSON for each slice of time measured
 * and judges nothing.
 *
 * A lab is one node with its containers, written
 * NAME,NODE,PID,CLIENT,ADDRESSES,SERVER,ADDRESSES,ATTACKER,ADDRESSES: namespaces under /run/netns,
 * the daemon's process (0: there is none), and the containers' IPv4 addresses (the first and how
 * many follow it, as in 10.0.0.8+4).
 * Slices of different labs take turns, in another order each round, so that what else happens on
 * the machine meets all of them alike.
 */
#pragma once

#include <bulkhead/util.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>

#define PATH_LABS 12
#define PATH_CPUS 2 /* that are used */

struct path_lab {
	char name[32], node[64];
	int pid;
	char client[64], server[64], attacker[64];
	/* First address, host order, and how many there are. */
	uint32_t source, n_sources, target, n_targets, evil, n_evil;
};

struct path_opts {
	struct path_lab lab[PATH_LABS];
	size_t n_labs;
	unsigned rounds, slice_ms;
	unsigned rate; /* packets or connections a second; 0: as many as can be */
	unsigned threads;
	uint16_t port;
	unsigned flood; /* packets a second of the attacker */
	unsigned first; /* fresh: so many tuples were used by runs before this one */
	bool apart; /* fresh: each source address is another container's, named NAMEn */
	unsigned window; /* fresh: packets under way at once, without a rate */
};

/* --- path_lab.c --- */
int64_t path_now(void); /* ns, monotonic */
int64_t path_wall(void); /* ns, the clock of the kernel's packet timestamps */
int64_t path_thread_cpu(void); /* ns used by this thread */
void path_sleep_until(int64_t when); /* ns, monotonic */
void path_pin(unsigned cpu); /* this thread */
void path_enter(const char *netns); /* this thread; exits if it can't */
struct sockaddr_in path_addr(uint32_t host, uint16_t port);

/* What a lab's node and the machine had done at a moment. */
struct path_usage {
	int64_t when;
	int64_t daemon; /* ns of CPU, all its threads */
	double busy, total; /* jiffies of all CPUs */
	uint64_t queued; /* ids that the kernel's queues have given out */
	uint64_t lost; /* packets the queues dropped */
};
void path_usage(const struct path_lab *lab, struct path_usage *ret);
/* Waits until the daemon rests, so that its work is not the next slice's; 1 s at most. */
void path_settle(const struct path_lab *lab);

/* Latencies in ns. Zero-initialised is empty. */
struct path_samples {
	uint32_t *ns;
	size_t n, cap;
};
void path_sample(struct path_samples *s, int64_t ns);
void path_samples_join(struct path_samples *to, struct path_samples *from); /* empties from */
void path_samples_finish(struct path_samples *s);

/* Begins and ends the line of a slice; between them the caller prints fields: ", \"n\": 3". */
void path_line_begin(unsigned round, const struct path_lab *lab, const struct path_usage *before,
	const struct path_usage *after);
/* p50, p99 and p999 in µs, under names that begin with `prefix`. Sorts. */
void path_line_samples(const char *prefix, struct path_samples *s);
void path_line_end(void);

/* Calls fn for every slice: all labs in each round, each time in another order. */
void path_each(struct path_opts *o,
	void (*fn)(struct path_opts *o, const struct path_lab *lab, unsigned round));

/* --- path_connect.c: connections from the client to the server, for one slice --- */
struct path_calls {
	uint64_t n, failed;
	int64_t took, cpu; /* ns: of the clock, of CPU */
	struct path_samples connect, whole; /* until connected; until the answer has come */
};
void path_call(struct path_opts *o, const struct path_lab *lab, struct path_calls *ret);
void path_line_calls(struct path_calls *c); /* empties it */

/* --- commands: each prints its lines --- */
void path_stream(struct path_opts *o); /* path_stream.c: throughput of open connections */
void path_connect(struct path_opts *o); /* path_connect.c: new connections */
void path_victim(struct path_opts *o); /* path_flood.c: paced connections, with and without flood */
void path_fresh(struct path_opts *o); /* path_fresh.c: first packets of new UDP flows */
void path_echo(struct path_opts *o); /* path_echo.c: UDP, back to who sent it, until a signal */
void path_loop(struct path_opts *o); /* path_loop.c: accepts everything, until a signal */
void path_watch(struct path_opts *o); /* path_watch.c: when the kernel's rules change */

/* --- path_packet.c: raw IPv4 packets, many in one system call --- */
#define PATH_BURST 64
struct path_sender;
/* In the namespace that the thread is in. */
struct path_sender *path_sender_new(uint8_t proto); /* IPPROTO_UDP or IPPROTO_TCP (a SYN) */
void path_sender_free(struct path_sender *s);
/* One more; goes with the burst. UDP: the payload is the time it was sent, by path_wall. */
void path_send(struct path_sender *s, uint32_t from, uint16_t sport, uint32_t to, uint16_t dport);
void path_send_flush(struct path_sender *s);
uint64_t path_sent(const struct path_sender *s);
