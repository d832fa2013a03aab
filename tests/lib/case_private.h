/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that read a case; see lib/case.h. */
#pragma once

#include "lib/case.h"

/* The parts of a state, each the latest value given. */
struct bh_case_sections {
	const struct bh_node *namespaces, *external, *nodes, *workloads, *policies, *expect;
};

struct bh_case_loader {
	struct bh_reader r;
	const char *file;
};

int bh_case_read_proto(
	struct bh_case_loader *l, const struct bh_node *n, const char *path, uint8_t *ret);
void bh_case_read_addrs(struct bh_case_loader *l, const struct bh_node *seq, const char *path,
	void (*fn)(void *arg, const struct bh_addr *a), void *arg);
struct bh_inventory *bh_case_read_inventory(
	struct bh_case_loader *l, const struct bh_case_sections *s);
