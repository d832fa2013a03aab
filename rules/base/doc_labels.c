/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <bulkhead/doc_labels.h>
#include <bulkhead/labels.h>

#include <errno.h>

static int read_label(const struct bh_reader *r, const struct bh_node *n, const char *path,
	const char *(*check)(const char *), const char *what, const char **ret)
{
	const char *text, *wrong;
	if (bh_read_string(r, n, path, &text) < 0)
		return -EINVAL;
	if ((wrong = check(text))) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_read_error(
			r, n, path, NULL, "\"%s\" is not a label %s: %s", quoted, what, wrong);
		return -EINVAL;
	}
	*ret = text;
	return 0;
}

int bh_read_label_key(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char **ret)
{
	return read_label(r, n, path, bh_label_key_check, "key", ret);
}

int bh_read_label_value(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char **ret)
{
	return read_label(r, n, path, bh_label_value_check, "value", ret);
}
