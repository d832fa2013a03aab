/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that build, compare and patch rulesets. */
#pragma once

#include <bulkhead/ruleset.h>

void bh_set_elem_finish(struct bh_set_elem *e);
struct bh_set_elem bh_set_elem_copy(const struct bh_set_elem *e);
void bh_set_finish(struct bh_set *s);
void bh_rule_finish(struct bh_rule *r);
struct bh_rule bh_rule_copy(const struct bh_rule *r);
int bh_set_elem_cmp(const struct bh_set_elem *a, const struct bh_set_elem *b); /* by key */
char *bh_comment_copy(const char *text); /* owned, as nft reads it; NULL for none */

/* print_match.c */
void bh_print_match(const struct bh_match *m, uint8_t table, struct bh_buf *out);
/* concat.c */
void bh_print_value(
	const struct bh_value *v, enum bh_part part, uint8_t family, struct bh_buf *out);
void bh_print_ether_type(unsigned type, struct bh_buf *out);
/* Everything but name, comment and elements. */
bool bh_set_same_shape(const struct bh_set *a, const struct bh_set *b);
