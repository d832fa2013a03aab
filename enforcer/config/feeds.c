/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The feeds of the configuration. A feed's name becomes a file name in the state directory, and
 * its URL a request: both are strict. */
#include <errno.h>

#include "config/private.h"

#define FEEDS_MAX 256
#define INTERVAL_MAX_DAYS 30

static int read_name(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return -EINVAL;
	size_t len = strlen(s);
	bool good = len > 0 && len <= 63 && s[0] != '.' && s[0] != '-';
	for (size_t i = 0; i < len && good; i++)
		good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		       (s[i] >= '0' && s[i] <= '9') || strchr("-_.", s[i]);
	if (!good) {
		bh_autofree char *quoted = bh_diag_quote(s, len);
		bh_read_error(&x->r, n, path,
			"letters, digits, '-', '_' and '.', starting with a letter or digit, at "
			"most 63",
			"\"%s\" cannot be the name of a feed", quoted);
		return -EINVAL;
	}
	*ret = bh_xstrdup(s);
	return 0;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static void read_url(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	bool http = starts_with(s, "http://") || starts_with(s, "https://");
	bool file = starts_with(s, "file:///");
	for (const char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f || (*c == ' ' && (http || file))) {
			bh_read_error(&x->r, n, path, NULL,
				"must not contain blanks or control characters");
			return;
		}
	bool no_host =
		http &&
		strchr("/:?#", *(strstr(s, "://") + 3)); /* the NUL at an end is among them */
	bool other = !http && !file && strstr(s, "://");
	if (!*s || no_host || other) {
		bh_read_error(&x->r, n, path, "http://…, https://…, file:///… or a path",
			"is not a URL that can be fetched");
		return;
	}
	*ret = http || file ? bh_xstrdup(s) : conf_anchor(x, s);
}

void conf_duration(struct conf_ctx *x, const struct bh_node *n, const char *path, unsigned max_days,
	uint64_t *ret)
{
	const uint64_t max = (uint64_t)max_days * 86400;
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	const char *s;
	uint64_t v;
	if (n->kind == BH_NODE_SCALAR && n->type == BH_SCALAR_INT) {
		bh_read_error(&x->r, n, path, "such as 90s, 30m, 1h or 1d", "lacks its unit");
		return;
	}
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	size_t len = strlen(s);
	bh_autofree char *number = bh_xstrndup(s, len ? len - 1 : 0);
	for (size_t i = 0; i < BH_ARRAY_SIZE(units); i++) {
		if (!len || s[len - 1] != units[i].unit)
			continue;
		if (bh_parse_u64(number, max, &v) < 0 || v == 0 || v * units[i].seconds > max)
			break;
		*ret = v * units[i].seconds;
		return;
	}
	bh_read_error(&x->r, n, path, "such as 90s, 30m, 1h or 1d",
		"must be a duration from 1s to %ud", max_days);
}

static void read_number(struct conf_ctx *x, const struct bh_node *map, const char *path,
	const char *key, int64_t min, int64_t max, int64_t *v)
{
	bh_autofree char *at = NULL;
	const struct bh_node *n = conf_field(map, path, key, false, &at);
	if (n)
		bh_read_int(&x->r, n, at, min, max, v);
}

static void read_unsigned(struct conf_ctx *x, const struct bh_node *map, const char *path,
	const char *key, int64_t min, int64_t max, unsigned *ret)
{
	int64_t v = *ret;
	read_number(x, map, path, key, min, max, &v);
	*ret = (unsigned)v;
}

static void read_guards(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_feed_conf *ret)
{
	int64_t min_entries = (int64_t)ret->min_entries, max_bytes = BH_FEED_MAX_BYTES;
	read_number(x, map, path, "min_entries", 0, BH_FEED_MAX_INDICATORS, &min_entries);
	read_number(x, map, path, "max_bytes", 1, BH_FEED_MAX_BYTES, &max_bytes);
	ret->min_entries = (uint64_t)min_entries;
	ret->max_bytes = (uint64_t)max_bytes;
	read_unsigned(x, map, path, "max_shrink_percent", 0, 100, &ret->max_shrink_percent);
	read_unsigned(x, map, path, "max_growth_percent", 0, 1000000, &ret->max_growth_percent);
	read_unsigned(x, map, path, "max_rejected_percent", 1, 100, &ret->max_rejected_percent);
	read_unsigned(x, map, path, "widest_ipv4", 1, 32, &ret->widest4);
	read_unsigned(x, map, path, "widest_ipv6", 1, 128, &ret->widest6);
	read_unsigned(x, map, path, "min_confidence", 0, 127, &ret->min_confidence);
}

static void read_way(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_feed_conf *ret)
{
	bh_autofree char *interval = NULL, *timeout = NULL, *headers = NULL, *proxy = NULL,
			 *ca = NULL;
	const struct bh_node *n;
	const char *s;
	if ((n = conf_field(map, path, "interval", false, &interval)))
		conf_duration(x, n, interval, INTERVAL_MAX_DAYS, &ret->interval_s);
	if ((n = conf_field(map, path, "timeout", false, &timeout)))
		conf_duration(x, n, timeout, 1, &ret->timeout_s);
	if ((n = conf_field(map, path, "headers_file", false, &headers)))
		conf_path(x, n, headers, &ret->headers_file);
	if ((n = conf_field(map, path, "ca_file", false, &ca)))
		conf_path(x, n, ca, &ret->ca_file);
	if ((n = conf_field(map, path, "proxy", false, &proxy)) &&
		bh_read_string(&x->r, n, proxy, &s) == 0)
		ret->proxy = bh_xstrdup(s);
}

/* Indexes of what is chosen; 0 is the default. */
static int read_choice(struct conf_ctx *x, const struct bh_node *map, const char *path,
	const char *key, const char *const *names)
{
	bh_autofree char *at = NULL;
	const struct bh_node *n = conf_field(map, path, key, false, &at);
	int i = n ? conf_choice(x, n, at, names) : 0;
	return i > 0 ? i : 0;
}

static void read_feed(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_feed_conf *ret)
{
	static const char *const keys[] = {"name", "url", "format", "action", "direction",
		"special", "interval", "min_entries", "max_shrink_percent", "max_growth_percent",
		"max_rejected_percent", "widest_ipv4", "widest_ipv6", "min_confidence",
		"headers_file", "proxy", "ca_file", "timeout", "max_bytes", NULL};
	static const char *const actions[] = {"block", "alert", NULL};
	static const char *const directions[] = {"both", "in", "out", NULL};
	static const uint8_t mask[] = {BH_FEED_BOTH, BH_FEED_IN, BH_FEED_OUT};
	bh_autofree char *name = NULL, *url = NULL, *special = NULL;
	const struct bh_node *n;

	*ret = (struct bh_feed_conf){.interval_s = 3600,
		.min_entries = 1,
		.max_shrink_percent = 90,
		.max_growth_percent = 1000,
		.max_rejected_percent = 50,
		.widest4 = BH_FEED_WIDEST_V4,
		.widest6 = BH_FEED_WIDEST_V6,
		.timeout_s = 300};
	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "name", false, &name)))
		read_name(x, n, name, &ret->name);
	else
		bh_read_error(&x->r, map, path, NULL, "name is missing");
	if ((n = conf_field(map, path, "url", false, &url)))
		read_url(x, n, url, &ret->url);
	else
		bh_read_error(&x->r, map, path, NULL, "url is missing");
	ret->format =
		bh_xstrdup(bh_feed_formats[read_choice(x, map, path, "format", bh_feed_formats)]);
	ret->alert_only = read_choice(x, map, path, "action", actions) == 1;
	ret->directions = mask[read_choice(x, map, path, "direction", directions)];
	if ((n = conf_field(map, path, "special", false, &special)))
		bh_read_bool(&x->r, n, special, &ret->special);
	read_guards(x, map, path, ret);
	read_way(x, map, path, ret);
}

void conf_read_feeds(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > FEEDS_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d feeds", FEEDS_MAX);
		return;
	}
	struct bh_feed_conf *f = x->c->feeds = bh_xcalloc(n->n, sizeof(*f));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		read_feed(x, n->child[i], item, &f[i]);
		x->c->n_feeds++;
		for (size_t k = 0; k < i; k++)
			if (f[k].name && f[i].name && strcmp(f[k].name, f[i].name) == 0) {
				bh_read_error(&x->r, n->child[i], item, "names must differ",
					"the feed \"%s\" stands twice", f[i].name);
				break;
			}
	}
}
