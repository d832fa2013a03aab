/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * State that must survive: SQLite in WAL mode, STATE/bulkhead.db, schema versioned by user_version.
 * All on the loop's thread. Writes are collected in a transaction that bh_store_commit ends; what a
 * user was told is done is committed first. Errors: −errno (−ENOSPC, −EIO, …), text by
 * bh_store_message. A database that cannot be read is set aside as bulkhead.db.corrupt-N and a new
 * one made; open then returns 1, as it does when there was one and it is gone. Modes and
 * quarantines are in STATE/bulkhead.keep as well, and come from there then. One that a newer
 * version made is refused with -EPROTONOSUPPORT.
 *
 * A full disk: the put or commit that meets it returns -ENOSPC, everything since the last commit is
 * rolled back, and puts go on failing until commit has reported that once. Then all works again as
 * soon as there is room. What an earlier commit acknowledged is never lost.
 */
#pragma once

#include <bulkhead/baseline.h>
#include <bulkhead/workload.h>

#define BH_ROLE_INSTANCES 32

struct bh_store;
int bh_store_open(const char *dir, struct bh_store **ret);
bool bh_store_restored(const struct bh_store *s); /* modes and quarantines, from the copy */
/* 0, or −errno: why what was decided last has no copy. Commits try again, but for one that could
 * not even be opened. */
int bh_store_kept(const struct bh_store *s);
void bh_store_close(struct bh_store *s); /* commits; NULL is fine */
const char *bh_store_message(const struct bh_store *s);
/* The same until something was committed again; then, and before any failure, NULL. Borrowed until
 * the next call. */
const char *bh_store_trouble(const struct bh_store *s);
/* 0: everything put since the last commit is on disk (synced). Else none of it is. */
int bh_store_commit(struct bh_store *s);

/* Baseline tuples, keyed by bh_tuple_key: put replaces. load calls fn with borrowed tuples. */
int bh_store_put_tuple(struct bh_store *s, const struct bh_tuple *t);
int bh_store_drop_tuple(struct bh_store *s, const char *key);
int bh_store_clear_tuples(struct bh_store *s); /* drops all */
int bh_store_load_tuples(
	struct bh_store *s, void (*fn)(const struct bh_tuple *, void *), void *arg);

/* Roles that were observed, keyed by their end: put replaces, a load calls fn with borrowed ones.
 */
struct bh_role_row {
	struct bh_end end;
	int64_t since, last; /* µs: observed first and last */
	uint64_t learned_s; /* of that time, while it learned; seconds */
	uint64_t starts; /* of its containers */
	uint8_t hours[BH_HOURS_BYTES];
	uint64_t instance[BH_ROLE_INSTANCES]; /* hashes of containers, the newest last */
	size_t n_instances;
};
int bh_store_put_role(struct bh_store *s, const struct bh_role_row *r);
int bh_store_drop_role(struct bh_store *s, const struct bh_end *end);
int bh_store_load_roles(
	struct bh_store *s, void (*fn)(const struct bh_role_row *, void *), void *arg);

/* Names of addresses as an end (a role or the host) was told them, keyed by all three; put
 * replaces, a load calls fn with borrowed ones, the oldest first. */
#define BH_STORE_NAME_MAX 253 /* bytes */
struct bh_name_row {
	struct bh_end end;
	struct bh_addr addr;
	char *name; /* lower case letters, digits, '-', '_' and '.' */
	int64_t first_seen, last_seen; /* µs */
};
int bh_store_put_name(struct bh_store *s, const struct bh_name_row *r);
int bh_store_drop_name(struct bh_store *s, const struct bh_name_row *r);
int bh_store_load_names(
	struct bh_store *s, void (*fn)(const struct bh_name_row *, void *), void *arg);

/*
 * Flows, aggregated by (ends, their addresses and stays, proto, port, verdict, reason, rule): who
 * comes to a name or an address later begins rows of its own.
 */
struct bh_flow_row {
	int64_t first_seen, last_seen; /* µs since the epoch */
	char *src, *dst; /* "ns/name", an address or "host" */
	char *src_addr, *dst_addr;
	char *src_id, *dst_id; /* workload ids, may be NULL */
	uint64_t src_stay, dst_stay; /* numbers of struct bh_stay; 0: no workload, or not known */
	uint8_t proto;
	uint16_t port;
	char *verdict, *reason, *mode;
	char *rule; /* "ns/policy egress rule 0", feed and indicator, or NULL */
	uint64_t count;
	struct bh_volume volume; /* of those whose end was seen */
	uint64_t seq; /* grows with every change of the row: cursor for `flows -f` */
};
void bh_flow_row_finish(struct bh_flow_row *r);
void bh_flow_row_copy(struct bh_flow_row *to, const struct bh_flow_row *from); /* overwrites */
/* Adds r->count and r->volume to the row of the same key or makes it; of more than `max_rows`
 * the oldest are put together, some more at once than have to. */
