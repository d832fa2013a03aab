/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy files as the commands take them: names, directories, standard input. */
#include <bulkhead/policy.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cli/cli.h"

#define MAX_FILE ((size_t)8 << 20)
#define MAX_FILES 10000
#define MAX_BYTES ((size_t)64 << 20)
#define PATIENCE 2000 /* ms */

void cli_files_finish(struct cli_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->item[i].name);
		free(f->item[i].text);
	}
	free(f->item);
	*f = (struct cli_files){0};
}

struct reading {
	struct cli_files *files;
	struct bh_diags *unread;
};

static void refuse(struct reading *r, const char *name, const char *remedy, const char *what)
{
	bh_diag_add(r->unread, BH_ERROR, name, 0, 0, NULL, remedy, "%s", what);
}

/* A descriptor that does not block is waited for, a moment. 0, -errno, -ETIMEDOUT, -EFBIG. */
static int read_text(int fd, bool patient, struct bh_buf *b)
{
	char chunk[65536];
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = patient ? 1 : poll(&p, 1, PATIENCE);
		if (ready == 0)
			return -ETIMEDOUT;
		ssize_t n = ready < 0 ? -1 : read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return -ETIMEDOUT; /* a device that says it has something, and has not */
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (b->len + (size_t)n > MAX_FILE)
			return -EFBIG;
		bh_buf_add(b, chunk, (size_t)n);
	}
}

static void add_file(struct reading *r, const char *name, int fd, bool patient, bool in_directory)
{
	struct bh_buf bh_autobuf b = {0};
	struct cli_files *f = r->files;
	int e = read_text(fd, patient, &b);
	if (e == -EFBIG)
		refuse(r, name, "split it", "larger than 8 MiB");
	else if (e == -ETIMEDOUT)
		refuse(r, name, "give a file, or - for standard input",
			"nothing came from it for 2 seconds");
	else if (e < 0)
		refuse(r, name, NULL, strerror(-e));
	else if (f->n == MAX_FILES)
		refuse(r, name, "give fewer at once", "that is one file too many (10,000)");
	else if (f->bytes + b.len > MAX_BYTES)
		refuse(r, name, "give fewer at once",
			"with it, all files together are larger "
			"than 64 MiB");
	if (e < 0 || f->n == MAX_FILES || f->bytes + b.len > MAX_BYTES)
		return;
	BH_GROW(f->item, f->n, f->cap);
	size_t len = b.len;
	f->bytes += len;
	f->item[f->n++] = (struct cli_file){.name = bh_xstrdup(name),
		.text = bh_xrealloc(bh_buf_take(&b), len + 1, 1),
		.len = len,
		.in_directory = in_directory};
}

static int is_policy_name(const struct dirent *d)
{
	static const char *const ends[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(d->d_name);

	if (d->d_name[0] == '.')
		return 0;
	for (size_t i = 0; i < BH_ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);
		if (len > n && strcmp(d->d_name + len - n, ends[i]) == 0)
			return 1;
	}
	return 0;
}

/* Bytes, not the locale's order: the same everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/*
 * Opened so that nothing blocks: a FIFO without a writer, a device that has nothing to say. A
 * terminal and a pipe that the shell made (`<(command)`) are waited for like standard input.
 */
static bool is_patient(int fd)
{
	struct statfs fs;
	bool patient = isatty(fd) || (fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC);
	if (patient)
		fcntl(fd, F_SETFL, O_RDONLY);
	return patient;
}

static void read_in_directory(struct reading *r, const char *name)
{
	struct stat st;
	int bh_autoclose fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		refuse(r, name, NULL, strerror(errno));
	else if (S_ISREG(st.st_mode))
		add_file(r, name, fd, true, true);
	else if (!S_ISDIR(st.st_mode))
		refuse(r, name, "remove it", "not a regular file");
}

static void read_directory(struct reading *r, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_policy_name, by_name);
	size_t len = strlen(dir);

	if (n < 0) {
		refuse(r, dir, NULL, strerror(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		char bh_autofree *name = bh_xasprintf(
			"%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", list[i]->d_name);
		read_in_directory(r, name);
		free(list[i]);
	}
	free(list);
	if (n == 0)
		refuse(r, dir, NULL, "no *.yaml, *.yml or *.json file in this directory");
}

static void read_argument(struct reading *r, const char *name)
{
	struct stat st;
	if (bh_streq(name, "-")) {
		add_file(r, "<stdin>", STDIN_FILENO, true, false);
		return;
	}
	int bh_autoclose fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		refuse(r, name, NULL, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		read_directory(r, name);
	else
		add_file(r, name, fd, S_ISREG(st.st_mode) || is_patient(fd), false);
}

void cli_files_collect(int argc, char **argv, struct cli_files *ret, struct bh_diags *unread)
{
	struct reading r = {ret, unread};
	*ret = (struct cli_files){0};
	for (int i = 0; i < argc; i++)
		read_argument(&r, argv[i]);
}

void cli_complain(const struct bh_diags *unread)
{
	for (size_t i = 0; i < unread->n; i++) {
		char bh_autofree *shown = cli_safe(unread->item[i].file);
		cli_error("%s: %s", shown, unread->item[i].what);
	}
	if (unread->n_suppressed)
		cli_error("and %zu more", unread->n_suppressed);
}

int cli_files_read(int argc, char **argv, struct cli_files *ret)
{
	struct bh_diags bh_autodiags unread = {0};
	struct cli_files f;

	cli_files_collect(argc, argv, &f, &unread);
	if (unread.n) {
		cli_complain(&unread);
		cli_files_finish(&f);
		return CLI_FAILED;
	}
	*ret = f;
	return CLI_OK;
}

void cli_files_check(const struct cli_files *f, struct bh_diags *diags, size_t *ret_policies)
{
	struct bh_policy_source bh_autofree *src = bh_xcalloc(f->n + 1, sizeof(*src));
	struct bh_policy_parse_opts opts = {
		.default_ns = "default", .strict_empty = true, .nodes = BH_NODES_UNSURE};
	struct bh_policy_set *set = NULL;

	for (size_t i = 0; i < f->n; i++) {
		src[i] = (struct bh_policy_source){
			.file = f->item[i].name, .text = f->item[i].text, .len = f->item[i].len};
		opts.strict_empty &= !f->item[i].in_directory;
	}
	*ret_policies = 0;
	if (bh_policy_set_parse(src, f->n, &opts, diags, &set) == 0)
		*ret_policies = set->n;
	bh_policy_set_unref(set);
	bh_diags_sort(diags);
}

void cli_print_diags(const struct bh_diags *d, FILE *out)
{
	struct bh_buf bh_autobuf b = {0};
	bh_diags_format(d, &b);
	char bh_autofree *text = cli_safe_lines(b.s);
	fputs(text, out);
}
