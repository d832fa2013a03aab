/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See answer.h. */
#include "inventory/answer.h"

int bh_faulty(struct bh_fault *f, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	for (char *c = f->text; *c; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return err;
}

uint64_t bh_answer_backoff(uint64_t first, uint64_t most, unsigned failures)
{
	uint64_t ms = first, noise = 0;
	for (unsigned i = 1; i < failures && ms < most; i++)
		ms *= 2;
	if (ms > most)
		ms = most;
	uv_random(NULL, NULL, &noise, sizeof(noise), 0, NULL);
	return ms / 2 + noise % (ms / 2 + 1);
}

void bh_source_say(struct bh_source *s, bool ok, const char *fmt, ...)
{
	bh_autobuf struct bh_buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	bh_autofree char *text = NULL;
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!ok)
		bh_buf_printf(&b, "%s: %s", s->name, text ? text : "");
	s->sink.state(s->sink.arg, ok, b.s ? b.s : "");
}
