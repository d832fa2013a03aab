/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead explain --state FILE: the same answer as the daemon's, from a world in a file. */
#include <errno.h>
#include <netinet/in.h>

#include "cli/decision.h"

/* Names that the daemon knows too: "web" for shop/web if there is only one. Owned. */
static char *full_name(const struct bh_scenario_state *st, const char *what)
{
	struct bh_addr ignored;
	uint32_t match[1];
	if (bh_scenario_resolve(st, what, 0, &ignored) != -ENOENT)
		return bh_xstrdup(what);
	int w = bh_inventory_resolve(st->inv, what, match, 1, NULL);
	if (w < 0)
		return bh_xstrdup(what);
	return bh_xasprintf("%s/%s", st->inv->workload[w]->namespace, st->inv->workload[w]->name);
}

static int complain(const struct bh_scenario_state *st, const char *const end[2])
{
	int bad = 0;
	for (int i = 0; i < 2; i++) {
		struct bh_addr a;
		char bh_autofree *shown = cli_safe(end[i]);
		int r = bh_scenario_resolve(st, end[i], 0, &a);
		if (r == -ENOENT)
			cli_error("there is no \"%s\" in the state; an end is NAMESPACE/NAME, "
				  "external:NAME, node:NAME or an address",
				shown);
		else if (r < 0)
			cli_error("\"%s\" has no address", shown);
		bad += r < 0;
	}
	if (!bad)
		cli_error("the two ends have no address family in common");
	return CLI_FAILED;
}

static void print_decision(struct cli *cli, const struct bh_engine *e, const struct bh_flow *f)
{
	json_t *answer = cli_decision_json(e, f);
	if (cli->json)
		cli_print_json(cli, answer);
	else
		cli_print_explanation(cli, answer);
	json_decref(answer);
}

static int explain(struct cli *cli, const struct bh_scenario_state *st, char **words, uint8_t proto,
	uint16_t port)
{
	struct bh_flow f = {.proto = proto, .dport = port, .sport = port ? 40000 : 0};
	char bh_autofree *from = full_name(st, words[0]), bh_autofree *to = full_name(st, words[1]);
	if (bh_scenario_resolve_pair(st, from, to, 0, &f.src, &f.dst) < 0)
		return complain(st, (const char *const[]){from, to});
	if (f.proto == IPPROTO_ICMP && f.src.family == BH_IPV6)
		f.proto = IPPROTO_ICMPV6;
	if (f.proto == IPPROTO_ICMP || f.proto == IPPROTO_ICMPV6)
		f.icmp_type = f.proto == IPPROTO_ICMP ? 8 : 128; /* an echo request */
	struct bh_engine *e = bh_engine_compile(st->policies, st->inv, &st->opts);
	print_decision(cli, e, &f);
	bh_engine_unref(e);
	return CLI_OK;
}

int cli_explain_state(struct cli *cli, const char *file, const char *state, char **words,
	uint8_t proto, uint16_t port)
{
	struct bh_scenario *s = cli_state_load(file);
	int r = CLI_FAILED;
	if (!s)
		return r;
	const struct bh_scenario_state *st = cli_state_pick(s, state);
	if (st)
		r = explain(cli, st, words, proto, port);
	bh_scenario_free(s);
	return r;
}
