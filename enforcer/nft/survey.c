/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everybody's tables, for who has to know what other people's rules do to ours. Attributes are read
 * as they are: libnftnl gives up a rule of which it does not know one expression.
 */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nf_tables_compat.h>

#define SURVEY_TRIES 16
#define RULES_MAX 262144

bool bh_nft_seen_ours(const char *table, uint8_t family)
{
	return bh_streq(table, BH_TABLE) && (family == NFPROTO_INET || family == NFPROTO_BRIDGE);
}

const char *bh_nft_family_name(uint8_t family)
{
	static const char *const name[] = {
		[NFPROTO_INET] = "inet",
		[NFPROTO_IPV4] = "ip",
		[NFPROTO_ARP] = "arp",
		[NFPROTO_NETDEV] = "netdev",
		[NFPROTO_BRIDGE] = "bridge",
		[NFPROTO_IPV6] = "ip6",
	};
	return family < BH_ARRAY_SIZE(name) && name[family] ? name[family] : "?";
}

void bh_nft_survey_finish(struct bh_nft_survey *s)
{
	for (size_t i = 0; i < s->n_tables; i++)
		free(s->table[i].name);
	for (size_t i = 0; i < s->n_chains; i++) {
		free(s->chain[i].table);
		free(s->chain[i].name);
		free(s->chain[i].device);
	}
	for (size_t i = 0; i < s->n_odd; i++) {
		free(s->odd[i].table);
		free(s->odd[i].chain);
	}
	free(s->table);
	free(s->chain);
	free(s->odd);
	*s = (struct bh_nft_survey){0};
}

