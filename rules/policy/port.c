/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports of a rule (ValidateNetworkPolicyPort of the API server's networking validation). */
#include <strings.h>

#include "private.h"

static void read_protocol(struct bh_policy_ctx *c, const struct bh_node *n, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} known[] = {{"TCP", BH_TCP}, {"UDP", BH_UDP}, {"SCTP", BH_SCTP}};
	static const char words[] = "TCP, UDP or SCTP";
	const char *text, *meant = NULL;
	if (bh_read_word(&c->r, n, c->path.s, words, &text) < 0)
		return;
	for (size_t i = 0; i < BH_ARRAY_SIZE(known); i++) {
		if (bh_streq(text, known[i].name)) {
			*ret = known[i].proto;
			return;
		}
		if (strcasecmp(text, known[i].name) == 0)
			meant = known[i].name;
	}
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	bh_policy_error(c, n, meant ? meant : words, "unknown protocol \"%s\"", quoted);
}

/* IANA_SVC_NAME (RFC 6335) as IsValidPortName has it: NULL if good, else what is wrong. */
static const char *port_name_check(const char *s)
{
	size_t n = strlen(s);
	bool letter = false;
	if (n == 0)
		return "empty";
	if (n > 15)
		return "longer than 15 characters";
	for (size_t i = 0; i < n; i++) {
		bool lower = s[i] >= 'a' && s[i] <= 'z';
		if (!lower && !(s[i] >= '0' && s[i] <= '9') && s[i] != '-')
			return "only lower-case letters, digits and hyphens are allowed";
		if (s[i] == '-' && s[i + 1] == '-')
			return "two hyphens in a row";
		letter |= lower;
	}
	if (!letter)
		return "needs at least one letter";
	return s[0] == '-' || s[n - 1] == '-' ? "begins or ends with a hyphen" : NULL;
}

static bool is_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

bool bh_policy_read_port_number(struct bh_policy_ctx *c, const struct bh_node *n, uint16_t *ret)
{
	int64_t v;
	if (bh_read_int(&c->r, n, c->path.s, 1, 65535, &v) < 0)
		return false;
	*ret = (uint16_t)v;
	return true;
}

bool bh_policy_read_port_name(struct bh_policy_ctx *c, const struct bh_node *n, char **ret)
{
	const char *name, *wrong;
	if (bh_read_string(&c->r, n, c->path.s, &name) < 0)
		return false;
	if (!(wrong = port_name_check(name))) {
		*ret = bh_xstrdup(name);
		return true;
	}
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	bh_policy_error(c, n, is_digits(name) ? "write the number without quotes" : NULL,
		"\"%s\" is not a port name: %s", quoted, wrong);
	return false;
}

/* 80.0 or 0120, say: to put those into quotes would make a name of them. */
static bool is_other_number(const struct bh_node *n)
{
	return n->kind == BH_NODE_SCALAR &&
	       (n->type == BH_SCALAR_FLOAT ||
		       (n->type == BH_SCALAR_AMBIGUOUS && strchr("+-.0123456789", n->str[0])));
}

static void read_port(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret)
{
	static const char wanted[] = "must be a number from 1 to 65535 or a port's name";
	if (n->kind == BH_NODE_SCALAR && n->type == BH_SCALAR_INT) {
		if (bh_policy_read_port_number(c, n, &ret->first))
			ret->last = ret->first;
		return;
	}
	if (is_other_number(n)) {
		bh_policy_error(c, n, "write the number in decimal digits alone", "%s", wanted);
		return;
	}
	if (n->kind != BH_NODE_SCALAR || n->type == BH_SCALAR_BOOL) {
		bh_policy_error(
			c, n, "one port per list item; endPort makes a range", "%s", wanted);
		return;
	}
	bh_policy_read_port_name(c, n, &ret->name);
}

static void read_end_port(struct bh_policy_ctx *c, const struct bh_node *n,
	const struct bh_node *port, struct bh_policy_port *ret)
{
	uint16_t last;
	if (!bh_policy_read_port_number(c, n, &last))
		return;
	if (!port)
		bh_policy_error(c, n, "port: FIRST, endPort: LAST", "endPort needs a port");
	else if (ret->name)
		bh_policy_error(
			c, n, "port: FIRST, endPort: LAST", "endPort cannot go with a named port");
	else if (ret->first && last < ret->first)
		bh_policy_error(c, n, NULL, "endPort %u is below port %u", last, ret->first);
	else
		ret->last = last;
}

void bh_policy_read_port(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret)
{
	static const char *const keys[] = {"protocol", "port", "endPort", NULL};
	ret->proto = BH_TCP;
	if (!bh_policy_is_map(c, n, keys))
		return;
	const struct bh_node *protocol = bh_policy_field(n, "protocol");
	const struct bh_node *port = bh_policy_field(n, "port");
	const struct bh_node *end = bh_policy_field(n, "endPort");
	size_t at;
	if (protocol) {
		at = bh_policy_push(c, "protocol");
		read_protocol(c, protocol, &ret->proto);
		bh_policy_pop(c, at);
	}
	ret->any = !port;
	if (port) {
		at = bh_policy_push(c, "port");
		read_port(c, port, ret);
		bh_policy_pop(c, at);
	}
	if (end) {
		at = bh_policy_push(c, "endPort");
		read_end_port(c, end, port, ret);
		bh_policy_pop(c, at);
	}
}
