/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our own tables: there, awake, nobody else's, hooked where they should be, with all their rules.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "config/config.h"
#include "private.h"

#define RESTORE_DAEMON "systemctl restart bulkhead"
#define RESTORE_ALONE "systemctl start bulkhead: it makes the rules anew"

static const char *remedy(const struct bh_doctor_look *k)
{
	return k->d->daemon ? RESTORE_DAEMON : RESTORE_ALONE;
}

static uint8_t family_of(uint8_t table)
{
	return table == BH_TABLE_BRIDGE ? NFPROTO_BRIDGE : NFPROTO_INET;
}

static const struct bh_nft_seen_table *find_table(const struct bh_nft_survey *s, uint8_t family)
{
	for (size_t i = 0; i < s->n_tables; i++)
		if (s->table[i].family == family &&
			bh_nft_seen_ours(s->table[i].name, s->table[i].family))
			return &s->table[i];
	return NULL;
}

static const struct bh_nft_seen_chain *find_chain(
	const struct bh_nft_survey *s, uint8_t family, const char *name)
{
	return bh_nft_seen_chain(s, family, BH_TABLE, name);
}

static bool table_awake(const struct bh_doctor_look *k, uint8_t family)
{
	const char *name = bh_nft_family_name(family);
	const struct bh_nft_seen_table *t = find_table(&k->nft, family);
	if (!t)
		bh_finding(k->checks, "tables", BH_HEALTH_FAIL, remedy(k),
			"table %s " BH_TABLE " is not there: %s", name,
			family == NFPROTO_BRIDGE ? "workloads may send in each other's name"
						 : "nothing is enforced");
	else if (t->flags & NFT_TABLE_F_DORMANT)
		bh_finding(k->checks, "tables", BH_HEALTH_FAIL, remedy(k),
			"table %s " BH_TABLE " is dormant: no packet meets its rules", name);
	return t && !(t->flags & NFT_TABLE_F_DORMANT);
}

/* Of a daemon that lives; without one they are nobody's, and whoever is root may change them. */
static void check_owner(const struct bh_doctor_look *k)
{
	const struct bh_nft_seen_table *t = find_table(&k->nft, NFPROTO_INET);
	bool asked = !k->d->conf->table_owner_never;
	if (!k->d->daemon)
		return;
	if (bh_nft_taken(k->d->nft) > 0)
		bh_finding(k->checks, "owner", BH_HEALTH_FAIL,
			"stop the other one: `ss -A netlink -p` names it",
			"the tables belong to another process (netlink port %u)", t->owner);
	else if (asked && bh_nft_get_caps(k->d->nft)->owner && !t->owner)
		bh_finding(k->checks, "owner", BH_HEALTH_FAIL, RESTORE_DAEMON,
			"the tables belong to nobody: another program can change them");
	else if (t->owner)
		bh_finding(k->checks, "owner", BH_HEALTH_OK, NULL,
			"the tables belong to the daemon: nobody else can change them");
	else
		bh_finding(k->checks, "owner", BH_HEALTH_OK, NULL,
			"the tables belong to nobody (%s): a change is undone and recorded",
			asked ? "the kernel is older than 6.9" : "table_owner: never");
}

static bool hook_right(const struct bh_doctor_look *k, const struct bh_chain *c)
{
	uint8_t family = family_of(c->table);
	const struct bh_nft_seen_chain *s = find_chain(&k->nft, family, c->name);
	if (!s || !s->base)
		bh_finding(k->checks, "hooks", BH_HEALTH_FAIL, remedy(k),
			"chain %s of table %s is not hooked", c->name, bh_nft_family_name(family));
	else if (s->hook != (int)c->hook || s->priority != c->priority)
		bh_finding(k->checks, "hooks", BH_HEALTH_FAIL, remedy(k),
			"chain %s of table %s is at hook %d, priority %d, not at %d, %d", c->name,
			bh_nft_family_name(family), s->hook, s->priority, (int)c->hook,
			c->priority);
	return s && s->base && s->hook == (int)c->hook && s->priority == c->priority;
}

struct sum {
	size_t rules, chains, wrong;
};

static void compare_rules(const struct bh_doctor_look *k, const struct bh_chain *c, struct sum *sum)
{
	const struct bh_nft_seen_chain *s = find_chain(&k->nft, family_of(c->table), c->name);
	size_t have = s ? s->rules : 0;
	bool right = k->d->whole ? have == c->n : have > 0 || c->n == 0;
	sum->chains += s != NULL;
	sum->rules += have;
	if (right || sum->wrong++ >= 4)
		return;
	if (k->d->whole)
		bh_finding(k->checks, "rules", BH_HEALTH_FAIL, remedy(k),
			"chain %s holds %zu rules, not %zu", c->name, have, c->n);
	else
		bh_finding(k->checks, "rules", BH_HEALTH_FAIL, remedy(k),
			"chain %s is empty: what it decided passes", c->name);
}

void bh_doctor_tables(const struct bh_doctor_look *k)
{
	const struct bh_ruleset *rs = k->d->rules;
	bool bridge = bh_nft_get_caps(k->d->nft)->bridge;
	size_t hooks = 0, wrong = 0;
	struct sum sum = {0};
	bool inet_up = table_awake(k, NFPROTO_INET);
	bool bridge_up = bridge && table_awake(k, NFPROTO_BRIDGE);

	if (!bridge)
		bh_finding(k->checks, "tables", BH_HEALTH_FAIL,
			"modprobe nf_tables_bridge, or a kernel with CONFIG_NF_TABLES_BRIDGE",
			"this kernel has no tables of family bridge: workloads may send in each "
			"other's name");
	if (inet_up && (bridge_up || !bridge))
		bh_finding(k->checks, "tables", BH_HEALTH_OK, NULL,
			"table inet " BH_TABLE "%s%s there", bridge ? " and bridge " BH_TABLE : "",
			bridge ? " are" : " is");
	if (inet_up)
		check_owner(k);
	for (size_t i = 0; rs && i < rs->n_chains; i++) {
		const struct bh_chain *c = &rs->chain[i];
		if (!(c->table == BH_TABLE_BRIDGE ? bridge_up : inet_up))
			continue;
		if (c->hook != BH_HOOK_NONE) {
			hooks++;
			wrong += !hook_right(k, c);
		}
		if (k->d->whole || c->hook != BH_HOOK_NONE)
			compare_rules(k, c, &sum);
	}
	if (hooks && !wrong)
		bh_finding(k->checks, "hooks", BH_HEALTH_OK, NULL,
			"%zu base chains are hooked where they should be", hooks);
	if (hooks && !sum.wrong)
		bh_finding(k->checks, "rules", BH_HEALTH_OK, NULL, "%zu rules in %zu chains%s",
			sum.rules, sum.chains,
			k->d->whole ? ", as compiled"
				    : "; whether they are all, only a daemon can say");
	else if (sum.wrong > 4)
		bh_finding(k->checks, "rules", BH_HEALTH_FAIL, remedy(k), "and %zu chains more",
			sum.wrong - 4);
}
