/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clocks, namespaces, what was used, and the lines that are printed. See path.h. */
#include "bench/path.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>

#define SETTLE_NS 1000000000LL
#define SETTLE_STEP_NS 10000000LL
#define SETTLED_NS 400000LL /* of CPU in a step: rests */
#define SAMPLES_MAX (4u << 20)

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t path_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t path_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t path_thread_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void path_sleep_until(int64_t when)
{
	struct timespec t = {when / 1000000000, when % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

void path_pin(unsigned cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		warnx("CPU %u: not pinned", cpu);
}

void path_enter(const char *netns)
{
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	bh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		err(1, "%s", path);
}

struct sockaddr_in path_addr(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

/* The first number of /proc/PID/task/TID/schedstat: ns on a CPU. */
static int64_t daemon_cpu(int pid)
{
	char path[64];
	int64_t sum = 0;
	if (pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char file[400];
		long long ns;
		snprintf(file, sizeof(file), "%s/%s/schedstat", path, e->d_name);
		bh_autofclose FILE *f = e->d_name[0] == '.' ? NULL : fopen(file, "re");
		if (f && fscanf(f, "%lld", &ns) == 1)
			sum += ns;
	}
	if (d)
		closedir(d);
	return sum;
}

static void machine(struct path_usage *u)
{
	double v[8] = {0};
	bh_autofclose FILE *f = fopen("/proc/stat", "re");
	if (!f || fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2], &v[3],
			  &v[4], &v[5], &v[6], &v[7]) != 8)
		errx(1, "/proc/stat: unexpected");
	for (size_t i = 0; i < BH_ARRAY_SIZE(v); i++)
		u->total += v[i];
	u->busy = u->total - v[3] - v[4]; /* idle, iowait */
}

/* Fields: number, port id, waiting, copy mode, range, dropped, dropped by the socket, last id. */
static void queues(struct path_usage *u)
{
	char line[160];
	bh_autofclose FILE *f = fopen("/proc/thread-self/net/netfilter/nfnetlink_queue", "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned dropped, user_dropped, id;
		if (sscanf(line, "%*u %*u %*u %*u %*u %u %u %u", &dropped, &user_dropped, &id) != 3)
			continue;
		u->queued += id;
		u->lost += dropped + user_dropped;
	}
}

void path_usage(const struct path_lab *lab, struct path_usage *ret)
{
	*ret = (struct path_usage){.when = path_now(), .daemon = daemon_cpu(lab->pid)};
	machine(ret);
	path_enter(lab->node);
	queues(ret);
}

void path_settle(const struct path_lab *lab)
{
	int64_t end = path_now() + SETTLE_NS, before = daemon_cpu(lab->pid), after;
	while (lab->pid && path_now() < end) {
		path_sleep_until(path_now() + SETTLE_STEP_NS);
		after = daemon_cpu(lab->pid);
		if (after - before < SETTLED_NS)
			return;
		before = after;
	}
}

void path_sample(struct path_samples *s, int64_t ns)
{
	if (s->n == SAMPLES_MAX)
		return;
	BH_GROW(s->ns, s->n, s->cap);
	s->ns[s->n++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void path_samples_join(struct path_samples *to, struct path_samples *from)
{
	for (size_t i = 0; i < from->n; i++)
		path_sample(to, from->ns[i]);
	path_samples_finish(from);
}

void path_samples_finish(struct path_samples *s)
{
	free(s->ns);
	*s = (struct path_samples){0};
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void path_line_begin(unsigned round, const struct path_lab *lab, const struct path_usage *before,
	const struct path_usage *after)
{
	double total = after->total - before->total;
	printf("{\"round\": %u, \"lab\": \"%s\", \"seconds\": %.6f, \"daemon_cpu\": %.6f, "
	       "\"busy\": %.3f, \"queued\": %lld, \"queue_lost\": %lld",
		round, lab->name, (double)(after->when - before->when) / 1e9,
		(double)(after->daemon - before->daemon) / 1e9,
		total > 0 ? (after->busy - before->busy) / total : 0,
		(long long)(after->queued - before->queued),
		(long long)(after->lost - before->lost));
}

void path_line_samples(const char *prefix, struct path_samples *s)
{
	static const double q[] = {0.5, 0.99, 0.999};
	static const char *const name[] = {"p50", "p99", "p999"};
	if (s->n == 0)
		return;
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	for (size_t i = 0; i < BH_ARRAY_SIZE(q); i++)
		printf(", \"%s%s\": %.3f", prefix, name[i],
			(double)s->ns[(size_t)((double)(s->n - 1) * q[i])] / 1e3);
}

void path_line_end(void)
{
	puts("}");
	fflush(stdout);
}

void path_each(struct path_opts *o,
	void (*fn)(struct path_opts *o, const struct path_lab *lab, unsigned round))
{
	for (unsigned r = 0; r < o->rounds; r++) {
		for (size_t i = 0; i < o->n_labs; i++) {
			/* There and back: who comes first and who comes after whom changes. */
			size_t at = r % 2 ? o->n_labs - 1 - i : i;
			fn(o, &o->lab[(at + r / 2) % o->n_labs], r);
		}
	}
}
