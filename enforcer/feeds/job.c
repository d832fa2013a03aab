/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What takes long, off the loop: reading files, parsing, hashing, building the index, writing the
 * last good copies. A job owns or has a reference to all that it touches; what comes of it is taken
 * on the loop, by the feed that asked, if it is still there and still wants it. libuv's pool of
 * threads bounds how many run at once, and a feed has one at a time.
 */
#include "feeds/manager.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 20000

struct bh_feed_data *bh_feed_data_new(struct bh_indicators *take)
{
	struct bh_feed_data *d = bh_xcalloc(1, sizeof(*d));
	d->refs = 1;
	if (take)
		d->ind = *take;
	if (take)
		*take = (struct bh_indicators){0};
	return d;
}

struct bh_feed_data *bh_feed_data_ref(struct bh_feed_data *d)
{
	d->refs++;
	return d;
}

void bh_feed_data_unref(struct bh_feed_data *d)
{
	if (!d || --d->refs > 0)
		return;
	bh_indicators_finish(&d->ind);
	free(d);
}

/* --- reading --- */

static int read_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	char bh_autofree *text = bh_xcalloc((size_t)st.st_size + 1, 1);
	size_t n = 0;
	while (n < (size_t)st.st_size) {
		ssize_t r = read(fd, text + n, (size_t)st.st_size - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret = BH_TAKE_PTR(text);
	*ret_len = n;
	return 0;
}

static int parse(struct bh_feed_job *j, const char *name, const char *text, size_t len,
	struct bh_feed_text *ret)
{
	struct bh_feed_read_opts o = j->opts;
	o.name = name;
	return bh_feed_read(&o, text, len, &j->diags, ret);
}

static void append(struct bh_feed_text *all, struct bh_feed_text *t)
{
	for (size_t i = 0; i < bh_indicators_count(&t->ind); i++) {
		struct bh_range r = bh_indicators_range(&t->ind, i);
		const struct bh_indicator6 *v6 = t->ind.v6;
		size_t n4 = t->ind.n4;
		bh_indicators_add(&all->ind, &r, i < n4 ? t->ind.v4[i].line : v6[i - n4].line,
			i < n4 ? t->ind.v4[i].expires : v6[i - n4].expires);
	}
	all->ind.lines += t->ind.lines;
	all->ind.rejected += t->ind.rejected;
	all->format = t->format;
	if (!all->credit)
		all->credit = BH_TAKE_PTR(t->credit);
	if (!all->dated)
		all->dated = BH_TAKE_PTR(t->dated);
}

static int fail(struct bh_feed_job *j, const char *path, int err)
{
	if (!j->error)
		j->error = bh_xasprintf("%s cannot be read: %s", path, strerror(-err));
	return err;
}

/* One file of a directory, added to what was read so far. */
static int read_part(struct bh_feed_job *j, const char *name, struct bh_buf *digests)
{
	char bh_autofree *path = bh_xasprintf("%s/%s", j->dir, name);
	char bh_autofree *text = NULL;
	char sha[BH_SHA256_HEX];
	struct bh_feed_text t;
	size_t len = 0;
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : read_fd(fd, BH_FEED_MAX_BYTES - j->len, &text, &len);
	if (r == -EISDIR || r == -EINVAL)
		return 0; /* not a file: not ours */
	if (r < 0)
		return fail(j, path, r);
	j->len += len;
	bh_feed_sha256(text, len, sha);
	bh_buf_printf(digests, "%s %s\n", sha, name);
	r = parse(j, path, text, len, &t);
	if (r < 0 && j->copies)
		unlink(path);
	if (r < 0)
		return r;
	append(&j->out, &t);
	bh_feed_text_finish(&t);
	bool many = bh_indicators_count(&j->out.ind) > BH_FEED_MAX_INDICATORS;
	return many ? fail(j, j->dir, -E2BIG) : 0;
}

/* What a MISP feed has beside its events holds no indicators. */
static int is_part(const struct dirent *e)
{
	return e->d_name[0] != '.' && !bh_streq(e->d_name, "manifest.json") &&
	       !bh_streq(e->d_name, "hashes.csv");
}

static int read_directory(struct bh_feed_job *j)
{
	struct bh_buf bh_autobuf digests = {0};
	struct dirent **e = NULL;
	int n = scandir(j->dir, &e, is_part, alphasort);
	int r = n < 0 ? fail(j, j->dir, -errno) : n > FILES_MAX ? fail(j, j->dir, -E2BIG) : 0;
	j->out.declared = -1;
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = read_part(j, e[i]->d_name, &digests);
		free(e[i]);
	}
	free(e);
	if (r == 0)
		bh_feed_sha256(digests.s ? digests.s : "", digests.len, j->sha);
	return r;
}

