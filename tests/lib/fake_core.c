/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/fake_core.h"

#include <signal.h>
#include <sys/wait.h>

#include "api/api.h"
#include "core/core.h"

struct bh_core {
	char mode[16], shop[16];
};

struct bh_answer bh_answer_json(int status, json_t *json)
{
	return (struct bh_answer){.status = status, .json = json};
}

struct bh_answer bh_answer_text(int status, const char *content_type, char *text)
{
	return (struct bh_answer){.status = status, .text = text, .content_type = content_type};
}

struct bh_answer bh_answer_error(
	int status, const struct bh_diags *diags BH_UNUSED, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return bh_answer_json(status, json_pack("{s:s}", "error", text));
}

/* JSON in the source with ' for ", which reads better in C. */
static struct bh_answer canned(const char *text)
{
	char bh_autofree *copy = bh_xstrdup(text);
	json_error_t e;
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_t *json = json_loads(copy, 0, &e);
	if (!json) {
		fprintf(stderr, "fake core: %s at %d\n", e.text, e.position);
		abort();
	}
	return bh_answer_json(200, json);
}

static json_t *actor(const struct bh_core_actor *who)
{
	return json_pack("{s:i, s:i, s:i}", "uid", (int)who->uid, "gid", (int)who->gid, "pid",
		(int)who->pid);
}

struct bh_answer bh_core_doctor(struct bh_core *c BH_UNUSED)
{
	return canned("{'node':'node-1','checks':[{'check':'tables','result':'ok','seen':'there','"
		      "remedy':null},"
		      "{'check':'localnet','result':'warn','seen':'route_localnet is 1',"
		      "'remedy':'sysctl -w x=0'}]}");
}

struct bh_answer bh_core_status(struct bh_core *c BH_UNUSED)
{
	return canned(
		"{'version':'0.1.0','pid':42,'started':'2026-01-02T03:04:05.000006Z',"
		"'node':'node-1','mode':'enforce','enforcing':true,'ready':true,"
		"'problems':['docker: cannot connect; is it running?',"
		"'a.yaml:1:1: one\\na.yaml:2:1: \\u001b[31mtwo'],"
		"'kernel':{'table':'inet bulkhead','queue':'compat','bridge_nf':true,"
		"'last_commit':'2026-01-02T03:04:06.000000Z','commits':1,'last_error':null},"
		"'workloads':{'total':3,'enforce':1,'audit':1,'learn':1,'unenforceable':0},"
		"'policies':{'count':2,'generation':7,'sha256':'abcdef0123456789',"
		"'directory':'/etc/bulkhead/policies','stale':null,'confirm':{'version':7,"
		"'back_to':6,'deadline':'2026-01-02T03:05:05.000006Z','seconds_left':30},"
		"'idle':['shop/x\\u001b[31m selects nobody who is there now']},"
		"'sources':[{'name':'docker','ok':false,'synced':false,'containers':0,"
		"'message':'connection refused'}],"
		"'feeds':{'count':1,'indicators':1234,'stale':0},"
		"'learn':{'tuples':1,'answered':1,'last_new':'2026-01-02T03:04:05.000006Z'},"
		"'queues':[{'num':48620,'purpose':'unmatched','received':5,'accepted':1,"
		"'dropped':4,'kernel_dropped':0,'user_dropped':0,'held':0}],"
		"'audit':{'path':'/var/log/bulkhead/audit.jsonl','sequence':99,'written':99,"
		"'aggregated':5,'lost':0,'error':null},"
		"'failing':{'enforce':'closed: new flows are dropped','audit':'open: flows pass',"
		"'learn':'open: flows pass unrecorded'}}");
}

/* One name is as wide as it is evil: a terminal's control sequences, and wide characters. The
 * question is told back. */
struct bh_answer bh_core_workloads(struct bh_core *c BH_UNUSED, const struct bh_workloads_query *q)
{
	struct bh_answer a = canned(
		"{'workloads':[{'id':'0123456789abcdef0123','runtime':'docker','name':'web',"
		"'namespace':'shop','labels':{'app':'web'},'image':'web:1','digest':null,'pid':7,"
		"'netns':4026532000,'mode':'enforce','role':'web','unenforceable':null,"
		"'isolated':{'ingress':true,'egress':false},'policies':['shop/web'],"
		"'interfaces':[{'name':'eth0','host_name':'veth1','host_ifindex':5,"
		"'bridge':'br0','mac':'02:00:00:00:00:01','addresses':['10.0.0.2','fd00::2']}]},"
		"{'id':'static:x/y','runtime':'static','name':'\\u001b[31m日本\\u202e\\u0007',"
		"'namespace':'x','labels':{},'image':null,'digest':null,'pid':0,'netns':0,"
		"'mode':'learn','role':'y','unenforceable':'shares the host\\u2019s network',"
		"'isolated':{'ingress':false,'egress':false},'policies':[],'interfaces':[]}]}");
	if (q->all)
		json_array_append_new(json_object_get(a.json, "workloads"),
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:b, s:[{s:s, s:s}]}",
				"state", "gone", "id", "feedfacefeedface0123", "namespace", "shop",
				"name", "old", "started", "2026-01-01T00:00:00.000000Z",
				"started_before", true, "stopped", "2026-01-02T00:00:00.000000Z",
				"stopped_unseen", true, "addresses", "address", "10.0.0.9", "until",
				"2026-01-02T00:00:00.000000Z"));
	json_object_set_new(a.json, "asked",
		json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:b}", "selector", q->selector,
			"image", q->image, "digest", q->digest, "registry", q->registry,
			"namespace", q->namespace, "mode", q->mode, "gone", q->all));
	return a;
}

