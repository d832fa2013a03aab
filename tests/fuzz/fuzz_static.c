/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The static inventory file: a refusal has a diagnostic, what is taken has its id, name and path.
 */
#include <bulkhead/diag.h>

#include "inventory/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_container **c = NULL;
	size_t n = 0;
	int r = bh_static_parse("fuzz", (const char *)data, size, &d, &c, &n);
	if ((r == 0) != (d.n_errors == 0))
		abort();
	for (size_t i = 0; i < n; i++) {
		if (!c[i]->id || !c[i]->name || !c[i]->netns_path || c[i]->netns_path[0] != '/')
			abort();
		bh_container_free(c[i]);
	}
	free(c);
	return 0;
}
