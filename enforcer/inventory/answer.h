/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sources that ask an engine share: nothing of an answer is taken on trust, what is wrong
 * is said in printable words, and asking again backs off.
 */
#pragma once

#include "inventory/inventory.h"

/* What is wrong, for people: printable, no line breaks. Set when a function that takes it fails. */
struct bh_fault {
	char text[200];
};
/* Sets it and returns err. */
int bh_faulty(struct bh_fault *f, int err, const char *fmt, ...) BH_PRINTF(3, 4);

/* Milliseconds until the next attempt after so many failures in a row (≥ 1): doubles from `first`
 * to `most`; the upper half is random, so that many do not retry in step. */
uint64_t bh_answer_backoff(uint64_t first, uint64_t most, unsigned failures);

/* Tells the sink; what is not ok gets the source's name in front. */
void bh_source_say(struct bh_source *s, bool ok, const char *fmt, ...) BH_PRINTF(3, 4);
