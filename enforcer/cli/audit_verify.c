/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead audit verify | prove: on files, without the daemon or root. */
#include <glob.h>
#include <inttypes.h>
#include <time.h>

#include "cli/cli.h"
#include "evidence/verify.h"

#define DEFAULT_LOG "/var/log/bulkhead/audit.jsonl"
#define NUMBER "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]" /* of a full file */
#define TRIES 3

static const char *const outcome_name[] = {
	[BH_VERIFY_GOOD] = "good",
	[BH_VERIFY_ALTERED] = "altered",
	[BH_VERIFY_TRUNCATED] = "truncated",
	[BH_VERIFY_NO_ANCHOR] = "unanchored",
};

static char *base64(const void *data, size_t len)
{
	struct bh_buf b = {0};
	bh_base64_add(&b, data, len);
	return bh_buf_take(&b);
}

static json_t *time_json(int64_t us)
{
	char text[32];
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	if (us <= 0 || !gmtime_r(&s, &tm) ||
		!strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return json_null();
	return json_string(text);
}

static json_t *result_json(const struct bh_verify_result *r)
{
	uint8_t root[BH_TREE_HASH];
	bh_tree_root(&r->end, root);
	char bh_autofree *text = base64(root, sizeof(root));
	json_t *o = json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "result",
		outcome_name[r->outcome], "what", r->what, "bad_sequence",
		(json_int_t)r->bad_sequence, "records", (json_int_t)r->records, "first",
		(json_int_t)r->first, "last", (json_int_t)r->last, "unsigned", (json_int_t)r->tail,
		"checkpoints", (json_int_t)r->checkpoints, "tree_size", (json_int_t)r->end.size,
		"live", r->live, "key_given", r->pinned);
	bool whole = r->outcome == BH_VERIFY_GOOD || r->outcome == BH_VERIFY_NO_ANCHOR;
	json_object_set_new(o, "tree_root", whole ? json_string(text) : json_null());
	json_object_set_new(o, "signed_at", whole ? time_json(r->signed_at) : json_null());
	if (!r->bad_sequence)
		json_object_set_new(o, "bad_sequence", json_null());
	return o;
}

static void print_bad(const struct bh_verify_result *r)
{
	char bh_autofree *what = cli_safe(r->what);
	printf("%s: ", outcome_name[r->outcome]);
	if (r->bad_sequence)
		printf("the first bad record is %" PRIu64 ": ", r->bad_sequence);
	printf("%s\n", what);
}

static void print_result(const struct bh_verify_result *r, const json_t *o)
{
	const char *when = cli_str(o, "signed_at");
	char buf[24];

	if (r->outcome != BH_VERIFY_GOOD && r->outcome != BH_VERIFY_NO_ANCHOR) {
		print_bad(r);
		return;
	}
	printf("good: records %" PRIu64 " to %" PRIu64 " are what was signed, the last time at "
	       "%s; tree of %" PRIu64 " record%s, root %s\n",
		r->first, r->last, cli_time(when, buf), r->end.size, bh_plural(r->end.size),
		cli_str(o, "tree_root"));
	if (r->tail)
		printf("records after that: %" PRIu64 ", %s\n", r->tail,
			r->live ? "not yet signed: bulkheadd is writing the log" : "not signed");
	if (!r->pinned)
		puts("The key is the one beside the log; --pub with one that was kept elsewhere "
		     "says "
		     "more.");
	if (r->outcome == BH_VERIFY_NO_ANCHOR && r->what) {
		char bh_autofree *what = cli_safe(r->what);
		printf("Not anchored: %s.\n", what);
	} else if (r->outcome == BH_VERIFY_NO_ANCHOR) {
		puts("Not anchored: whoever had the key could have cut the end off and signed "
		     "anew. "
		     "Keep\ncheckpoints elsewhere and give one with --anchor.");
	}
}

/* The log of the daemon that answers, else where it is as a rule. Owned. */
static char *log_path(struct cli *cli)
{
	struct cli_reply cli_autoreply r = {0};
	const char *path = NULL;
	if (cli_try(cli, "GET", "/v1/status", NULL, &r) == 0)
		path = cli_str(json_object_get(r.json, "audit"), "path");
	return bh_xstrdup(path && *path ? path : DEFAULT_LOG);
}

/* The log and those of its files that are full, which it names by their last record's number. */
static void find_files(const char *log, glob_t *ret)
{
	struct bh_buf bh_autobuf pattern = {0};
	for (const char *c = log; *c; c++)
		bh_buf_printf(&pattern, strchr("*?[\\", *c) ? "\\%c" : "%c", *c);
	char bh_autofree *full = bh_xasprintf("%s." NUMBER, pattern.s);
	*ret = (glob_t){.gl_offs = 1};
	glob(full, GLOB_DOOFFS, NULL, ret);
	if (!ret->gl_pathv)
		ret->gl_pathv = bh_xcalloc(2, sizeof(*ret->gl_pathv));
	ret->gl_pathv[0] = (char *)log;
}

