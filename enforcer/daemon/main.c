/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkheadd: arguments, signals and the loop. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>

#include "api/api.h"
#include "config/config.h"
#include "core/files.h"
#include "core/lifecycle.h"
#include "core/notify.h"
#include "daemon/doctor.h"
#include "daemon/flush.h"
#include "nft/nft.h"

#define DEFAULT_CONFIG "/etc/bulkhead/bulkhead.yaml"
#define LARGE_BLOCK (1 << 16) /* bytes */

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct daemon {
	uv_loop_t loop;
	uv_signal_t term, intr, hup;
	struct bh_core *core;
	struct bh_api *api;
};

static void usage(FILE *out)
{
	fputs("usage: bulkheadd [--config FILE] [--socket PATH]\n"
	      "       bulkheadd [--config FILE] --check-config | --print-config\n"
	      "       bulkheadd [--config FILE] --doctor\n"
	      "       bulkheadd --prove\n"
	      "       bulkheadd --flush\n"
	      "\n"
	      "  --config FILE    configuration; default " DEFAULT_CONFIG ", which may be absent\n"
	      "  --socket PATH    where the API listens, whatever the configuration says\n"
	      "  --check-config   read the configuration, report every error, exit\n"
	      "  --print-config   the configuration with all defaults, as YAML\n"
	      "  --doctor         what protects this network namespace, and what weakens it, as "
	      "JSON;\n"
	      "                   `bulkhead doctor` asks for it where no daemon answers\n"
	      "  --flush          remove tables inet and bridge bulkhead, and the programs of the "
	      "fast\n"
	      "                   path, from this network namespace; exit\n"
	      "  --prove          show with packets, in namespaces of its own, what this kernel "
	      "does, "
	      "as JSON\n"
	      "  --version, --help\n"
	      "\n"
	      "SIGTERM and SIGINT stop it; the rules stay in the kernel and go on protecting.\n"
	      "SIGHUP reloads the configuration, the policies and the sources.\n",
		out);
}

static int flush(void)
{
	if (bh_flush() < 0)
		return EXIT_FAILED;
	puts("tables inet and bridge " BH_TABLE
	     " are removed: nothing is enforced in this network namespace.");
	return EXIT_OK;
}

/* An absent default file means the defaults; an absent named file is an error. */
static struct bh_config *load_config(const char *file, bool named)
{
	char bh_autofree *text = NULL;
	size_t len = 0;
	struct bh_diags bh_autodiags d = {0};
	struct bh_buf bh_autobuf out = {0};
	struct bh_config *conf = NULL;

	int r = bh_file_read(file, BH_FILE_MAX, &text, &len);
	if (r < 0 && (named || r != -ENOENT)) {
		fprintf(stderr, "bulkheadd: %s: %s\n", file, strerror(-r));
		return NULL;
	}
	r = bh_config_parse(file, text, len, &d, &conf);
	bh_diags_format(&d, &out);
	if (out.len)
		fputs(out.s, stderr);
	return r < 0 ? NULL : conf;
}

static void on_stop(uv_signal_t *s, int signum BH_UNUSED)
{
	struct daemon *d = s->data;
	bh_notify("STOPPING=1");
	bh_api_stop(BH_TAKE_PTR(d->api));
	bh_core_stop(d->core);
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->intr, NULL);
	uv_close((uv_handle_t *)&d->hup, NULL);
}

static void on_reload(uv_signal_t *s, int signum BH_UNUSED)
{
	struct daemon *d = s->data;
	bh_core_reload(d->core);
}

static void watch_signals(struct daemon *d)
{
	uv_signal_init(&d->loop, &d->term);
	uv_signal_init(&d->loop, &d->intr);
	uv_signal_init(&d->loop, &d->hup);
	d->term.data = d->intr.data = d->hup.data = d;
	uv_signal_start(&d->term, on_stop, SIGTERM);
	uv_signal_start(&d->intr, on_stop, SIGINT);
	uv_signal_start(&d->hup, on_reload, SIGHUP);
}

static int run(struct bh_config *conf, const char *file)
{
	struct daemon d = {0};
	char bh_autofree *why = NULL;
	struct bh_core_start start = {.config_file = file, .config = conf};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is a failed write, not the end */
	uv_loop_init(&d.loop);
	int r = bh_core_new(&d.loop, &start, &d.core, &why);
	if (r == 0 && (r = bh_api_start(&d.loop, d.core, bh_core_socket(d.core), &d.api)) < 0)
		why = bh_xasprintf("socket %s: %s", bh_core_socket(d.core),
			r == -EADDRINUSE ? "another bulkheadd answers there"
			: r == -ENOTSOCK ? "what is there is no socket: remove it, or say another "
					   "`socket:`"
					 : strerror(-r));
	if (r < 0) {
		fprintf(stderr, "bulkheadd: %s\n", why ? why : strerror(-r));
		bh_core_stop(d.core);
	} else {
		fprintf(stderr, "bulkheadd " BH_VERSION ": listening on %s\n",
			bh_core_socket(d.core));
		watch_signals(&d);
	}
	uv_run(&d.loop, UV_RUN_DEFAULT);
	if (bh_core_failed(d.core))
		r = -EIO;
	bh_core_free(d.core);
	uv_loop_close(&d.loop);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int print_config(struct bh_config *conf)
{
	struct bh_buf bh_autobuf out = {0};
	bh_config_print(conf, &out);
	fputs(out.s, stdout);
	bh_config_free(conf);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"check-config", no_argument, NULL, 'k'},
		{"print-config", no_argument, NULL, 'p'},
		{"doctor", no_argument, NULL, 'd'},
		{"prove", no_argument, NULL, 'r'},
		{"flush", no_argument, NULL, 'f'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *file = NULL, *socket = NULL;
	int action = 0, o;

	/* A feed's blocks of many MiB go back to the system as soon as they are free; by itself
	 * glibc learns from the first one to keep such sizes. And buffers and tables that are there
	 * for a flood get pages of their own, which are no memory until it comes; in the heap's
	 * places calloc would clear them. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		switch (o) {
		case 'c':
			file = optarg;
			break;
		case 's':
			socket = optarg;
			break;
		case 'v':
			puts("bulkheadd " BH_VERSION);
			return EXIT_OK;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		case '?':
			usage(stderr);
			return EXIT_USAGE;
		default:
			action = o;
		}
	if (optind < argc) {
		fprintf(stderr, "bulkheadd: unexpected argument %s\n", argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (action == 'f')
		return flush();
	if (action == 'r')
		return bh_daemon_prove() < 0 ? EXIT_FAILED : EXIT_OK;
	struct bh_config *conf = load_config(file ? file : DEFAULT_CONFIG, file != NULL);
	if (!conf)
		return EXIT_FAILED;
	if (action == 'k') {
		bh_config_free(conf);
		return EXIT_OK;
	}
	if (action == 'p')
		return print_config(conf);
	if (socket) {
		free(conf->socket);
		conf->socket = bh_xstrdup(socket);
	}
	if (!file && access(DEFAULT_CONFIG, F_OK) == 0)
		file = DEFAULT_CONFIG;
	if (action == 'd') {
		int r = bh_daemon_doctor(conf, file);
		bh_config_free(conf);
		return r < 0 ? EXIT_FAILED : EXIT_OK;
	}
	return run(conf, file);
}
