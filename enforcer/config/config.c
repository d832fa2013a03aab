/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration file as a struct. Everything wrong in it is reported at once and with its
 * place; then nothing of it is used, so that a reload either takes all of a file or none.
 */
#include "config/config.h"

#include <errno.h>
#include <sys/un.h>

#include "config/private.h"

static const char *const mode_names[] = {"learn", "audit", "enforce", NULL};

const struct bh_node *conf_field(const struct bh_node *map, const char *path, const char *key,
	bool collection, char **ret_path)
{
	const struct bh_node *n = bh_node_get(map, key);
	if (!n || (collection && bh_node_is_null(n)))
		return NULL;
	*ret_path = *path ? bh_xasprintf("%s.%s", path, key) : bh_xstrdup(key);
	return n;
}

int conf_choice(
	struct conf_ctx *x, const struct bh_node *n, const char *path, const char *const *names)
{
	const char *s;
	bh_autobuf struct bh_buf remedy = {0};
	for (int i = 0; names[i]; i++)
		bh_buf_printf(&remedy, "%s%s",
			i == 0         ? ""
			: names[i + 1] ? ", "
				       : " or ",
			names[i]);
	if (bh_read_word(&x->r, n, path, remedy.s, &s) < 0)
		return -EINVAL;
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], s) == 0)
			return i;
	bh_autofree char *quoted = bh_diag_quote(s, strlen(s));
	bh_read_error(&x->r, n, path, remedy.s, "unknown value \"%s\"", quoted);
	return -EINVAL;
}

char *conf_anchor(const struct conf_ctx *x, const char *file)
{
	const char *slash = x->r.file ? strrchr(x->r.file, '/') : NULL;
	if (file[0] == '/' || !slash)
		return bh_xstrdup(file);
	return bh_xasprintf("%.*s%s", (int)(slash - x->r.file + 1), x->r.file, file);
}

static int read_file_name(
	struct conf_ctx *x, const struct bh_node *n, const char *path, const char **ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return -EINVAL;
	if (!*s || strlen(s) >= 4096) {
		bh_read_error(&x->r, n, path, NULL, *s ? "is too long" : "must not be empty");
		return -EINVAL;
	}
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			bh_read_error(&x->r, n, path, NULL, "must not contain control characters");
			return -EINVAL;
		}
	*ret = s;
	return 0;
}

int conf_path(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret)
{
	const char *s;
	int r = read_file_name(x, n, path, &s);
	if (r == 0) {
		free(*ret);
		*ret = conf_anchor(x, s);
	}
	return r;
}

int conf_socket(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret)
{
	const char *s;
	if (read_file_name(x, n, path, &s) < 0)
		return -EINVAL;
	if (strncmp(s, "unix://", 7) == 0)
		s += 7;
	if (!*s || strstr(s, "://")) {
		bh_read_error(&x->r, n, path, "the path of a unix socket", "is not a path");
		return -EINVAL;
	}
	bh_autofree char *full = conf_anchor(x, s);
	size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	if (strlen(full) > max) {
		bh_read_error(&x->r, n, path, NULL,
			"the path of a socket must have at most %zu bytes", max);
		return -EINVAL;
	}
	free(*ret);
	*ret = BH_TAKE_PTR(full);
	return 0;
}

