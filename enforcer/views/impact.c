/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GET /v1/impact: which containers had to do with an address, a prefix, all that a feed lists, an
 * image or a digest, those that are gone as well; and what of the same image runs now.
 */
#include "views/impact.h"

#include <errno.h>

#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"
#include "threats/edit.h"
#include "views/json.h"

#define SIBLINGS_MAX 100 /* of one image */
#define GROUPS_MAX 100 /* images */
#define DIGEST_DIGITS 12 /* without "sha256:" in front a shorter word may be an image's name */

/* --- an end --- */

static json_t *peers_json(const struct bh_impact_end *e)
{
	json_t *list = json_array();
	char proto[4];
	for (size_t i = 0; i < e->n_peers; i++) {
		const struct bh_impact_peer *p = &e->peer[i];
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:I}", "direction",
			p->to ? "to" : "from", "peer", p->name, "address", p->addr, "protocol",
			bh_proto_name(p->proto, proto), "port", p->port, "verdict", p->verdict,
			"connections", (json_int_t)p->connections);
		json_object_set_new(o, "last_seen", bh_clock_json(p->last_seen));
		json_array_append_new(list, o);
	}
	return list;
}

/* What is no workload, and what is older than stays are kept. */
static json_t *plain_json(const struct bh_impact_end *e)
{
	const char *slash = e->id ? strchr(e->name, '/') : NULL;
	char bh_autofree *ns = slash ? bh_xstrndup(e->name, (size_t)(slash - e->name)) : NULL;
	return json_pack("{s:I, s:s, s:s?, s:s?, s:s, s:n, s:n}", "stay", (json_int_t)e->stay,
		"state", e->id ? "unknown" : "outside", "id", e->id, "namespace", ns, "name",
		slash ? slash + 1 : e->name, "image", "digest");
}

static json_t *end_json(struct bh_impact *x, const struct bh_impact_end *e)
{
	struct bh_stay y;
	json_t *o;
	if (e->stay && bh_store_get_stay(x->c->store, e->stay, &y) == 0) {
		o = bh_core_stay_json(&y);
		bh_stay_finish(&y);
	} else {
		o = plain_json(e);
	}
	json_object_set_new(o, "kind",
		json_string(e->id                       ? "workload"
			    : bh_streq(e->name, "host") ? "host"
							: "address"));
	json_object_set_new(o, "first_seen", bh_clock_json(e->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(e->last_seen));
	json_object_set_new(o, "allowed", json_integer((json_int_t)e->allowed));
	json_object_set_new(o, "would_deny", json_integer((json_int_t)e->would_deny));
	json_object_set_new(o, "denied", json_integer((json_int_t)e->denied));
	json_object_set_new(o, "connections",
		json_integer((json_int_t)(e->allowed + e->would_deny + e->denied)));
	json_object_set_new(o, "flows", json_integer((json_int_t)e->rows));
	json_object_set_new(o, "volume", bh_core_volume_json(&e->volume));
	json_object_set_new(o, "peers", peers_json(e));
	return o;
}

/* --- what of the same image runs now --- */

static bool is_image(const char *a, const char *a_digest, const char *image, const char *digest)
{
	if (digest && a_digest)
		return bh_streq(a_digest, digest);
	return a && bh_streq(a, image);
}

static bool same_image(const struct bh_workload *w, const char *image, const char *digest)
{
	bool yes = is_image(w->image, w->digest, image, digest);
	for (size_t i = 0; !yes && i < w->others.n; i++)
		yes = is_image(w->others.item[i].image, w->others.item[i].digest, image, digest);
	return yes;
}

static json_t *running_json(const struct bh_core *c, const char *image, const char *digest)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	json_t *list = json_array();
	for (size_t i = 0; inv && i < inv->n && json_array_size(list) < SIBLINGS_MAX; i++) {
		const struct bh_workload *w = inv->workload[i];
		if (same_image(w, image, digest))
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s}", "namespace", w->namespace,
					      "name", w->name, "id", w->id));
	}
	return list;
}

static void add_sibling(struct bh_impact *x, const json_t *of, struct bh_idmap *done, json_t *list)
{
	const char *image = json_string_value(json_object_get(of, "image"));
	const char *digest = json_string_value(json_object_get(of, "digest"));
	char bh_autofree *key =
		bh_xasprintf("%s %s", digest ? digest : "", !digest && image ? image : "");
	if ((!image && !digest) || bh_idmap_get(done, key))
		return;
	if (json_array_size(list) == GROUPS_MAX) {
		x->truncated = true;
		return;
	}
	bh_idmap_set(done, key, x);
	json_array_append_new(list, json_pack("{s:s?, s:s?, s:o}", "image", image, "digest", digest,
					    "running", running_json(x->c, image, digest)));
}