struct bh_answer bh_core_workload(struct bh_core *c BH_UNUSED, const char *what)
{
	if (bh_streq(what, "nobody"))
		return bh_answer_error(404, NULL, "no workload is called nobody");
	return canned(
		"{'state':'running','id':'0123456789abcdef0123','runtime':'docker','name':'web',"
		"'namespace':'shop','labels':{'app':'\\u001b[31mweb'},'image':'web:1','digest':"
		"null,"
		"'pid':7,'netns':4026532000,'mode':'enforce','role':'web','unenforceable':null,"
		"'mode_origin':'configured for namespace shop','started':"
		"'2026-01-01T00:00:00.000000Z','started_before':true,'stopped':null,"
		"'quarantine':null,'quarantine_entry':{'state':'in force','since':"
		"'2026-01-02T00:00:00.000000Z','reason':'beacons','allow':['10.0.0.5/32:22/tcp']},"
		"'directions':{'ingress':{'isolated':true,'policies':[{'policy':'cnp:no-db','tier':"
		"'Admin','priority':7,'rules':1,'file':'a.yaml','line':3},{'policy':'shop/"
		"web','tier':"
		"'NetworkPolicy','priority':0,'rules':2,'file':'b.yaml','line':1}]},"
		"'egress':{'isolated':false,'policies':[]}},'refused':['claims 198.51.100.7'],"
		"'interfaces':[{'name':'eth0','host_name':'veth1','bridge':'br0','mac':"
		"'02:00:00:00:00:01','addresses':['10.0.0.2']}],"
		"'counters':{'to':{'allow':5,'would-deny':1,'drop':2,'reject':1},'from':{"
		"'allow':0,'would-deny':0,'drop':0,'reject':0},'truncated':false},"
		"'peers':[{'direction':'to','peer':'shop/"
		"db','address':'10.0.0.3','id':null,'stay':2,"
		"'protocol':'tcp','port':5432,'verdict':'allow','reason':'policy','rule':'shop/web "
		"egress rule "
		"0','connections':5,'first_seen':'2026-01-02T03:04:05.000006Z',"
		"'last_seen':'2026-01-02T03:04:06.000006Z'}],"
		"'history':[{'stay':1,'id':'0123456789abcdef0123','image':'web:1','started':"
		"'2026-01-01T00:00:00.000000Z','started_before':false,'stopped':null,"
		"'stopped_unseen':false,'addresses':[{'address':'10.0.0.2','since':null,'until':"
		"null}]}],'history_truncated':false}");
}

struct bh_answer bh_core_impact(struct bh_core *c BH_UNUSED, const char *what)
{
	if (bh_streq(what, "dear"))
		usleep(50000);
	if (bh_streq(what, "203.0.113.1"))
		return canned("{'kind':'address','affected':[],'owners':[],'siblings':[],"
			      "'truncated':false}");
	return canned(
		"{'what':'203.0.113.9','kind':'address','connections':12,'denied':2,"
		"'affected':[{'kind':'workload','stay':1,'state':'gone','id':'0123456789abcdef0123'"
		","
		"'namespace':'shop','name':'web','image':'web:1','first_seen':"
		"'2026-01-02T03:04:05.000006Z','last_seen':'2026-01-02T03:04:06.000006Z',"
		"'connections':12,'denied':2,'peers':[{'direction':'to','peer':'203.0.113.9',"
		"'protocol':'tcp','port':443},{'direction':'to','peer':'203.0.113.9',"
		"'protocol':'tcp','port':443},{'direction':'to','peer':'203.0.113.9',"
		"'protocol':'tcp','port':44}]},{'kind':'host','stay':0,'state':'outside','id':"
		"null,"
		"'namespace':null,'name':'host','connections':1,'denied':0,'peers':[]}],"
		"'owners':[{'namespace':'shop','name':'db','id':'feedfacefeedface','image':'db:2',"
		"'addresses':[{'address':'203.0.113.9','since':'2026-01-01T00:00:00.000000Z',"
		"'until':null}]}],'siblings':[{'image':'web:1','digest':null,'running':[{'"
		"namespace':"
		"'shop','name':'web-2','id':'aa'},{'namespace':'shop','name':'web-3','id':'bb'}]},"
		"{'image':'old:1','digest':null,'running':[]}],'truncated':true}");
}

