/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the readers of the formats share: a text from a stranger, what was read of it, and how to
 * say what could not be read. Pure. Each format is a function that goes through the text once and
 * hands addresses to bh_reader_item(); it never allocates by what the text claims, only by what it
 * holds, and at most BH_FEED_MAX_INDICATORS.
 */
#pragma once

#include "feeds/internal.h"

struct bh_reader {
	const struct bh_feed_read_opts *opts;
	struct bh_diags *diags; /* may be NULL */
	struct bh_feed_text *out;
	const char *text, *end; /* what is left */
	uint32_t line; /* of what is being read, from 1 */
	size_t corrected; /* CIDRs with host bits */
	size_t other; /* indicators that are no addresses, or not wanted: no fault of the feed's */
	const char *other_example; /* what the first of them was; a constant */
	const char *refusal; /* why the whole text is refused; NULL: it is not */
};

/* 0, or −EINVAL with r->refusal set. */
typedef int (*bh_format_fn)(struct bh_reader *r);

/* lines.c. The next line without its end, trimmed; false at the end of the text. */
bool bh_reader_line(struct bh_reader *r, const char **ret_s, size_t *ret_n);
void bh_reader_trim(const char **s, size_t *n);
bool bh_reader_blank(char c);
/* The next field up to `sep`, trimmed and without its quotation marks; false when none is left. */
bool bh_reader_field(const char **s, size_t *n, char sep, const char **ret_f, size_t *ret_n);
/* Length without the comment (#, ; or //). */
size_t bh_reader_uncomment(const char *s, size_t n);
/* "NAME: VALUE", "NAME = VALUE" in a comment: credit, date, how many entries. */
void bh_reader_header(struct bh_reader *r, const char *s, size_t n);
bool bh_text_is(const char *s, size_t n, const char *word); /* ASCII, in any case */
/* Decimal, all of it; −1: it is no such number. */
int64_t bh_text_number(const char *s, size_t n);

/* item.c. One indicator as text: address, CIDR, dotted mask or range. Counts the line. expires: s
 * since the epoch, 0 = never; one in the past is left out without complaint. */
void bh_reader_item(struct bh_reader *r, const char *s, size_t n, int64_t expires);
void bh_reader_range(struct bh_reader *r, const char *s, size_t n, const struct bh_range *range,
	int64_t expires);
/* Like bh_reader_item, of what the feed takes back (r->out->removed). */
void bh_reader_remove(struct bh_reader *r, const char *s, size_t n);
/* Something that held no address: counted, and reported with its line. */
void bh_reader_reject(struct bh_reader *r, const char *s, size_t n, const char *why);
/* Something that is right but not for us (a domain, a decision on a country). what: constant. */
void bh_reader_other(struct bh_reader *r, const char *what);
int bh_reader_refuse(struct bh_reader *r, const char *why); /* −EINVAL */
/* How many more there were than were reported one by one. */
void bh_reader_report_rest(struct bh_reader *r);
/* "ADDRESS:PORT", "[ADDRESS]:PORT", or without a port. threatfox.c */
void bh_reader_socket(struct bh_reader *r, const char *s, int64_t expires);

/* time.c; bh_text_time is in feeds.h. */
/* Go's time.Duration as text ("3h59m57.2s", "-1m"): whole seconds, rounded towards zero, within
 * ±100 years; −EINVAL. */
int bh_text_duration(const char *s, size_t n, int64_t *ret);

/* --- json.c: a pull parser that allocates nothing --- */
enum bh_json_kind {
	BH_JSON_ERROR, /* `error` says what; it stays so */
	BH_JSON_END, /* of the text, between documents */
	BH_JSON_OBJECT,
	BH_JSON_OBJECT_END,
	BH_JSON_ARRAY,
	BH_JSON_ARRAY_END,
	BH_JSON_KEY, /* s, n */
	BH_JSON_STRING, /* s, n */
	BH_JSON_NUMBER, /* s, n: as written */
	BH_JSON_TRUE,
	BH_JSON_FALSE,
	BH_JSON_NULL,
};
#define BH_JSON_DEPTH 64
#define BH_JSON_TEXT_MAX 1024 /* bytes of a string with escapes; the rest is cut off */
struct bh_json {
	const char *p, *end;
	uint32_t line;
	unsigned depth;
	uint8_t state[BH_JSON_DEPTH + 1];
	enum bh_json_kind kind; /* of the token read last */
	const char *s; /* its text, not NUL-terminated; until the next call */
	size_t n;
	const char *error;
	char buf[BH_JSON_TEXT_MAX];
};
void bh_json_init(struct bh_json *j, const char *text, size_t len, uint32_t line);
/* RFC 8259, several documents after each other allowed. */
enum bh_json_kind bh_json_next(struct bh_json *j);
/* The token read last began a value: go to its end. False on an error. */
bool bh_json_skip(struct bh_json *j);
/* After a key: skips its value. */
bool bh_json_skip_value(struct bh_json *j);
bool bh_json_is(const struct bh_json *j, const char *text); /* the last token's text, exactly */
/* After a key: its value as text, cut to `size`, "" for null and containers, "true", "false". */
enum bh_json_kind bh_json_text(struct bh_json *j, char *buf, size_t size);
int bh_reader_refuse_json(struct bh_reader *r, const struct bh_json *j);

/* --- the formats --- */
int bh_format_plain(struct bh_reader *r);
int bh_format_spamhaus(struct bh_reader *r);
int bh_format_feodo(struct bh_reader *r);
int bh_format_threatfox(struct bh_reader *r);
int bh_format_dshield(struct bh_reader *r);
int bh_format_alienvault(struct bh_reader *r);
int bh_format_iprep(struct bh_reader *r);
int bh_format_misp(struct bh_reader *r);
int bh_format_stix(struct bh_reader *r);
int bh_format_crowdsec(struct bh_reader *r);
/* What keep.c writes of feeds that are not one text: "ADDRESS EXPIRES" a line. */
int bh_format_kept(struct bh_reader *r);
/* detect.c: by the first bytes of the text; never fails, plain if nothing else. */
const char *bh_format_detect(const char *text, size_t len);
