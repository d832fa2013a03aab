/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two texts as hunks of a unified diff. The longest common subsequence by the textbook's table,
 * after equal lines at both ends are gone; what is too large for the table is shown as replaced
 * whole, which is true as well.
 */
#include "cli/cli.h"

#define CONTEXT 3
#define CELLS_MAX 4000000

struct line {
	const char *s;
	size_t len;
};

struct lines {
	struct line *item;
	size_t n, cap;
};

enum op { OP_SAME = ' ', OP_GONE = '-', OP_NEW = '+' };

struct script { /* what becomes of each line, in order */
	struct step {
		enum op op;
		size_t a, b; /* the next lines of both at this place */
	} * step;
	size_t n, cap;
};

static void split(const char *text, struct lines *ret)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");
		BH_GROW(ret->item, ret->n, ret->cap);
		ret->item[ret->n++] = (struct line){text, len};
		text += len + (text[len] == '\n');
	}
}

static bool same(const struct line *x, const struct line *y)
{
	return x->len == y->len && memcmp(x->s, y->s, x->len) == 0;
}

static void add(struct script *s, enum op op, size_t *a, size_t *b)
{
	BH_GROW(s->step, s->n, s->cap);
	s->step[s->n++] = (struct step){op, *a, *b};
	*a += op != OP_NEW;
	*b += op != OP_GONE;
}

/* cell[i][k]: the length of the longest common subsequence of a[i…] and b[k…]. */
static uint32_t *fill_table(const struct line *a, size_t n, const struct line *b, size_t m)
{
	uint32_t *cell = bh_xcalloc((n + 1) * (m + 1), sizeof(*cell));
	for (size_t i = n; i-- > 0;)
		for (size_t k = m; k-- > 0;) {
			uint32_t down = cell[(i + 1) * (m + 1) + k],
				 right = cell[i * (m + 1) + k + 1];
			cell[i * (m + 1) + k] = same(&a[i], &b[k])
							? cell[(i + 1) * (m + 1) + k + 1] + 1
						: down > right ? down
							       : right;
		}
	return cell;
}

/* The middle parts, from *at_a to end_a and from *at_b to end_b. */
static void compare(const struct lines *a, size_t *at_a, size_t end_a, const struct lines *b,
	size_t *at_b, size_t end_b, struct script *s)
{
	size_t first_a = *at_a, first_b = *at_b, n = end_a - first_a, m = end_b - first_b;
	uint32_t bh_autofree *cell = n && m && n <= CELLS_MAX / m ? fill_table(a->item + first_a, n,
									    b->item + first_b, m)
								  : NULL;
	while (cell && *at_a < end_a && *at_b < end_b) {
		size_t i = *at_a - first_a, k = *at_b - first_b;
		if (same(&a->item[*at_a], &b->item[*at_b]))
			add(s, OP_SAME, at_a, at_b);
		else if (cell[(i + 1) * (m + 1) + k] >= cell[i * (m + 1) + k + 1])
			add(s, OP_GONE, at_a, at_b);
		else
			add(s, OP_NEW, at_a, at_b);
	}
	while (*at_a < end_a)
		add(s, OP_GONE, at_a, at_b);
	while (*at_b < end_b)
		add(s, OP_NEW, at_a, at_b);
}

static void make_script(const struct lines *a, const struct lines *b, struct script *s)
{
	size_t at_a = 0, at_b = 0, end_a = a->n, end_b = b->n;
	while (at_a < a->n && at_b < b->n && same(&a->item[at_a], &b->item[at_b]))
		add(s, OP_SAME, &at_a, &at_b);
	while (end_a > at_a && end_b > at_b && same(&a->item[end_a - 1], &b->item[end_b - 1])) {
		end_a--;
		end_b--;
	}
	compare(a, &at_a, end_a, b, &at_b, end_b, s);
	while (at_a < a->n)
		add(s, OP_SAME, &at_a, &at_b);
}

/* Where the hunk that begins at or after `from` ends: two changes share one if no more than twice
 * the context is between them. */
static size_t hunk_end(const struct script *s, size_t from)
{
	size_t last = from;
	for (size_t i = from; i < s->n && i - last <= (size_t)2 * CONTEXT + 1; i++)
		if (s->step[i].op != OP_SAME)
			last = i;
	return last + 1 + CONTEXT < s->n ? last + 1 + CONTEXT : s->n;
}

static void put_hunk(const struct lines *a, const struct lines *b, const struct script *s,
	size_t from, size_t to, struct bh_buf *out)
{
	size_t n = 0, m = 0;
	for (size_t i = from; i < to; i++) {
		n += s->step[i].op != OP_NEW;
		m += s->step[i].op != OP_GONE;
	}
	bh_buf_printf(out, "@@ -%zu,%zu +%zu,%zu @@\n", s->step[from].a + (n > 0), n,
		s->step[from].b + (m > 0), m);
	for (size_t i = from; i < to; i++) {
		const struct step *x = &s->step[i];
		const struct line *l = x->op == OP_NEW ? &b->item[x->b] : &a->item[x->a];
		bh_buf_printf(out, "%c", (char)x->op);
		bh_buf_add(out, l->s, l->len);
		bh_buf_str(out, "\n");
	}
}

void cli_textdiff(const char *a_text, const char *b_text, struct bh_buf *out)
{
	struct lines a = {0}, b = {0};
	struct script s = {0};

	split(a_text, &a);
	split(b_text, &b);
	make_script(&a, &b, &s);
	for (size_t i = 0, shown = 0; i < s.n;) {
		if (s.step[i].op == OP_SAME) {
			i++;
			continue;
		}
		size_t from = i - shown > CONTEXT ? i - CONTEXT : shown, to = hunk_end(&s, i);
		put_hunk(&a, &b, &s, from, to, out);
		i = shown = to;
	}
	free(a.item);
	free(b.item);
	free(s.step);
}
