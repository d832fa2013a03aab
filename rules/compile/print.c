/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset as text that `nft -f` reads, in the wording of `nft list table` 1.0.6 (without
 * counter values), so that an operator can compare what is wanted with what is there by diff(1).
 */
#include <bulkhead/ruleset.h>

#include "ruleset_private.h"

static const char *ip(uint8_t family)
{
	return family == BH_IPV4 ? "ip" : "ip6";
}

static void print_comment(const char *comment, const char *before, struct bh_buf *out)
{
	if (comment)
		bh_buf_printf(out, "%scomment \"%s\"", before, comment);
}

struct prefixes {
	struct bh_prefix only;
	size_t n;
};

static void count_prefix(const struct bh_prefix *p, void *arg)
{
	struct prefixes *c = arg;
	if (c->n++ == 0)
		c->only = *p;
}

static void print_addr(const struct bh_addr *a, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_str(out, bh_addr_format(a, text));
}

/* As nft: a prefix where the range is one, a lone address as such. */
static void print_range(const struct bh_addr *first, const struct bh_addr *last, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	struct prefixes c = {0};
	bh_range_prefixes((struct bh_range){*first, *last}, count_prefix, &c);
	if (bh_addr_eq(first, last)) {
		print_addr(first, out);
	} else if (c.n == 1) {
		bh_buf_str(out, bh_prefix_format(&c.only, text));
	} else {
		print_addr(first, out);
		bh_buf_str(out, "-");
		print_addr(last, out);
	}
}

static void print_elem(const struct bh_set *s, const struct bh_set_elem *e, struct bh_buf *out)
{
	if (s->kind == BH_SET_INTERVAL) {
		print_range(&e->key, &e->key2, out);
	} else if (s->kind == BH_SET_CONCAT) {
		for (size_t i = 0; i < s->n_parts; i++) {
			bh_buf_str(out, i ? " . " : "");
			bh_print_value(&e->value[i], s->part[i], s->family, out);
		}
	} else {
		print_addr(&e->key, out);
		if (s->kind == BH_SET_PAIR) {
			bh_buf_str(out, " . ");
			print_addr(&e->key2, out);
		}
	}
	print_comment(e->comment, " ", out);
	if (s->kind == BH_MAP_VERDICT)
		bh_buf_printf(out, " : jump %s", e->chain);
}

/* nft puts two of its numeric types on a line, one of anything longer. */
static size_t per_line(const struct bh_set *s)
{
	if (s->n_parts == 1 && s->part[0] == BH_PART_ND_TARGET)
		return SIZE_MAX; /* all on one */
	if (s->kind == BH_SET_CONCAT)
		return s->n_parts > 1 || bh_part_len(s->part[0], s->family) > 4 ? 1 : 2;
	return s->family == BH_IPV4 && s->kind != BH_SET_PAIR ? 2 : 1;
}

/* A part that nft has no type for is given by where it is read. */
static void print_concat_type(const struct bh_set *s, struct bh_buf *out)
{
	const char *const text[][2] = {
		[BH_PART_ADDR] = {s->family == BH_IPV4 ? "ipv4_addr" : "ipv6_addr", "ip6 saddr"},
		[BH_PART_IFNAME] = {"ifname", "iifname"},
		[BH_PART_ETHER] = {"ether_addr", "ether saddr"},
		[BH_PART_ETHERTYPE] = {"ether_type", "ether type"},
		[BH_PART_PROTO] = {"inet_proto", "meta l4proto"},
		[BH_PART_SERVICE] = {"inet_service", "th dport"},
		[BH_PART_ND_TARGET] = {NULL, "@th,64,128"},
	};
	bool of = false;
	for (size_t i = 0; i < s->n_parts; i++)
		of |= !text[s->part[i]][0];
	bh_buf_str(out, of ? "\t\ttypeof " : "\t\ttype ");
	for (size_t i = 0; i < s->n_parts; i++)
		bh_buf_printf(out, "%s%s", i ? " . " : "", text[s->part[i]][of]);
}

