/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names by which people, logs and the API know verdicts, reasons and protocols. They are a
 * contract with whoever parses the output: add, don't rename. */
#include <bulkhead/flow.h>

#include <errno.h>
#include <strings.h>

static void add(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to) || *to > INT64_MAX)
		*to = INT64_MAX;
}

void bh_volume_add(struct bh_volume *to, const struct bh_volume *v)
{
	add(&to->flows, v->flows);
	for (int i = 0; i < 2; i++) {
		add(&to->packets[i], v->packets[i]);
		add(&to->bytes[i], v->bytes[i]);
	}
	add(&to->duration, v->duration);
}

const char *bh_verdict_name(enum bh_verdict v)
{
	switch (v) {
	case BH_ALLOW:
		return "allow";
	case BH_DROP:
		return "drop";
	case BH_REJECT:
		return "reject";
	}
	return "unknown";
}

const char *bh_reason_name(enum bh_reason r)
{
	switch (r) {
	case BH_REASON_NONE:
		return "none";
	case BH_REASON_POLICY:
		return "policy";
	case BH_REASON_UNSELECTED:
		return "unselected";
	case BH_REASON_LEARNED:
		return "learned";
	case BH_REASON_UNMATCHED:
		return "unmatched";
	case BH_REASON_THREAT:
		return "threat";
	case BH_REASON_QUARANTINE:
		return "quarantine";
	case BH_REASON_SPOOF:
		return "spoof";
	case BH_REASON_HOST:
		return "host";
	case BH_REASON_SELF:
		return "self";
	case BH_REASON_UNKNOWN_WORKLOAD:
		return "unknown-workload";
	}
	return "unknown";
}

const char *bh_side_verdict_name(enum bh_side_verdict v)
{
	static const char *const name[] = {
		[BH_SIDE_UNGOVERNED] = "ungoverned",
		[BH_SIDE_OPEN] = "open",
		[BH_SIDE_ALLOWED] = "allowed",
		[BH_SIDE_LEARN] = "learn",
		[BH_SIDE_WOULD_DENY] = "would-deny",
		[BH_SIDE_DENIED] = "denied",
		[BH_SIDE_HOST] = "host",
		[BH_SIDE_SELF] = "self",
	};
	return v < BH_ARRAY_SIZE(name) ? name[v] : "unknown";
}

char *bh_side_rule_name(const struct bh_side *s, enum bh_direction d)
{
	struct bh_buf b = {0};
	if (!s->rule.policy)
		return NULL;
	bh_buf_printf(&b, "%s %s rule %d", s->rule.policy->ref, bh_direction_name(d), s->rule.rule);
	if (s->rule.peer >= 0)
		bh_buf_printf(&b, " peer %d", s->rule.peer);
	return bh_buf_take(&b);
}

const char *bh_direction_name(enum bh_direction d)
{
	return d == BH_EGRESS ? "egress" : "ingress";
}

static const struct {
	uint8_t number;
	const char *name;
} protocols[] = {{6, "tcp"}, {17, "udp"}, {132, "sctp"}, {1, "icmp"}, {58, "icmpv6"}};

const char *bh_proto_name(uint8_t proto, char buf[static 4])
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(protocols); i++)
		if (protocols[i].number == proto)
			return protocols[i].name;
	snprintf(buf, 4, "%u", proto);
	return buf;
}

int bh_proto_parse(const char *s, uint8_t *ret)
{
	uint64_t number;
	for (size_t i = 0; i < BH_ARRAY_SIZE(protocols); i++)
		if (strcasecmp(protocols[i].name, s) == 0) {
			*ret = protocols[i].number;
			return 0;
		}
	if (bh_parse_u64(s, 255, &number) < 0)
		return -EINVAL;
	*ret = (uint8_t)number;
	return 0;
}
