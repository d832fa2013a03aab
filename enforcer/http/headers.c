/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See headers.h. */
#include "http/headers.h"

#include <errno.h>

struct told {
	int (*fn)(const char *line, void *arg);
	void *arg;
};

/* A line break inside a value would add a header of its own. */
static int tell_line(const struct told *t, const char *line)
{
	return line[strcspn(line, "\r\n")] ? -EINVAL : t->fn(line, t->arg);
}

static int tell(const struct told *t, const char *name, const char *value)
{
	if (!value)
		return 0;
	bh_autofree char *line = bh_xasprintf("%s: %s", name, value);
	return tell_line(t, line);
}

int bh_http_each_header(
	const struct bh_http_opts *o, int (*fn)(const char *line, void *arg), void *arg)
{
	const struct told t = {fn, arg};
	int err = tell(&t, "If-None-Match", o->if_none_match);
	if (!err)
		err = tell(&t, "If-Modified-Since", o->if_modified_since);
	if (!err && o->body)
		err = tell(&t, "Content-Type", o->body_type);
	/* gRPC's servers want to be told (RFC 9110, 10.1.4). */
	if (!err && o->http2 && o->keep)
		err = tell(&t, "TE", "trailers");
	for (size_t i = 0; !err && o->headers && o->headers[i]; i++)
		err = tell_line(&t, o->headers[i]);
	return err;
}
