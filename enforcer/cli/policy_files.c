/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policy files as the commands take them: names, directories, standard input. */
#include <bulkhead/policy.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "cli/cli.h"

#define MAX_FILE ((size_t)8 << 20)
#define MAX_FILES 10000

void cli_files_finish(struct cli_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->item[i].name);
		free(f->item[i].text);
	}
	free(f->item);
	*f = (struct cli_files){0};
}

static int complain(const char *name, const char *what)
{
	char bh_autofree *shown = cli_safe(name);
	fprintf(stderr, "bulkhead: %s: %s\n", shown, what);
	return CLI_FAILED;
}

static int read_text(int fd, struct bh_buf *b)
{
	char chunk[65536];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (b->len + (size_t)n > MAX_FILE)
			return -EFBIG;
		bh_buf_add(b, chunk, (size_t)n);
	}
}

static int add_file(struct cli_files *f, const char *name, int fd)
{
	struct bh_buf bh_autobuf b = {0};
	int e = read_text(fd, &b);
	if (e < 0)
		return complain(name, e == -EFBIG ? "larger than 8 MiB" : strerror(-e));
	if (f->n == MAX_FILES)
		return complain(name, "that is one file too many (10,000)");
	BH_GROW(f->item, f->n, f->cap);
	size_t len = b.len;
	f->item[f->n++] =
		(struct cli_file){.name = bh_xstrdup(name), .text = bh_buf_take(&b), .len = len};
	return CLI_OK;
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

static int read_path(struct cli_files *f, const char *name, bool in_directory);

static int read_directory(struct cli_files *f, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_policy_name, by_name), e = CLI_OK;

	if (n < 0)
		return complain(dir, strerror(errno));
	size_t len = strlen(dir);
	for (int i = 0; i < n; i++) {
		char bh_autofree *name = bh_xasprintf(
			"%s%s%s", dir, len && dir[len - 1] == '/' ? "" : "/", list[i]->d_name);
		if (e == CLI_OK)
			e = read_path(f, name, true);
		free(list[i]);
	}
	free(list);
	f->directories = true;
	if (n == 0)
		return complain(dir, "no *.yaml, *.yml or *.json file in this directory");
	return e;
}

static int read_path(struct cli_files *f, const char *name, bool in_directory)
{
	struct stat st;
	if (!in_directory && bh_streq(name, "-"))
		return add_file(f, "<stdin>", STDIN_FILENO);
	int bh_autoclose fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return complain(name, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return add_file(f, name, fd);
	return in_directory ? CLI_OK : read_directory(f, name);
}

int cli_files_read(int argc, char **argv, struct cli_files *ret)
{
	struct cli_files f = {0};
	int r = CLI_OK;

	/* All of them, so that every name that is wrong is said at once. */
	for (int i = 0; i < argc; i++)
		if (read_path(&f, argv[i], false) != CLI_OK)
			r = CLI_FAILED;
	if (r != CLI_OK) {
		cli_files_finish(&f);
		return r;
	}
	*ret = f;
	return CLI_OK;
}

void cli_files_check(const struct cli_files *f, struct bh_diags *diags, size_t *ret_policies)
{
	struct bh_policy_source bh_autofree *src = bh_xcalloc(f->n + 1, sizeof(*src));
	struct bh_policy_parse_opts opts = {
		.default_ns = "default", .strict_empty = !f->directories};
	struct bh_policy_set *set = NULL;

	for (size_t i = 0; i < f->n; i++)
		src[i] = (struct bh_policy_source){
			.file = f->item[i].name, .text = f->item[i].text, .len = f->item[i].len};
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
