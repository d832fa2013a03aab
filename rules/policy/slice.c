/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cuts a stream into the texts of its documents, so that a policy can be shown and kept as its
 * author wrote it, comments included. "---" and "..." at the start of a line end a document
 * wherever they stand (YAML 1.2, 9.1.2), so looking at line starts is enough.
 */
#include "private.h"

void bh_policy_slicer_init(struct bh_policy_slicer *s, const char *text, size_t len)
{
	*s = (struct bh_policy_slicer){
		.text = text,
		.end = text + len,
		.pos = text,
		.segment = text,
		.line = 1,
	};
}

static bool at(const struct bh_policy_slicer *s, const char *p, const char *what)
{
	size_t n = strlen(what);
	return (size_t)(s->end - p) >= n && memcmp(p, what, n) == 0;
}

/*
 * Length of the line break at p; 0 if there is none. The document reader refuses the other
 * characters that YAML 1.1 takes for breaks.
 */
static size_t break_length(const struct bh_policy_slicer *s, const char *p)
{
	if (at(s, p, "\r\n"))
		return 2;
	return p < s->end && (*p == '\n' || *p == '\r') ? 1 : 0;
}

static bool is_marker(const struct bh_policy_slicer *s, const char *p)
{
	if (!at(s, p, "---") && !at(s, p, "..."))
		return false;
	p += 3;
	return p == s->end || *p == ' ' || *p == '\t' || break_length(s, p) > 0;
}

static void next_line(struct bh_policy_slicer *s)
{
	size_t n = 0;
	while (s->pos < s->end && (n = break_length(s, s->pos)) == 0)
		s->pos++;
	s->pos += n;
	s->line++;
}

char *bh_policy_slice(struct bh_policy_slicer *s, int line)
{
	for (; s->pos < s->end && s->line <= line; next_line(s))
		if (is_marker(s, s->pos))
			s->segment = s->pos + 3;
	while (s->pos < s->end && !is_marker(s, s->pos))
		next_line(s);
	const char *start = s->segment;
	while (start < s->pos && (*start == '\n' || *start == '\r'))
		start++;
	if (memchr(start, '\0', (size_t)(s->pos - start)))
		return NULL; /* UTF-16 */
	return bh_xstrndup(start, (size_t)(s->pos - start));
}
