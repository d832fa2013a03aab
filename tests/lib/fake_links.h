/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network namespaces with links and addresses that a test plays, below enforcer/link: it answers
 * requests as rtnetlink does, and tells of every change as the kernel would, to one listener.
 */
#pragma once

#include "link/private.h"

#define FAKE_NODE 0 /* the namespace that is ours */
#define FAKE_NODE_INODE 1000
#define FAKE_PATHS 6 /* "/n/0" … */

void fake_links_reset(unsigned seed);
void fake_links_finish(void);
unsigned fake_pick(unsigned n); /* 0 … n−1 */
struct bh_link *fake_link_open(void);
void fake_link_close(struct bh_link *l);
/* Whose notices are queued, and the descriptor that is readable while there are any. */
void fake_links_listen(const struct bh_link *l);
bool fake_links_quiet(void); /* nothing is queued */

/* Something changes. True: a path leads elsewhere, of which no notice tells. */
bool fake_links_change(void);