/* What is not a DNS label (RFC 1123) no workload can ever be in. */
int conf_namespace(struct conf_ctx *x, const struct bh_node *n, const char *path, const char **ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return -EINVAL;
	size_t len = strlen(s);
	bool good = len > 0 && len <= 63 && s[0] != '-' && s[len - 1] != '-';
	for (size_t i = 0; i < len && good; i++)
		good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-';
	if (!good) {
		bh_autofree char *quoted = bh_diag_quote(s, len);
		bh_read_error(&x->r, n, path,
			"lower case letters, digits and '-', at most 63, none of '-' at an end",
			"\"%s\" is not the name of a namespace", quoted);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

/* A choice of two, where the second one is true. */
static void read_either(struct conf_ctx *x, const struct bh_node *doc, const char *key,
	const char *const *names, bool *ret)
{
	bh_autofree char *path = NULL;
	const struct bh_node *n = conf_field(doc, "", key, false, &path);
	int i = n ? conf_choice(x, n, path, names) : -1;
	if (i >= 0)
		*ret = i == 1;
}

static void read_flat(struct conf_ctx *x, const struct bh_node *doc)
{
	static const char *const unselected[] = {"allow", "deny", NULL};
	static const char *const image_labels[] = {"count", "ignore", NULL};
	static const char *const host[] = {"allow", "policy", NULL};
	static const char *const deny[] = {"drop", "reject", NULL};
	static const char *const owner[] = {"auto", "never", NULL};
	bh_autofree char *mode = NULL, *policies = NULL, *state = NULL, *sock = NULL,
			 *fast_path = NULL;
	const struct bh_node *n;

	if ((n = conf_field(doc, "", "mode", false, &mode))) {
		int i = conf_choice(x, n, mode, mode_names);
		if (i >= 0)
			x->c->mode = (enum bh_mode)i;
	}
	read_either(x, doc, "unselected", unselected, &x->c->unselected_deny);
	read_either(x, doc, "image_labels", image_labels, &x->c->image_labels_ignore);
	read_either(x, doc, "host", host, &x->c->host_policy);
	read_either(x, doc, "deny", deny, &x->c->reject);
	read_either(x, doc, "table_owner", owner, &x->c->table_owner_never);
	if ((n = conf_field(doc, "", "fast_path", false, &fast_path)))
		bh_read_bool(&x->r, n, fast_path, &x->c->fast_path);
	if ((n = conf_field(doc, "", "policies", false, &policies)))
		conf_path(x, n, policies, &x->c->policies);
	if ((n = conf_field(doc, "", "state", false, &state)))
		conf_path(x, n, state, &x->c->state);
	if ((n = conf_field(doc, "", "socket", false, &sock)))
		conf_socket(x, n, sock, &x->c->socket);
}

static void read_queue(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"base", "length", NULL};
	bh_autofree char *base = NULL, *length = NULL;
	const struct bh_node *n;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	n = conf_field(map, path, "base", false, &base);
	if (n && bh_read_int(&x->r, n, base, 0, 65533, &v) == 0)
		x->c->queue_base = (uint16_t)v;
	n = conf_field(map, path, "length", false, &length);
	if (n && bh_read_int(&x->r, n, length, 256, 65536, &v) == 0)
		x->c->queue_length = (uint32_t)v;
}

static void read_pace(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"rate", "burst", NULL};
	bh_autofree char *rate = NULL, *burst = NULL;
	const struct bh_node *n;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	n = conf_field(map, path, "rate", false, &rate);
	if (n && bh_read_int(&x->r, n, rate, 0, 1000000, &v) == 0)
		x->c->pace_rate = (uint32_t)v;
	n = conf_field(map, path, "burst", false, &burst);
	if (n && bh_read_int(&x->r, n, burst, 1, 1000000, &v) == 0)
		x->c->pace_burst = (uint32_t)v;
}

static void read_crowding(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"share", NULL};
	bh_autofree char *share = NULL;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	const struct bh_node *n = conf_field(map, path, "share", false, &share);
	if (n && bh_read_int(&x->r, n, share, 1, 100, &v) == 0)
		x->c->crowding_share = (uint32_t)v;
}

static void read_history(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"keep", "max", NULL};
	bh_autofree char *keep = NULL, *max = NULL;
	const struct bh_node *n;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "keep", false, &keep)))
		conf_duration(x, n, keep, 3650, &x->c->history_keep_s);
	n = conf_field(map, path, "max", false, &max);
	if (n && bh_read_int(&x->r, n, max, 100, 1000000, &v) == 0)
		x->c->history_max = (uint32_t)v;
}

static void read_learn(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"edges", "flows", "names", "volume", NULL};
	const struct {
		int64_t min, max;
		uint32_t *to;
	} limit[] = {{1000, 2000000, &x->c->learn_edges}, {1000, 2000000, &x->c->learn_flows},
		{0, 1000000, &x->c->learn_names}};
	bh_autofree char *volume = NULL;
	const struct bh_node *v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	for (size_t i = 0; i < BH_ARRAY_SIZE(limit); i++) {
		bh_autofree char *at = NULL;
		const struct bh_node *n = conf_field(map, path, keys[i], false, &at);
		int64_t max;
		if (n && bh_read_int(&x->r, n, at, limit[i].min, limit[i].max, &max) == 0)
			*limit[i].to = (uint32_t)max;
	}
	if ((v = conf_field(map, path, "volume", false, &volume)))
		bh_read_bool(&x->r, v, volume, &x->c->learn_volume);
}

static void read_document(struct conf_ctx *x, const struct bh_node *doc)
{
	static const char *const keys[] = {"mode", "modes", "unselected", "host", "deny",
		"table_owner", "fast_path", "policies", "state", "socket", "sources",
		"namespace_labels", "image_labels", "namespaces", "nodes", "feeds", "feed_allow",
		"feed_exceptions", "audit", "queue", "pace", "crowding", "history", "drift",
		"learn", NULL};
	static const struct {
		const char *key;
		void (*read)(struct conf_ctx *, const struct bh_node *, const char *);
	} sections[] = {
		{"modes", conf_read_modes},
		{"sources", conf_read_sources},
		{"namespace_labels", conf_read_namespace_labels},
		{"namespaces", conf_read_namespaces},
		{"nodes", conf_read_nodes},
		{"feeds", conf_read_feeds},
		{"feed_allow", conf_read_feed_allow},
		{"feed_exceptions", conf_read_feed_exceptions},
		{"audit", conf_read_audit},
		{"queue", read_queue},
		{"pace", read_pace},
		{"crowding", read_crowding},
		{"history", read_history},
		{"drift", conf_read_drift},
		{"learn", read_learn},
	};

	if (bh_read_map(&x->r, doc, NULL) < 0)
		return;
	bh_read_known_keys(&x->r, doc, NULL, keys);
	read_flat(x, doc);
	for (size_t i = 0; i < BH_ARRAY_SIZE(sections); i++) {
		bh_autofree char *path = NULL;
		const struct bh_node *n = conf_field(doc, "", sections[i].key, true, &path);
		if (n)
			sections[i].read(x, n, path);
	}
}

