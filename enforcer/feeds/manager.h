/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager from inside: feeds.c (all feeds), indexing.c (their index), feed.c (one
 * feed), keep.c (its last good copy). */
#pragma once

#include "feeds/internal.h"

#define BH_SHA256_HEX 65 /* with the NUL */

/* What is kept beside the text of a good copy. Strings are owned; NULL = none. */
struct bh_feed_meta {
	char *url, *etag, *last_modified;
	char *format; /* what the text is to be read as; NULL: as the configuration says */
	char sha256[BH_SHA256_HEX];
	int64_t loaded_at; /* s since the epoch */
};
void bh_feed_meta_finish(struct bh_feed_meta *m);

void bh_feed_sha256(const char *text, size_t len, char ret[static BH_SHA256_HEX]);
/* keep.c: path replaced atomically and synced. 0 or −errno. */
int bh_feed_keep(const char *path, const struct bh_feed_meta *m, const char *text, size_t len);
/* −ENOENT; −EBADMSG when it is damaged or not ours. ret_checked_at: the last time it was found to
 * be what the source still offers. ret_text is owned. */
int bh_feed_kept(const char *path, struct bh_feed_meta *ret, int64_t *ret_checked_at,
	char **ret_text, size_t *ret_len);
void bh_feed_kept_touch(const char *path); /* still what the source offers */

struct bh_file_id { /* tells whether a local file is still the one that was read */
	uint64_t dev, ino, size;
	struct timespec changed, modified;
};

/* Indicators, sorted and immutable: the feed's, and those of an index that is being built. */
struct bh_feed_data {
	int refs; /* the loop's thread only */
	struct bh_indicators ind;
};
struct bh_feed_data *bh_feed_data_new(struct bh_indicators *take); /* NULL: empty */
struct bh_feed_data *bh_feed_data_ref(struct bh_feed_data *d);
void bh_feed_data_unref(struct bh_feed_data *d);

/* job.c */
struct bh_feed_job {
	uv_work_t work;
	struct bh_feed *feed; /* NULL: nobody waits any more */
	bool keep; /* write the copy; else read */
	uint64_t began; /* ns */
	/* One of: a file, a directory, a text. */
	int fd;
	char *dir, *text;
	bool copies; /* the files of `dir` are copies: one that cannot be read is removed */
	size_t len;
	char *path; /* of the file, or of the copy */
	char *name, *format;
	struct bh_feed_read_opts opts; /* name and format are the job's */
	char known[BH_SHA256_HEX]; /* a text with this hash need not be read again */
	struct bh_feed_data *base; /* the text says what changed of this; NULL: it says all. To be
				      kept: written as a list; NULL: the text is kept */
	char *etag, *last_modified;
	struct bh_feed_meta meta; /* keep */
	/* what came of it */
	int rc;
	bool same;
	char *error; /* NULL: see diags */
	struct bh_diags diags;
	struct bh_feed_text out; /* sorted */
	char sha[BH_SHA256_HEX];
	bool as_list; /* to be kept as a list, not as the text */
	const char *kept_format; /* what is kept is to be read as */
};
struct bh_feed_job *bh_feed_job_new(struct bh_feed *f);
void bh_feed_job_free(struct bh_feed_job *j);
void bh_feed_job_start(uv_loop_t *loop, struct bh_feed_job *j); /* takes j; feed->job */
void bh_feed_job_forget(struct bh_feed *f); /* what comes of it is thrown away */
int bh_feed_job_now(struct bh_feed_job *j); /* reads at once, on this thread; j->rc */

struct bh_feed {
	struct bh_feeds *mgr; /* NULL once it was dropped and waits for its handles to close */
	struct bh_feed_conf conf; /* owned copies */
	char *keep_path; /* NULL when the name is not fit for a file name */
	char *shown_url; /* without what is secret in it */
	char *local; /* path; NULL = http(s) */
	uv_timer_t timer; /* the next check */
	uv_fs_event_t watch; /* `local`, or its directory */
	bool in_directory; /* `local` is one */
	int open_handles;
	struct bh_http_request *request;
	struct bh_manifest *manifest; /* whose events are being fetched; NULL: none */
	bool fetching;
	struct bh_file_id file; /* as read last, well or badly */
	bool file_read;

	struct bh_feed_job *job; /* at work for it */
	bool again; /* a check was asked for meanwhile */
	int64_t asked_at; /* when its server was asked last, s since the epoch */
	bool streaming; /* CrowdSec: what is in force follows its stream */
	int64_t full_at; /* when the stream began, s since the epoch */
	int64_t kept_at; /* when the last copy was written */

	struct bh_feed_data *data; /* in force; never NULL */
	char *credit, *dated; /* of what is in force */
	char *format_read;
	struct bh_feed_cut *cuts; /* what was subtracted, the first of it */
	size_t n_cuts;
	struct bh_feed_meta meta; /* of what is in force */
	size_t rejected, subtracted;
	int64_t checked_at, success_at; /* s since the epoch; 0 = never */
	unsigned failures; /* since the last success */
	bool stale;
	char *failure; /* of the last check; NULL = it was good */
	char *note; /* what was odd in the copy in force; may be NULL */
	char *keep_error; /* why the copy in force is not on disk; NULL = it is */
	char *cut; /* what was subtracted; may be NULL */
	char *message; /* those together */
	bool tell_updated, tell_refused; /* events due */
};

