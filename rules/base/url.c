/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <bulkhead/url.h>

#define ENDS " \t\r\n\"'<>"

/* What stands before the host, with its '@'; 0: nothing. */
static size_t userinfo(const char *s)
{
	size_t n = strcspn(s, "/?#" ENDS);
	const char *at = memrchr(s, '@', n);
	return at ? (size_t)(at + 1 - s) : 0;
}

char *bh_url_without_secrets(const char *text)
{
	struct bh_buf b = {0};
	if (!text)
		return NULL;
	for (const char *mark; (mark = strstr(text, "://"));) {
		mark += 3;
		bh_buf_add(&b, text, (size_t)(mark - text));
		size_t user = userinfo(mark);
		if (user)
			bh_buf_str(&b, "…@");
		text = mark + user;
		size_t n = strcspn(text, "?" ENDS);
		bh_buf_add(&b, text, n);
		text += n;
		if (*text == '?') {
			bh_buf_str(&b, "?…");
			text += strcspn(text, ENDS);
		}
	}
	bh_buf_str(&b, text);
	return bh_buf_take(&b);
}
