/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by curl.c (the multi handle on the loop) and curl_request.c (one transfer). */
#pragma once

#include <curl/curl.h>

#include "http/http.h"

#define BH_HTTP_DEFAULT_MAX (16u << 20)
#define BH_HTTP_MAX_HEADERS (256u << 10)
#define BH_HTTP_MAX_ERROR_BODY 4096u

/*
 * libcurl forbids adding and removing transfers from within its callbacks (it answers
 * CURLM_RECURSIVE_API_CALL), so what users do there is only noted in `state` and carried out by
 * settle() in curl.c once libcurl has returned.
 */
enum bh_http_state {
	BH_HTTP_NEW, /* to be handed to libcurl */
	BH_HTTP_RUNNING, /* libcurl has it */
	BH_HTTP_CANCELLED, /* to be taken back from libcurl, without a callback */
	BH_HTTP_DONE, /* done() is being called; freed after it */
};

struct bh_http_request {
	struct bh_http *http;
	struct bh_http_request *prev, *next;
	enum bh_http_state state;
	CURL *easy;
	struct curl_slist *headers;
	int (*data)(const char *p, size_t n, void *arg);
	void (*opened)(void *arg);
	void (*done)(const struct bh_http_result *r, void *arg);
	void *arg;
	size_t max_bytes, header_bytes;
	int fail; /* −errno that goes before libcurl's own code; 0 = none */
	bool opened_called;
	struct bh_buf body;
	char *content_type, *etag, *last_modified;
	const char *const *keep;
	char *kept[BH_HTTP_MAX_KEPT];
	char error[CURL_ERROR_SIZE];
};

/* A transfer that libcurl does not have yet. −EINVAL or −ENOMEM when libcurl refuses an option. */
int bh_http_request_new(const struct bh_http_opts *opts,
	int (*data)(const char *p, size_t n, void *arg), struct bh_http_request **ret);
/* Calls done() with what came of it. */
void bh_http_request_report(struct bh_http_request *r, CURLcode code);
void bh_http_request_free(struct bh_http_request *r);