static void print_type(const struct bh_set *s, struct bh_buf *out)
{
	const char *type = s->family == BH_IPV4 ? "ipv4_addr" : "ipv6_addr";
	if (s->kind == BH_SET_CONCAT) {
		print_concat_type(s, out);
		return;
	}
	bh_buf_printf(out, "\t\ttype %s", type);
	if (s->kind == BH_SET_PAIR)
		bh_buf_printf(out, " . %s", type);
	if (s->kind == BH_MAP_VERDICT)
		bh_buf_str(out, " : verdict");
}

/* As nft: "1h30m5s". */
static void print_timeout(uint32_t s, struct bh_buf *out)
{
	bh_buf_str(out, "\t\ttimeout ");
	if (s >= 86400)
		bh_buf_printf(out, "%ud", s / 86400);
	if (s / 3600 % 24)
		bh_buf_printf(out, "%uh", s / 3600 % 24);
	if (s / 60 % 60)
		bh_buf_printf(out, "%um", s / 60 % 60);
	if (s % 60)
		bh_buf_printf(out, "%us", s % 60);
	bh_buf_str(out, "\n");
}

static void print_attributes(const struct bh_set *s, struct bh_buf *out)
{
	if (s->size)
		bh_buf_printf(out, "\t\tsize %u\n", s->size);
	if (s->kind == BH_SET_INTERVAL)
		bh_buf_str(out, "\t\tflags interval\n");
	if (s->volatile_ == BH_VOLATILE_DYNAMIC)
		bh_buf_printf(out, "\t\tflags dynamic%s\n", s->timeout_s ? ",timeout" : "");
	if (s->counter)
		bh_buf_str(out, "\t\tcounter\n");
	if (s->timeout_s)
		print_timeout(s->timeout_s, out);
	if (s->comment) {
		print_comment(s->comment, "\t\t", out);
		bh_buf_str(out, "\n");
	}
}

static void print_set(const struct bh_set *s, struct bh_buf *out)
{
	size_t width = per_line(s), n = s->volatile_ ? 0 : s->n;
	bh_buf_printf(out, "\t%s %s {\n", s->kind == BH_MAP_VERDICT ? "map" : "set", s->name);
	print_type(s, out);
	bh_buf_str(out, "\n");
	print_attributes(s, out);
	for (size_t i = 0; i < n; i++) {
		if (i == 0)
			bh_buf_str(out, "\t\telements = { ");
		else
			bh_buf_str(out, i % width ? ", " : ",\n\t\t\t     ");
		print_elem(s, &s->elem[i], out);
	}
	bh_buf_str(out, n ? " }\n\t}\n" : "\t}\n");
}

static void print_action(const struct bh_rule *r, struct bh_buf *out)
{
	static const char *const plain[] = {
		[BH_ACT_NONE] = "",
		[BH_ACT_ACCEPT] = "accept ",
		[BH_ACT_DROP] = "drop ",
		[BH_ACT_RETURN] = "return ",
		[BH_ACT_REJECT_TCP_RESET] = "reject with tcp reset ",
		[BH_ACT_REJECT_ADMIN] = "reject with icmpx admin-prohibited ",
	};
	switch (r->action) {
	case BH_ACT_JUMP:
		bh_buf_printf(out, "jump %s ", r->target);
		break;
	case BH_ACT_GOTO:
		bh_buf_printf(out, "goto %s ", r->target);
		break;
	case BH_ACT_QUEUE:
		bh_buf_printf(
			out, "queue %sto %u ", r->bypass ? "flags bypass " : "", r->queue_num);
		break;
	case BH_ACT_LOG:
		bh_buf_printf(out, "log group %u snaplen %u ", r->queue_num, r->snap_len);
		break;
	case BH_ACT_VMAP_SADDR:
		bh_buf_printf(out, "%s saddr vmap @%s ", ip(r->family), r->target);
		break;
	case BH_ACT_VMAP_DADDR:
		bh_buf_printf(out, "%s daddr vmap @%s ", ip(r->family), r->target);
		break;
	default:
		bh_buf_str(out, plain[r->action]);
		break;
	}
}

