/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of the data path's load. See path.h. */
#include "bench/path.h"

#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>

static const struct {
	const char *name;
	void (*run)(struct path_opts *o);
} commands[] = {
	{"stream", path_stream},
	{"connect", path_connect},
	{"victim", path_victim},
	{"fresh", path_fresh},
	{"echo", path_echo},
	{"loop", path_loop},
	{"watch", path_watch},
};

static void usage(void)
{
	fputs("usage: bench_path stream|connect|victim|fresh|echo|loop|watch --lab LAB…\n"
	      "    [--rounds N] [--slice MS] [--rate N] [--threads N] [--port N]\n"
	      "    [--flood N] [--window N] [--apart] [--first N]\n"
	      "Made to be run by tests/bench/path.py.\n",
		stderr);
	exit(2);
}

static unsigned number(const char *s, unsigned most)
{
	uint64_t v = 0;
	if (!s || bh_parse_u64(s, most, &v) < 0)
		usage();
	return (unsigned)v;
}

static uint32_t address(const char *s)
{
	struct in_addr a;
	if (!s || inet_pton(AF_INET, s, &a) != 1)
		usage();
	return ntohl(a.s_addr);
}

/* "10.0.0.8+4": five addresses. */
static void addresses(char *s, uint32_t *ret_first, uint32_t *ret_n)
{
	char *plus = s ? strchr(s, '+') : NULL;
	if (plus)
		*plus = '\0';
	*ret_first = address(s);
	*ret_n = 1 + (plus ? number(plus + 1, 250) : 0);
}

static void add_lab(struct path_opts *o, char *text)
{
	struct path_lab *l = &o->lab[o->n_labs++];
	char *part[9] = {0};
	size_t n = 0;
	if (o->n_labs > PATH_LABS)
		usage();
	for (char *p; n < BH_ARRAY_SIZE(part) && (p = strsep(&text, ","));)
		part[n++] = p;
	if (n != BH_ARRAY_SIZE(part) || text)
		usage();
	snprintf(l->name, sizeof(l->name), "%s", part[0]);
	snprintf(l->node, sizeof(l->node), "%s", part[1]);
	l->pid = (int)number(part[2], 1u << 22);
	snprintf(l->client, sizeof(l->client), "%s", part[3]);
	addresses(part[4], &l->source, &l->n_sources);
	snprintf(l->server, sizeof(l->server), "%s", part[5]);
	addresses(part[6], &l->target, &l->n_targets);
	snprintf(l->attacker, sizeof(l->attacker), "%s", part[7]);
	addresses(part[8], &l->evil, &l->n_evil);
}

static void option(int c, struct path_opts *o)
{
	switch (c) {
	case 'l':
		add_lab(o, optarg);
		break;
	case 'r':
		o->rounds = number(optarg, 1000);
		break;
	case 's':
		o->slice_ms = number(optarg, 10000);
		break;
	case 'R':
		o->rate = number(optarg, 1000000);
		break;
	case 't':
		o->threads = number(optarg, PATH_CPUS);
		break;
	case 'p':
		o->port = (uint16_t)number(optarg, 65535);
		break;
	case 'f':
		o->flood = number(optarg, 1000000);
		break;
	case 'w':
		o->window = number(optarg, 60000);
		break;
	case 'F':
		o->first = number(optarg, UINT32_MAX);
		break;
	case 'a':
		o->apart = true;
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"lab", 1, 0, 'l'}, {"rounds", 1, 0, 'r'},
		{"slice", 1, 0, 's'}, {"rate", 1, 0, 'R'}, {"threads", 1, 0, 't'},
		{"port", 1, 0, 'p'}, {"flood", 1, 0, 'f'}, {"window", 1, 0, 'w'},
		{"apart", 0, 0, 'a'}, {"first", 1, 0, 'F'}, {0}};
	static struct path_opts o = {
		.rounds = 1, .slice_ms = 200, .threads = 1, .port = 5201, .window = 2048};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		option(c, &o);
	if (optind + 1 != argc || o.n_labs == 0)
		usage();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1UL); /* sleeps end when they are to */
	for (size_t i = 0; i < BH_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[optind]) == 0) {
			commands[i].run(&o);
			return 0;
		}
	}
	usage();
}