static json_t *siblings_json(struct bh_impact *x, const json_t *ends)
{
	json_t *list = json_array();
	struct bh_idmap done = {0};
	const json_t *o, *image;
	size_t i, k;
	json_array_foreach(ends, i, o) json_array_foreach(json_object_get(o, "images"), k, image)
		add_sibling(x, image, &done, list);
	bh_idmap_finish(&done, NULL);
	return list;
}

/* --- the question --- */

static int newest_first(const void *a, const void *b)
{
	const struct bh_impact_end *p = a, *q = b;
	if (p->last_seen != q->last_seen)
		return p->last_seen < q->last_seen ? 1 : -1;
	return (p->stay < q->stay) - (p->stay > q->stay);
}

static json_t *render(struct bh_impact *x, const char *what, const char *kind)
{
	json_t *ends = json_array();
	uint64_t connections = 0, denied = 0;
	int64_t first = 0, last = 0;

	if (x->n) /* else there is no array */
		qsort(x->end, x->n, sizeof(*x->end), newest_first);
	for (size_t i = 0; i < x->n; i++) {
		const struct bh_impact_end *e = &x->end[i];
		json_array_append_new(ends, end_json(x, e));
		connections += e->allowed + e->would_deny + e->denied;
		denied += e->denied;
		if (e->first_seen && (!first || e->first_seen < first))
			first = e->first_seen;
		last = e->last_seen > last ? e->last_seen : last;
	}
	json_t *siblings = siblings_json(x, ends);
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:o, s:O, s:o}", "what", what, "kind", kind,
		"connections", (json_int_t)connections, "denied", (json_int_t)denied, "affected",
		ends, "owners", x->owners, "siblings", siblings);
	json_object_set_new(o, "first_seen", bh_clock_json(first));
	json_object_set_new(o, "last_seen", bh_clock_json(last));
	json_object_set_new(o, "truncated", json_boolean(x->truncated));
	return o;
}

static bool is_digest(const char *s)
{
	bool prefix = strncmp(s, "sha256:", 7) == 0;
	const char *hex = prefix ? s + 7 : s;
	size_t n = strlen(hex);
	return n >= (prefix ? 4 : DIGEST_DIGITS) && n <= 64 && strspn(hex, "0123456789abcdef") == n;
}

/* An image that is called like a feed can be named with its tag or registry. */
static bool is_feed(const struct bh_core *c, const char *what)
{
	for (size_t i = 0; i < c->conf->n_feeds; i++)
		if (bh_streq(c->conf->feeds[i].name, what))
			return true;
	return bh_core_feed_is_added(c, what);
}

/* 0, −errno of the store, or −EINVAL: no such thing. */
static int gather(struct bh_impact *x, const char *what, const char **ret_kind)
{
	struct bh_image bh_autoimage image = {0};
	struct bh_prefix p;
	struct bh_addr a;

	if (bh_addr_parse(what, &a) == 0) {
		const struct bh_range r = {a, a};
		*ret_kind = "address";
		return bh_impact_add_range(x, &r);
	}
	if (bh_prefix_parse(what, &p) >= 0) {
		const struct bh_range r = bh_prefix_range(&p);
		*ret_kind = "prefix";
		return bh_impact_add_range(x, &r);
	}
	if (is_feed(x->c, what)) {
		*ret_kind = "feed";
		return bh_impact_add_feed(x, what);
	}
	if (is_digest(what)) {
		*ret_kind = "digest";
		return bh_impact_add_digest(x, what);
	}
	if (bh_image_parse(what, &image) < 0)
		return -EINVAL;
	*ret_kind = "image";
	return bh_impact_add_image(x, &image, what);
}

struct bh_answer bh_core_impact(struct bh_core *c, const char *what)
{
	struct bh_impact x;
	const char *kind = NULL;
	struct bh_answer answer;

	bh_impact_init(&x, c);
	int r = gather(&x, what, &kind);
	if (r == 0)
		answer = bh_answer_json(200, render(&x, what, kind));
	else if (!kind)
		answer = bh_answer_error(400, NULL,
			"neither an address (203.0.113.9), a prefix (203.0.113.0/24), a feed, an "
			"image (nginx:1.25) nor a digest (sha256:…)");
	else
		answer = bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	bh_impact_finish(&x);
	return answer;
}