static json_t *flow_row(json_int_t seq)
{
	char src[32];
	snprintf(src, sizeof(src), "shop/web-%d", (int)seq);
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:s,s:i}", "seq", seq,
		"first_seen", "2026-01-02T03:04:05.000006Z", "last_seen",
		"2026-01-02T03:04:06.000006Z", "src", src, "dst", "203.0.113.9", "src_addr",
		"10.0.0.2", "dst_addr", "203.0.113.9", "protocol", "tcp", "port", 443, "verdict",
		"drop", "reason", "unmatched", "mode", "enforce", "rule", "shop/web", "count", 3);
}

struct bh_answer bh_core_flows_folded(struct bh_core *c BH_UNUSED, size_t limit)
{
	return bh_answer_json(
		200, json_pack("{s:[{s:s, s:s, s:s, s:i, s:s, s:i, s:i, s:s, s:s}], s:n, s:I}",
			     "folds", "src", "shop/web", "dst", "outside", "protocol", "tcp",
			     "port", 443, "verdict", "allow", "count", 812331, "rows", 640112,
			     "first_seen", "2026-01-02T03:04:05.000000Z", "last_seen",
			     "2026-01-03T03:04:05.000000Z", "folded", "limit", (json_int_t)limit));
}

/* Without since: rows 1..min(limit, 5); each later question finds one more row. */
struct bh_answer bh_core_flows(struct bh_core *c BH_UNUSED, uint64_t since, size_t limit)
{
	json_t *list = json_array();
	json_int_t next = (json_int_t)since;

	if (since == 0)
		for (size_t i = 1; i <= limit && i <= 5; i++)
			json_array_append_new(list, flow_row(next = (json_int_t)i));
	else
		json_array_append_new(list, flow_row(++next));
	return bh_answer_json(
		200, json_pack("{s:o, s:I, s:{s:I, s:I}}", "flows", list, "next", next, "asked",
			     "since", (json_int_t)since, "limit", (json_int_t)limit));
}

struct bh_answer bh_core_learn_status(struct bh_core *c BH_UNUSED)
{
	return canned(
		"{'since':'2026-01-01T00:00:00.000000Z','last_new':'2026-01-02T03:04:05.000006Z',"
		"'tuples':3,'answered':2,'unanswered':1,'pending':0,'refused':0,"
		"'roles':[{'namespace':'shop','role':'web','selector':{'app':'web'},'workloads':2,"
		"'mode':'learn','edges_in':0,'edges_out':1,'unanswered':1,'last_new':null,"
		"'learned_s':93600,'starts':2,'hours':24,'weekdays':2,'quiet_s':61,"
		"'history':[0,8,4,1],'readiness':{'level':'usable','reasons':["
		"{'met':true,'text':'24 of 24 hours of a day seen'},"
		"{'met':false,'text':'2 of 7 weekdays seen'}]}}],"
		"'edges':[{'src':'shop/web','dst':'shop/api','protocol':'tcp','port':8080,"
		"'answered':true,'connections':12,'first_seen':'2026-01-01T00:00:00.000000Z',"
		"'last_seen':'2026-01-02T03:04:05.000006Z','egress':true,'ingress':true,"
		"'images':['web:1']},{'src':'shop/web','dst':'192.0.2.1','protocol':'icmp',"
		"'port':0,'answered':false,'connections':1,'first_seen':null,'last_seen':null,"
		"'egress':true,'ingress':false,'images':[]}]}");
}

struct bh_answer bh_core_learn_export(
	struct bh_core *c BH_UNUSED, const char *ns, const char *role, bool evidence, bool force)
{
	return bh_answer_text(200, "text/yaml",
		bh_xasprintf("# namespace %s role %s evidence %d%s\nkind: NetworkPolicy\n",
			ns ? ns : "-", role ? role : "-", evidence, force ? " force" : ""));
}

/* Names as evil as they come: markup, quotes, a terminal's control sequences. */
struct bh_answer bh_core_graph(struct bh_core *c BH_UNUSED)
{
	return canned(
		"{'node':'node-1</script><script>alert(1)</script>','truncated':false,'nodes':["
		"{'name':'shop/web','kind':'role','namespace':'shop','workloads':2,'mode':'learn'},"
		"{'name':'x/</script><b>&\\u0022]\\u001b[31m;','kind':'role','namespace':'x',"
		"'workloads':1,'mode':null},{'name':'203.0.113.9','kind':'outside','workloads':0}],"
		"'edges':[{'src':'shop/web','dst':'x/</script><b>&\\u0022]\\u001b[31m;',"
		"'protocol':'tcp','port':5432,'learned':true,'allowed':7,'would_deny':0,'denied':0,"
		"'bytes':99,'verdict':'allow','last_seen':'2026-01-02T03:04:05.000000Z'},"
		"{'src':'x/</"
		"script><b>&\\u0022]\\u001b[31m;','dst':'203.0.113.9','protocol':'icmp',"
		"'port':0,'learned':false,'allowed':0,'would_deny':0,'denied':3,'bytes':0,"
		"'verdict':'deny','last_seen':null},{'src':'shop/web','dst':'203.0.113.9',"
		"'protocol':'tcp','port':443,'learned':true,'allowed':87,'would_deny':0,"
		"'denied':2,'verdict':'mixed','last_seen':null}]}");
}

