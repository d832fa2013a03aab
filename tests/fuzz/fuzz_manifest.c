/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest of a MISP feed, from a stranger. Beside memory safety: what is read names files, so
 * that every name is a uuid; and they ascend, each once.
 */
#include "feeds/manager.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_manifest_events e;
	if (bh_manifest_read((const char *)data, size, &e))
		return 0;
	must(e.n > 0 && e.n <= BH_MANIFEST_EVENTS_MAX);
	for (size_t i = 0; i < e.n; i++) {
		must(strlen(e.item[i].uuid) == BH_UUID_LEN);
		must(strspn(e.item[i].uuid, "0123456789abcdefABCDEF-") == BH_UUID_LEN);
		must(i == 0 || strcmp(e.item[i - 1].uuid, e.item[i].uuid) < 0);
	}
	bh_manifest_events_finish(&e);
	return 0;
}
