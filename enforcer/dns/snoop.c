/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From copied packets to DNS messages, and from questions and answers to names. */
#include <netinet/in.h>

#include "dns/private.h"
#include "queue/queue.h"

#define DNS_PORT 53
#define MESSAGES_MAX 8 /* of one TCP segment */

/* An answer's way back is the question's way. */
static struct bh_flow turned(const struct bh_flow *f)
{
	struct bh_flow t = *f;
	t.src = f->dst;
	t.dst = f->src;
	t.sport = f->dport;
	t.dport = f->sport;
	return t;
}

/* True: it is a message of this direction. */
static bool on_message(struct bh_dns *d, const struct bh_flow *flow, const uint8_t *p, size_t len)
{
	struct bh_dns_message m;
	if (bh_dns_parse(p, len, &m) < 0 || m.is_answer != (flow->sport == DNS_PORT))
		return false;
	if (!m.is_answer) {
		d->stats.questions++;
		bh_asked_add(&d->asked, flow, &m, d->now);
		return true;
	}
	struct bh_flow question = turned(flow);
	if (!bh_asked_take(&d->asked, &question, &m, d->now)) {
		d->stats.unasked++;
		return true;
	}
	d->stats.answers++;
	if (m.n_addrs)
		d->opts.named(&flow->dst, &m, d->opts.arg);
	return true;
}

/* Each message has its length before it (RFC 1035, 4.2.2), which some send in a segment of its own.
 */
static bool on_stream(struct bh_dns *d, const struct bh_flow *flow, const uint8_t *p, size_t len)
{
	bool any = false;
	size_t at = 0;
	for (unsigned i = 0; i < MESSAGES_MAX && len - at > 2; i++) {
		size_t n = (size_t)(p[at] << 8 | p[at + 1]), left = len - at - 2;
		if (!on_message(d, flow, p + at + 2, n < left ? n : left))
			break;
		any = true;
		if (n >= left)
			break;
		at += 2 + n;
	}
	return any || on_message(d, flow, p, len);
}

void bh_dns_packet(struct bh_dns *d, const uint8_t *data, size_t len, int64_t now)
{
	struct bh_packet p;
	size_t header;

	d->now = now;
	d->stats.packets++;
	bh_packet_parse(data, len, &p);
	if (p.fault != BH_PACKET_OK || !p.transport ||
		(p.flow.sport == DNS_PORT) == (p.flow.dport == DNS_PORT))
		return;
	if (p.flow.proto == IPPROTO_UDP)
		header = 8;
	else if (p.flow.proto == IPPROTO_TCP && len - p.transport >= 20)
		header = (size_t)(data[p.transport + 12] >> 4) * 4;
	else
		return;
	if (len - p.transport <= header) /* a handshake, an acknowledgement */
		return;
	const uint8_t *payload = data + p.transport + header;
	size_t n = len - p.transport - header;
	bool read = p.flow.proto == IPPROTO_UDP ? on_message(d, &p.flow, payload, n)
						: on_stream(d, &p.flow, payload, n);
	d->stats.malformed += !read;
}

static void on_copy(const uint8_t *data, size_t len, void *arg)
{
	struct bh_dns *d = arg;
	bh_dns_packet(d, data, len, d->now);
}

struct bh_dns *bh_dns_new(const struct bh_dns_opts *opts)
{
	struct bh_dns *d = bh_xcalloc(1, sizeof(*d));
	d->opts = *opts;
	d->log.packet = on_copy;
	d->log.arg = d;
	bh_asked_init(&d->asked);
	return d;
}

int bh_dns_open(const struct bh_dns_opts *opts, struct bh_dns **ret)
{
	struct bh_dns *d = bh_dns_new(opts);
	int r = bh_nflog_open(&d->log, opts->group);
	if (r < 0) {
		bh_dns_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

void bh_dns_close(struct bh_dns *d)
{
	if (!d)
		return;
	bh_nflog_finish(&d->log);
	free(d);
}

int bh_dns_fd(const struct bh_dns *d)
{
	return mnl_socket_get_fd(d->log.nl);
}

void bh_dns_read(struct bh_dns *d, int64_t now)
{
	d->now = now;
	bh_nflog_read(&d->log);
	d->stats.overruns = d->log.overruns;
}

const struct bh_dns_stats *bh_dns_get_stats(const struct bh_dns *d)
{
	return &d->stats;
}
