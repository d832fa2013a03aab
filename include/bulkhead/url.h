/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * URLs as they may be shown and recorded. The configuration is root's; what is said of it is read
 * by the group and by whoever gets the audit log, and a URL may hold a password or a key.
 * Implemented in rules/base/url.c.
 */
#pragma once

#include <bulkhead/util.h>

/* `text` with "…" for the user's part and the query of each URL in it (RFC 3986, up to a blank, a
 * quote or its end): "https://…@host/list?…". Owned; NULL gives NULL. */
char *bh_url_without_secrets(const char *text);
