/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One HTTP transfer: its options, what is kept of the answer, and the translation of libcurl's
 * result. The other end is not trusted: body and headers are bounded, and only http and https are
 * spoken, so that neither a URL nor a redirect can reach a file or another protocol.
 */
#include "http/curl_private.h"

#include <errno.h>
#include <strings.h>

#include "http/headers.h"

static void forget_headers(struct bh_http_request *r)
{
	free(r->content_type);
	free(r->etag);
	free(r->last_modified);
	r->content_type = r->etag = r->last_modified = NULL;
	for (size_t i = 0; i < BH_HTTP_MAX_KEPT; i++)
		free(BH_TAKE_PTR(r->kept[i]));
}

static void keep_header(const char *line, size_t n, const char *name, char **ret)
{
	size_t len = strlen(name);
	if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
		return;
	const char *v = line + len + 1, *end = line + n;
	while (v < end && (*v == ' ' || *v == '\t'))
		v++;
	while (end > v && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	free(*ret);
	*ret = bh_xstrndup(v, (size_t)(end - v));
}

static bool successful(struct bh_http_request *r)
{
	long status = 0;
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct bh_http_request *r = arg;
	(void)size; /* always 1 */
	if (r->state != BH_HTTP_RUNNING)
		return 0;
	r->header_bytes += n;
	if (r->header_bytes > BH_HTTP_MAX_HEADERS) {
		r->fail = -EFBIG;
		return 0;
	}
	if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		forget_headers(r); /* of an interim answer or a redirect */
	keep_header(p, n, "content-type", &r->content_type);
	keep_header(p, n, "etag", &r->etag);
	keep_header(p, n, "last-modified", &r->last_modified);
	for (size_t i = 0; r->keep && i < BH_HTTP_MAX_KEPT && r->keep[i]; i++)
		keep_header(p, n, r->keep[i], &r->kept[i]);
	bool end = n > 0 && (p[0] == '\r' || p[0] == '\n');
	if (end && r->opened && !r->opened_called && successful(r)) {
		r->opened_called = true;
		r->opened(r->arg);
	}
	return r->state == BH_HTTP_RUNNING ? n : 0;
}

static size_t on_stream(struct bh_http_request *r, const char *p, size_t n)
{
	if (!successful(r)) {
		size_t room = BH_HTTP_MAX_ERROR_BODY - r->body.len;
		bh_buf_add(&r->body, p, n < room ? n : room);
		return n;
	}
	if (r->data(p, n, r->arg) != 0)
		r->fail = -ECANCELED;
	return r->fail || r->state != BH_HTTP_RUNNING ? 0 : n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct bh_http_request *r = arg;
	(void)size;
	if (n == 0)
		return 0;
	/* A count other than n makes libcurl stop with CURLE_WRITE_ERROR. */
	if (r->state != BH_HTTP_RUNNING)
		return 0;
	if (r->data)
		return on_stream(r, p, n);
	if (n > r->max_bytes - r->body.len) {
		r->fail = -EFBIG;
		return 0;
	}
	bh_buf_add(&r->body, p, n);
	return n;
}

static CURLcode set_times(CURL *e, const struct bh_http_opts *o)
{
	CURLcode c = curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, o->timeout_ms);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
			o->connect_timeout_ms ? o->connect_timeout_ms : 10000L);
	if (!c && o->idle_timeout_s) {
		c = curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
		if (!c)
			c = curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, o->idle_timeout_s);
	}
	return c;
}

static CURLcode set_address(CURL *e, const struct bh_http_opts *o)
{
	CURLcode c = curl_easy_setopt(e, CURLOPT_URL, o->url);
	if (!c)
		c = curl_easy_setopt(
			e, CURLOPT_PROTOCOLS_STR, o->unix_socket ? "http" : "http,https");
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR,
			strncasecmp(o->url, "https:", 6) == 0 ? "https" : "http,https");
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, o->follow ? 1L : 0L);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_MAXREDIRS, 3L);
	if (c || !o->unix_socket)
		return c ? c : curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
	c = curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
	/* http_proxy in the environment must not divert what is meant for a socket. */
	return c ? c : curl_easy_setopt(e, CURLOPT_PROXY, "");
}

