/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes an audit log with the daemon's own code, to be killed, filled up or measured. Prints
 * "signed N" whenever a checkpoint has covered more: what it has acknowledged.
 *
 *     recorder PATH KEY COUNT [rotate-size=N] [keep=N] [key=SECONDS] [pause=US] [same]
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <time.h>

#include "audit/audit.h"

struct options {
	struct bh_audit_opts audit;
	uint64_t count, pause, same;
};

static void die(const char *what, int e)
{
	fprintf(stderr, "recorder: %s: %s\n", what, strerror(-e));
	exit(1);
}

static void parse(int argc, char **argv, struct options *o)
{
	const struct {
		const char *name;
		uint64_t *value;
	} known[] = {{"rotate-size=", &o->audit.rotate_size}, {"keep=", &o->audit.keep},
		{"key=", &o->audit.key_s}, {"pause=", &o->pause}, {"same=", &o->same}};

	if (argc < 4 || bh_parse_u64(argv[3], UINT32_MAX, &o->count) < 0)
		die("PATH KEY COUNT", -EINVAL);
	o->audit = (struct bh_audit_opts){.path = argv[1],
		.key = argv[2],
		.node = "node-1",
		.machine_id = "m",
		.boot_id = "b",
		.version = "1"};
	for (int i = 4; i < argc; i++)
		for (size_t k = 0; k < BH_ARRAY_SIZE(known); k++)
			if (strncmp(argv[i], known[k].name, strlen(known[k].name)) == 0)
				bh_parse_u64(argv[i] + strlen(known[k].name), UINT32_MAX,
					known[k].value);
}

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void tell(struct bh_audit *a, uint64_t *told)
{
	struct bh_audit_stats st;
	bh_audit_get_stats(a, &st);
	if (st.signed_sequence == *told)
		return;
	*told = st.signed_sequence;
	printf("signed %" PRIu64 "\n", *told);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct bh_audit *a;
	uint64_t told = 0;

	signal(SIGXFSZ, SIG_IGN);
	parse(argc, argv, &o);
	int e = bh_audit_open(&o.audit, &a);
	if (e < 0)
		die(argv[1], e);
	char *key = bh_audit_public_key(a);
	printf("key %s\n", key);
	free(key);
	for (uint64_t i = 0; i < o.count; i++) {
		struct bh_flow w = {.proto = BH_TCP, .dport = 80};
		bh_addr_parse("10.0.0.2", &w.src);
		bh_addr_parse("10.0.0.3", &w.dst);
		w.sport = (uint16_t)i;
		w.dport = o.same ? 80 : (uint16_t)(i % 8000);
		bh_audit_flow(a, &(struct bh_audit_flow){.action = "policy-deny",
					 .flow = &w,
					 .verdict = BH_DROP,
					 .reason = BH_REASON_UNMATCHED,
					 .mode = BH_MODE_ENFORCE,
					 .direction = BH_EGRESS});
		if (i % 100 == 99)
			bh_audit_event(a, "feed.update", "success", NULL, NULL, NULL);
		if (i % 10 == 9)
			bh_audit_tick(a, now_us());
		tell(a, &told);
		if (o.pause) {
			struct timespec ts = {.tv_nsec = (long)o.pause * 1000};
			nanosleep(&ts, NULL);
		}
	}
	bh_audit_close(a);
	return 0;
}