static void forget_files(glob_t *g)
{
	g->gl_pathv[0] = NULL;
	globfree(g);
}

/* A log that goes on in another file while it is read would seem to lack what was renamed. */
static bool has_turned(const char *log, const glob_t *read)
{
	glob_t now;
	find_files(log, &now);
	const char *last = now.gl_pathc ? now.gl_pathv[now.gl_pathc] : "";
	bool turned = !bh_streq(last, read->gl_pathc ? read->gl_pathv[read->gl_pathc] : "");
	forget_files(&now);
	return turned;
}

static int verify_log(struct cli *cli, struct bh_verify_opts *o, struct bh_verify_result *ret)
{
	char bh_autofree *log = log_path(cli);
	bool again = true;
	int e = 0;
	for (int tries = 0; again; tries++) {
		glob_t g;
		if (tries)
			bh_verify_result_finish(ret);
		find_files(log, &g);
		o->file = g.gl_pathv;
		o->n_files = g.gl_pathc + 1;
		e = bh_evidence_verify(o, ret);
		again = tries < TRIES && has_turned(log, &g);
		if (!again) {
			char bh_autofree *shown = cli_safe(log);
			cli_note("%s and its full files: %zu", shown, g.gl_pathc);
		}
		forget_files(&g);
	}
	return e;
}

int cli_audit_verify(struct cli *cli, int argc, char **argv)
{
	struct bh_verify_opts o = {.file = argv,
		.n_files = (size_t)argc,
		.pub = cli->opt[0],
		.anchor = cli->opt[1],
		.allow_tail = cli->opt[2] != NULL};
	struct bh_verify_result r;
	int code = CLI_FAILED;

	if ((argc ? bh_evidence_verify(&o, &r) : verify_log(cli, &o, &r)) < 0) {
		char bh_autofree *what = cli_safe(r.what);
		cli_error("%s", what);
	} else {
		json_t *json = result_json(&r);
		code = (int)r.outcome;
		if (cli->json)
			cli_print_json(cli, json);
		else
			print_result(&r, json);
		json_decref(json);
	}
	bh_verify_result_finish(&r);
	return code;
}

static json_t *proof_json(const struct bh_verify_result *r, uint64_t sequence)
{
	uint64_t index = r->start.size + (sequence - r->first);
	uint8_t proof[64][BH_TREE_HASH];
	json_t *list = json_array();
	size_t n;

	bh_tree_prove(&r->start, r->leaf, r->end.size - r->start.size, index, proof, &n);
	for (size_t i = 0; i < n; i++) {
		char bh_autofree *text = base64(proof[i], BH_TREE_HASH);
		json_array_append_new(list, json_string(text));
	}
	char bh_autofree *leaf = base64(r->leaf[index - r->start.size], BH_TREE_HASH);
	return json_pack("{s:I, s:I, s:I, s:s, s:o, s:s}", "sequence", (json_int_t)sequence,
		"index", (json_int_t)index, "tree_size", (json_int_t)r->end.size, "leaf", leaf,
		"proof", list, "checkpoint", r->last_note.s);
}

int cli_audit_prove(struct cli *cli, int argc, char **argv)
{
	struct bh_verify_opts o = {.file = argv + 1,
		.n_files = (size_t)argc - 1,
		.pub = cli->opt[0],
		.allow_tail = true};
	struct bh_verify_result r;
	uint64_t sequence;
	int code = CLI_FAILED;

	if (bh_parse_u64(argv[0], INT64_MAX, &sequence) < 0 || sequence == 0)
		return cli_usage_error(
			NULL, "audit prove takes the number of a record, not \"%s\"", argv[0]);
	if (bh_evidence_verify(&o, &r) < 0) {
		char bh_autofree *what = cli_safe(r.what);
		cli_error("%s", what);
	} else if (r.outcome != BH_VERIFY_GOOD && r.outcome != BH_VERIFY_NO_ANCHOR) {
		cli_error("the log does not verify: %s", r.what);
	} else if (sequence < r.first || sequence > r.last) {
		cli_error("record %" PRIu64 " is not among those signed in these files, %" PRIu64
			  " to %" PRIu64,
			sequence, r.first, r.last);
	} else {
		json_t *json = proof_json(&r, sequence);
		cli_print_json(cli, json);
		json_decref(json);
		code = CLI_OK;
	}
	bh_verify_result_finish(&r);
	return code;
}
