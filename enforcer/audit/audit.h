/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The audit log: JSON lines with Elastic Common Schema names and the namespace `bulkhead.` of our
 * own. One record per decision or change; repeated denials of one tuple are aggregated. The
 * sequence has no gaps, also across restarts and files.
 *
 * Called on the loop's thread; a thread of its own writes, syncs and signs, so that a slow disk
 * holds up nobody but who asked for a change. Beside the log are its checkpoints (see seal.h): they
 * cover every record at the latest a second after it was written, or 1,000 records, and a change at
 * once. What a crash leaves after the last checkpoint is read again, reported (`log.recovered`) and
 * signed; half a line is set aside in PATH.torn.
 *
 * ECS names are nested objects, as ECS documents are: {"event":{"action":"policy-deny", …}}. Every
 * flow record has bulkhead.repeat, the number of events it stands for; their sum is exact. A record
 * that the disk refuses waits (at most 16,384, or 32 MiB); allowed flows only as long as half of
 * that is free. Beyond, events are counted and reported by a gap record. The process must ignore
 * SIGXFSZ for that to work under a file size limit.
 */
#pragma once

#include <bulkhead/flow.h>
#include <jansson.h>

struct bh_audit;
struct bh_audit_opts {
	const char *path; /* its directory is made if absent (0750); the file is 0640 */
	const char *key; /* file of the private key; NULL: PATH.key */
	const char *node; /* observer.name and host.name */
	const char *machine_id, *boot_id;
	const char *version;
	/* Another file (PATH.000000001234, the last record's number) once this one has so many
	 * bytes or is so many seconds old, how many such files stay, another key after so many
	 * seconds. 0: never, all. */
	uint64_t rotate_size, rotate_s, keep, key_s;
};
/* −EBUSY: another process writes this log; −errno. */
int bh_audit_open(const struct bh_audit_opts *opts, struct bh_audit **ret);
void bh_audit_close(struct bh_audit *a); /* writes what is aggregated; NULL is fine */
void bh_audit_reopen(struct bh_audit *a); /* SIGHUP: the file may have been renamed */
/* Waits until all that was given is on disk. −errno of a write that failed; −ETIMEDOUT after
 * `ms`. */
int bh_audit_settle(struct bh_audit *a, unsigned ms);

/* A decision on a packet. Workloads are borrowed for the call, NULL = not a workload. */
struct bh_audit_flow {
	const char *action; /* policy-deny | would-deny | threat-block | threat-alert | learned |
			     * spoof-drop | policy-allow | host | flow-end */
	const struct bh_flow *flow;
	const struct bh_workload *src, *dst;
	bool src_host, dst_host; /* the node itself */
	enum bh_verdict verdict;
	enum bh_reason reason;
	enum bh_mode mode; /* of the side that decided */
	enum bh_direction direction; /* of the side that decided, seen from its workload */
	const char *policy; /* "ns/name", may be NULL: rule.ruleset */
	const char *rule; /* "egress rule 0 peer 1", may be NULL: rule.name */
	const char *feed, *indicator;
	uint64_t generation; /* of the policy in force */
	const char *policy_sha256; /* hex, may be NULL */
	int64_t when; /* µs since the epoch */
	uint64_t times; /* how many alike this stands for; 0: one */
	/* Of flow-end: what they carried, from the first one's beginning to the last one's last
	 * packet (µs; 0: not known). Such a record is written at once, whatever came before; it
	 * stands for volume->flows. */
	const struct bh_volume *volume;
	int64_t begin, end;
	/* Why the ends have no identity, where that is not what the addresses say; may be NULL. */
	const char *src_reason, *dst_reason;
};
/* The first of a (workloads, addresses, protocol, port, action) is written at once; further ones
 * within 10 s are counted and written as one record with bulkhead.repeat when that time is over
 * (bh_audit_tick). The table is bounded (8,192); beyond, records are counted by action and
 * written as one `gap` record each tick. */
void bh_audit_flow(struct bh_audit *a, const struct bh_audit_flow *f);

/* A change or an event of the daemon: policy.change, mode.change, feed.update, feed.refused, start,
 * stop, reload, tamper, gap, source.lost, source.restored … `outcome` success|failure|NULL; `actor`
 * may be NULL; `details` (stolen reference, may be NULL) becomes bulkhead.change. Written and
 * signed at once. With an actor, who gets an answer next, it is on disk when this returns 0; a slow
 * disk is waited for half a second, and then not again until it has caught up. */
struct bh_audit_actor {
	uint32_t uid, gid;
	int32_t pid;
	const char *user; /* may be NULL */
	bool has_login;
	uint32_t login_uid; /* /proc/PID/loginuid: who logged in, before any sudo */
};
int bh_audit_event(struct bh_audit *a, const char *action, const char *outcome, const char *message,
	const struct bh_audit_actor *actor, json_t *details);

void bh_audit_tick(struct bh_audit *a, int64_t now_us); /* about once a second */

struct bh_audit_stats {
	uint64_t written, aggregated, lost; /* records; events folded into repeats; events lost */
	uint64_t
		refused; /* of the lost: because the log could not be written, or not fast enough */
	uint64_t sequence; /* of the last record written */
	uint64_t waiting; /* records that are not in the file yet */
	uint64_t checkpoints; /* of this run */
	uint64_t signed_sequence; /* the last record that a checkpoint covers */
	int last_error; /* 0 or −errno of the last failed write or signature; retried */
};
void bh_audit_get_stats(const struct bh_audit *a, struct bh_audit_stats *ret);
/* When the log of the run before ended, µs since the epoch; 0: there was none. */
int64_t bh_audit_ended(const struct bh_audit *a);
/* Its public key, as a verifier key of C2SP's signed-note. Owned. */
char *bh_audit_public_key(const struct bh_audit *a);

/* Community ID 1.0 (github.com/corelight/community-id-spec), seed 0. "" without SHA-1. */
#define BH_AUDIT_COMMUNITY_ID 31 /* "1:", 28 of base64, the end */
void bh_audit_community_id(const struct bh_flow *f, char ret[static BH_AUDIT_COMMUNITY_ID]);
