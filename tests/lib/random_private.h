/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that make random worlds; see random_world.h. */
#pragma once

#include "lib/random_world.h"

#define PICK(w, a) ((a)[random_below(w, BH_ARRAY_SIZE(a))])

extern const char *const random_namespaces[3];
extern const char *const random_keys[3];
extern const char *const random_values[3];
extern const char *const random_port_names[3];
extern const uint16_t random_ports[7];

/* One policy document of either kind, named p<n>. Owned. */
char *random_policy(struct random_world *w, unsigned n);
/* Sets some of random_keys. */
void random_labels(struct random_world *w, struct bh_labels *l);
void random_named_ports(struct random_world *w, struct bh_workload *wl);
/* The addresses of a workload named w<number>. */
void random_addrs(struct random_world *w, struct bh_workload *wl);
/* One more. one_mode: enum bh_mode, or 3: any. */
void random_workload(struct random_world *w, unsigned one_mode);
/* Namespaces, nodes and workloads of a new world. */
void random_people(struct random_world *w);
