/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which learned tuples a request means, and how they are shown. */
#pragma once

#include <bulkhead/baseline.h>
#include <jansson.h>

struct bh_answer;
struct bh_core;

struct bh_tuple_pick {
	const char **id; /* beginnings of ids; none: any. Owned array of borrowed texts */
	size_t n_ids;
	const char *ns, *role; /* of one of its ends; NULL: any */
	bool has_selector;
	struct bh_selector selector; /* of a role at one of its ends */
	bool has_block;
	struct bh_prefix block; /* its outside address is in there */
	bool has_review;
	enum bh_review review;
	bool answered; /* only answered ones */
};
/* Texts are borrowed; NULL: not given. False: the answer is an error. */
bool bh_core_pick_read(const char *ns, const char *role, const char *selector,
	struct bh_tuple_pick *ret, struct bh_answer *ret_error);
void bh_core_pick_finish(struct bh_tuple_pick *p);
bool bh_core_pick_matches(const struct bh_tuple *t, void *pick);
json_t *bh_core_tuple_json(struct bh_core *c, const struct bh_tuple *t);
