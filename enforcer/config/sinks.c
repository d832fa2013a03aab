/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `audit.sinks`: where else records go. */
#include <errno.h>

#include "config/private.h"

#define SINKS_MAX 8
#define JOURNALD_SOCKET "/run/systemd/journal/socket"

static void read_name(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret)
{
	const char *s;
	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	size_t len = strlen(s);
	if (len == 0 || len > 32 || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != len) {
		bh_read_error(&x->r, n, path, "lower case letters, digits and '-', at most 32",
			"is not the name of a sink");
		return;
	}
	*ret = bh_xstrdup(s);
}

/* "HOST:PORT" */
static bool is_host_port(const char *s)
{
	const char *colon = strrchr(s, ':');
	uint64_t port;
	return colon && colon > s && bh_parse_u64(colon + 1, 65535, &port) == 0 && port > 0 &&
	       strcspn(s, " /\t") == strlen(s);
}

static void read_to(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_sink_conf *ret)
{
	static const struct {
		const char *prefix;
		enum bh_sink_kind kind;
	} kinds[] = {{"unix:", BH_SINK_UNIX}, {"tcp://", BH_SINK_TCP}, {"tls://", BH_SINK_TLS}};
	const char *s;

	if (bh_read_string(&x->r, n, path, &s) < 0)
		return;
	if (bh_streq(s, "journald")) {
		ret->kind = BH_SINK_JOURNALD;
		ret->address = bh_xstrdup(JOURNALD_SOCKET);
		return;
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(kinds); i++) {
		const char *rest = s + strlen(kinds[i].prefix);
		if (strncmp(s, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
			continue;
		ret->kind = kinds[i].kind;
		if (ret->kind == BH_SINK_UNIX ? rest[0] == '/' && strlen(rest) < 108
					      : is_host_port(rest)) {
			ret->address = bh_xstrdup(rest);
			return;
		}
	}
	bh_read_error(&x->r, n, path, "unix:/PATH, tcp://HOST:PORT, tls://HOST:PORT or journald",
		"is not where records can go");
}

static void read_sink(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_sink_conf *ret)
{
	static const char *const keys[] = {"name", "to", "format", "ca", NULL};
	bh_autofree char *name = NULL, *to = NULL, *format = NULL, *ca = NULL;
	const struct bh_node *n;

	if (bh_read_map(&x->r, map, path) < 0)
		return;
	bh_read_known_keys(&x->r, map, path, keys);
	if ((n = conf_field(map, path, "name", false, &name)))
		read_name(x, n, name, &ret->name);
	else
		bh_read_error(&x->r, map, path, NULL, "name is missing");
	if ((n = conf_field(map, path, "to", false, &to)))
		read_to(x, n, to, ret);
	else
		bh_read_error(&x->r, map, path, NULL, "to is missing");
	if ((n = conf_field(map, path, "format", false, &format))) {
		int i = conf_choice(x, n, format, bh_render_names);
		if (i > 0)
			ret->format = (enum bh_render_format)i;
	}
	if ((n = conf_field(map, path, "ca", false, &ca))) {
		if (ret->kind != BH_SINK_TLS)
			bh_read_error(&x->r, n, ca, NULL, "is for tls:// only");
		else
			conf_path(x, n, ca, &ret->ca);
	}
}

void conf_read_sinks(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > SINKS_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d sinks", SINKS_MAX);
		return;
	}
	x->c->sinks = bh_xcalloc(n->n, sizeof(*x->c->sinks));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *place = bh_xasprintf("%s[%zu]", path, i);
		struct bh_sink_conf *s = &x->c->sinks[x->c->n_sinks++];
		read_sink(x, n->child[i], place, s);
		for (size_t k = 0; k < i; k++)
			if (s->name && bh_streq(s->name, x->c->sinks[k].name))
				bh_read_error(&x->r, n->child[i], place, NULL,
					"another sink has the name %s", s->name);
	}
}