static struct bh_config *defaults(void)
{
	struct bh_config *c = bh_xcalloc(1, sizeof(*c));
	c->mode = BH_MODE_LEARN;
	c->policies = bh_xstrdup("/etc/bulkhead/policies");
	c->state = bh_xstrdup("/var/lib/bulkhead");
	c->socket = bh_xstrdup("/run/bulkhead/bulkhead.sock");
	c->sources_auto = true;
	c->audit_path = bh_xstrdup("/var/log/bulkhead/audit.jsonl");
	c->learn_volume = true;
	c->audit_rotate_size = UINT64_C(256) << 20;
	c->audit_rotate_s = 86400;
	c->audit_keep = 90;
	c->audit_key_s = 30 * 86400;
	c->queue_base = 48620;
	c->queue_length = 16384;
	c->pace_rate = 1000;
	c->pace_burst = 2000;
	c->crowding_share = 12;
	c->history_keep_s = 30 * 86400;
	c->drift_within_s = 60;
	c->history_max = 100000;
	c->learn_edges = 200000;
	c->learn_flows = 200000;
	c->learn_names = 32768;
	return c;
}

int bh_config_parse(const char *file, const char *text, size_t len, struct bh_diags *diags,
	struct bh_config **ret)
{
	size_t errors = diags->n_errors;
	struct bh_docs *docs = NULL;
	struct conf_ctx x = {.r = {.file = file, .diags = diags}};
	int r = text ? bh_docs_parse(file, text, len, NULL, diags, &docs) : 0;
	if (r < 0)
		return r;

	x.c = defaults();
	if (docs && docs->n > 1)
		bh_diag_add(diags, BH_ERROR, file, docs->root[1] ? docs->root[1]->line : 0, 0, NULL,
			"one document", "the configuration has %zu documents", docs->n);
	if (docs && docs->n > 0 && !bh_node_is_null(docs->root[0]))
		read_document(&x, docs->root[0]);
	bh_docs_free(docs);
	if (diags->n_errors > errors) {
		bh_config_free(x.c);
		return -EINVAL;
	}
	*ret = x.c;
	return 0;
}

static void free_lists(struct bh_config *c)
{
	for (size_t i = 0; i < c->n_modes; i++) {
		free(c->modes[i].namespace);
		bh_selector_finish(&c->modes[i].selector);
	}
	for (size_t i = 0; i < c->n_sources; i++)
		free(c->sources[i].path);
	for (size_t i = 0; c->namespace_labels && c->namespace_labels[i]; i++)
		free(c->namespace_labels[i]);
	free(c->namespace_labels);
	for (size_t i = 0; i < c->n_namespaces; i++) {
		free(c->namespaces[i].name);
		bh_labels_finish(&c->namespaces[i].labels);
	}
	for (size_t i = 0; i < c->n_nodes; i++) {
		free(c->nodes[i].name);
		bh_labels_finish(&c->nodes[i].labels);
		free(c->nodes[i].addr);
	}
	for (size_t i = 0; i < c->n_feeds; i++) {
		free(c->feeds[i].name);
		free(c->feeds[i].url);
		free(c->feeds[i].format);
		free(c->feeds[i].headers_file);
		free(c->feeds[i].proxy);
		free(c->feeds[i].ca_file);
	}
	for (size_t i = 0; i < c->n_flows_of; i++)
		free(c->flows_of[i].namespace);
	free(c->flows_of);
	free(c->modes);
	free(c->sources);
	free(c->namespaces);
	free(c->nodes);
	free(c->feeds);
	bh_ranges_finish(&c->feed_allow);
	bh_config_exceptions_finish(&c->feed_exceptions);
}

void bh_config_free(struct bh_config *c)
{
	if (!c)
		return;
	free_lists(c);
	free(c->policies);
	free(c->state);
	free(c->socket);
	free(c->audit_path);
	for (size_t i = 0; i < c->n_sinks; i++) {
		free(c->sinks[i].name);
		free(c->sinks[i].address);
		free(c->sinks[i].ca);
	}
	free(c->sinks);
	free(c);
}
