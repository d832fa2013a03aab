/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Labels in documents: policies and the configuration refuse the same in the same words. */
#pragma once

#include <bulkhead/doc.h>

/* Strings that are a label's key or value, borrowed from n; else −EINVAL and a diagnostic. */
int bh_read_label_key(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char **ret);
int bh_read_label_value(
	const struct bh_reader *r, const struct bh_node *n, const char *path, const char **ret);