static uint8_t family_of(const struct nlmsghdr *nlh)
{
	return ((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family;
}

/* A text or number attribute; NULL, 0 if it is none. */
static const char *text(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : NULL;
}

static uint32_t number(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static const struct nlattr *of_message(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static const struct nlattr *of_nest(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;
	if (nest)
		mnl_attr_for_each_nested(a, nest)
		{
			if (mnl_attr_get_type(a) == type)
				return a;
		}
	return NULL;
}

static void see_table(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_survey *s = arg;
	const char *name = text(of_message(nlh, NFTA_TABLE_NAME));
	if (!name)
		return;
	BH_GROW(s->table, s->n_tables, s->cap_tables);
	s->table[s->n_tables++] = (struct bh_nft_seen_table){
		.name = bh_xstrdup(name),
		.family = family_of(nlh),
		.flags = number(of_message(nlh, NFTA_TABLE_FLAGS)),
		.owner = number(of_message(nlh, NFTA_TABLE_OWNER)),
	};
}

/* One device, or a list of them. */
static char *devices(const struct nlattr *hook)
{
	const char *one = text(of_nest(hook, NFTA_HOOK_DEV));
	const struct nlattr *list = of_nest(hook, NFTA_HOOK_DEVS), *a;
	struct bh_buf bh_autobuf b = {0};
	if (one && !list)
		return bh_xstrdup(one);
	if (list)
		mnl_attr_for_each_nested(a, list)
		{
			const char *name = text(a);
			if (name)
				bh_buf_printf(&b, "%s%s", b.len ? "," : "", name);
		}
	return b.len ? bh_buf_take(&b) : NULL;
}

static void see_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct bh_nft_survey *s = arg;
	const char *table = text(of_message(nlh, NFTA_CHAIN_TABLE));
	const char *name = text(of_message(nlh, NFTA_CHAIN_NAME));
	const struct nlattr *hook = of_message(nlh, NFTA_CHAIN_HOOK);
	if (!table || !name)
		return;
	BH_GROW(s->chain, s->n_chains, s->cap_chains);
	s->chain[s->n_chains++] = (struct bh_nft_seen_chain){
		.table = bh_xstrdup(table),
		.name = bh_xstrdup(name),
		.family = family_of(nlh),
		.base = hook != NULL,
		.accept = number(of_message(nlh, NFTA_CHAIN_POLICY)) == NF_ACCEPT,
		.hook = (int)number(of_nest(hook, NFTA_HOOK_HOOKNUM)),
		.priority = (int)number(of_nest(hook, NFTA_HOOK_PRIORITY)),
		.device = hook ? devices(hook) : NULL,
	};
}

/* What one expression does that matters here; −1: nothing. The xt target CT is --notrack when it
 * says so in its first flag (struct xt_ct_target_info). */
static int odd(const struct nlattr *expr)
{
	const char *name = text(of_nest(expr, NFTA_EXPR_NAME));
	const struct nlattr *data = of_nest(expr, NFTA_EXPR_DATA);
	if (bh_streq(name, "notrack"))
		return BH_NFT_NOTRACK;
	if (bh_streq(name, "fwd"))
		return BH_NFT_FWD;
	if (bh_streq(name, "flow_offload"))
		return BH_NFT_OFFLOAD;
	if (!bh_streq(name, "target"))
		return -1;
	const char *target = text(of_nest(data, NFTA_TARGET_NAME));
	const struct nlattr *info = of_nest(data, NFTA_TARGET_INFO);
	if (bh_streq(target, "NOTRACK"))
		return BH_NFT_NOTRACK;
	if (bh_streq(target, "CT") && info && mnl_attr_get_payload_len(info) >= 2 &&
		(*(const uint16_t *)mnl_attr_get_payload(info) & 1))
		return BH_NFT_NOTRACK;
	return -1;
}

struct reading {
	struct bh_nft_survey *s;
	size_t rules, chain; /* where the last rule's chain was */
};

static struct bh_nft_seen_chain *find_chain(
	struct reading *r, uint8_t family, const char *table, const char *name)
{
	struct bh_nft_survey *s = r->s;
	for (size_t k = 0; k < s->n_chains; k++) {
		size_t i = (r->chain + k) % s->n_chains; /* rules come chain by chain */
		struct bh_nft_seen_chain *c = &s->chain[i];
		if (c->family == family && bh_streq(c->name, name) && bh_streq(c->table, table)) {
			r->chain = i;
			return c;
		}
	}
	return NULL;
}

static void see_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct reading *r = arg;
	const char *table = text(of_message(nlh, NFTA_RULE_TABLE));
	const char *chain = text(of_message(nlh, NFTA_RULE_CHAIN));
	const struct nlattr *list = of_message(nlh, NFTA_RULE_EXPRESSIONS), *a;
	uint8_t family = family_of(nlh);

	if (!table || !chain || r->rules++ >= RULES_MAX)
		return;
	struct bh_nft_seen_chain *c = find_chain(r, family, table, chain);
	if (c)
		c->rules++;
	if (!list || bh_nft_seen_ours(table, family))
		return;
	mnl_attr_for_each_nested(a, list)
	{
		int what = odd(a);
		if (what < 0)
			continue;
		BH_GROW(r->s->odd, r->s->n_odd, r->s->cap_odd);
		r->s->odd[r->s->n_odd++] = (struct bh_nft_seen_odd){
			.what = (enum bh_nft_odd)what,
			.table = bh_xstrdup(table),
			.chain = bh_xstrdup(chain),
			.family = family,
		};
		return;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct bh_nft_seen_chain *x = a, *y = b;
	int r = (int)x->family - (int)y->family;
	if (r == 0)
		r = strcmp(x->table, y->table);
	return r ? r : strcmp(x->name, y->name);
}

static int survey(struct bh_nft *n, struct bh_nft_survey *s)
{
	struct reading r = {.s = s};
	int rc = bh_nft_request(
		n, NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_UNSPEC, NULL, NULL, see_table, s);
	if (rc == 0)
		rc = bh_nft_request(
			n, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC, NULL, NULL, see_chain, s);
	if (rc == 0)
		rc = bh_nft_request(
			n, NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_UNSPEC, NULL, NULL, see_rule, &r);
	s->cut = r.rules > RULES_MAX;
	return rc;
}

int bh_nft_survey(struct bh_nft *n, struct bh_nft_survey *ret)
{
	struct bh_nft_survey s = {0};
	int rc = -EINTR;
	for (int try = 0; rc == -EINTR && try < SURVEY_TRIES; try++) {
		bh_nft_survey_finish(&s);
		rc = survey(n, &s);
	}
	if (rc < 0) {
		bh_nft_survey_finish(&s);
		return rc;
	}
	if (s.n_chains)
		qsort(s.chain, s.n_chains, sizeof(*s.chain), by_name);
	*ret = s;
	return 0;
}

const struct bh_nft_seen_chain *bh_nft_seen_chain(
	const struct bh_nft_survey *s, uint8_t family, const char *table, const char *name)
{
	struct bh_nft_seen_chain key = {
		.family = family, .table = (char *)table, .name = (char *)name};
	return s->n_chains ? bsearch(&key, s->chain, s->n_chains, sizeof(key), by_name) : NULL;
}