static CURLcode set_method(CURL *e, const struct bh_http_opts *o)
{
	CURLcode c = CURLE_OK;
	if (o->http2)
		c = curl_easy_setopt(
			e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	/* Each its own connection: libcurl 7.88 takes one that the peer has closed for a good one
	 * (and fails), and a stream that breaks would take others of its connection with it. */
	if (!c && o->http2)
		c = curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	if (!c && o->http2)
		c = curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	if (c || !o->body)
		return c;
	if (o->body_len == 0)
		return curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "POST");
	c = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
	return c ? c : curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, o->body);
}

static CURLcode set_way(CURL *e, const struct bh_http_opts *o)
{
	CURLcode c = CURLE_OK;
	if (o->proxy && !o->unix_socket)
		c = curl_easy_setopt(e, CURLOPT_PROXY, o->proxy);
	if (c || !o->ca_pem)
		return c;
	struct curl_blob b = {(void *)o->ca_pem, strlen(o->ca_pem), CURL_BLOB_COPY};
	c = curl_easy_setopt(e, CURLOPT_CAINFO_BLOB, &b);
	return c ? c : curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* instead, not as well */
}

static CURLcode set_callbacks(CURL *e, struct bh_http_request *r)
{
	CURLcode c = curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->error);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	if (!c)
		c = curl_easy_setopt(e, CURLOPT_USERAGENT, "bulkhead/" BH_VERSION);
	if (!c && !r->data)
		c = curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)r->max_bytes);
	return c;
}

static int add_line(const char *line, void *arg)
{
	struct bh_http_request *r = arg;
	struct curl_slist *l = curl_slist_append(r->headers, line);
	if (!l)
		return -ENOMEM;
	r->headers = l;
	return 0;
}

int bh_http_request_new(const struct bh_http_opts *opts,
	int (*data)(const char *p, size_t n, void *arg), struct bh_http_request **ret)
{
	struct bh_http_request *r = bh_xcalloc(1, sizeof(*r));
	r->data = data;
	r->opened = opts->opened;
	r->keep = opts->keep;
	r->max_bytes = opts->max_bytes ? opts->max_bytes : BH_HTTP_DEFAULT_MAX;
	r->easy = curl_easy_init();
	int err = r->easy ? 0 : -ENOMEM;
	if (!err)
		err = bh_http_each_header(opts, add_line, r);
	if (!err && (set_address(r->easy, opts) || set_way(r->easy, opts) ||
			    set_method(r->easy, opts) || set_times(r->easy, opts) ||
			    set_callbacks(r->easy, r) ||
			    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers)))
		err = -EINVAL;
	if (err) {
		bh_http_request_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

static int os_error(struct bh_http_request *r, int otherwise)
{
	long e = 0;
	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &e);
	return e > 0 ? -(int)e : otherwise;
}

static int to_errno(struct bh_http_request *r, CURLcode code)
{
	if (r->fail)
		return r->fail;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		return os_error(r, -ECONNREFUSED);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_FILESIZE_EXCEEDED:
		return -EFBIG;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return os_error(r, -ECONNRESET);
	case CURLE_GOT_NOTHING:
		return -ECONNRESET;
	case CURLE_TOO_MANY_REDIRECTS:
		return -ELOOP;
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EPROTONOSUPPORT;
	case CURLE_URL_MALFORMAT:
		return -EINVAL;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	default:
		return -EPROTO;
	}
}

static const char *words(struct bh_http_request *r, int err, CURLcode code)
{
	if (!err)
		return "";
	if (err == -EFBIG)
		return "the answer is larger than allowed";
	if (r->fail)
		return strerror(-r->fail);
	return r->error[0] ? r->error : curl_easy_strerror(code);
}

void bh_http_request_report(struct bh_http_request *r, CURLcode code)
{
	int err = to_errno(r, code);
	struct bh_http_result res = {
		.err = err,
		.message = words(r, err, code),
		.body = r->body.s ? r->body.s : "",
		.len = r->body.len,
		.content_type = r->content_type,
		.etag = r->etag,
		.last_modified = r->last_modified,
	};
	memcpy(res.kept, r->kept, sizeof(res.kept));
	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &res.status);
	r->done(&res, r->arg);
}

void bh_http_request_free(struct bh_http_request *r)
{
	if (r->easy)
		curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	forget_headers(r);
	bh_buf_finish(&r->body);
	free(r);
}
