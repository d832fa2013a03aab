/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A delta as the JSON that API.md gives for plan and diff. Its own library, as the command line
 * says the same of a state file and must not link the core.
 */
#ifndef BH_CORE_DELTA_JSON_H
#define BH_CORE_DELTA_JSON_H

#include <bulkhead/delta.h>
#include <jansson.h>

/* A new reference, for the caller; NULL only when jansson has no memory. d stays the caller's. */
json_t *bh_delta_json(const struct bh_delta *d);

#endif
