/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See actor.h. */
#include "answer/actor.h"

#include <fcntl.h>

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
