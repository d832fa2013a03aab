/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a reviewer asks: who could talk to whom by the policies in force, who did, under which
 * version, and which rules nothing used. A job of the event loop in small steps; one at a time.
 *
 * What somebody could do is the difference between the policies in force and a node on which
 * nothing is allowed, asked of the engine (bulkhead/delta.h). What somebody did is the flow table.
 * A rule is the same one as long as its policy means the same (bh_policy_equal).
 */
#pragma once

#include <bulkhead/delta.h>
#include <jansson.h>

#include "analysis/seen_rows.h"

struct bh_core;

#define BH_REPORT_DID_MAX 5000
#define BH_REPORT_RULES_MAX 20000

struct bh_report_version {
	uint64_t number;
	int64_t at; /* µs; 0: before versions were kept */
	char *user, *cause, *comment;
};

/* Flows of two roles (or a role and an address) to one service, that passed. */
struct bh_report_did {
	struct bh_end src, dst;
	uint8_t proto;
	uint16_t port;
	bool would_deny; /* passed for want of enforcement */
	uint64_t connections;
	int64_t first, last; /* µs */
	uint64_t from, to; /* versions in force then; 0: not known */
	char *rule; /* of the row seen last; may be NULL */
	bool possible; /* by what is in force now */
};

struct bh_report_policy { /* by index in the set */
	uint64_t version; /* since when it means what it means */
	int64_t at; /* µs */
	bool before; /* …or longer: older versions are not kept */
	bool settled;
};

struct bh_report_rule { /* a rule's peer, or a rule without peers */
	size_t policy;
	enum bh_direction direction;
	size_t rule;
	char *text; /* as flow rows name it */
	uint64_t connections;
	int64_t first, last; /* µs; 0: never */
};

struct bh_report {
	uint64_t id;
	enum { BH_REPORT_POLICIES, BH_REPORT_ROWS, BH_REPORT_COULD, BH_REPORT_DONE } phase;
	char *error;
	int64_t since, asked, ended; /* µs */
	uint64_t generation;
	char sha256[65];
	bool host_allowed;
	struct bh_policy_set *set; /* reference */

	struct bh_report_version *version; /* ascending */
	size_t n_versions, cap_versions, look; /* look: the next to compare with, counted down */

	uint64_t cursor, rows;
	int64_t evidence; /* µs: of the oldest row */
	struct bh_seen_rows seen;
	struct bh_report_did *did;
	size_t n_did, cap_did;
	uint32_t *did_slot; /* index + 1 */
	uint64_t unlisted, unnamed,
		denied; /* connections: beyond the list, of nobody known, denied */

	struct bh_report_policy *policy;
	struct bh_report_rule *rule;
	size_t n_rules, cap_rules;
	uint32_t *rule_slot; /* index + 1 */
	size_t rule_mask;
	uint64_t rules_omitted;

	json_t *could; /* {"truncated", "edges": […]}; null before workloads are known */
};

void bh_core_report_tick(struct bh_core *c); /* forgets an old result */
void bh_core_report_finish(struct bh_core *c);

/* --- report_did.c --- */
void bh_core_report_row(struct bh_core *c, struct bh_report *r, const struct bh_flow_row *row);
json_t *bh_core_report_did_json(const struct bh_report *r);
void bh_core_report_did_finish(struct bh_report *r);
/* The version in force at a time; 0: not known. */
uint64_t bh_core_report_version_at(const struct bh_report *r, int64_t when);

/* --- report_rules.c --- */
void bh_core_report_rules_init(struct bh_report *r);
void bh_core_report_rules_finish(struct bh_report *r);
/* Compares with the next older version; false: there is nothing left to ask. */
bool bh_core_report_look_back(struct bh_core *c, struct bh_report *r);
void bh_core_report_use(struct bh_report *r, const struct bh_flow_row *row);
json_t *bh_core_report_rules_json(const struct bh_report *r);

/* --- report_could.c: at once, about a second at most --- */
void bh_core_report_could(struct bh_core *c, struct bh_report *r);