static void print_rule(const struct bh_rule *r, uint8_t table, struct bh_buf *out)
{
	bh_buf_str(out, "\t\t");
	for (size_t i = 0; i < r->n; i++)
		bh_print_match(&r->match[i], table, out);
	if (r->counter)
		bh_buf_str(out, "counter ");
	print_action(r, out);
	print_comment(r->comment, "", out);
	while (out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	bh_buf_str(out, "\n");
}

/* What nft calls priorities; those within ten of a name are given from there. */
struct named_priority {
	const char *name;
	int priority;
	bool prerouting_only;
};

static void print_priority(const struct bh_chain *c, struct bh_buf *out)
{
	static const struct named_priority inet[] = {{"raw", -300, false}, {"mangle", -150, false},
		{"dstnat", -100, true}, {"filter", 0, false}, {"security", 50, false}},
					   bridge[] = {
						   {"dstnat", -300, true}, {"filter", -200, false}};
	bool in = c->table == BH_TABLE_INET;
	size_t n = in ? BH_ARRAY_SIZE(inet) : BH_ARRAY_SIZE(bridge);
	for (size_t i = 0; i < n; i++) {
		const struct named_priority *p = in ? &inet[i] : &bridge[i];
		int off = c->priority - p->priority;
		if (off < -10 || off > 10 || (p->prerouting_only && c->hook != BH_HOOK_PREROUTING))
			continue;
		bh_buf_str(out, p->name);
		if (off)
			bh_buf_printf(out, " %c %d", off < 0 ? '-' : '+', off < 0 ? -off : off);
		return;
	}
	bh_buf_printf(out, "%d", c->priority);
}

static void print_hook(const struct bh_chain *c, struct bh_buf *out)
{
	static const char *const hook[] = {
		[BH_HOOK_PREROUTING] = "prerouting",
		[BH_HOOK_INPUT] = "input",
		[BH_HOOK_FORWARD] = "forward",
		[BH_HOOK_OUTPUT] = "output",
	};
	bh_buf_printf(out, "\t\ttype filter hook %s priority ", hook[c->hook]);
	print_priority(c, out);
	bh_buf_str(out, "; policy accept;\n");
}

static void print_chain(const struct bh_chain *c, struct bh_buf *out)
{
	bh_buf_printf(out, "\tchain %s {\n", c->name);
	if (c->comment) {
		print_comment(c->comment, "\t\t", out);
		bh_buf_str(out, "\n");
	}
	if (c->hook != BH_HOOK_NONE)
		print_hook(c, out);
	for (size_t i = 0; i < c->n; i++)
		print_rule(&c->rule[i], c->table, out);
	bh_buf_str(out, "\t}\n");
}

static size_t in_table(const struct bh_ruleset *rs, uint8_t table)
{
	size_t n = 0;
	for (size_t i = 0; i < rs->n_sets; i++)
		n += rs->set[i].table == table;
	for (size_t i = 0; i < rs->n_chains; i++)
		n += rs->chain[i].table == table;
	return n;
}

static void print_table(const struct bh_ruleset *rs, uint8_t table, struct bh_buf *out)
{
	size_t done = 0;
	bh_buf_printf(out, "table %s " BH_TABLE " {\n", table == BH_TABLE_INET ? "inet" : "bridge");
	for (size_t i = 0; i < rs->n_sets; i++) {
		if (rs->set[i].table != table)
			continue;
		bh_buf_str(out, done++ ? "\n" : "");
		print_set(&rs->set[i], out);
	}
	for (size_t i = 0; i < rs->n_chains; i++) {
		if (rs->chain[i].table != table)
			continue;
		bh_buf_str(out, done++ ? "\n" : "");
		print_chain(&rs->chain[i], out);
	}
	bh_buf_str(out, "}\n");
}

void bh_ruleset_print(const struct bh_ruleset *rs, struct bh_buf *out)
{
	print_table(rs, BH_TABLE_INET, out);
	if (in_table(rs, BH_TABLE_BRIDGE))
		print_table(rs, BH_TABLE_BRIDGE, out);
}
