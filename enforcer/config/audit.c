/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `audit`: where the log is, when it goes on in another file, how long a key signs. */
#include <errno.h>

#include "config/private.h"

#define DAYS_MAX 3650
#define SIZE_MAX_BYTES (UINT64_C(1) << 40)

/* "64K", "256M", "2G". */
static void read_size(struct conf_ctx *x, const struct bh_node *n, const char *path, uint64_t *ret)
{
	static const struct {
		char unit;
		unsigned shift;
	} units[] = {{'K', 10}, {'M', 20}, {'G', 30}};
	const char *s;
	uint64_t v;

	if (bh_read_word(&x->r, n, path, "such as 256M", &s) < 0)
		return;
	size_t len = strlen(s);
	bh_autofree char *number = bh_xstrndup(s, len ? len - 1 : 0);
	for (size_t i = 0; i < BH_ARRAY_SIZE(units); i++)
		if (len && s[len - 1] == units[i].unit &&
			bh_parse_u64(number, SIZE_MAX_BYTES >> units[i].shift, &v) == 0 &&
			v << units[i].shift >= 65536) {
			*ret = v << units[i].shift;
			return;
		}
	bh_read_error(&x->r, n, path, "such as 256M", "must be a size from 64K to 1024G");
}

static void read_rotate(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"size", "age", "keep", NULL};
	bh_autofree char *size = NULL, *age = NULL, *keep = NULL;
	const struct bh_node *n;
	int64_t v;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "size", false, &size)))
		read_size(x, n, size, &x->c->audit_rotate_size);
	if ((n = conf_field(map, path, "age", false, &age)))
		conf_duration(x, n, age, DAYS_MAX, &x->c->audit_rotate_s);
	n = conf_field(map, path, "keep", false, &keep);
	if (n && bh_read_int(&x->r, n, keep, 0, 4000, &v) == 0)
		x->c->audit_keep = (uint64_t)v;
}

static const char *const flows_names[] = {"none", "new", "full", NULL};

static void read_flows_of(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	if (bh_read_map(&x->r, map, path) < 0)
		return;
	x->c->flows_of = bh_xcalloc(map->n, sizeof(*x->c->flows_of));
	for (size_t i = 0; i < map->n; i++) {
		const char *name;
		if (conf_namespace(x, map->key[i], path, &name) < 0)
			continue;
		bh_autofree char *item = bh_xasprintf("%s.%s", path, name);
		int v = conf_choice(x, map->child[i], item, flows_names);
		if (v >= 0)
			x->c->flows_of[x->c->n_flows_of++] =
				(struct bh_flows_conf){bh_xstrdup(name), (enum bh_audit_flows)v};
	}
}

static void read_aggregate(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	const char *s;
	uint64_t v = 0;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	if (!bh_streq(s, "0s"))
		conf_duration(x, n, path, 1, &v);
	if (v > 3600)
		bh_read_error(&x->r, n, path, "from 0s to 1h", "too long");
	else
		x->c->audit_aggregate_s = (uint32_t)v;
}

static void read_flows(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	bh_autofree char *flows = NULL, *of = NULL, *aggregate = NULL;
	const struct bh_node *n;

	if ((n = conf_field(map, path, "flows", false, &flows))) {
		int i = conf_choice(x, n, flows, flows_names);
		if (i >= 0)
			x->c->audit_flows = (enum bh_audit_flows)i;
	}
	if ((n = conf_field(map, path, "flows_of", true, &of)))
		read_flows_of(x, n, of);
	if ((n = conf_field(map, path, "flows_aggregate", false, &aggregate)))
		read_aggregate(x, n, aggregate);
}

void conf_read_audit(struct conf_ctx *x, const struct bh_node *map, const char *path)
{
	static const char *const keys[] = {"path", "flows", "flows_of", "flows_aggregate", "rotate",
		"key_interval", "on_log_failure", "sinks", NULL};
	static const char *const failure[] = {"continue", "block-new-flows", "exit", NULL};
	bh_autofree char *file_path = NULL, *rotate = NULL, *key = NULL, *failure_path = NULL,
			 *sinks = NULL;
	const struct bh_node *n;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "path", false, &file_path)))
		conf_path(x, n, file_path, &x->c->audit_path);
	if ((n = conf_field(map, path, "rotate", false, &rotate)))
		read_rotate(x, n, rotate);
	if ((n = conf_field(map, path, "key_interval", false, &key)))
		conf_duration(x, n, key, DAYS_MAX, &x->c->audit_key_s);
	if ((n = conf_field(map, path, "on_log_failure", false, &failure_path))) {
		int i = conf_choice(x, n, failure_path, failure);
		if (i >= 0)
			x->c->audit_failure = (enum bh_log_failure)i;
	}
	if ((n = conf_field(map, path, "sinks", true, &sinks)))
		conf_read_sinks(x, n, sinks);
	read_flows(x, map, path);
}
