/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking the daemon: HTTP over its unix socket. When it does not answer, the person who asked is
 * told why and what to do about it.
 */
#include <curl/curl.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/cli.h"

#define MAX_REPLY ((size_t)256 << 20)
#define MAX_BODY ((size_t)8 << 20) /* the daemon takes no more */
#define TIMEOUT_S 60L

void cli_reply_finish(struct cli_reply *r)
{
	json_decref(r->json);
	free(r->text);
	*r = (struct cli_reply){0};
}

char *cli_urlencode(const char *s)
{
	struct bh_buf b = {0};
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9') || strchr("-._~", *s);
		bh_buf_printf(&b, plain ? "%c" : "%%%02X", (unsigned char)*s);
	}
	return bh_buf_take(&b);
}

void cli_add_query(const struct cli *cli, const char *const *name, size_t n, struct bh_buf *target)
{
	for (size_t i = 0; i < n; i++) {
		if (!cli->opt[i])
			continue;
		char bh_autofree *value = cli_urlencode(cli->opt[i]);
		bh_buf_printf(
			target, "%c%s=%s", strchr(target->s, '?') ? '&' : '?', name[i], value);
	}
}

char *cli_json_text(const json_t *json, size_t flags)
{
	char bh_autofree *text = json_dumps(json, flags);
	struct bh_buf b = {0};
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == 0x7f)
			bh_buf_str(&b, "\\u007f");
		else
			bh_buf_add(&b, p, 1);
	}
	return bh_buf_take(&b);
}

void cli_print_json(const struct cli *cli, const json_t *json)
{
	/* JSON escapes the C0 controls; on a terminal nothing but ASCII is safe without a look. */
	char bh_autofree *text =
		cli_json_text(json, JSON_INDENT(2) | (cli->tty ? JSON_ENSURE_ASCII : 0));
	puts(text);
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct bh_buf *b = arg;
	if (b->len + size * n > MAX_REPLY)
		return 0;
	bh_buf_add(b, data, size * n);
	return size * n;
}

/* Why connecting fails. 0: it does not. */
static int probe(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int bh_autoclose fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, strlen(path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

static CURL *prepare(struct cli *cli, const char *method, const char *url, const char *body,
	struct bh_buf *reply)
{
	CURL *c = curl_easy_init();
	if (!c)
		return NULL;
	curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, cli->socket);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* ".." is a name like others */
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 5L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, cli->timeout_s ? cli->timeout_s : TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, reply);
	if (body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	}
	return c;
}

int cli_try(struct cli *cli, const char *method, const char *target, const json_t *body,
	struct cli_reply *ret)
{
	struct bh_buf bh_autobuf reply = {0};
	char bh_autofree *url = bh_xasprintf("http://bulkhead%s", target);
	char bh_autofree *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	long status = 0;

	if (text && strlen(text) > MAX_BODY) {
		curl_slist_free_all(headers);
		return -EFBIG;
	}
	CURL *c = prepare(cli, method, url, text, &reply);
	if (!c) {
		curl_slist_free_all(headers);
		return -ENOMEM;
	}
	if (text)
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	CURLcode code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		int e = probe(cli->socket);
		return e < 0 ? e : code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EPROTO;
	}
	ret->status = (int)status;
	ret->json = json_loadb(reply.s ? reply.s : "", reply.len, JSON_REJECT_DUPLICATES, NULL);
	ret->text = bh_buf_take(&reply);
	return 0;
}

static int unreachable(const struct cli *cli, int e)
{
	char bh_autofree *path = cli_safe(cli->socket);
	switch (e) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ENOTDIR:
		cli_error("nobody answers at %s", path);
		cli_hint("is bulkheadd running? systemctl start bulkhead");
		return CLI_UNREACHABLE;
	case -EACCES:
	case -EPERM:
		cli_error("no permission to use %s", path);
		cli_hint("use sudo or join the group bulkhead");
		return CLI_UNREACHABLE;
	case -EFBIG:
		cli_error("that is more than the daemon takes at once (8 MiB)");
		return CLI_FAILED;
	case -ETIMEDOUT:
	case -EAGAIN:
		cli_error("bulkheadd at %s does not answer in time", path);
		cli_hint("what is it doing? systemctl status bulkhead; journalctl -u bulkhead");
		return CLI_UNREACHABLE;
	case -EPROTO:
		cli_error("what answers at %s does not speak as bulkheadd does", path);
		cli_hint("is the socket the right one? see --socket");
		return CLI_UNREACHABLE;
	default:
		cli_error("%s: %s", path, strerror(-e));
		return CLI_UNREACHABLE;
	}
}

static void take_remote_diag(const json_t *d)
{
	struct bh_diag diag = {
		.severity = bh_streq(cli_str(d, "severity"), "warning") ? BH_WARNING : BH_ERROR,
		.file = (char *)cli_str(d, "file"),
		.line = (int)cli_num(d, "line"),
		.column = (int)cli_num(d, "column"),
		.path = (char *)cli_str(d, "path"),
		.what = (char *)cli_str(d, "what"),
		.remedy = (char *)cli_str(d, "remedy"),
	};
	if (diag.file && diag.what)
		cli_error_diags(&(struct bh_diags){.item = &diag, .n = 1});
}

/* 400: something in the question is not what it can be, which only the daemon could see. All else
 * (not there, in conflict, not possible) is a no. */
static int refused(const struct cli_reply *r)
{
	const char *error = cli_str(r->json, "error");
	const json_t *list = json_object_get(r->json, "diagnostics"), *d;
	size_t i;

	json_array_foreach(list, i, d) take_remote_diag(d);
	if (error) {
		char bh_autofree *text = cli_safe_lines(error);
		cli_error("%s", text);
	} else {
		cli_error("the daemon answered with status %d", r->status);
	}
	cli_error_http(r->status);
	return r->status == 400 ? CLI_USAGE : CLI_FAILED;
}

int cli_ask(struct cli *cli, const char *method, const char *target, const json_t *body,
	struct cli_reply *ret)
{
	int e = cli_try(cli, method, target, body, ret);
	if (e < 0)
		return unreachable(cli, e);
	return ret->status >= 400 ? refused(ret) : CLI_OK;
}

int cli_get(struct cli *cli, const char *target, struct cli_reply *ret, bool *ret_done)
{
	int r = cli_ask(cli, "GET", target, NULL, ret);
	*ret_done = true;
	if (r != CLI_OK)
		return r;
	if (!json_is_object(ret->json))
		return unreachable(cli, -EPROTO);
	bool yaml = bh_streq(cli->format, "yaml");
	if (cli->json)
		cli_print_json(cli, ret->json);
	else if (yaml)
		cli_print_yaml(ret->json);
	*ret_done = cli->json || yaml;
	return CLI_OK;
}

int cli_print_document(struct cli *cli, const char *target)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_ask(cli, "GET", target, NULL, &r);
	if (e == CLI_OK && cli->json) {
		json_t *o = json_pack("{s:s}", "yaml", r.text);
		cli_print_json(cli, o);
		json_decref(o);
	} else if (e == CLI_OK) {
		fputs(r.text, stdout); /* exactly as it came */
	}
	return e;
}