int bh_store_add_flow(struct bh_store *s, const struct bh_flow_row *r, uint64_t max_rows);
/* Old rows that were put together: "outside" for any outside address, port 0 for several, "*" for
 * anybody. Those with the most connections first; borrowed for the call. */
struct bh_flow_fold {
	const char *src, *dst, *verdict;
	uint8_t proto;
	uint16_t port;
	int64_t first_seen, last_seen; /* µs */
	uint64_t count, rows; /* connections; rows that there were */
};
int bh_store_list_flow_folds(struct bh_store *s, size_t limit,
	void (*fn)(const struct bh_flow_fold *, void *), void *arg);
int bh_store_sum_flow_folds(struct bh_store *s, struct bh_flow_fold *ret); /* rows 0: none */
/* Rows with seq > since, ascending by seq, at most `limit`; the newest ones if since is 0, the
 * oldest ones if it is BH_FLOWS_OLDEST. */
#define BH_FLOWS_OLDEST (UINT64_MAX - 1)
int bh_store_list_flows(struct bh_store *s, uint64_t since, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg);
/* Of the newest 20,000 rows those that no rule allowed: denied, or watched only. Newest first. */
int bh_store_list_unmatched(struct bh_store *s, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg);
/* As bh_store_list_flows, but 0 is before the first of all. */
int bh_store_flows_after(struct bh_store *s, uint64_t since, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg);

/*
 * Rows with that end, at most `limit`: of a stay the newest first; of addresses from first to last
 * in the addresses' order, which makes none of them the oldest. Each is one walk along an index.
 */
enum bh_flow_end { BH_FLOW_SRC, BH_FLOW_DST };
int bh_store_flows_of_stay(struct bh_store *s, enum bh_flow_end end, uint64_t stay, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg);
/* Each address that is that end of any row once, in their order: a walk along an index. */
int bh_store_list_flow_addrs(struct bh_store *s, enum bh_flow_end end,
	void (*fn)(const struct bh_addr *a, void *arg), void *arg);
int bh_store_flows_of_range(struct bh_store *s, enum bh_flow_end end, const struct bh_range *r,
	size_t limit, void (*fn)(const struct bh_flow_row *, void *), void *arg);

/*
 * Stays: a workload's life on this node, from the first inventory that had it to the last. One that
 * is made again, and one that is stopped and started, is another stay.
 */
struct bh_stay_addr {
	struct bh_addr addr;
	int64_t since, until; /* µs since the epoch; until 0: it still has it */
};
struct bh_stay {
	uint64_t number; /* by bh_store_new_stay; 0 is none */
	char *id, *runtime, *name, *namespace;
	char *image, *digest; /* may be NULL */
	struct bh_images others; /* of its further containers */
	struct bh_labels labels;
	char *mark; /* whether what is there after a restart of the daemon is the same */
	int64_t started; /* µs since the epoch */
	bool early; /* it was there when somebody first looked: it started before `started` */
	int64_t stopped; /* 0: it is there */
	bool unseen; /* nobody saw it stop: `stopped` is when it was last seen */
	struct bh_stay_addr *addr;
	size_t n_addrs;
};
void bh_stay_finish(struct bh_stay *y);
void bh_stay_copy(struct bh_stay *to, const struct bh_stay *from); /* `to` is overwritten */
uint64_t bh_store_new_stay(struct bh_store *s); /* a number that no row names */
/* Adds it, or replaces the one of that number with its addresses. */
int bh_store_put_stay(struct bh_store *s, const struct bh_stay *y);
/* Forgets what stopped before `before` (µs), and the oldest of those that are more than max; those
 * that are there stay. At most 1,000 in a call. */
int bh_store_trim_stays(struct bh_store *s, int64_t before, uint64_t max);
uint64_t bh_store_count_stays(const struct bh_store *s);

enum bh_stay_by {
	BH_STAY_OPEN, /* those that are there */
	BH_STAY_GONE, /* the last to stop first */
	BH_STAY_ID, /* text: the beginning of an id */
	BH_STAY_NAME, /* text: the name, in whatever namespace; the last to start first */
	BH_STAY_IMAGE, /* text: the reference, to the letter */
	BH_STAY_DIGEST, /* text: the beginning of a digest */
	BH_STAY_OTHER_IMAGE, /* the same two of its further containers */
	BH_STAY_OTHER_DIGEST,
};
/* fn gets borrowed stays and says whether it wants more; at most `limit` are read. */
typedef bool (*bh_stay_fn)(const struct bh_stay *y, void *arg);
int bh_store_list_stays(struct bh_store *s, enum bh_stay_by by, const char *text, size_t limit,
	bh_stay_fn fn, void *arg);