struct bh_answer bh_core_drift(struct bh_core *c BH_UNUSED, uint64_t since_s)
{
	struct bh_answer a = canned(
		"{'truncated':false,'unlisted':0,'drift':[{'workload':'shop/web-1',"
		"'id':'0123456789abcdef','image':'web:2\\u001b[31m','peer':'203.0.113.9',"
		"'protocol':'tcp','port':443,'verdict':'deny','count':4,'siblings':3,"
		"'siblings_alike':0,'running':true,'first_seen':'2026-01-02T03:04:05.000000Z',"
		"'last_seen':'2026-01-02T03:04:06.000000Z','first_flow':{'src_addr':'10.0.0.2',"
		"'dst':'203.0.113.9','dst_addr':'203.0.113.9','mode':'enforce','verdict':'drop'}}]"
		"}");
	if (since_s == 60)
		json_object_set_new(a.json, "drift", json_array());
	json_object_set_new(a.json, "asked", json_integer((json_int_t)since_s));
	return a;
}

struct bh_answer bh_core_learn_edges(struct bh_core *c BH_UNUSED, const char *ns, const char *role,
	const char *review, size_t limit)
{
	struct bh_answer a =
		canned("{'edges':[{'id':'0123456789abcdef','src':'shop/web','dst':'203.0.113.9',"
		       "'protocol':'tcp','port':443,'answered':true,'connections':12,"
		       "'first_seen':'2026-01-01T00:00:00.000000Z',"
		       "'last_seen':'2026-01-02T03:04:05.000006Z','images':['web:1\\u001b[31m'],"
		       "'review':'accepted','widened':'203.0.113.0/24','breadth':'256'}],"
		       "'matched':7,'truncated':true}");
	json_object_set_new(a.json, "asked",
		json_pack("{s:s?, s:s?, s:s?, s:I}", "namespace", ns, "role", role, "review",
			review, "limit", (json_int_t)limit));
	return a;
}

struct bh_answer bh_core_learn_review(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who BH_UNUSED)
{
	if (bh_streq(json_string_value(json_object_get(body, "cidr")), "bad"))
		return bh_answer_error(400, NULL, "cidr must be a block");
	struct bh_answer a = bh_core_learn_edges(c, NULL, NULL, NULL, 0);
	json_object_set_new(a.json, "changed", json_integer(1));
	json_object_set_new(a.json, "breadth", json_string("256"));
	json_object_set_new(a.json, "warnings", json_pack("[s]", "it is wide"));
	json_object_set(a.json, "asked", (json_t *)body);
	return a;
}

struct bh_answer bh_core_learn_reset(
	struct bh_core *c BH_UNUSED, const json_t *body, const struct bh_core_actor *who BH_UNUSED)
{
	return bh_answer_json(200, json_pack("{s:i, s:O}", "forgotten", 5, "asked", body));
}

struct bh_answer bh_core_state(struct bh_core *c BH_UNUSED)
{
	return bh_answer_text(200, "text/yaml",
		bh_xstrdup("name: \"node\"\nworkloads:\n- {name: \"web\", namespace: \"shop\", "
			   "labels: {}, ips: [\"10.0.0.2\"]}\n"));
}

struct bh_answer bh_core_policies(struct bh_core *c BH_UNUSED)
{
	return canned(
		"{'generation':7,'sha256':'abcdef0123456789','policies':[{'policy':"
		"'cnp:no-db','tier':'Admin','priority':10,'namespace':'','name':'no-db','file':"
		"'_cluster.no-db.yaml','line':1,'directions':['egress'],'rules':{'ingress':0,"
		"'egress':1},'selector':'','namespaces':'env=prod','workloads':3},{'policy':"
		"'shop/web','tier':'NetworkPolicy','namespace':"
		"'shop','name':'web','file':'web.yaml','line':1,'directions':['ingress',"
		"'egress'],'rules':{'ingress':1,'egress':2},'selector':'app=web',"
		"'workloads':2}]}");
}

struct bh_answer bh_core_policy_apply(
	struct bh_core *c BH_UNUSED, const json_t *body, const struct bh_core_actor *who)
{
	const json_t *sources = json_object_get(body, "sources"), *s;
	json_t *files = json_array();
	size_t i;

