/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text of a selector: a refusal says why; what is taken is printed as a text that means the
 * same, and can be asked. */
#include <bulkhead/labels.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char bh_autofree *text = bh_xstrndup((const char *)data, size);
	struct bh_selector s = {0}, again = {0};
	struct bh_buf bh_autobuf b = {0};
	struct bh_labels none = {0};
	const char *why = NULL;

	if (bh_selector_parse(text, &s, &why) < 0) {
		if (!why || s.n)
			abort();
		return 0;
	}
	bh_selector_format(&s, &b);
	if (s.n && (bh_selector_parse(b.s, &again, &why) < 0 || !bh_selector_equal(&s, &again)))
		abort();
	bh_selector_matches(&s, &none);
	bh_selector_finish(&s);
	bh_selector_finish(&again);
	return 0;
}
