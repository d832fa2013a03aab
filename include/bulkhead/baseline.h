/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Roles and the learned baseline, and its rendering as NetworkPolicy YAML. Pure; the store keeps
 * the tuples. Implemented in rules/baseline.
 */
#pragma once

#include <bulkhead/flow.h>
#include <bulkhead/workload.h>

/*
 * The part of a workload's labels that its replicas share. Precedence: compose service
 * (com.docker.compose.service), app.kubernetes.io name, instance and component, app, k8s-app, else
 * all stable labels that Kubernetes' syntax allows, else bulkhead.io/name. Volatile ones
 * (pod-template-hash, controller-revision-hash, statefulset.kubernetes.io/pod-name, job names,
 * compose container-number, config-hash and bookkeeping, org.opencontainers.image.*, build dates,
 * digests) never count. ret_selector gets the labels that select the role inside its namespace.
 */
void bh_role_of(const struct bh_workload *w, struct bh_labels *ret_selector);
/* For YAML that is shown: plain where no reader takes it for something else, else in quotes. */
void bh_yaml_scalar(const char *s, struct bh_buf *out);
/* A short human name: the service, app or container name; "k=v,k=v" else. An app's component is
 * added where the app's name does not hold it. Owned. */
char *bh_role_name(const struct bh_labels *selector);

enum bh_end_kind {
	BH_END_ROLE,
	BH_END_ADDR,
	BH_END_HOST,
	BH_END_OTHERS, /* outside addresses that are not kept one by one any more */
};

struct bh_end {
	enum bh_end_kind kind;
	char *namespace; /* ROLE */
	struct bh_labels selector; /* ROLE */
	struct bh_addr addr; /* ADDR; OTHERS: its family */
};

/* What an operator said of a tuple. A rejected one becomes no rule. */
enum bh_review { BH_REVIEW_NONE, BH_REVIEW_ACCEPTED, BH_REVIEW_REJECTED };
const char *bh_review_name(enum bh_review r); /* "none" | "accepted" | "rejected" */

struct bh_tuple {
	struct bh_end src, dst;
	uint8_t proto;
	uint16_t port; /* destination port; 0 where the protocol has none */
	uint8_t icmp_type; /* ICMP, ICMPv6 */
	bool egress, ingress; /* which sides were learning: each becomes a rule of that side */
	bool answered; /* only answered tuples become rules */
	int64_t first_seen, last_seen; /* µs since the epoch, UTC */
	int64_t answered_at; /* when it was answered first: since then it is an edge; 0 = never */
	uint64_t connections;
	struct bh_volume volume; /* of those whose end was seen */
	enum bh_review review;
	/* Its outside address is exported as this block, which has it. */
	bool is_widened;
	struct bh_prefix widened;
	/*
	 * So many tuples were put together into it, because there were more than are kept; one that
	 * came back counts again. 0: it is one itself. Its port is 0 if they had several. span: the
	 * smallest block that has their outside addresses, with an end of OTHERS.
	 */
	uint64_t folded;
	struct bh_prefix span;
	char **image; /* references seen at the source (role) end; sorted, unique */
	size_t n_images;
};

void bh_end_copy(struct bh_end *to, const struct bh_end *from);
void bh_end_finish(struct bh_end *e);
int bh_end_cmp(const struct bh_end *a, const struct bh_end *b);
bool bh_end_equal(const struct bh_end *a, const struct bh_end *b);
/* "shop/web", "203.0.113.9", "host", "others-ipv4". */
void bh_end_format(const struct bh_end *e, struct bh_buf *out);
void bh_tuple_finish(struct bh_tuple *t);
/* Canonical text key of (src, dst, proto, port, icmp type): equal tuples, equal keys. Owned. */
char *bh_tuple_key(const struct bh_tuple *t);
/*
 * What the tuple is put together into, counts and span of itself alone: its outside address becomes
 * OTHERS; or, where it has none, or was not answered, its port 0. Borrows its ends; no images.
 * False: it has neither.
 */
