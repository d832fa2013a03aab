/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inventory's manager in a world of the test's: a kernel (the bh_link functions stand in for
 * enforcer/link) and sources that say what the test makes them say.
 */
#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "inventory/manager.h"

#define OWN 4026531840

/* --- the kernel --- */
extern struct kernel {
	struct {
		const char *path;
		uint64_t inode;
		const char *addr;
		unsigned bridge, port;
		uint8_t mac; /* its last byte */
		uint64_t since;
		const char *more; /* a second address */
		int err; /* of inspecting */
	} ns[8];
	unsigned inspections;
	int pipe[2];
	bool told[16]; /* what the next drain says: namespaces by their index, or … */
	bool lost, told_host;
	uint64_t forgotten;
	int host_err;
	unsigned host_looks;
	const char *host_addr; /* one more of the node's own */
	const char *subnet[8]; /* of interfaces of the node */
} kernel;
void kernel_ns(size_t i, const char *path, uint64_t inode, const char *addr);
/* What is told of them: namespace i, the node, that something was lost. */
void notice(unsigned i);
void notice_host(void);
void notices_lost(void);
void ring(void);

/* --- sources, and the manager --- */
struct world {
	uv_loop_t loop;
	uv_timer_t stop, beat;
	struct bh_inventory_mgr *m;
	struct bh_source *a, *b;
	unsigned told;
	const char *enforced, *declared; /* namespaces */
	struct bh_quarantine *quarantine; /* of "name-one" */
	char claims[4000]; /* what was told of, a line each */
};
/* cmocka's fixtures: a world in *state. */
int setup(void **state);
int teardown(void **state);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

extern const struct bh_source_ops richer; /* of a source that knows more than others */
struct bh_source *add_source_of(struct world *w, const char *name, const struct bh_source_ops *of);
struct bh_source *add_source(struct world *w, const char *name);
struct bh_container *container(const char *id, const char *path, const char *label);
void upsert(struct bh_source *s, struct bh_container *c);
void run_for(struct world *w, unsigned ms);
void settle(struct world *w); /* until all that was heard has been looked at, without waiting */
/* The inventory by what was heard and the settings in w; a reference. */
struct bh_inventory *build(struct world *w);
const struct bh_workload *named(const struct bh_inventory *inv, const char *name);
void on_changed(void *arg);
void on_beat(uv_timer_t *t);
