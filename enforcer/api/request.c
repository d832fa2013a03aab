/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request: whether it may be asked at all is decided when its headers are there, before any of
 * its body is kept; then the body is collected, parsed, and the route's function answers. Each
 * connection carries one request, so that its lifetime bounds it.
 */
#include <errno.h>

#include "api/private.h"

struct request {
	const struct bh_api_route *route;
	char *segment[2];
	struct bh_buf body;
	size_t received;
	bool too_large;
};

static struct MHD_Response *make_response(struct bh_answer *answer)
{
	char *text = answer->text;
	const char *type = answer->content_type;
	bool ours = false;

	if (answer->json) {
		text = json_dumps(answer->json, JSON_COMPACT);
		json_decref(answer->json);
		type = "application/json";
		ours = true;
	}
	if (!text)
		return NULL;
	size_t len = strlen(text);
	if (ours) {
		text = bh_xrealloc(text, len + 2, 1);
		memcpy(text + len++, "\n", 2);
	}
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type ? type : "text/plain");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	return r;
}

static enum MHD_Result respond(struct MHD_Connection *c, struct bh_answer answer, const char *allow)
{
	struct MHD_Response *r = make_response(&answer);
	if (!r)
		return MHD_NO;
	if (allow)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
	enum MHD_Result ok = MHD_queue_response(c, (unsigned)answer.status, r);
	MHD_destroy_response(r);
	return ok;
}

static struct bh_answer too_large(void)
{
	return bh_answer_error(413, NULL, "the body is larger than %u MiB", BH_API_MAX_BODY >> 20);
}

static struct bh_api_conn *peer(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static bool announced_too_large(struct MHD_Connection *c)
{
	uint64_t n;
	const char *s = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
	return s && bh_parse_u64(s, BH_API_MAX_BODY, &n) == -ERANGE;
}

/* Bytes of a path that may be printed back in an error. */
static char *printable(const char *s)
{
	struct bh_buf b = {0};
	for (; *s && b.len < 80; s++)
		bh_buf_add(&b, *s > 0x20 && *s < 0x7f ? s : "?", 1);
	return bh_buf_take(&b);
}

/* Headers are there. Refuses what can be refused already; *ret_response says whether it did. */
static enum MHD_Result begin(struct MHD_Connection *c, const char *url, const char *method,
	struct request *r, bool *ret_responded)
{
	char bh_autofree *allow = NULL;
	const struct bh_api_conn *who = peer(c);

	*ret_responded = true;
	r->route = bh_api_route_find(method, url, r->segment, &allow);
	char bh_autofree *shown = printable(url);
	if (!r->route && !allow)
		return respond(c, bh_answer_error(404, NULL, "there is no %s here", shown), NULL);
	if (!r->route)
		return respond(
			c, bh_answer_error(405, NULL, "%s knows only %s", shown, allow), allow);
	if (r->route->changes && (!who || !who->known || who->who.uid != 0))
		return respond(c,
			bh_answer_error(403, NULL,
				"only root may change things: use sudo (reading needs no more than "
				"access to the socket)"),
			NULL);
	if (announced_too_large(c))
		return respond(c, too_large(), NULL);
	char bh_autofree *complaint = bh_api_route_check_query(r->route, c);
	if (complaint)
		return respond(c, bh_answer_error(400, NULL, "%s", complaint), NULL);
	*ret_responded = false;
	return MHD_YES;
}

static enum MHD_Result collect(struct request *r, const char *data, size_t *size)
{
	r->received += *size;
	if (r->received > BH_API_MAX_DRAIN)
		return MHD_NO;
	if (r->received > BH_API_MAX_BODY) {
		r->too_large = true;
		bh_buf_finish(&r->body);
	} else if (r->route->body) {
		bh_buf_add(&r->body, data, *size);
	}
	*size = 0;
	return MHD_YES;
}

/* Its peer has been hung up on meanwhile. */
static bool is_late(const struct bh_api *a, const struct bh_api_conn *c)
{
	return uv_now(a->loop) - c->started >= bh_api_limits.lifetime_ms;
}

static struct bh_answer call(struct bh_api *a, struct MHD_Connection *c, struct request *r)
{
	struct bh_api_call args = {
		.mhd = c, .who = peer(c)->who, .segment = {r->segment[0], r->segment[1]}};
	json_error_t error;

	if (!r->route->body)
		return r->route->fn(a->core, &args);
	json_t *body = r->body.len == 0 && r->route->may_be_empty
			       ? json_object()
			       : json_loadb(r->body.s ? r->body.s : "", r->body.len,
					 JSON_REJECT_DUPLICATES, &error);
	bh_buf_finish(&r->body); /* two copies are enough */
	if (!body)
		return bh_answer_error(400, NULL, "the body is not JSON: line %d, column %d: %s",
			error.line, error.column, error.text);
	if (!json_is_object(body)) {
		json_decref(body);
		return bh_answer_error(400, NULL, "the body must be a JSON object");
	}
	args.body = body;
	struct bh_answer answer = r->route->fn(a->core, &args);
	json_decref(body);
	return answer;
}

enum MHD_Result bh_api_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version BH_UNUSED, const char *data, size_t *size,
	void **state)
{
	struct bh_api *a = cls;
	struct request *r = *state;
	struct bh_api_conn *who = peer(c);
	bool responded;

	if (!r) {
		*state = r = bh_xcalloc(1, sizeof(*r));
		return begin(c, url, method, r, &responded);
	}
	if (!r->route)
		return MHD_NO;
	if (*size > 0)
		return collect(r, data, size);
	if (r->too_large)
		return respond(c, too_large(), NULL);
	if (!who || is_late(a, who))
		return MHD_NO;
	if (!bh_api_turn(a, who, c))
		return MHD_YES;
	uint64_t began = uv_hrtime();
	enum MHD_Result ok = respond(c, call(a, c, r), NULL);
	bh_api_turn_over(a, who, began);
	return ok;
}

void bh_api_request_done(void *cls BH_UNUSED, struct MHD_Connection *c BH_UNUSED, void **state,
	enum MHD_RequestTerminationCode why BH_UNUSED)
{
	struct request *r = BH_TAKE_PTR(*state);
	if (!r)
		return;
	bh_buf_finish(&r->body);
	free(r->segment[0]);
	free(r->segment[1]);
	free(r);
}
