/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers of the core to the API, and the small renderings that several of them need. */
#include <fcntl.h>
#include <time.h>

#include "core/private.h"

struct bh_answer bh_answer_json(int status, json_t *json)
{
	return (struct bh_answer){.status = status, .json = json};
}

struct bh_answer bh_answer_text(int status, const char *content_type, char *text)
{
	return (struct bh_answer){.status = status, .text = text, .content_type = content_type};
}

static json_t *diag_json(const struct bh_diag *d)
{
	return json_pack("{s:s?, s:i, s:i, s:s?, s:s?, s:s?, s:s}", "file", d->file, "line",
		d->line, "column", d->column, "path", d->path, "what", d->what, "remedy", d->remedy,
		"severity", d->severity == BH_ERROR ? "error" : "warning");
}

struct bh_answer bh_answer_error(int status, const struct bh_diags *diags, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	json_t *o = json_pack("{s:s}", "error", n < 0 ? "out of memory" : text);
	if (n >= 0)
		free(text);
	if (diags && diags->n) {
		json_t *list = json_array();
		for (size_t i = 0; i < diags->n; i++)
			json_array_append_new(list, diag_json(&diags->item[i]));
		json_object_set_new(o, "diagnostics", list);
	}
	return bh_answer_json(status, o);
}

int64_t bh_core_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void bh_core_time(int64_t us, char buf[static 32])
{
	time_t s = us / 1000000;
	struct tm tm;
	char date[24];
	buf[0] = '\0';
	if (us <= 0 || !gmtime_r(&s, &tm))
		return;
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, 32, "%.19s.%06dZ", date, (int)(us % 1000000));
}

json_t *bh_core_time_json(int64_t us)
{
	char text[32];
	bh_core_time(us, text);
	return text[0] ? json_string(text) : json_null();
}

struct bh_audit_actor bh_core_audit_actor(const struct bh_core_actor *who)
{
	struct bh_audit_actor a = {.uid = who->uid, .gid = who->gid, .pid = who->pid};
	char path[64], text[16] = "";
	uint64_t login;

	/* The kernel keeps it through sudo and su. 4294967295: not of a login (a service, cron). */
	snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)who->pid);
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n > 0) {
		text[strspn(text, "0123456789")] = '\0';
		a.has_login = bh_parse_u64(text, UINT32_MAX - 1, &login) == 0;
		a.login_uid = a.has_login ? (uint32_t)login : 0;
	}
	return a;
}
