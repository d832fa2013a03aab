/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset as text that `nft -f` reads, in the wording of `nft list table` 1.0.6 (without
 * counter values), so that an operator can compare what is wanted with what is there by diff(1).
 */
#include <bulkhead/flow.h>
#include <bulkhead/ruleset.h>

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

/* nft puts two IPv4 addresses on a line, one of anything longer. */
static size_t per_line(const struct bh_set *s)
{
	return s->family == BH_IPV4 && s->kind != BH_SET_PAIR ? 2 : 1;
}

static void print_set(const struct bh_set *s, struct bh_buf *out)
{
	const char *type = s->family == BH_IPV4 ? "ipv4_addr" : "ipv6_addr";
	size_t width = per_line(s);
	bh_buf_printf(out, "\t%s %s {\n\t\ttype %s", s->kind == BH_MAP_VERDICT ? "map" : "set",
		s->name, type);
	if (s->kind == BH_SET_PAIR)
		bh_buf_printf(out, " . %s", type);
	if (s->kind == BH_MAP_VERDICT)
		bh_buf_str(out, " : verdict");
	bh_buf_str(out, s->kind == BH_SET_INTERVAL ? "\n\t\tflags interval\n" : "\n");
	if (s->comment) {
		print_comment(s->comment, "\t\t", out);
		bh_buf_str(out, "\n");
	}
	for (size_t i = 0; i < s->n; i++) {
		if (i == 0)
			bh_buf_str(out, "\t\telements = { ");
		else
			bh_buf_str(out, i % width ? ", " : ",\n\t\t\t     ");
		print_elem(s, &s->elem[i], out);
	}
	bh_buf_str(out, s->n ? " }\n\t}\n" : "\t}\n");
}

static const char *icmpv6_type(unsigned type, char buf[static 8])
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{130, "mld-listener-query"},
		{131, "mld-listener-report"},
		{132, "mld-listener-done"},
		{133, "nd-router-solicit"},
		{134, "nd-router-advert"},
		{135, "nd-neighbor-solicit"},
		{136, "nd-neighbor-advert"},
		{137, "nd-redirect"},
		{143, "mld2-listener-report"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(names); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(buf, 8, "%u", type & 0xffff);
	return buf;
}

static void print_ports(const struct bh_match *m, struct bh_buf *out)
{
	char buf[8];
	for (size_t i = 0; i < m->n_ports; i++) {
		const struct bh_port_range *p = &m->port[i];
		if (i)
			bh_buf_str(out, ", ");
		if (m->kind == BH_MATCH_ICMPV6_TYPES && p->first == p->last)
			bh_buf_str(out, icmpv6_type(p->first, buf));
		else if (p->first == p->last)
			bh_buf_printf(out, "%u", p->first);
		else
			bh_buf_printf(out, "%u-%u", p->first, p->last);
	}
}

static void print_port_set(const char *what, const struct bh_match *m, struct bh_buf *out)
{
	bool braces = m->n_ports > 1;
	bh_buf_printf(out, "%s %s", what, braces ? "{ " : "");
	print_ports(m, out);
	bh_buf_str(out, braces ? " }" : "");
}

static void print_l4_match(const struct bh_match *m, struct bh_buf *out)
{
	char number[4], what[24];
	const char *proto = bh_proto_name(m->proto, number);
	switch (m->kind) {
	case BH_MATCH_L4PROTO:
		bh_buf_printf(out, "meta l4proto %s", proto);
		break;
	case BH_MATCH_DPORT:
	case BH_MATCH_SPORT:
		snprintf(what, sizeof(what), "%s %s", proto,
			m->kind == BH_MATCH_DPORT ? "dport" : "sport");
		print_port_set(what, m, out);
		break;
	case BH_MATCH_TCP_NOT_SYN:
		bh_buf_str(out, "tcp flags != syn / fin,syn,rst,ack");
		break;
	default:
		print_port_set("icmpv6 type", m, out);
		break;
	}
}