int bh_store_get_stay(struct bh_store *s, uint64_t number, struct bh_stay *ret); /* -ENOENT */
/* Those that had an address of the range at any time; in no order. */
int bh_store_stays_of_range(
	struct bh_store *s, const struct bh_range *r, size_t limit, bh_stay_fn fn, void *arg);
/* Every reference of an image that a stay has, sorted, at most `limit` of them. */
int bh_store_list_images(
	struct bh_store *s, size_t limit, void (*fn)(const char *image, void *arg), void *arg);

/* Times that changes were rolled back: what was put since the last commit has to be put again. */
uint64_t bh_store_losses(const struct bh_store *s);
bool bh_store_has_changes(const struct bh_store *s); /* that wait for their commit */

/*
 * Modes set at run time. scope: "" = the node, "shop" = a namespace, "shop?tier=db" = those in it
 * that the selector means, "?tier=db" = those of any namespace. `until` 0: for good; else `mode`
 * ends then, and the scope goes back to `back` (has_back), or is nothing any more.
 */
struct bh_mode_row {
	char *scope;
	enum bh_mode mode;
	int64_t set_at; /* µs */
	uint32_t uid;
	int64_t until; /* µs */
	bool has_back;
	enum bh_mode back;
};
int bh_store_put_mode(struct bh_store *s, const struct bh_mode_row *m); /* replaces */
int bh_store_shift_modes(struct bh_store *s, int64_t by); /* all times in them; µs */
/* Those that were set after `now` (µs) are moved together, so that the last one was set now. */
int bh_store_rebase_modes(struct bh_store *s, int64_t now);
int bh_store_drop_mode(struct bh_store *s, const char *scope);
int bh_store_load_modes(
	struct bh_store *s, void (*fn)(const struct bh_mode_row *, void *), void *arg);

/*
 * Quarantined workloads, keyed by namespace and name: put replaces. What an older row says that
 * cannot be read is left out of it, never the row.
 */
struct bh_quarantine_row {
	char *namespace, *name;
	char *id; /* of the workload when it was put there */
	struct bh_quarantine *allow;
	char *reason; /* "" = none given */
	int64_t at; /* µs */
	uint32_t uid;
	int32_t pid;
};
int bh_store_put_quarantine(struct bh_store *s, const struct bh_quarantine_row *q);
int bh_store_drop_quarantine(struct bh_store *s, const char *namespace, const char *name);
int bh_store_load_quarantine(
	struct bh_store *s, void (*fn)(const struct bh_quarantine_row *, void *), void *arg);

/*
 * Versions: every set of policies that came into force, with the files that it came from. The one
 * with the highest number is the last. BH_VERSIONS_KEPT of them are kept, the newest; texts that
 * several versions share are stored once.
 */
#define BH_VERSIONS_KEPT 200
struct bh_version {
	uint64_t number; /* the generation: 1… */
	char *sha256; /* hex, of the set */
	int64_t at; /* µs since the epoch; 0 = before versions were kept */
	char *cause; /* "apply", "delete", "rollback", "directory changed", … */
	char *user; /* a user's name, or who else: "directory", "daemon" */
	bool by_user; /* uid and pid are known: of the API's peer */
	uint32_t uid;
	int32_t pid;
	char *comment; /* "" = none */
	uint64_t policies; /* how many */
};
void bh_version_finish(struct bh_version *v);
/* Adds the version, or replaces the one of that number, and forgets those that are too many. */
int bh_store_put_version(struct bh_store *s, const struct bh_version *v,
	const struct bh_policy_source *src, size_t n);
/* Other files for a version that is there: the same policies may come to stand elsewhere. */
int bh_store_put_version_files(
	struct bh_store *s, uint64_t number, const struct bh_policy_source *src, size_t n);
int bh_store_drop_version(struct bh_store *s, uint64_t number);
int bh_store_get_version(struct bh_store *s, uint64_t number, struct bh_version *ret); /* -ENOENT */
/* The newest first. */
int bh_store_list_versions(
	struct bh_store *s, void (*fn)(const struct bh_version *, void *), void *arg);
/* Texts with the names of their files, in order. */
int bh_store_load_version_files(struct bh_store *s, uint64_t number,
	void (*fn)(const struct bh_policy_source *, void *), void *arg);

/* Small named values (u64) such as the generation of the policies. */
int bh_store_put_u64(struct bh_store *s, const char *name, uint64_t v);
int bh_store_get_u64(struct bh_store *s, const char *name, uint64_t *ret); /* −ENOENT */