	json_array_foreach(sources, i, s)
	{
		const char *text = json_string_value(json_object_get(s, "text"));
		json_array_append(files, json_object_get(s, "file"));
		if (!text || !strstr(text, "BAD"))
			continue;
		json_decref(files);
		struct bh_answer a = canned(
			"{'error':'the policies have errors','diagnostics':[{'file':'bad.yaml',"
			"'line':3,'column':9,'path':'spec.podSelector','what':'is \\u001b[2Jbad',"
			"'remedy':'write {}','severity':'error'}]}");
		a.status = 422;
		return a;
	}
	json_t *o = json_pack("{s:i, s:s, s:b, s:[{s:s, s:s, s:s, s:s}], s:o, s:o}", "generation",
		8, "sha256", "fedcba98", "dry_run", json_is_true(json_object_get(body, "dry_run")),
		"policies", "policy", "shop/web", "namespace", "shop", "name", "web", "action",
		"changed", "files", files, "actor", actor(who));
	json_object_set_new(o, "warnings", json_pack("[s]", "shop/web selects \033nobody"));
	json_object_set(o, "comment", json_object_get(body, "comment"));
	json_object_set(o, "prune", json_object_get(body, "prune"));
	if (json_object_get(body, "confirm_within"))
		json_object_set_new(o, "confirm",
			json_pack("{s:i, s:i, s:s, s:O}", "version", 8, "back_to", 7, "deadline",
				"2026-01-02T03:05:05.000000Z", "within",
				json_object_get(body, "confirm_within")));
	return bh_answer_json(200, o);
}

struct bh_answer bh_core_policy_plan(struct bh_core *c BH_UNUSED, const json_t *body)
{
	struct bh_answer a = canned(
		"{'generation':7,'sha256':'abcdef01','changes':true,'policies':[{'policy':"
		"'shop/web','namespace':'shop','name':'web','action':'changed'},{'policy':'shop/"
		"db',"
		"'namespace':'shop','name':'db','action':'created'}],'delta':{'opens':1,'closes':1,"
		"'truncated':false,'skipped':0,'edges':[{'change':'opens','source':'shop/web',"
		"'destination':'shop/db','services':'tcp/5432','why':'allowed by "
		"\\u001b[1mshop/db'},"
		"{'change':'closes','source':'outside','destination':'shop/web','services':"
		"'everything','why':'no rule'}]}}");
	json_object_set(a.json, "prune", json_object_get(body, "prune"));
	json_object_set(a.json, "replay", json_object_get(body, "since"));
	return a;
}

struct bh_answer bh_core_report_start(struct bh_core *c BH_UNUSED, const json_t *body)
{
	json_int_t since = json_integer_value(json_object_get(body, "since"));
	if (since == 9)
		return canned("{'report':9}");
	return canned("{'report':7}");
}

/* 9 fails; 7 takes a while. Names are as hostile as they come. */
struct bh_answer bh_core_report(struct bh_core *c BH_UNUSED, uint64_t id, bool rules)
{
	static bool asked;
	if (id == 9)
		return canned("{'id':9,'done':true,'failed':'disk \\u001b[31m'}");
	if (!asked) {
		asked = true;
		return canned("{'id':7,'done':false,'failed':null}");
	}
	struct bh_answer a = canned(
		"{'id':7,'done':true,'failed':null,'since':'2026-01-01T00:00:00.000000Z',"
		"'until':'2026-02-01T00:00:00.000000Z','evidence_since':"
		"'2026-01-01T12:00:00.000000Z','table_full':true,'uncounted':3,'generation':12,"
		"'sha256':'fedcba9876543210','versions':[{'version':12,'at':"
		"'2026-01-15T00:00:00.000000Z','user':'root','cause':'apply','comment':"
		"'<b>close</b> \\u001b[1m'}],'host_allowed':true,'could':{'truncated':false,"
		"'skipped':0,'edges':[{'source':'shop/web','destination':'shop/db','services':"
		"'tcp/5432','by':'shop/db ingress rule 0','connections':4,'last_seen':"
		"'2026-01-20T00:00:00.000000Z'},{'source':'=cmd()|x','destination':'outside',"
		"'services':'everything','by':'open: no policy selects it','connections':0,"
		"'last_seen':null}]},'did':[{'src':'shop/<script>alert(1)</script>','dst':"
		"'@SUM(A1)','protocol':'tcp','port':5432,'verdict':'allow','connections':4,"
		"'first_seen':'2026-01-02T03:04:05.000000Z','last_seen':"
		"'2026-01-20T00:00:00.000000Z','from_version':11,'to_version':12,'rule':"
		"'-2+3 \\\"quoted\\\"','possible_now':true},{'src':'shop/web','dst':'203.0.113.9',"
		"'protocol':'icmp','port':0,'verdict':'would-deny','connections':1,'first_seen':"
		"'2026-01-02T03:04:05.000000Z','last_seen':'2026-01-02T03:04:05.000000Z',"
		"'from_version':11,'to_version':11,'rule':null,'possible_now':false}],"
		"'unlisted':0,'unnamed':2,'denied':17}");
	if (rules) {
		struct bh_answer b = canned(
			"{'rules':[{'policy':'shop/db','tier':'NetworkPolicy','rule':"
			"'ingress rule 0 peer 0','action':'Accept','file':'db.yaml','line':9,"
			"'state':'used','connections':5,'version':3,'or_longer':false,"
			"'in_force_since':'2026-01-01T00:00:00.000000Z','first_used':"
			"'2026-01-01T01:00:00.000000Z','last_used':'2026-01-20T00:00:00.000000Z'},"
			"{'policy':'shop/db','tier':'NetworkPolicy','rule':'+ingress <i> peer 1',"
			"'action':'Accept','file':'db.yaml','line':12,'state':'unused',"
			"'connections':0,'version':3,'or_longer':true,'in_force_since':"
			"'2026-01-01T00:00:00.000000Z','first_used':null,'last_used':null}],"
			"'omitted':0}");
		json_object_update(a.json, b.json);
		json_decref(b.json);
	}
	return a;
}

