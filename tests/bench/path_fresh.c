/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * First packets of new UDP flows, each with another tuple, so that neither conntrack nor a cache
 * has an answer. With a rate: how long each takes from the sender's call to the other container's
 * interface, by the kernel's own timestamp there, so that no receiver has to be scheduled to see
 * it. Without: as many as are answered, never more than a window of them under way, so that no
 * queue overflows and every packet has its verdict.
 */
#include "bench/path.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>

#define SENDERS 250 /* of one lab */
#define FIRST_PORT 10000
#define PORTS 50000
#define LOST_NS 200000000LL /* without an arrival: what is under way is lost */
#define LATE_NS 1000000LL
#define LAST_NS 100000000LL /* the last ones may take */

struct fresh {
	struct path_opts *o;
	const struct path_lab *lab;
	int sink; /* in the server's namespace */
	uint64_t sent, got;
	uint64_t lost;
	int64_t took; /* ns */
	struct path_samples late;
	struct path_sender *sender[SENDERS]; /* each in its own namespace */
	unsigned n_senders;
};

static uint64_t sequence; /* of all slices: a tuple comes again as late as can be */

/* IPv4 UDP to a port of ours, and nothing else. `keep` bytes of each are kept. */
static void filter(int fd, uint32_t keep)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, sizeof(struct iphdr) + 2),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, keep),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {BH_ARRAY_SIZE(code), code};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		err(1, "packet filter");
}

/* What only has to be counted is counted by the kernel: nobody reads it, the buffer is full. */
static int open_sink(const struct path_lab *lab, bool timed)
{
	struct sockaddr_ll any = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int size = timed ? 64 << 20 : 1, on = 1;
	path_enter(lab->server);
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err(1, "packet socket");
	filter(fd, timed ? 128 : 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (timed)
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		err(1, "packet socket");
	return fd;
}

/* Since the last time; the kernel starts again from 0. */
static uint64_t arrived(int fd)
{
	struct tpacket_stats st = {0};
	socklen_t len = sizeof(st);
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) < 0)
		err(1, "PACKET_STATISTICS");
	return st.tp_packets;
}

static void send_next(struct fresh *f)
{
	const struct path_lab *l = f->lab;
	uint64_t i = sequence++, pair = i / PORTS;
	path_send(f->sender[i % f->n_senders], l->source + (uint32_t)(i % l->n_sources),
		(uint16_t)(1024 + i % 60000),
		l->target + (uint32_t)((pair + i / l->n_sources) % l->n_targets),
		(uint16_t)(FIRST_PORT + (i + pair) % PORTS));
}

/* The payload is the time of sending. */
static void read_timed(struct fresh *f)
{
	for (;;) {
		char data[128], control[128];
		struct iovec iov = {data, sizeof(data)};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(f->sink, &msg, MSG_DONTWAIT);
		const size_t at = sizeof(struct iphdr) + sizeof(struct udphdr);
		struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
		int64_t sent;
		struct timespec t;
		if (n < 0)
			return;
		if (!c || c->cmsg_type != SCM_TIMESTAMPNS || (size_t)n < at + sizeof(sent))
			continue;
		memcpy(&sent, data + at, sizeof(sent));
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		path_sample(&f->late, (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - sent);
		f->got++;
	}
}

static void flush(struct fresh *f)
{
	for (unsigned i = 0; i < f->n_senders; i++)
		path_send_flush(f->sender[i]);
}

static void paced(struct fresh *f, int64_t until)
{
	int64_t step = 1000000000 / f->o->rate, next = path_now();
	while (next < until) {
		path_sleep_until(next);
		send_next(f);
		path_send_flush(f->sender[(sequence - 1) % f->n_senders]);
		next += step;
		if (path_now() - next > LATE_NS)
			next = path_now(); /* the CPU was taken away: no burst afterwards */
	}
	path_sleep_until(path_now() + LAST_NS);
	read_timed(f);
}

static void unpaced(struct fresh *f, int64_t until)
{
	uint64_t under_way = 0;
	int64_t heard = path_now();
	for (int64_t now = heard; now < until; now = path_now()) {
		uint64_t n = arrived(f->sink);
		heard = n ? now : heard;
		f->got += n;
		under_way -= n < under_way ? n : under_way;
		if (now - heard > LOST_NS) {
			f->lost += under_way;
			under_way = 0;
			heard = now;
		}
		if (under_way + PATH_BURST > f->o->window) {
			nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
			continue;
		}
		for (unsigned i = 0; i < PATH_BURST; i++)
			send_next(f);
		flush(f);
		under_way += PATH_BURST;
	}
}

/* One for all source addresses, or each in the namespace of its own container. */
static void open_senders(struct fresh *f)
{
	const struct path_lab *l = f->lab;
	size_t stem = strlen(l->client);
	f->n_senders = f->o->apart ? l->n_sources : 1;
	if (f->n_senders > SENDERS)
		errx(1, "at most %d senders", SENDERS);
	while (stem && l->client[stem - 1] >= '0' && l->client[stem - 1] <= '9')
		stem--;
	for (unsigned i = 0; i < f->n_senders; i++) {
		char name[96];
		snprintf(name, sizeof(name), "%.*s%u", (int)stem, l->client, i);
		path_enter(f->o->apart ? name : l->client);
		f->sender[i] = path_sender_new(IPPROTO_UDP);
	}
}

static void *fresh_thread(void *arg)
{
	struct fresh *f = arg;
	bool timed = f->o->rate > 0;
	path_pin(PATH_CPUS - 1);
	f->sink = open_sink(f->lab, timed);
	open_senders(f);
	int64_t begin = path_now(), until = begin + (int64_t)f->o->slice_ms * 1000000;
	if (timed)
		paced(f, until);
	else
		unpaced(f, until);
	f->took = path_now() - begin;
	for (unsigned i = 0; i < f->n_senders; i++) {
		f->sent += path_sent(f->sender[i]);
		path_sender_free(f->sender[i]);
	}
	close(f->sink);
	return NULL;
}

static void slice(struct path_opts *o, const struct path_lab *lab, unsigned round)
{
	struct fresh f = {.o = o, .lab = lab};
	struct path_usage before, after;
	pthread_t t;
	path_usage(lab, &before);
	if (pthread_create(&t, NULL, fresh_thread, &f) != 0)
		errx(1, "no thread");
	pthread_join(t, NULL);
	path_settle(lab);
	path_usage(lab, &after);
	path_line_begin(round, lab, &before, &after);
	if (o->rate)
		f.lost = f.sent - f.got;
	printf(", \"rate\": %.0f, \"sent\": %lu, \"count\": %lu, \"lost\": %lu",
		(double)f.got * 1e9 / (double)f.took, (unsigned long)f.sent, (unsigned long)f.got,
		(unsigned long)f.lost);
	path_line_samples("", &f.late);
	path_samples_finish(&f.late);
	path_line_end();
}

void path_fresh(struct path_opts *o)
{
	sequence = o->first;
	path_each(o, slice);
}
