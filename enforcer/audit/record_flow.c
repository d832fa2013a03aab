/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record of a flow, and of many alike. Whether it passed stands in event.type, as the Elastic
 * Common Schema has it.
 */
#include "audit/json.h"
#include "audit/private.h"

static bool has_ports(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

/* ECS: internal is between two ends of the same network, which two workloads are. */
static const char *direction(const struct bh_audit_flow *f)
{
	return f->src && f->dst ? "internal" : bh_direction_name(f->direction);
}

static struct bh_audit_span since(const struct bh_buf *b, size_t at)
{
	return (struct bh_audit_span){at, b->len - at};
}

/* Not known where the kernel did not count when the flow began: unknown is not 0. */
static void put_counts(
	struct bh_buf *b, const struct bh_audit_flow *f, uint64_t packets, uint64_t bytes)
{
	if (!f->volume || !f->volume->packets[0])
		return;
	bh_audit_put_u64(b, "packets", packets);
	bh_audit_put_u64(b, "bytes", bytes);
}

/* A record of several flows, or of one that the kernel counted only, has no source port. */
static bool is_one(const struct bh_audit_flow *f)
{
	return f->flow->sport || !has_ports(f->flow->proto);
}

static void add_network(struct bh_audit_text *t, const struct bh_audit_flow *f)
{
	const struct bh_flow *w = f->flow;
	char community[BH_AUDIT_COMMUNITY_ID], proto[4];
	struct bh_buf *b = &t->b;

	bh_audit_community_id(w, community);
	bh_audit_put_open(b, "network");
	bh_audit_put_word(
		b, "transport", w->proto == 58 ? "ipv6-icmp" : bh_proto_name(w->proto, proto));
	bh_audit_put_word(b, "type", w->src.family == BH_IPV4 ? "ipv4" : "ipv6");
	bh_audit_put_u64_text(b, "iana_number", w->proto);
	bh_audit_put_word(b, "direction", direction(f));
	size_t at = b->len;
	if (is_one(f))
		bh_audit_put_word(b, "community_id", community);
	t->community_id = since(b, at);
	if (f->volume)
		put_counts(b, f, f->volume->packets[0] + f->volume->packets[1],
			f->volume->bytes[0] + f->volume->bytes[1]);
	bh_audit_put_close(b);
}

static void add_addresses(struct bh_audit_text *t, const struct bh_audit_flow *f)
{
	const struct bh_flow *w = f->flow;
	char text[BH_ADDR_STRLEN];
	struct bh_buf *b = &t->b;

	bh_audit_put_open(b, "source");
	bh_audit_put_word(b, "ip", bh_addr_format(&w->src, text));
	size_t at = b->len;
	if (w->sport)
		bh_audit_put_u64(b, "port", w->sport);
	t->source_port = since(b, at);
	if (f->volume)
		put_counts(b, f, f->volume->packets[0], f->volume->bytes[0]);
	bh_audit_put_close(b);
	bh_audit_put_open(b, "destination");
	bh_audit_put_word(b, "ip", bh_addr_format(&w->dst, text));
	if (has_ports(w->proto))
		bh_audit_put_u64(b, "port", w->dport);
	if (f->volume)
		put_counts(b, f, f->volume->packets[1], f->volume->bytes[1]);
	bh_audit_put_close(b);
}

static void add_rule(struct bh_buf *b, const struct bh_audit_flow *f)
{
	if (f->policy || f->rule) {
		bh_audit_put_open(b, "rule");
		if (f->rule)
			bh_audit_put_text(b, "name", f->rule, BH_AUDIT_MAX_TEXT);
		if (f->policy)
			bh_audit_put_text(b, "ruleset", f->policy, BH_AUDIT_MAX_TEXT);
		bh_audit_put_u64_text(b, "version", f->generation);
		bh_audit_put_close(b);
	}
	if (f->feed || f->indicator) {
		bh_audit_put_open(b, "threat");
		if (f->feed) {
			bh_audit_put_open(b, "feed");
			bh_audit_put_text(b, "name", f->feed, BH_AUDIT_MAX_TEXT);
			bh_audit_put_close(b);
		}
		if (f->indicator)
			bh_audit_indicator(b, f);
		bh_audit_put_close(b);
	}
}

/* Why an end has no identity. */
static const char *nobody(
	const struct bh_audit_flow *f, const struct bh_addr *a, bool host, const char *reason)
{
	if (reason)
		return reason;
	if (host)
		return "the node itself";
	if (bh_addr_is_multicast(a))
		return "multicast address";
	if (f->reason == BH_REASON_UNKNOWN_WORKLOAD)
		return "address of no known workload";
	if (bh_addr_is_link_local(a))
		return "link-local address";
	return "outside address";
}

static void add_policy_version(struct bh_buf *b, const struct bh_audit_flow *f)
{
	bh_audit_put_open(b, "policy");
	bh_audit_put_u64(b, "generation", f->generation);
	bh_audit_put_text(
		b, "sha256", f->policy_sha256 && *f->policy_sha256 ? f->policy_sha256 : NULL, 128);
	bh_audit_put_close(b);
}

static bool has_duration(const struct bh_audit_flow *f)
{
	return f->begin && f->end >= f->begin;
}

/* Members of event. Of several flows `duration` is the time from the first to the last, as the
 * schema has it; bulkhead.duration is what they took together. */
static void put_times(struct bh_buf *b, const struct bh_audit_flow *f)
{
	bh_audit_put_time(b, "end", f->end ? f->end : f->when);
	if (!has_duration(f))
		return;
	bh_audit_put_time(b, "start", f->begin);
	bh_audit_put_u64(b, "duration", (uint64_t)(f->end - f->begin) * 1000);
}

static void add_own(struct bh_audit_text *t, const struct bh_audit_flow *f, bool labels)
{
	const struct bh_flow *w = f->flow;
	struct bh_buf *b = &t->b;

	bh_audit_put_open(b, "bulkhead");
	bh_audit_workload(b, "src", f->src, &w->src, labels);
	if (!f->src)
		bh_audit_put_word(b, "src_reason", nobody(f, &w->src, f->src_host, f->src_reason));
	bh_audit_workload(b, "dst", f->dst, &w->dst, labels);
	if (!f->dst)
		bh_audit_put_word(b, "dst_reason", nobody(f, &w->dst, f->dst_host, f->dst_reason));
	bh_audit_put_word(b, "verdict", bh_verdict_name(f->verdict));
	bh_audit_put_word(b, "mode", bh_mode_name(f->mode));
	bh_audit_put_word(b, "reason", bh_reason_name(f->reason));
	add_policy_version(b, f);
	if (w->proto == 1 || w->proto == 58) {
		bh_audit_put_open(b, "icmp");
		bh_audit_put_u64(b, "type", w->icmp_type);
		bh_audit_put_u64(b, "code", w->icmp_code);
		bh_audit_put_close(b);
	}
	size_t at = b->len;
	bh_audit_put_u64(b, "repeat", f->volume ? f->volume->flows : 1);
	t->repeat = since(b, at);
	if (f->volume && f->volume->flows > 1 && has_duration(f))
		bh_audit_put_u64(b, "duration", f->volume->duration * 1000);
	bh_audit_put_close(b);
}

static void write_flow(const struct bh_audit_ident *id, const struct bh_audit_flow *f, bool labels,
	struct bh_audit_text *ret)
{
	struct bh_buf bh_autobuf times = {0};

	ret->b.len = 0;
	if (f->volume)
		put_times(&times, f);
	bh_audit_record_begin(ret, id, f->action,
		f->volume                ? "[\"connection\",\"allowed\",\"end\"]"
		: f->verdict == BH_ALLOW ? "[\"connection\",\"allowed\"]"
					 : "[\"connection\",\"denied\"]",
		NULL, times.s, f->when);
	add_network(ret, f);
	add_addresses(ret, f);
	add_rule(&ret->b, f);
	add_own(ret, f, labels);
	bh_audit_put_close(&ret->b);
}

void bh_audit_record_flow(
	const struct bh_audit_ident *id, const struct bh_audit_flow *f, struct bh_audit_text *ret)
{
	write_flow(id, f, true, ret);
	if (ret->b.len > BH_AUDIT_MAX_RECORD) /* all that can be long but the labels is not */
		write_flow(id, f, false, ret);
}

/* The text of `t` from *at to the span, which is left out; goes on behind it. */
static void copy_up_to(const struct bh_audit_text *t, size_t *at, const struct bh_audit_span *gap,
	struct bh_buf *out)
{
	bh_buf_add(out, t->b.s + *at, gap->at - *at);
	*at = gap->at + gap->len;
}

void bh_audit_record_repeat(const struct bh_audit_text *t, uint64_t count, int64_t first,
	int64_t last, bool ports_differ, struct bh_audit_text *ret)
{
	const struct bh_audit_span hole = {t->hole, 0};
	struct bh_buf *b = &ret->b;
	size_t at = 0;

	b->len = 0;
	copy_up_to(t, &at, &t->time, b);
	bh_audit_put_time(b, "@timestamp", last);
	copy_up_to(t, &at, &hole, b);
	ret->hole = b->len;
	bh_audit_put_time(b, "start", first);
	bh_audit_put_time(b, "end", last);
	bh_buf_str(b, ",");
	if (ports_differ) {
		/* One source port, and the hash over it, would speak for one of many flows only. */
		copy_up_to(t, &at, &t->community_id, b);
		copy_up_to(t, &at, &t->source_port, b);
	}
	copy_up_to(t, &at, &t->repeat, b);
	bh_audit_put_u64(b, "repeat", count);
	bh_buf_add(b, t->b.s + at, t->b.len - at);
}