/* The number of a replay is what was asked for: 7 takes a while, 8 denies nothing, 9 fails. */
struct bh_answer bh_core_replay(struct bh_core *c BH_UNUSED, uint64_t id)
{
	static bool asked;
	if (id == 9)
		return canned("{'id':9,'done':true,'failed':'disk \\u001b[31m','denied':[]}");
	if (id == 7 && !asked) {
		asked = true;
		return canned("{'id':7,'done':false,'failed':null,'denied':[],'unused':[]}");
	}
	struct bh_answer a = canned(
		"{'id':7,'done':true,'failed':null,'since':'2026-01-01T00:00:00.000000Z',"
		"'flows':3,'connections':40,'denied_flows':1,'denied_connections':5,'unlisted':0,"
		"'unknown':2,'denied':[{'src':'shop/web','dst':'203.0.113.9','protocol':'tcp',"
		"'port':443,'why':'egress of shop/web-1: no rule allows it','connections':5,"
		"'flows':1,'last_seen':'2026-01-02T03:04:05.000000Z','workloads':['shop/web-1'],"
		"'images':['web:1\\u001b[31m']}],'unused':[{'policy':'shop/db','rule':'ingress "
		"rule 0 peer 1','file':'db.yaml','line':9}]}");
	if (id == 8)
		json_object_set_new(a.json, "denied_flows", json_integer(0));
	return a;
}

struct bh_answer bh_core_policy_history(struct bh_core *c BH_UNUSED)
{
	return canned("{'in_force':7,'kept':200,'versions':[{'version':7,'sha256':"
		      "'abcdef0123456789','at':'2026-01-02T03:04:05.000006Z','cause':'apply',"
		      "'user':'root','uid':0,'pid':42,'policies':2,'in_force':true,'comment':"
		      "'red \\u001b[31m','confirm_by':'2026-01-02T03:05:05.000006Z'},{'version':6,"
		      "'sha256':'0','at':null,'cause':'start','user':'directory','uid':null,"
		      "'pid':null,'policies':0,'in_force':false,'comment':''}]}");
}

/* Version 6 has shop/web and shop/old; 7, which is in force, a changed shop/web and shop/new. */
struct bh_answer bh_core_policy_version(struct bh_core *c BH_UNUSED, uint64_t number)
{
	if (number > 7)
		return bh_answer_error(404, NULL, "there is no version %d", (int)number);
	bool old = number == 6;
	return bh_answer_json(200, json_pack("{s:{s:i}, s:[{s:s, s:s}, {s:s, s:s}]}", "version",
					   "version", number ? (int)number : 7, "policies",
					   "policy", old ? "shop/old" : "shop/new", "text",
					   "kind: NetworkPolicy\n", "policy", "shop/web", "text",
					   old ? "kind: NetworkPolicy\nspec: {a}\n"
					       : "kind: NetworkPolicy\nspec: {\033b}\n"));
}

struct bh_answer bh_core_policy_rollback(
	struct bh_core *c BH_UNUSED, const json_t *body, const struct bh_core_actor *who)
{
	const json_t *version = json_object_get(body, "version");
	if (json_integer_value(version) > 7)
		return bh_answer_error(404, NULL, "there is no version 8");
	return bh_answer_json(
		200, json_pack("{s:i, s:s, s:i, s:i, s:b, s:[{s:s, s:s}], s:n, s:O, s:o}",
			     "generation", 8, "sha256", "00", "from", 7, "to",
			     version ? (int)json_integer_value(version) : 6, "changed", 1, "files",
			     "file", "/etc/p/web.yaml", "action", "removed", "confirm", "asked",
			     body, "actor", actor(who)));
}

