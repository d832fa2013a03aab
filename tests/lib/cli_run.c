/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/cli_run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <jansson.h>

#include "lib/fake_core.h"

char dir[40], sock[64];
pid_t server = -1;

int make_dir(void **state BH_UNUSED)
{
	snprintf(dir, sizeof(dir), "/tmp/bh-test-cli-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	snprintf(sock, sizeof(sock), "%s/bh.sock", dir);
	server = -1;
	return 0;
}

int setup(void **state)
{
	if (make_dir(state) < 0)
		return -1;
	server = fake_server_start(sock);
	return server > 0 ? 0 : -1;
}

int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf %s", dir);
	int left = server > 0 ? fake_server_stop(server) : 0;
	return system(cmd) == 0 ? left : -1;
}

void write_file(const char *name, const char *text)
{
	char bh_autofree *path = bh_xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

struct cli_result last;
const char good[] = "apiVersion: networking.k8s.io/v1\n"
		    "kind: NetworkPolicy\n"
		    "metadata: {name: web, namespace: shop}\n"
		    "spec:\n"
		    "  podSelector: {matchLabels: {app: web}}\n"
		    "  policyTypes: [Ingress]\n";

void forget(void)
{
	free(last.out);
	free(last.err);
	last = (struct cli_result){0};
}

static char *drain_file(int fd)
{
	struct bh_buf b = {0};
	char buf[65536];
	ssize_t n;
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		bh_buf_add(&b, buf, (size_t)n);
	close(fd);
	return bh_buf_take(&b);
}

static int temp_file(void)
{
	char bh_autofree *name = bh_xasprintf("%s/out-XXXXXX", dir);
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

const char *binary(void)
{
	const char *env = getenv("BULKHEAD_CLI");
	return env ? env : BH_CLI_PATH;
}

int run(const char *args)
{
	int out = temp_file(), err = temp_file();
	char bh_autofree *cmd =
		*args == '@' ? bh_xasprintf("cd %s && exec %s", dir, args + 1)
			     : bh_xasprintf("cd %s && exec '%s' %s", dir, binary(), args);
	forget();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, 1);
		dup2(err, 2);
		setenv("BULKHEAD_SOCKET", sock, 1);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(99);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	last.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	last.out = drain_file(out);
	last.err = drain_file(err);
	return last.code;
}

void expect(const char *args, int code, const char *out, const char *err)
{
	run(args);
	if (last.code != code || !strstr(last.out, out) || !strstr(last.err, err)) {
		print_error("bulkhead %s: exit %d, wanted %d\n--- out, wanted %s\n%s--- err, "
			    "wanted %s\n%s",
			args, last.code, code, out, last.out, err, last.err);
		fail();
	}
}

void expect_json(const char *args, const char *key)
{
	expect(args, 0, "", "");
	json_t *j = json_loads(last.out, JSON_REJECT_DUPLICATES, NULL);
	if (!json_object_get(j, key)) {
		print_error("bulkhead %s: no %s in\n%s", args, key, last.out);
		fail();
	}
	json_decref(j);
	assert_string_equal(last.err, "");
}

void assert_harmless(const char *s)
{
	for (; *s; s++)
		assert_true(*s == '\n' || (unsigned char)*s >= 0x20);
	assert_null(strstr(s, "\xe2\x80\xae"));
}

pid_t start(int *ret_out, const char *const *words)
{
	int out[2];
	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execv(binary(), (char *const *)words);
		_exit(99);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}
