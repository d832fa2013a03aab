/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which route a request is for, and whether it asks for what that knows. */
#include "api/private.h"

/* Does url match the pattern? The segments of its "*" go to seg (owned). */
static bool matches(const char *pattern, const char *url, char *seg[2])
{
	char *found[2] = {NULL, NULL};
	size_t n = 0;

	while (*pattern && *url) {
		if (*pattern == '*' && n < 2) {
			size_t len = strcspn(url, "/");
			if (len == 0)
				break;
			found[n++] = bh_xstrndup(url, len);
			url += len;
			pattern++;
		} else if (*pattern++ != *url++) {
			pattern = "x"; /* no match */
			break;
		}
	}
	if (*pattern || *url) {
		free(found[0]);
		free(found[1]);
		return false;
	}
	seg[0] = found[0];
	seg[1] = found[1];
	return true;
}

const struct bh_api_route *bh_api_route_find(
	const char *method, const char *url, char *segment[2], char **ret_allow)
{
	const char *wanted = bh_streq(method, "HEAD") ? "GET" : method;
	struct bh_buf allow = {0};

	for (size_t i = 0; i < bh_api_n_routes; i++) {
		char *seg[2] = {NULL, NULL};
		if (!matches(bh_api_routes[i].path, url, seg))
			continue;
		if (bh_streq(bh_api_routes[i].method, wanted)) {
			segment[0] = seg[0];
			segment[1] = seg[1];
			bh_buf_finish(&allow);
			return &bh_api_routes[i];
		}
		free(seg[0]);
		free(seg[1]);
		bh_buf_printf(&allow, "%s%s", allow.len ? ", " : "", bh_api_routes[i].method);
		if (bh_streq(bh_api_routes[i].method, "GET"))
			bh_buf_str(&allow, ", HEAD");
	}
	*ret_allow = allow.len ? bh_buf_take(&allow) : NULL;
	return NULL;
}

struct query_check {
	const struct bh_api_route *route;
	unsigned seen; /* bit i: query[i] */
	char *complaint;
};

static enum MHD_Result check_one(void *cls, enum MHD_ValueKind kind BH_UNUSED, const char *key,
	size_t key_len, const char *value, size_t value_len)
{
	struct query_check *q = cls;

	for (size_t i = 0; i < BH_ARRAY_SIZE(q->route->query) && q->route->query[i]; i++) {
		const char *name = q->route->query[i];
		if (strlen(name) != key_len || memcmp(name, key, key_len) != 0)
			continue;
		if (q->seen & 1u << i)
			q->complaint = bh_xasprintf("the parameter %s is given twice", name);
		else if (!value)
			q->complaint = bh_xasprintf("the parameter %s has no value", name);
		else if (memchr(value, '\0', value_len))
			q->complaint = bh_xasprintf("the parameter %s contains a NUL", name);
		q->seen |= 1u << i;
		return q->complaint ? MHD_NO : MHD_YES;
	}
	struct bh_buf b = {0};
	for (size_t i = 0; i < key_len && i < 40; i++)
		bh_buf_add(&b, key[i] > 0x20 && key[i] < 0x7f ? key + i : "?", 1);
	char bh_autofree *shown = bh_buf_take(&b);
	q->complaint = bh_xasprintf("unknown parameter %s", shown);
	return MHD_NO;
}

char *bh_api_route_check_query(const struct bh_api_route *r, struct MHD_Connection *c)
{
	struct query_check q = {.route = r};
	MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, check_one, &q);
	return q.complaint;
}