struct bh_answer bh_core_policy_confirm(
	struct bh_core *c BH_UNUSED, const struct bh_core_actor *who BH_UNUSED)
{
	return canned("{'generation':7,'sha256':'00'}");
}

struct bh_answer bh_core_policy_cancel(
	struct bh_core *c BH_UNUSED, const struct bh_core_actor *who BH_UNUSED)
{
	return bh_answer_error(409, NULL, "no version awaits its confirmation");
}

struct bh_answer bh_core_policy_delete(struct bh_core *c BH_UNUSED, const char *ns,
	const char *name, const struct bh_core_actor *who BH_UNUSED)
{
	if (strcmp(name, "web") != 0 && *ns)
		return bh_answer_error(404, NULL, "there is no policy %s/%s", ns, name);
	return bh_answer_json(200, json_pack("{s:i, s:s, s:s}", "generation", 9, "sha256",
					   "00112233", "namespace", ns));
}

struct bh_answer bh_core_mode(struct bh_core *c)
{
	return bh_answer_json(200,
		json_pack("{s:s, s:s, s:s, s:[{s:s, s:s, s:s}], s:[{s:n, s:s, s:s, s:s, s:s}]}",
			"mode", c->mode, "set_by", "command", "configured", "learn", "namespaces",
			"namespace", "shop", "mode", c->shop, "set_by", "configuration",
			"selectors", "namespace", "selector", "tier=db", "mode", "audit", "set_by",
			"command", "until", "2026-01-02T03:04:05.000000Z"));
}

struct bh_answer bh_core_mode_clear(struct bh_core *c, const char *ns, const char *selector,
	const struct bh_core_actor *who BH_UNUSED)
{
	struct bh_answer a = bh_core_mode(c);
	json_object_set_new(
		a.json, "asked", json_pack("{s:s?, s:s?}", "namespace", ns, "selector", selector));
	json_object_set_new(a.json, "warning", json_string("nobody \033[31m"));
	return a;
}

struct bh_answer bh_core_mode_set(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	const char *mode = json_string_value(json_object_get(body, "mode"));
	const char *ns = json_string_value(json_object_get(body, "namespace"));
	if (!mode)
		return bh_answer_error(400, NULL, "mode must be learn, audit or enforce");
	snprintf(ns ? c->shop : c->mode, sizeof(c->mode), "%s", mode);
	struct bh_answer a = bh_core_mode(c);
	json_object_set(a.json, "asked", (json_t *)body);
	json_object_set_new(a.json, "actor", actor(who));
	return a;
}

struct bh_answer bh_core_feeds(struct bh_core *c BH_UNUSED)
{
	return canned("{'feeds':[{'name':'drop','url':'file:///etc/drop.txt','action':'block',"
		      "'entries':1234,'rejected':1,'subtracted':2,'loaded_at':"
		      "'2026-01-02T03:04:05.000006Z','checked_at':null,'ok':true,"
		      "'message':null}]}");
}

struct bh_answer bh_core_feed_show(struct bh_core *c BH_UNUSED, const char *name)
{
	if (!bh_streq(name, "drop"))
		return bh_answer_error(404, NULL, "no feed is named %s", name);
	return canned(
		"{'name':'drop','url':'https://x','action':'block','direction':'both',"
		"'format':'spamhaus','credit':'(c) \\u001b[31m','dated':'today','entries':5,"
		"'rejected':1,'subtracted':66,'ok':true,'stale':false,'message':'','sha256':'ab',"
		"'loaded_at':'2026-01-02T03:04:05.000006Z','checked_at':null,"
		"'cut':[{'indicator':'10.0.0.0/8','line':7}],"
		"'seen_before':[{'workload':'shop/web','direction':'out','address':"
		"'192.0.2.7','indicator':'192.0.2.0/24','connections':9,'first_seen':null,"
		"'last_seen':'2026-01-02T03:04:05.000006Z'}]}");
}

struct bh_answer bh_core_feed_test(struct bh_core *c BH_UNUSED, const char *address)
{
	if (bh_streq(address, "10.0.0.1"))
		return canned("{'address':'10.0.0.1','listed':[],'blocked':[],'protected':true}");
	if (bh_streq(address, "192.0.2.9"))
		return canned("{'address':'192.0.2.9','listed':[],'blocked':[],'protected':false}");
	return canned("{'address':'192.0.2.7','listed':[{'feed':'drop','indicator':'192.0.2.0/24',"
		      "'action':'block','directions':['in','out']}],'blocked':['in','out'],"
		      "'protected':false}");
}

struct bh_answer bh_core_feed_add(
	struct bh_core *c BH_UNUSED, const json_t *body, const struct bh_core_actor *who)
{
	struct bh_answer a = bh_answer_json(200, json_object());
	json_object_set(a.json, "name", json_object_get(body, "name"));
	json_object_set(a.json, "asked", (json_t *)body);
	json_object_set_new(a.json, "actor", actor(who));
	return a;
}