bool bh_tuple_can_fold(const struct bh_tuple *t);
bool bh_tuple_fold(const struct bh_tuple *t, struct bh_tuple *ret);
void bh_tuple_absorb(struct bh_tuple *to, const struct bh_tuple *t); /* t: of bh_tuple_fold */
/* Its outside address, or all of those that were put together, are in the block. */
bool bh_tuple_in_block(const struct bh_tuple *t, const struct bh_prefix *block);
/* A short name for people, a hash of the key. */
#define BH_TUPLE_ID_STRLEN 17
const char *bh_tuple_id(const struct bh_tuple *t, char buf[static BH_TUPLE_ID_STRLEN]);
/* Its outside address, the only one it can have; NULL: it has none. */
const struct bh_addr *bh_tuple_outside(const struct bh_tuple *t);
/* How many addresses: "256", "2^64". */
const char *bh_breadth_format(const struct bh_prefix *p, char buf[static 24]);

/*
 * How well a role was seen, and whether its baseline is worth enforcing. Hours of the week (UTC,
 * from Monday 0 h) are bits.
 */
#define BH_HOURS_BYTES 21 /* 7 × 24 bits */
void bh_hours_mark(uint8_t hours[static BH_HOURS_BYTES], int64_t us);
/* How many of the 24 hours of a day and of the 7 weekdays are marked. */
void bh_hours_count(
	const uint8_t hours[static BH_HOURS_BYTES], unsigned *ret_hours, unsigned *ret_weekdays);

struct bh_ready_facts {
	uint64_t learned_s; /* how long it was observed while it learned, seconds */
	size_t edges, unanswered;
	uint64_t connections;
	int64_t quiet_s; /* since the last new edge */
	unsigned hours, weekdays;
	uint64_t starts; /* of its containers, while it was observed */
};

enum bh_ready_level {
	BH_READY_HARDLY_SEEN, /* nothing follows from it */
	BH_READY_LEARNING,
	BH_READY_USABLE, /* a day was seen and it is quiet: try it in audit mode */
	BH_READY_READY, /* a week and a start were seen too */
};
const char *bh_ready_level_name(enum bh_ready_level l); /* "hardly-seen" … */

struct bh_ready_reason {
	bool met;
	char text[96];
};
struct bh_ready {
	enum bh_ready_level level;
	struct bh_ready_reason reason[8];
	size_t n;
};
void bh_ready_judge(const struct bh_ready_facts *f, struct bh_ready *ret);

#define BH_DURATION_STRLEN 32
/* "42s", "5m", "3h07m", "12d04h"; of seconds. */
const char *bh_duration_format(int64_t s, char buf[static BH_DURATION_STRLEN]);

struct bh_export_opts {
	const char *namespace; /* only policies of this namespace; NULL = all */
	const char *role; /* only this role name; NULL = all */
	bool host_policy; /* host edges need a rule (host: policy) */
	const struct bh_addr *host; /* the node's addresses, for those rules */
	size_t n_hosts;
	bool evidence; /* annotations with counts and dates */
	/* With evidence: names that the role was told for an outside address, sorted, at most
	 * BH_EXPORT_NAMES of them into ret (borrowed until the next call); returns how many. May be
	 * NULL. They stand beside the address as comments, and mean nothing to anybody. */
#define BH_EXPORT_NAMES 4
	size_t (*names)(const struct bh_end *role, const struct bh_addr *a,
		const char *ret[static BH_EXPORT_NAMES], void *arg);
	void *names_arg;
	/* Roles of which nothing was learned: those that get a policy without rules, and those that
	 * were seen too little for that, which get a comment. Both are ROLE ends. */
	const struct bh_end *empty, *hardly_seen;
	size_t n_empty, n_hardly_seen;
};

/*
 * NetworkPolicy YAML, sorted, the same bytes for the same input: one document for each role that
 * has an answered tuple in which its own side was learning. Each isolates both directions, so that
 * applied and enforced it allows exactly the answered tuples that nobody rejected, widened as the
 * operator said; what a wider block of the same role and port has is left out. `inv` (may
 * be NULL) is used to notice roles whose selector would also select other workloads; their
 * selectors are narrowed. What cannot be said (ICMP alone) becomes a comment. Returns the number
 * of policies written.
 */
size_t bh_baseline_export(const struct bh_tuple *tuple, size_t n, const struct bh_inventory *inv,
	const struct bh_export_opts *opts, struct bh_buf *out);
