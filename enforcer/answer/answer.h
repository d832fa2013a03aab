/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks over the API, and what it is answered. */
#pragma once

#include <bulkhead/diag.h>
#include <jansson.h>

struct bh_core_actor { /* SO_PEERCRED of the API's peer */
	uint32_t uid, gid;
	int32_t pid;
};

/* An answer: HTTP status and exactly one of json (owned) or text (owned). */
struct bh_answer {
	int status;
	json_t *json;
	char *text;
	const char *content_type; /* of text; static */
};
/* Each takes json or text. */
struct bh_answer bh_answer_json(int status, json_t *json);
struct bh_answer bh_answer_text(int status, const char *content_type, char *text);
/* {"error": "…"} and, if given, "diagnostics": [{file,line,column,path,what,remedy,severity}]. */
struct bh_answer bh_answer_error(int status, const struct bh_diags *diags, const char *fmt, ...)
	BH_PRINTF(3, 4);
