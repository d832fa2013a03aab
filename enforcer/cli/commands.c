/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All commands: their words, options and help. */
#include "cli/cli.h"

const struct cli_command cli_commands[] = {
	{"status", "", "Is it enforcing, what is wrong, how does it fail",
		"Problems come first, each with what to do about it.", 0, 0, {{0}}, cli_status},
	{"doctor", "", "Is this node really protected: what was seen, what weakens it, what to do",
		"Reads only. FAIL: what was asked for does not hold; warn: it holds, and protects "
		"less\n"
		"than it could; each with what to do. Where no daemon answers, what the kernel "
		"still\n"
		"holds is looked at (as root), and the exit status is 3; else 1 if anything "
		"FAILs.",
		0, 0,
		{{0, "config", "FILE", "the daemon's configuration, where no daemon answers"},
			{0, "prove", NULL,
				"show with packets, in network namespaces of its own, what this "
				"kernel does"}},
		cli_doctor},
	{"ps", "", "List the workloads of this node, and with --all those that are gone",
		"All filters that are given must hold. Times: \"≤\" it was there when the daemon "
		"first\n"
		"looked; \"?\" nobody saw it stop, it is when it was last known to be there.",
		0, 0,
		{{'l', "selector", "SELECTOR", "by labels: a=b,c!=d,e in (x,y),!f"},
			{0, "image", "IMAGE", "nginx: every tag; nginx:1.25; an id"},
			{0, "digest", "DIGEST", "sha256:… or its beginning"},
			{0, "registry", "REGISTRY", "docker.io, ghcr.io, localhost:5000"},
			{'n', "namespace", "N", "in this namespace"},
			{0, "mode", "MODE", "learn, audit or enforce; of those that are there"},
			{'a', "all", NULL, "also those that are gone, the last to stop first"},
			{'w', "watch", NULL, "go on with every change, until Ctrl-C"},
			{'o', "output", "table|wide|json|yaml", "how to print the answer"}},
		cli_ps},
	{"workload show", "WORKLOAD", "Show everything known of one workload, running or gone",
		"Namespace/name, name, either with the compose service for the name, or the\n"
		"beginning of an id. Of those that are gone the last that was called so.",
		1, 1, {{'o', "output", "table|wide|json|yaml", "how to print the answer"}},
		cli_workload_show},
	{"impact", "ADDRESS|CIDR|FEED|IMAGE|DIGEST",
		"Say which containers had to do with it, running or gone",
		"From recorded flows and the history: who talked with the address or with "
		"anything\n"
		"that the feed lists, or what containers of the image did; first, last, how "
		"often;\n"
		"and what of the same image runs now. Twelve hexadecimal digits, or sha256: and "
		"some, are a digest.",
		1, 1, {{'o', "output", "table|wide|json|yaml", "how to print the answer"}},
		cli_impact},
	{"flows", "", "List the flows seen, newest last, with the verdict and the rule behind it",
		"With -f and -o json each flow is one line. -f ends with Ctrl-C.", 0, 0,
		{{'f', "follow", NULL, "go on with what comes"},
			{'n', "lines", "N", "how many of the past, 1..1000; 100, with -f 10"},
			{0, "folded", NULL, "older ones, which were put together"}},
		cli_flows},
	{"graph", "",
		"Who talks to whom: roles, the node and outside peers, with services and verdicts",
		"What was learned, and the newest 2,000 recorded flows. html is one page that "
		"needs "
		"nothing\n"
		"else: open it in a browser and search.",
		0, 0,
		{{'o', "output", "table|wide|json|dot|mermaid|html", "how to print the answer"}},
		cli_graph},
	{"drift", "",
		"Who does what no rule in force allows, and whether others of its image do it too",
		"Denied flows and would-be denials of the newest 20,000 recorded ones, container "
		"by\n"
		"container. With --fail-on new-edge it exits with 1 if there is any.",
		0, 0,
		{{0, "since", "TIME", "only what was seen in that time: 12h, 7d"},
			{0, "fail-on", "new-edge", "exit with 1 if anything deviates"}},
		cli_drift},
	{"learn status", "", "What has been learned, and how far it can be relied on",
		"Readiness is judged by what was seen: hours of the day, weekdays, starts of\n"
		"containers (later than the role's first), how long nothing new came; of the "
		"reasons\n"
		"\"+\" speaks for relying on it, \"-\" against. The picture shows new edges over "
		"the time\n"
		"since a role was observed first. Times are UTC.",
		0, 0, {{'w', "watch", NULL, "go on, until Ctrl-C"}}, cli_learn_status},
	{"learn export", "", "Print what has been learned as NetworkPolicy YAML",
		"Only answered flows become rules, and none that was rejected. The output can be\n"
		"given to `bulkhead policy apply -`. Who was hardly seen gets no policy without "
		"rules.",
		0, 0,
		{{0, "namespace", "N", "only this namespace"}, {0, "role", "R", "only this role"},
			{0, "no-evidence", NULL, "leave out the annotations with counts and dates"},
			{0, "force", NULL, "a policy without rules even for who was hardly seen"}},
		cli_learn_export},
	{"learn show", "", "List what has been learned, edge by edge, with its evidence", NULL, 0,
		0,
		{{0, "namespace", "N", "only edges of this namespace"},
			{0, "role", "R", "only edges of this role"},
			{0, "review", "STATE", "only none, accepted or rejected ones"}},
		cli_learn_show},
	{"learn review", "[accept|reject|undo [EDGE…] | widen CIDR [EDGE…]]",
		"Say what is right of what has been learned",
		"EDGE is what `learn show` calls it; without any the options say which. A "
		"rejected\n"
		"edge is never exported; a widened one is exported as the block instead of its\n"
		"single outside address. Without words it asks edge by edge.",
		0, -1,
		{{0, "namespace", "N", "edges of this namespace"},
			{0, "role", "R", "edges of this role"},
			{0, "selector", "S", "edges of roles with these labels"}},
		cli_learn_review},
	{"learn reset", "", "Forget what has been learned, and learn anew", NULL, 0, 0,
		{{0, "namespace", "N", "of this namespace"}, {0, "role", "R", "of this role"},
			{0, "all", NULL, "all of it"}},
		cli_learn_reset},
	{"policy check", "FILE|DIR…", "Check policy files; needs neither the daemon nor root",
		"Of a directory: *.yaml, *.yml and *.json. \"-\" is standard input.\n"
		"Exits with 1 if there is an error. Warnings are about what is valid but can "
		"hardly be\n"
		"meant: a rule that another one makes pointless, a selector that nothing matches.",
		1, -1,
		{{0, "state", "FILE",
			 "a world, as `bulkhead state` prints it: warn of what means nobody there"},
			{0, "strict", NULL, "exit with 1 for warnings too"}},
		cli_policy_check},
	{"policy test", "CASE…", "Test policies against the verdicts that cases expect",
		"A case is a file, or each file of a directory; see examples/policy-tests. Needs\n"
		"neither the daemon nor root. Exits with 1 if a probe failed or a case could not "
		"be read.",
		1, -1, {{0}}, cli_policy_test},
	{"policy compile", "[FILE|DIR…]",
		"Print the ruleset of policies for a state, as nft reads it",
		"Of the policies given, else of those in the state. What falls through is dropped "
		"or\n"
		"passed right there, as on a kernel without NFQUEUE: `nft -c -f -` then accepts it "
		"on\n"
		"every kernel. With --queue it is what the daemon loads where it can queue; nft "
		"checks\n"
		"that only where the kernel has nft_queue.",
		0, -1,
		{{0, "state", "FILE", "the workloads; `bulkhead state` prints the node's"},
			{0, "in", "STATE", "which of the file's states; the first"},
			{0, "queue", NULL, "with the rules that queue"},
			{0, "stats", NULL, "print only how much it is"}},
		cli_policy_compile},
	{"policy apply", "FILE|DIR…", "Put policies in force",
		"Policies of the same namespace and name are replaced, others stay. With\n"
		"--confirm-within all is taken back by itself, also if the daemon dies meanwhile,\n"
		"unless `bulkhead policy confirm` comes in time.",
		1, -1,
		{{0, "dry-run", NULL, "say what would change, change nothing"},
			{'m', "message", "TEXT", "a comment for the history"},
			{0, "confirm-within", "TIME", "60s, 5m, at most 1h; see above"},
			{0, "prune", NULL,
				"remove what was applied before and is not among these"}},
		cli_policy_apply},
	{"policy plan", "FILE|DIR…", "Say what an apply would change, and what opens and closes",
		"Changes nothing. What opens and closes is told of the workloads that are there\n"
		"now, as if all were enforced. Exits with 0 whether there are changes or not:\n"
		"`changes` in the JSON tells. With --state no daemon is asked: the workloads and "
		"the\n"
		"policies of before are the file's. With --since recorded flows that passed are "
		"decided\n"
		"by the new policies, as if enforced, with the workloads as they were then; it "
		"exits\n"
		"with 1 if any would be denied.",
		1, -1,
		{{0, "prune", NULL, "as apply --prune"},
			{0, "diff", NULL, "show the changed lines too"},
			{0, "state", "FILE", "a world, as `bulkhead state` prints it"},
			{0, "in", "STATE", "which of its states; the first"},
			{0, "since", "TIME", "replay the flows recorded in that time: 12h, 7d"}},
		cli_policy_plan},
	{"policy delete", "NAMESPACE/NAME|cnp:NAME", "Remove a policy", NULL, 1, 1, {{0}},
		cli_policy_delete},
	{"policy history", "", "List the versions of the policies: who changed what, when and why",
		"Every set of policies that came in force is a version; the last 200 are kept.", 0,
		0, {{0}}, cli_policy_history},
	{"policy show", "[NAMESPACE/NAME|cnp:NAME…]", "Print policies as they were written", NULL,
		0, -1, {{0, "version", "N", "of this version, not of the one in force"}},
		cli_policy_show},
	{"policy diff", "[A [B]]", "Compare two versions, policy by policy",
		"Without B with the one in force, without A the one before it with that. For "
		"files\n"
		"see `bulkhead policy plan --diff`.",
		0, 2, {{0}}, cli_policy_diff},
	{"policy rollback", "[VERSION]", "Put back the policies of a version, file by file",
		"Without VERSION: of the one before the one in force. All files of the directory\n"
		"become as they were, hand-written ones too; refused if somebody has changed one\n"
		"since. Makes a new version.",
		0, 1,
		{{0, "force", NULL, "overwrite what has been changed in the directory"},
			{'m', "message", "TEXT", "a comment for the history"},
			{0, "confirm-within", "TIME", "as of policy apply"}},
		cli_policy_rollback},
	{"policy confirm", "", "Keep what was applied with --confirm-within", NULL, 0, 0, {{0}},
		cli_policy_confirm},
	{"policy cancel", "", "Take back at once what was applied with --confirm-within", NULL, 0,
		0, {{0}}, cli_policy_cancel},
	{"policy list", "", "List the policies in force", NULL, 0, 0, {{0}}, cli_policy_list},
	{"mode get", "", "Show the modes: learn, audit or enforce", NULL, 0, 0, {{0}},
		cli_mode_get},
	{"mode set", "learn|audit|enforce",
		"Set the mode of the node, of a namespace, or of selected workloads",
		"learn: unmatched flows pass and are recorded; audit: they pass and are logged as\n"
		"would-be denials; enforce: they are denied and logged. The more particular wins:\n"
		"a selector in a namespace, a selector, a namespace, the configuration's `modes`, "
		"the\n"
		"node. With --for it ends by itself, also while no daemon runs, and what was set\n"
		"for good before comes back.",
		1, 1,
		{{0, "namespace", "N", "of this namespace, not of the node"},
			{0, "selector", "S", "of those it means: app=web, \"tier in (db,cache)\""},
			{0, "for", "TIME", "only so long: 30m, 2h, 7d"}},
		cli_mode_set},
	{"mode clear", "", "Forget a mode that was set by command; the configuration decides again",
		NULL, 0, 0,
		{{0, "namespace", "N", "as of mode set"}, {0, "selector", "S", "as of mode set"}},
		cli_mode_clear},
	{"quarantine add", "WORKLOAD", "Cut a workload off from everything, its own node included",
		"Above policies and modes, in both directions, at once: established connections\n"
		"end, but for those that --allow names. Kept when the daemon or the container\n"
		"restarts, and for a container that is made again: it means the container with\n"
		"this id and whoever has this namespace and name (not a replica with another\n"
		"name). Given again it replaces the list. CIDR is of the other end, PORT the\n"
		"destination's, in either direction; without protocol TCP.",
		1, 1,
		{{0, "allow", "CIDR:PORT[/PROTO]…",
			 "what still works: 10.0.0.5:22, 10.0.0.0/8:53/udp, [fd00::/8]:22"},
			{0, "reason", "TEXT", "for the record"}},
		cli_quarantine_add},
	{"quarantine rm", "WORKLOAD", "Let a workload out of quarantine; policies apply again",
		"Namespace/name, name, or the beginning of an id, of the entry or of the workload.",
		1, 1, {{0}}, cli_quarantine_rm},
	{"quarantine list", "",
		"List who is in quarantine, whether it is there, and why it is meant",
		"\"id\": it is the same container; \"name\": another one of the same namespace "
		"and\n"
		"name. An absent one is cut off when it comes back.",
		0, 0, {{0}}, cli_quarantine_list},
	{"feed list", "", "List the threat feeds", NULL, 0, 0, {{0}}, cli_feed_list},
	{"feed show", "NAME",
		"Show a feed: credit, date, what of it is never blocked, who was there before",
		NULL, 1, 1, {{0}}, cli_feed_show},
	{"feed test", "IP", "Say which feeds list an address, and whether it is blocked", NULL, 1,
		1, {{0}}, cli_feed_test},
	{"feed add", "NAME URL|PATH", "Add a feed, or replace one that was added",
		"Kept in the state directory (feeds/added.yaml). The configuration file stays as "
		"it\n"
		"is; a feed of the same name in it is the one that counts.",
		2, 2,
		{{0, "format", "F", "of its text, where that does not tell"},
			{0, "action", "A", "block (the default) or alert"},
			{0, "interval", "TIME", "how often it is asked for: 30m, 1h"},
			{0, "set", "KEY=VALUE…",
				"any other setting: headers_file=/etc/bulkhead/key"}},
		cli_feed_add},
	{"feed rm", "NAME", "Remove a feed that was added by command", NULL, 1, 1, {{0}},
		cli_feed_rm},
	{"feed refresh", "[NAME]", "Load a feed, or all of them, now", NULL, 0, 1, {{0}},
		cli_feed_refresh},
	{"audit tail", "[FILE]", "Print the last records of the audit log",
		"Of the log of the daemon that answers, or of FILE. With -o json each record is a "
		"line.",
		0, 1,
		{{'f', "follow", NULL, "go on with what comes"},
			{'n', "lines", "N", "how many of the past, up to 10000; 20"}},
		cli_audit_tail},
	{"audit verify", "[FILE…]", "Show that an audit log is what was written",
		"Reads the log's files (one, or those of several rotations; without FILE all of "
		"the\n"
		"log of the daemon that answers, else of /var/log/bulkhead/audit.jsonl) and, "
		"beside\n"
		"them, FILE.checkpoints and the log's .keys. Needs neither the daemon nor root. "
		"Exits "
		"with\n"
		"0: good; 1: a record was changed, removed, added or moved; 2: records are missing "
		"at\n"
		"the end; 3: good, but without an anchor, so that who had the key could have cut "
		"the\n"
		"end off; 1 also for files that cannot be read. Prints the first bad record's "
		"number.",
		0, -1,
		{{0, "pub", "KEY", "the public key (or a file with it), kept elsewhere"},
			{0, "anchor", "NOTE", "a file with a checkpoint that was kept elsewhere"},
			{0, "allow-tail", NULL,
				"accept records after the last checkpoint, as a crash leaves "
				"them"}},
		cli_audit_verify},
	{"audit export", "FILE…", "Print records of an audit log, chosen and in the form of a SIEM",
		"Needs neither the daemon nor root. Times are UTC: 2026-01-02 or "
		"2026-01-02T03:04:05Z.",
		1, -1,
		{{0, "since", "TIME", "from then on"}, {0, "until", "TIME", "before then"},
			{0, "action", "ACTION…",
				"only policy-deny, policy.change, …; again for more"},
			{0, "format", "ecs|ocsf|cef",
				"as it is, OCSF 1.3, or ArcSight's Common Event Format"}},
		cli_audit_export},
	{"audit prove", "SEQUENCE FILE…", "Prove that one record is in the log",
		"Prints the inclusion proof (RFC 6962) of the record in the last checkpoint, as "
		"JSON:\n"
		"with the record's line it convinces somebody who has nothing but the public key.",
		2, -1, {{0, "pub", "KEY", "the public key (or a file with it), kept elsewhere"}},
		cli_audit_prove},
	{"report access", "", "Report who could and who did talk to whom",
		"By role, service and version of the policies: what those in force allow, as if\n"
		"enforced, and which recorded flows passed.",
		0, 0,
		{{0, "since", "TIME", "the time asked about: 12h, 7d; 30d"},
			{0, "format", "csv|html",
				"for a spreadsheet, or one page that needs nothing else"}},
		cli_report_access},
	{"report rules-unused", "", "Report rules that nothing used, for the review of rules",
		"First and last use are known from recorded flows, as long as the rule stands as "
		"it does.",
		0, 0,
		{{0, "since", "TIME", "not used in that time: 12h, 90d; 180d"},
			{0, "all", NULL, "the used ones too"},
			{0, "format", "csv|html",
				"for a spreadsheet, or one page that needs nothing else"}},
		cli_report_rules},
	{"report changes", "FILE…", "Report who changed what, when, with what outcome",
		"Out of the audit log's files; needs neither the daemon nor root. `audit verify` "
		"says\n"
		"whether they are what was written.",
		1, -1,
		{{0, "since", "TIME", "from then on: 2026-01-02 or 2026-01-02T03:04:05, UTC"},
			{0, "until", "TIME", "before then"},
			{0, "format", "csv|html",
				"for a spreadsheet, or one page that needs nothing else"}},
		cli_report_changes},
	{"explain", "SRC DST PROTO/PORT", "Say which rules decide about a flow, in both directions",
		"SRC and DST are a workload (namespace/name, name, or the beginning of its id) or "
		"an\n"
		"address; PROTO/PORT is tcp/443, udp/53, sctp/9 or icmp. Exits with 0 whatever the "
		"verdict.\n"
		"With --state SRC and DST may be external:NAME and node:NAME too, and no daemon is "
		"asked.",
		3, 3,
		{{0, "state", "FILE", "ask a state in a file instead of the daemon"},
			{0, "in", "STATE", "which of the file's states; the first"}},
		cli_explain},
	{"state", "", "Print the node's workloads and policies as a state file",
		"For `policy compile --state`, `explain --state` and `policy test`.", 0, 0, {{0}},
		cli_state},
	{"flush", "", "Remove Bulkhead's rules from the kernel; the daemon must be stopped",
		"From then on nothing is enforced, until bulkheadd is started again.", 0, 0, {{0}},
		cli_flush},
	{"version", "", "Print the version", NULL, 0, 0, {{0}}, cli_version},
};

const size_t cli_n_commands = BH_ARRAY_SIZE(cli_commands);

const struct cli_command *cli_find_command(int argc, char **argv, int *ret_words)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *name = cli_commands[i].name, *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);
		if (argc < (space ? 2 : 1) || strlen(argv[0]) != first ||
			memcmp(argv[0], name, first) != 0)
			continue;
		if (space && !bh_streq(argv[1], space + 1))
			continue;
		*ret_words = space ? 2 : 1;
		return &cli_commands[i];
	}
	return NULL;
}
