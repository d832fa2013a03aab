/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Labels and label selectors, with the semantics of Kubernetes' metav1.LabelSelector. Implemented
 * in rules/base/labels.c.
 */
#pragma once

#include <bulkhead/util.h>

struct bh_label {
	char *key, *value;
};

/* Sorted by key, keys unique. Zero-initialised is empty. Owns its strings. */
struct bh_labels {
	struct bh_label *item;
	size_t n, cap;
};

void bh_labels_set(struct bh_labels *l, const char *key, const char *value); /* copies, replaces */
const char *bh_labels_get(const struct bh_labels *l, const char *key); /* NULL if absent */
void bh_labels_remove(struct bh_labels *l, const char *key);
/* What `to` held is overwritten, not freed (as after `*to = *from` of an enclosing struct). */
void bh_labels_copy(struct bh_labels *to, const struct bh_labels *from);
bool bh_labels_equal(const struct bh_labels *a, const struct bh_labels *b);
uint64_t bh_labels_hash(const struct bh_labels *l, uint64_t seed);
void bh_labels_finish(struct bh_labels *l);

/* Kubernetes' syntax: key [prefix/]name (name 63, prefix 253 DNS subdomain), value up to 63.
 * NULL if good, else what is wrong (static text). */
const char *bh_label_key_check(const char *key);
const char *bh_label_value_check(const char *value);
/* What can be selected in place of a text: itself if it is a value and not empty, else what of it
 * may stand in one, cut, and eight digits of its hash, so that two that are cut alike differ.
 * Owned. */
char *bh_label_value_of(const char *text);

enum bh_selector_op { BH_SEL_IN, BH_SEL_NOT_IN, BH_SEL_EXISTS, BH_SEL_NOT_EXISTS };

struct bh_requirement {
	char *key;
	enum bh_selector_op op;
	char **value; /* sorted, unique */
	size_t n_values;
};

/* All requirements must hold; none = selects everything. matchLabels are In with one value. */
struct bh_selector {
	struct bh_requirement *req; /* sorted by key, op, values */
	size_t n, cap;
};

/* Copies. Values may be NULL when n is 0. Keeps req sorted and drops exact repetitions. */
void bh_selector_add(struct bh_selector *s, const char *key, enum bh_selector_op op,
	const char *const *values, size_t n);
bool bh_selector_matches(const struct bh_selector *s, const struct bh_labels *l);
bool bh_selector_equal(const struct bh_selector *a, const struct bh_selector *b);
/* What `to` held is overwritten, not freed. */
void bh_selector_copy(struct bh_selector *to, const struct bh_selector *from);
/* kubectl's form: "app=web,tier in (a,b),!old"; "<all>" when empty. */
void bh_selector_format(const struct bh_selector *s, struct bh_buf *out);
/* Reads that form, and "a!=b" and "a==b". 0, or −EINVAL with *ret_why (static text). At most 4096
 * bytes. */
int bh_selector_parse(const char *text, struct bh_selector *ret, const char **ret_why);
void bh_selector_finish(struct bh_selector *s);
