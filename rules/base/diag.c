/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collected diagnostics. At most BH_DIAGS_MAX are kept; the rest is counted, so that a hostile file
 * costs neither memory nor a screenful without end. Whatever is printed is free of control
 * characters, because it ends on an operator's terminal.
 */
#include <bulkhead/diag.h>

#include <bulkhead/utf8.h>

#define QUOTE_MAX 60

void bh_diag_add(struct bh_diags *d, enum bh_severity sev, const char *file, int line, int column,
	const char *path, const char *remedy, const char *fmt, ...)
{
	va_list ap;
	char *what = NULL;

	if (sev == BH_ERROR)
		d->n_errors++;
	if (d->n >= BH_DIAGS_MAX) {
		d->n_suppressed++;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = bh_xstrdup(fmt);
	va_end(ap);
	BH_GROW(d->item, d->n, d->cap);
	d->item[d->n++] = (struct bh_diag){
		.severity = sev,
		.file = bh_xstrdup(file),
		.line = line,
		.column = column,
		.path = bh_xstrdup(path),
		.what = what,
		.remedy = bh_xstrdup(remedy),
	};
}

/* The printable form of the character at s; the bytes of it are returned. */
static size_t escape_one(const char *s, size_t n, char out[static 16])
{
	uint32_t c;
	size_t len = bh_utf8_decode(s, n, &c);
	if (len == 0) {
		snprintf(out, 16, "\\x%02x", (unsigned)(uint8_t)*s);
		return 1;
	}
	if (c == '\n' || c == '\t' || c == '\r' || c == '\\')
		snprintf(out, 16, "\\%c",
			c == '\n'   ? 'n'
			: c == '\t' ? 't'
			: c == '\r' ? 'r'
				    : '\\');
	else if (bh_utf8_unsafe(c))
		snprintf(out, 16, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
	else
		snprintf(out, 16, "%.*s", (int)len, s);
	return len;
}

char *bh_diag_quote(const char *s, size_t len)
{
	struct bh_buf b = {0};
	for (size_t i = 0; i < len;) {
		char piece[16];
		i += escape_one(s + i, len - i, piece);
		if (b.len + strlen(piece) > QUOTE_MAX) {
			bh_buf_str(&b, "…");
			break;
		}
		bh_buf_str(&b, piece);
	}
	return bh_buf_take(&b);
}

/* Text that should be clean already; a control character in it still must not reach a terminal. */
static void put(struct bh_buf *out, const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = bh_utf8_decode(s + i, n - i, &c);
		if (len && !bh_utf8_unsafe(c)) {
			bh_buf_add(out, s + i, len);
			i += len;
		} else {
			char piece[16];
			i += escape_one(s + i, n - i, piece);
			bh_buf_str(out, piece);
		}
	}
}

void bh_diag_format(const struct bh_diag *d, struct bh_buf *out)
{
	if (d->file)
		put(out, d->file);
	if (d->line > 0) {
		bh_buf_printf(out, d->file ? ":%d" : "%d", d->line);
		if (d->column > 0)
			bh_buf_printf(out, ":%d", d->column);
	}
	if (d->file || d->line > 0)
		bh_buf_str(out, ": ");
	if (d->severity == BH_WARNING)
		bh_buf_str(out, "warning: ");
	if (d->path && *d->path) {
		put(out, d->path);
		bh_buf_str(out, ": ");
	}
	put(out, d->what);
	if (d->remedy) {
		bh_buf_str(out, "; ");
		put(out, d->remedy);
	}
	bh_buf_str(out, "\n");
}

void bh_diags_format(const struct bh_diags *d, struct bh_buf *out)
{
	for (size_t i = 0; i < d->n; i++)
		bh_diag_format(&d->item[i], out);
	if (d->n_suppressed)
		bh_buf_printf(out, "… and %zu more\n", d->n_suppressed);
}

static int diag_cmp(const struct bh_diag *a, const struct bh_diag *b)
{
	int c = bh_strcmp0(a->file, b->file);
	if (c)
		return c;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

/* An insertion sort: stable, at most BH_DIAGS_MAX elements, and mostly in order already. */
void bh_diags_sort(struct bh_diags *d)
{
	for (size_t i = 1; i < d->n; i++) {
		struct bh_diag x = d->item[i];
		size_t j = i;
		for (; j > 0 && diag_cmp(&d->item[j - 1], &x) > 0; j--)
			d->item[j] = d->item[j - 1];
		d->item[j] = x;
	}
}

static void diag_finish(struct bh_diag *x)
{
	free(x->file);
	free(x->path);
	free(x->what);
	free(x->remedy);
}

void bh_diags_move(struct bh_diags *to, struct bh_diags *from)
{
	for (size_t i = 0; i < from->n; i++) {
		if (to->n >= BH_DIAGS_MAX) {
			diag_finish(&from->item[i]);
			to->n_suppressed++;
			continue;
		}
		BH_GROW(to->item, to->n, to->cap);
		to->item[to->n++] = from->item[i];
	}
	to->n_errors += from->n_errors;
	to->n_suppressed += from->n_suppressed;
	free(from->item);
	*from = (struct bh_diags){0};
}

void bh_diags_finish(struct bh_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		diag_finish(&d->item[i]);
	free(d->item);
	*d = (struct bh_diags){0};
}
