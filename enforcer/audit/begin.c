/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting: what the last run left is put in order, and reported, before the first record. */
#include <sys/stat.h>
#include <time.h>

#include "audit/private.h"

static void report_recovery(struct bh_audit_commit *c, const struct bh_audit_recovery *r,
	const struct bh_audit_found *f)
{
	if (f->lost)
		bh_audit_commit_note(c, "log.altered",
			"checkpoints stand beside the log, but their key is gone: another tree "
			"begins",
			json_pack("{s:s}", "class", "key-lost"));
	if (r->aside)
		bh_audit_commit_note(c, f->fresh ? "log.recovered" : "log.altered",
			f->fresh ? "the file has no checkpoints and has been set aside"
				 : "the file is not what the last checkpoint says and has been set "
				   "aside",
			json_pack("{s:s, s:o}", "class", r->why, "saved",
				bh_audit_text(r->aside, 4096)));
	if (!r->unsigned_records && !r->torn && !f->torn)
		return;
	bh_audit_commit_note(c, "log.recovered",
		r->torn ? "the end of the log was no record and has been set aside"
			: "the last run ended without a checkpoint",
		json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:I}", "class",
			r->torn ? "torn-line" : "unsigned", "records",
			(json_int_t)r->unsigned_records, "last_sequence", (json_int_t)r->sequence,
			"bytes", (json_int_t)r->torn, "saved", bh_audit_text(r->torn_path, 4096),
			"text", bh_audit_text(r->torn_text, BH_AUDIT_TORN_SHOWN),
			"checkpoint_bytes", (json_int_t)f->torn));
}

/* A file that begins here says so in its first record, and the notes in theirs. A rotation that was
 * not finished is. */
static int begin_file(struct bh_audit_commit *c, const struct bh_audit_found *f)
{
	char bh_autofree *name = bh_audit_turn_name(&c->turn);
	int64_t now = bh_audit_now();
	bool rotated = !f->fresh && f->last.offset > 0 && access(name, F_OK) == 0;

	c->turn.file_since = now;
	if (!f->fresh && f->last.offset > 0)
		bh_audit_commit_note(c, rotated ? "log.rotated" : "log.reopened",
			rotated ? "the log goes on in a new file"
				: "the file of the log was not there any more",
			bh_audit_turn_previous(&c->turn, rotated ? name : NULL));
	if (rotated &&
		bh_audit_seal_turn(&c->seal, name, c->turn.sequence - c->n_pending, now) == 0)
		return 0;
	return bh_audit_seal_sign(&c->seal, c->turn.sequence - c->n_pending, 0, now);
}

/* When the file's first record was made, for its age; else `otherwise`. */
static int64_t begun_at(int fd, int64_t otherwise)
{
	char text[64] = "";
	struct tm tm = {0};
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
		sscanf(text, "{\"@timestamp\":\"%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon,
			&tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return otherwise;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000000;
}

int bh_audit_commit_recover(struct bh_audit_commit *c, const struct bh_audit_found *f)
{
	struct bh_audit_recovery r = {0};

	int e = bh_audit_recover(c->log.path, c->log.fd, f->fresh ? NULL : &f->last, &c->seal, &r);
	if (e == 0 && r.aside)
		e = bh_audit_log_open_new(&c->log);
	if (e == 0) {
		struct stat st;
		c->log.size = fstat(c->log.fd, &st) == 0 ? (uint64_t)st.st_size : 0;
		c->turn.sequence = r.sequence;
		c->ended = f->fresh ? 0 : f->last.time;
		c->turn.file_since = begun_at(c->log.fd, f->fresh ? bh_audit_now() : f->last.time);
		if (c->log.size == 0)
			e = begin_file(c, f);
	}
	if (e == 0) {
		report_recovery(c, &r, f);
		if (c->seal.tree.size != c->seal.signed_size)
			c->urgent = true;
		c->error = bh_audit_commit_sign(c);
	}
	bh_audit_recovery_finish(&r);
	return e;
}