static void print_match(const struct bh_match *m, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	const char *a = ip(m->family), *neg = m->neg ? "!= " : "";
	switch (m->kind) {
	case BH_MATCH_NFPROTO:
		bh_buf_printf(out, "meta nfproto %s", m->family == BH_IPV4 ? "ipv4" : "ipv6");
		break;
	case BH_MATCH_CT_ESTABLISHED:
		bh_buf_str(out, "ct state established,related");
		break;
	case BH_MATCH_CT_NEW:
		bh_buf_str(out, "ct state new");
		break;
	case BH_MATCH_SADDR_SET:
		bh_buf_printf(out, "%s saddr %s@%s", a, neg, m->set);
		break;
	case BH_MATCH_DADDR_SET:
		bh_buf_printf(out, "%s daddr %s@%s", a, neg, m->set);
		break;
	case BH_MATCH_PAIR_SET:
		bh_buf_printf(out, "%s saddr . %s daddr %s@%s", a, a, neg, m->set);
		break;
	case BH_MATCH_SADDR_PREFIX:
	case BH_MATCH_DADDR_PREFIX:
		bh_buf_printf(out, "%s %s %s", a,
			m->kind == BH_MATCH_SADDR_PREFIX ? "saddr" : "daddr", neg);
		if (m->prefix.len == bh_addr_bits(&m->prefix.addr))
			print_addr(&m->prefix.addr, out);
		else
			bh_buf_str(out, bh_prefix_format(&m->prefix, text));
		break;
	case BH_MATCH_IIF_LO:
		bh_buf_str(out, "iifname \"lo\"");
		break;
	case BH_MATCH_OIF_LO:
		bh_buf_str(out, "oifname \"lo\"");
		break;
	case BH_MATCH_LIMIT:
		bh_buf_printf(out, "limit rate %u/second burst %u packets", m->rate, m->burst);
		break;
	case BH_MATCH_MARK:
		bh_buf_printf(out, "meta mark & 0x%08x == 0x%08x", m->mask, m->mark);
		break;
	case BH_MATCH_L4PROTO:
	case BH_MATCH_DPORT:
	case BH_MATCH_SPORT:
	case BH_MATCH_TCP_NOT_SYN:
	case BH_MATCH_ICMPV6_TYPES:
		print_l4_match(m, out);
		break;
	}
	bh_buf_str(out, " ");
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

static void print_rule(const struct bh_rule *r, struct bh_buf *out)
{
	bh_buf_str(out, "\t\t");
	for (size_t i = 0; i < r->n; i++)
		print_match(&r->match[i], out);
	if (r->counter)
		bh_buf_str(out, "counter ");
	print_action(r, out);
	print_comment(r->comment, "", out);
	while (out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	bh_buf_str(out, "\n");
}

static void print_hook(const struct bh_chain *c, struct bh_buf *out)
{
	static const char *const hook[] = {
		[BH_HOOK_INPUT] = "input",
		[BH_HOOK_FORWARD] = "forward",
		[BH_HOOK_OUTPUT] = "output",
	};
	int p = c->priority;
	bh_buf_printf(out, "\t\ttype filter hook %s priority ", hook[c->hook]);
	if (p == 0)
		bh_buf_str(out, "filter");
	else if (p >= -10 && p <= 10) /* nft names what is close to a named priority */
		bh_buf_printf(out, "filter %c %d", p < 0 ? '-' : '+', p < 0 ? -p : p);
	else
		bh_buf_printf(out, "%d", p);
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
		print_rule(&c->rule[i], out);
	bh_buf_str(out, "\t}\n");
}

void bh_ruleset_print(const struct bh_ruleset *rs, struct bh_buf *out)
{
	bh_buf_str(out, "table inet " BH_TABLE " {\n");
	for (size_t i = 0; i < rs->n_sets; i++) {
		bh_buf_str(out, i ? "\n" : "");
		print_set(&rs->set[i], out);
	}
	for (size_t i = 0; i < rs->n_chains; i++) {
		bh_buf_str(out, i || rs->n_sets ? "\n" : "");
		print_chain(&rs->chain[i], out);
	}
	bh_buf_str(out, "}\n");
}
