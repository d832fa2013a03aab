/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Of JSON that comes in pieces only what is asked for is kept, as JSON again (RFC 8259). What an
 * engine answers about a container holds whatever its image says, as long as the image likes:
 * commands, environment, texts of labels. None of that is of interest, so none of it may make an
 * answer too large to be read, nor cost memory.
 *
 * What is left out is not checked: only brackets and strings are followed in it.
 */
#pragma once

#include <bulkhead/util.h>

/* A member by its name as the text spells it, any one ("*"), or the elements of an array ("[]").
 * A list ends with a NULL key; the first that fits counts. Without `below` a scalar is kept as it
 * is, of an object or array only its brackets. A name that any one has is kept as it is spelt: one
 * with escapes is another one than it was, but still no other's. */
struct bh_sieve_path {
	const char *key;
	const struct bh_sieve_path *below;
};

#define BH_SIEVE_DEPTH 8 /* of what is kept */
#define BH_SIEVE_MAX_SKIPPED 2048 /* depth of what is not; deeper is taken for no JSON */
#define BH_SIEVE_MAX_KEY 2048 /* bytes as spelt; members with longer ones are left out */
#define BH_SIEVE_MAX_STRING 4096 /* bytes as spelt; longer ones are cut between two characters */
#define BH_SIEVE_MAX_TOKEN 64 /* of a number; no JSON if it is longer */

enum bh_sieve_at { /* what comes next */
	BH_SIEVE_VALUE,
	BH_SIEVE_FIRST_KEY, /* or the end of the object */
	BH_SIEVE_KEY,
	BH_SIEVE_IN_KEY,
	BH_SIEVE_COLON,
	BH_SIEVE_FIRST_VALUE, /* or the end of the array */
	BH_SIEVE_IN_STRING,
	BH_SIEVE_IN_TOKEN,
	BH_SIEVE_IN_SKIPPED, /* an object or array of which nothing is kept */
	BH_SIEVE_AFTER, /* comma or end */
	BH_SIEVE_END, /* blanks only */
};

struct bh_sieve {
	struct bh_buf out; /* what is kept */
	size_t max; /* bytes of it */
	enum bh_sieve_at at;
	struct bh_sieve_path root; /* of the whole */
	const struct bh_sieve_path *match; /* of the value that comes; NULL: it is not kept */
	struct bh_sieve_open {
		const struct bh_sieve_path *below;
		bool array, any; /* any: something of it was kept */
	} open[BH_SIEVE_DEPTH];
	unsigned depth; /* open ones */
	unsigned skipped; /* brackets that are open in what is skipped */
	bool in_string; /* of what is skipped */
	/* the string or token that is being read */
	size_t len; /* kept bytes of it */
	unsigned rest; /* bytes that its last character still has */
	unsigned hex; /* digits of an escape that are still to come */
	uint32_t code; /* of that */
	bool escape, high; /* high: the first half of a pair of escapes was read */
	bool cut;
	char key[BH_SIEVE_MAX_KEY];
};

/* `wanted` is borrowed, and lists what is kept of the whole: {"[]", …} where that is an array. */
void bh_sieve_init(struct bh_sieve *s, const struct bh_sieve_path *wanted, size_t max);
/* 0; −EFBIG: more than `max` would be kept; −EBADMSG: it is no JSON. After an error nothing more
 * may be fed. */
int bh_sieve_feed(struct bh_sieve *s, const char *p, size_t n);
/* All has come. 0, or −EBADMSG: there is more to come. */
int bh_sieve_end(const struct bh_sieve *s);
bool bh_sieve_untouched(const struct bh_sieve *s); /* nothing but blanks has come */
void bh_sieve_finish(struct bh_sieve *s);
