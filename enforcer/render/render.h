/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An audit record (JSON in the Elastic Common Schema, one line) in the form that a receiver reads:
 * OCSF 1.3 (Network Activity 4001, Entity Management 3004, Application Lifecycle 6002), CEF 0, and
 * as a message of RFC 5424. Takes any JSON object and says of it what it can.
 */
#pragma once

#include <bulkhead/util.h>
#include <jansson.h>

enum bh_render_format { BH_RENDER_ECS, BH_RENDER_OCSF, BH_RENDER_CEF };
extern const char *const bh_render_names[]; /* "ecs", "ocsf", "cef", NULL */

/* One line without newline. `line` is the record as it stands in the log, which ECS gives back byte
 * for byte; rec is the same parsed. Owned. */
char *bh_render(enum bh_render_format f, const char *line, size_t len, const json_t *rec);
json_t *bh_render_ocsf(const json_t *rec);
char *bh_render_cef(const json_t *rec);

/* The message of RFC 5424 around a body: facility log audit (13), the record's time, host, action
 * (as MSGID) and severity. Without framing. */
void bh_render_syslog(const json_t *rec, const char *body, uint32_t pid, struct bh_buf *out);
/* Fields for journald's native protocol (systemd.journal-fields): MESSAGE, PRIORITY, … */
void bh_render_journal(const json_t *rec, struct bh_buf *out);

/* "a.b.c" in nested objects; NULL if it is not there. Borrowed. */
const json_t *bh_render_at(const json_t *rec, const char *path);
const char *bh_render_str(const json_t *rec, const char *path);
json_int_t bh_render_num(const json_t *rec, const char *path); /* 0 if it is none */
/* RFC 3339 with microseconds → ms since the epoch; 0 if it is none. */
int64_t bh_render_ms(const char *time);
int bh_render_syslog_severity(const json_t *rec); /* 2 critical … 6 informational */
/* One sentence for people. */
void bh_render_sentence(const json_t *rec, struct bh_buf *out);