/* feed.c. All on the loop. */
struct bh_feed *bh_feed_new(struct bh_feeds *mgr, const struct bh_feed_conf *conf);
void bh_feed_drop(struct bh_feed *f); /* frees itself once the loop has closed its handles */
/* The same feed with another configuration: what is in force stays until the new source answers. */
void bh_feed_reconfigure(struct bh_feed *f, const struct bh_feed_conf *conf);
bool bh_feed_conf_equal(const struct bh_feed_conf *a, const struct bh_feed_conf *b);
uint64_t bh_feed_interval(const struct bh_feed *f); /* s, bounded */
uint64_t bh_feed_min_interval(const struct bh_feed_conf *c); /* s; what its publisher asks for */
/* From the loop's next turn on. False: its publisher was asked too lately. */
bool bh_feed_check_now(struct bh_feed *f);
void bh_feed_check_again(struct bh_feed *f); /* if that was asked for while it was busy */
void bh_feed_check_at_interval(struct bh_feed *f);
void bh_feed_check_again_soon(struct bh_feed *f); /* after a failure that will pass */
/* fetch.c */
void bh_feed_fetch(struct bh_feed *f); /* asks its server */
typedef void bh_feed_fetched(const struct bh_http_result *r, void *feed);
/* One request, whose answer `done` gets; f->request meanwhile. False: it was told as a failure. */
bool bh_feed_ask(
	struct bh_feed *f, const char *url, bool validators, size_t max, bh_feed_fetched *done);
size_t bh_feed_max_bytes(const struct bh_feed_conf *c); /* of all that is fetched at a time */
char *bh_feed_fetch_fault(const struct bh_http_result *r); /* owned; NULL: a text came */
/* Refusals of the server are final until the next interval: asking sooner gets one banned. */
bool bh_feed_fetch_is_passing(const struct bh_http_result *r);
void bh_feed_fetch_over(struct bh_feed *f, bool passing); /* when to ask next */

/* manifest.c: MISP's feeds of many events */
#define BH_MANIFEST_EVENTS_MAX 10000
#define BH_UUID_LEN 36
struct bh_manifest_event {
	char uuid[BH_UUID_LEN + 1];
	int64_t changed; /* s since the epoch */
};
struct bh_manifest_events {
	struct bh_manifest_event *item;
	size_t n, cap;
};
/* Sorted by uuid, each once. NULL, or what is wrong; ret is empty then. */
const char *bh_manifest_read(const char *text, size_t len, struct bh_manifest_events *ret);
void bh_manifest_events_finish(struct bh_manifest_events *e);
bool bh_feed_is_manifest(const struct bh_feed *f); /* by its URL and format */
/* Asks for the events that are new or changed, one after the other; then all are read. */
void bh_feed_manifest_take(struct bh_feed *f, const struct bh_http_result *r);
void bh_feed_manifest_forget(struct bh_feed *f);
/* accept.c */
void bh_feed_compose_message(struct bh_feed *f);
void bh_feed_load_kept(struct bh_feed *f);
/* Hands what a check brought to a job: text is copied. stream: CrowdSec's answer is about what
 * changed. */
void bh_feed_accept(struct bh_feed *f, const char *text, size_t len, const char *etag,
	const char *last_modified, bool stream);
void bh_feed_accept_file(struct bh_feed *f, int fd); /* takes fd */
void bh_feed_accept_directory(struct bh_feed *f);
/* dir: copies of what a server has; one that cannot be read is removed, to be fetched again. */
void bh_feed_accept_copies(
	struct bh_feed *f, const char *dir, const char *etag, const char *last_modified);
void bh_feed_job_done(struct bh_feed *f, struct bh_feed_job *j);
void bh_feed_unchanged(struct bh_feed *f);
void bh_feed_failed(struct bh_feed *f, const char *fmt, ...) BH_PRINTF(2, 3);

struct bh_feeds {
	uv_loop_t *loop;
	struct bh_http *http;
	char *dir; /* STATE/feeds */
	struct bh_feeds_callbacks cb;
	struct bh_feed **feed;
	size_t n;
	/* Never blocked: with the special ranges, and without; normalised. */
	struct bh_ranges protect, protect_own;
	struct bh_feed_index *index;
	struct bh_index_job *built; /* what it was made of; NULL: of nothing */
	struct bh_index_job *building;
	bool dirty; /* index is older than the feeds */
	uint64_t since; /* when the oldest text that made it so came, ns; 0: none did */
	bool changed; /* the callback is due */
	uv_timer_t expiry; /* of the next indicator */
	int open_handles; /* while it closes */
	uv_timer_t turn; /* callbacks are made from the loop, never from within a call */
};
/* Something in force changed: rebuild and tell, in the loop's next turn. */
void bh_feeds_touch(struct bh_feeds *m);
void bh_feeds_tell(struct bh_feeds *m); /* events are due */

/* indexing.c */
void bh_feeds_build(struct bh_feeds *m); /* begins to, off the loop; nothing may be under way */
void bh_feeds_built_forget(struct bh_feeds *m); /* what is under way, and what the index is of */
