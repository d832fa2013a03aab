/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sources that ask an engine share: nothing of an answer is taken on trust, what is wrong
 * is said in printable words, and asking again backs off.
 */
#pragma once

#include <jansson.h>

#include "inventory/inventory.h"

#define BH_REPLY_SHORT_ID 12 /* as engines themselves print it */
#define BH_REPLY_MAX_NAME 255

/* What is wrong, for people: printable, no line breaks. Set when a function that takes it fails. */
struct bh_fault {
	char text[200];
};
/* Sets it and returns err. */
int bh_faulty(struct bh_fault *f, int err, const char *fmt, ...) BH_PRINTF(3, 4);

/* Milliseconds until the next attempt after so many failures in a row (≥ 1): doubles from `first`
 * to `most`; the upper half is random, so that many do not retry in step. */
uint64_t bh_reply_backoff(uint64_t first, uint64_t most, unsigned failures);

/* Tells the sink; what is not ok gets the source's name in front. */
void bh_source_say(struct bh_source *s, bool ok, const char *fmt, ...) BH_PRINTF(3, 4);

static inline void bh_json_decref_p(json_t **j)
{
	json_decref(*j);
}
#define bh_autojson __attribute__((cleanup(bh_json_decref_p)))

/*
 * Integers become reals, so that a 64-bit limit somewhere in an answer (jansson holds signed ones)
 * does not lose the container; NULs are let in here and refused where a string is used. 0, −EINVAL.
 */
int bh_reply_json(const char *text, size_t len, json_t **ret, struct bh_fault *f);
const char *bh_reply_text(const json_t *j); /* NULL unless it is a string without NULs */
int bh_reply_pid(const json_t *j, int *ret); /* 0 (0 is one), −EINVAL */
char *bh_reply_bounded(const char *s, size_t max); /* cut at a character's boundary; owned */
/* Docker's own rule for names, and Kubernetes' ones keep to it: letters, digits and (not first)
 * '_', '.', '-'; BH_REPLY_MAX_NAME at most. NULL is none. */
bool bh_reply_good_name(const char *s);