static int read_text(struct bh_feed_job *j)
{
	int r = j->fd < 0 ? 0 : read_fd(j->fd, BH_FEED_MAX_BYTES, &j->text, &j->len);
	if (r < 0)
		return fail(j, j->path, r);
	bh_feed_sha256(j->text, j->len, j->sha);
	if (j->known[0] && bh_streq(j->sha, j->known) && !j->base)
		return 0;
	return parse(j, j->name, j->text, j->len, &j->out);
}

/* A stream tells what is different since its last answer. */
static void apply_stream(struct bh_feed_job *j)
{
	struct bh_indicators all;
	bh_indicators_sort(&j->out.ind);
	bh_indicators_sort(&j->out.removed);
	bh_indicators_changed(&j->base->ind, &j->out.removed, &j->out.ind, &all);
	all.rejected = j->out.ind.rejected;
	all.lines = bh_indicators_count(&all) + all.rejected;
	bh_indicators_finish(&j->out.ind);
	j->out.ind = all;
}

/* What is not one text that a server or file offered is kept as a list of our own. */
static void write_list(struct bh_feed_job *j, const struct bh_indicators *ind)
{
	struct bh_buf b = {0};
	char s[BH_INDICATOR_STRLEN];
	bh_buf_str(&b, "");
	for (size_t i = 0; i < bh_indicators_count(ind); i++) {
		struct bh_range r = bh_indicators_range(ind, i);
		uint32_t expires = i < ind->n4 ? ind->v4[i].expires : ind->v6[i - ind->n4].expires;
		bh_buf_printf(&b, "%s %u\n", bh_indicator_format(&r, s), expires);
	}
	free(j->text);
	j->len = b.len;
	j->text = bh_buf_take(&b);
}

static void read_all(struct bh_feed_job *j)
{
	j->rc = j->dir ? read_directory(j) : read_text(j);
	j->same = j->rc == 0 && j->known[0] && !j->base && bh_streq(j->sha, j->known);
	if (j->base && j->rc == 0)
		j->same =
			!bh_indicators_count(&j->out.ind) && !bh_indicators_count(&j->out.removed);
	if (j->rc < 0 || j->same)
		return;
	if (j->base)
		apply_stream(j);
	else
		bh_indicators_sort(&j->out.ind);
	j->as_list = j->dir || bh_streq(j->out.format, "crowdsec");
	j->kept_format = j->as_list ? "kept" : j->out.format;
}

static void work(uv_work_t *w)
{
	struct bh_feed_job *j = w->data;
	if (j->keep && j->base)
		write_list(j, &j->base->ind);
	if (j->keep)
		j->rc = bh_feed_keep(j->path, &j->meta, j->text, j->len);
	else
		read_all(j);
}

struct bh_feed_job *bh_feed_job_new(struct bh_feed *f)
{
	struct bh_feed_job *j = bh_xcalloc(1, sizeof(*j));
	j->work.data = j;
	j->feed = f;
	j->fd = -1;
	j->name = bh_xstrdup(f->conf.name);
	return j;
}

void bh_feed_job_free(struct bh_feed_job *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->name);
	free(j->path);
	free(j->dir);
	free(j->text);
	free(j->etag);
	free(j->last_modified);
	free(j->error);
	free(j->format);
	bh_feed_data_unref(j->base);
	bh_feed_text_finish(&j->out);
	bh_feed_meta_finish(&j->meta);
	bh_diags_finish(&j->diags);
	free(j);
}

static void after_work(uv_work_t *w, int status)
{
	struct bh_feed_job *j = w->data;
	struct bh_feed *f = j->feed;
	if (status < 0)
		j->rc = status; /* cancelled */
	if (f) {
		f->job = NULL;
		bh_feed_job_done(f, j);
	}
	bh_feed_job_free(j);
}

void bh_feed_job_start(uv_loop_t *loop, struct bh_feed_job *j)
{
	j->feed->job = j;
	j->began = uv_hrtime();
	uv_queue_work(loop, &j->work, work, after_work);
}

void bh_feed_job_forget(struct bh_feed *f)
{
	if (!f->job)
		return;
	f->job->feed = NULL;
	if (!f->job->keep) /* a copy is worth being written to the end */
		uv_cancel((uv_req_t *)&f->job->work); /* after_work is called in any case */
	f->job = NULL;
}

int bh_feed_job_now(struct bh_feed_job *j)
{
	read_all(j);
	return j->rc;
}