struct bh_answer bh_core_feed_rm(
	struct bh_core *c BH_UNUSED, const char *name, const struct bh_core_actor *who BH_UNUSED)
{
	if (!bh_streq(name, "mine"))
		return bh_answer_error(409, NULL, "feed %s is in the configuration file", name);
	return bh_answer_json(200, json_pack("{s:s}", "name", name));
}

struct bh_answer bh_core_quarantine(struct bh_core *c BH_UNUSED)
{
	return canned("{'quarantine':[{'workload':'shop/web','namespace':'shop','name':'web',"
		      "'id':'0123456789abcdef0123','state':'in force','allow':['10.0.0.5/32:22/"
		      "tcp','[fd00::/8]:53/udp'],'reason':'beacons \\u001b[2J','uid':0,'pid':7,"
		      "'since':'2026-01-02T03:04:05.000006Z','matches':[{'workload':'shop/web',"
		      "'id':'fedcba9876543210fedc','by':'name','in_force':true,"
		      "'unenforceable':null}]},{'workload':'x/y','namespace':'x','name':'y','id':"
		      "'static:x/y','state':'absent','allow':[],'reason':'','uid':1000,'pid':8,"
		      "'since':null,'matches':[]}]}");
}

struct bh_answer bh_core_quarantine_add(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	if (bh_streq(json_string_value(json_object_get(body, "workload")), "nobody"))
		return bh_answer_error(404, NULL, "no workload is called nobody");
	struct bh_answer a = bh_core_quarantine(c);
	json_object_set_new(a.json, "connections_cut", json_integer(3));
	json_object_set_new(a.json, "warning", json_string("a part is out of reach"));
	json_object_set(a.json, "asked", (json_t *)body);
	json_object_set_new(a.json, "actor", actor(who));
	return a;
}

struct bh_answer bh_core_quarantine_rm(
	struct bh_core *c, const char *what, const struct bh_core_actor *who)
{
	struct bh_answer a = bh_core_quarantine(c);
	json_object_set_new(a.json, "asked", json_string(what));
	json_object_set_new(a.json, "actor", actor(who));
	return a;
}

struct bh_answer bh_core_feed_refresh(
	struct bh_core *c BH_UNUSED, const json_t *body, const struct bh_core_actor *who BH_UNUSED)
{
	const char *name = json_string_value(json_object_get(body, "name"));
	if (name && strcmp(name, "drop") != 0)
		return bh_answer_error(404, NULL, "there is no feed %s", name);
	return bh_answer_json(200, json_pack("{s:i}", "started", 1));
}

struct bh_answer bh_core_explain(struct bh_core *c BH_UNUSED, const char *src, const char *dst,
	const char *proto, const char *port)
{
	char bh_autofree *text = bh_xasprintf(
		"%s to %s, %s/%s\nno rule allows it", src, dst, proto, port ? port : "-");
	if (strcmp(src, "nobody") == 0)
		return bh_answer_error(404, NULL, "no workload is called nobody");
	return bh_answer_json(200,
		json_pack("{s:s,s:s,s:b,s:b,s:n,s:n,s:s}", "verdict", "drop", "reason", "unmatched",
			"would_deny", 0, "learn", 0, "egress", "ingress", "text", text));
}

struct bh_answer bh_core_metrics(struct bh_core *c BH_UNUSED)
{
	return bh_answer_text(
		200, "text/plain; version=0.0.4", bh_xstrdup("bulkhead_workloads 3\n"));
}

/* --- the server --- */

static void on_term(uv_signal_t *s, int signum BH_UNUSED)
{
	bh_api_stop(s->data);
	uv_close((uv_handle_t *)s, NULL);
}

static void serve(const char *path, int ready)
{
	struct bh_core core = {"learn", "enforce"};
	struct bh_api *api;
	uv_signal_t term;
	uv_loop_t loop;

	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&loop);
	if (bh_api_start(&loop, &core, path, &api) < 0)
		_exit(3);
	uv_signal_init(&loop, &term);
	term.data = api;
	uv_signal_start(&term, on_term, SIGTERM);
	if (write(ready, "r", 1) != 1)
		_exit(4);
	close(ready);
	uv_run(&loop, UV_RUN_DEFAULT);
	exit(uv_loop_close(&loop) == 0 ? 0 : 5);
}

pid_t fake_server_start(const char *path)
{
	int pipefd[2];
	char c;
	if (pipe(pipefd) < 0)
		return -1;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pipefd[0]);
		serve(path, pipefd[1]);
	}
	close(pipefd[1]);
	bool ok = pid > 0 && read(pipefd[0], &c, 1) == 1;
	close(pipefd[0]);
	if (!ok && pid > 0)
		waitpid(pid, NULL, 0);
	return ok ? pid : -1;
}

int fake_server_stop(pid_t pid)
{
	int status;
	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}
