/* SPDX-License-Identifier: GPL-3.0-or-later */
/* feed_allow and feed_exceptions: what the feeds may not block. */
#include <errno.h>

#include "config/private.h"

#define ALLOW_MAX 4096
#define EXCEPTIONS_MAX 256

static int read_range(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_range *ret)
{
	const char *s;
	struct bh_prefix p;
	struct bh_addr a;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return -EINVAL;
	if (bh_addr_parse(s, &a) == 0) {
		*ret = (struct bh_range){a, a};
		return 0;
	}
	int r = bh_prefix_parse(s, &p);
	if (r != 0) {
		bh_read_error(&x->r, n, path, "such as 192.0.2.7 or 198.51.100.0/24",
			r > 0 ? "has host bits set" : "must be an address or a CIDR");
		return -EINVAL;
	}
	*ret = bh_prefix_range(&p);
	return 0;
}

static void read_ranges(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_ranges *ret)
{
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > ALLOW_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d addresses", ALLOW_MAX);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		struct bh_range r;
		if (read_range(x, n->child[i], item, &r) == 0)
			bh_ranges_add(ret, r);
	}
	bh_ranges_normalise(ret);
}

void conf_read_feed_allow(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	read_ranges(x, n, path, &x->c->feed_allow);
}

static void read_until(struct conf_ctx *x, const struct bh_node *n, const char *path, int64_t *ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	if (bh_text_time(s, strlen(s), ret) < 0)
		bh_read_error(&x->r, n, path, "such as 2026-12-31 or 2026-12-31T18:00:00Z",
			"must be a date, with or without a time (UTC)");
}

/* An exception without a reason and an end is one that nobody dares to remove. */
static void read_exception(struct conf_ctx *x, const struct bh_node *map, const char *path,
	struct bh_feed_exception *ret)
{
	static const char *const keys[] = {
		"namespace", "addresses", "feed", "reason", "until", NULL};
	const struct bh_node *n;
	const char *s;
	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	for (size_t i = 0; keys[i]; i++) {
		bh_autofree char *at = NULL;
		n = conf_field(map, path, keys[i], false, &at);
		if (!n && i != 2)
			bh_read_error(&x->r, map, path, NULL, "%s is missing", keys[i]);
		if (!n)
			continue;
		if (i == 0 && conf_namespace(x, n, at, &s) == 0)
			ret->namespace = bh_xstrdup(s);
		else if (i == 1)
			read_ranges(x, n, at, &ret->addrs);
		else if (i == 2 && bh_read_string(&x->r, n, at, &s) == 0)
			ret->feed = bh_xstrdup(s);
		else if (i == 3 && bh_read_string(&x->r, n, at, &s) == 0)
			ret->reason = bh_xstrdup(s);
		else if (i == 4)
			read_until(x, n, at, &ret->until);
	}
	if (ret->reason && !*ret->reason)
		bh_read_error(&x->r, map, path, NULL, "reason is empty");
}

void conf_read_feed_exceptions(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	struct bh_config_exceptions *list = &x->c->feed_exceptions;
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > EXCEPTIONS_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d exceptions", EXCEPTIONS_MAX);
		return;
	}
	list->item = bh_xcalloc(n->n, sizeof(*list->item));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		list->n++;
		read_exception(x, n->child[i], item, &list->item[i]);
	}
}

void bh_config_exceptions_finish(struct bh_config_exceptions *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->item[i].namespace);
		free(list->item[i].feed);
		free(list->item[i].reason);
		bh_ranges_finish(&list->item[i].addrs);
	}
	free(list->item);
	*list = (struct bh_config_exceptions){0};
}

void bh_config_exceptions_copy(
	struct bh_config_exceptions *to, const struct bh_config_exceptions *from)
{
	*to = (struct bh_config_exceptions){.n = from->n};
	to->item = bh_xcalloc(from->n, sizeof(*to->item));
	for (size_t i = 0; i < from->n; i++) {
		const struct bh_feed_exception *x = &from->item[i];
		to->item[i] = (struct bh_feed_exception){.namespace = bh_xstrdup(x->namespace),
			.feed = bh_xstrdup(x->feed),
			.until = x->until};
		for (size_t k = 0; k < x->addrs.n; k++)
			bh_ranges_add(&to->item[i].addrs, x->addrs.item[k]);
		bh_ranges_normalise(&to->item[i].addrs);
	}
}
