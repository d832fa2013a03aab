/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is on disk: room to write, and who else may. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "config/config.h"
#include "private.h"

#define FILES_MAX 4096
#define TOLD_MAX 8

/* Can the directory be written, and is there room? */
static void check_room(const struct bh_doctor_look *k, const char *check, const char *dir)
{
	struct statvfs v;
	/* Without a daemon it may not be there yet. */
	if (access(dir, F_OK) < 0) {
		bh_finding(k->checks, check, k->d->daemon ? BH_HEALTH_FAIL : BH_HEALTH_WARN,
			"systemctl restart bulkhead makes it", "%s: %s", dir, strerror(errno));
		return;
	}
	if (access(dir, W_OK | X_OK) < 0 || statvfs(dir, &v) < 0) {
		char bh_autofree *how = bh_xasprintf("findmnt -T %s; ls -ld %s", dir, dir);
		bh_finding(k->checks, check, BH_HEALTH_FAIL, how, "%s can't be written: %s", dir,
			strerror(errno));
		return;
	}
	uint64_t room = (uint64_t)v.f_bavail * v.f_frsize, size = (uint64_t)v.f_blocks * v.f_frsize;
	enum bh_health h = v.f_files && !v.f_favail ? BH_HEALTH_FAIL : bh_doctor_room(room, size);
	char bh_autofree *how = bh_xasprintf("df -h %s; du -x %s | sort -n | tail", dir, dir);
	bh_finding(k->checks, check, h, h == BH_HEALTH_OK ? NULL : how,
		"%s: %llu MiB are free of %llu%s", dir, (unsigned long long)(room >> 20),
		(unsigned long long)(size >> 20), v.f_files && !v.f_favail ? ", and no inode" : "");
}

static char *directory_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	return !slash ? bh_xstrdup(".") : bh_xstrndup(file, slash == file ? 1 : slash - file);
}

enum whose {
	ROOTS, /* nobody else is meant to change it */
	SOMEBODYS, /* it may be a user's or a group's by intent; not everybody's */
	SECRET, /* nor to read it */
};

static bool by_owner(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

static enum bh_health judge_mode(const char *path, enum whose whose)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return BH_HEALTH_OK; /* not there: nobody changes it */
	if (by_owner(&st) && !(st.st_mode & (whose == SECRET ? 0077 : 0022)))
		return BH_HEALTH_OK;
	return whose == SOMEBODYS && !(st.st_mode & 0002) ? BH_HEALTH_WARN : BH_HEALTH_FAIL;
}

/* How many complaints. */
static size_t check_mode(
	const struct bh_doctor_look *k, const char *path, enum whose whose, const char *means)
{
	struct stat st;
	enum bh_health h = judge_mode(path, whose);
	if (h == BH_HEALTH_OK || stat(path, &st) < 0)
		return 0;
	bool owner = by_owner(&st);
	char bh_autofree *how =
		owner ? bh_xasprintf("chmod go-%s %s", whose == SECRET ? "rwx" : "w", path)
		      : bh_xasprintf("chown root %s", path);
	if (owner)
		bh_finding(k->checks, "permissions", h, how, "%s has mode %03o: %s", path,
			(unsigned)st.st_mode & 0777, means);
	else
		bh_finding(k->checks, "permissions", h, how, "%s belongs to uid %u: %s", path,
			(unsigned)st.st_uid, means);
	return 1;
}

static const char enforced[] = "others than root can change what is enforced";

static size_t check_policies(const struct bh_doctor_look *k, const char *dir)
{
	size_t told = check_mode(k, dir, SOMEBODYS, enforced), looked = 0;
	size_t fails = 0, warns = 0; /* many of the one hide none of the other */
	DIR *d = opendir(dir);
	for (struct dirent *e; d && looked++ < FILES_MAX && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		char bh_autofree *path = bh_xasprintf("%s/%s", dir, e->d_name);
		enum bh_health h = judge_mode(path, SOMEBODYS);
		if (h == BH_HEALTH_FAIL ? fails++ < TOLD_MAX : h && warns++ < TOLD_MAX)
			check_mode(k, path, SOMEBODYS, enforced);
	}
	if (d)
		closedir(d);
	return told + fails + warns;
}

/* Who asks needs no more than to be let in: root alone may change things. */
static size_t check_socket(const struct bh_doctor_look *k, const char *path)
{
	struct stat st;
	if (!k->d->daemon || lstat(path, &st) < 0 || !(st.st_mode & 0007))
		return 0;
	char bh_autofree *how = bh_xasprintf("chmod o= %s", path);
	bh_finding(k->checks, "permissions", BH_HEALTH_FAIL, how,
		"%s has mode %03o: everybody may look", path, (unsigned)st.st_mode & 0777);
	return 1;
}

static void check_permissions(const struct bh_doctor_look *k)
{
	const struct bh_config *c = k->d->conf;
	char bh_autofree *key = bh_xasprintf("%s/audit.key", c->state);
	char bh_autofree *log = directory_of(c->audit_path);
	size_t told = check_policies(k, c->policies);
	if (k->d->conf_file)
		told += check_mode(k, k->d->conf_file, SOMEBODYS, enforced);
	told += check_mode(k, c->state, ROOTS, "others than root can change modes and quarantines");
	told += check_mode(k, key, SECRET, "others than root can sign audit records");
	told += check_mode(k, log, SOMEBODYS, "others than root can remove the audit log");
	told += check_socket(k, c->socket);
	if (!told)
		bh_finding(k->checks, "permissions", BH_HEALTH_OK, NULL,
			"configuration, policies, state and log are root's; the signing key is "
			"0600");
}

void bh_doctor_files(const struct bh_doctor_look *k)
{
	char bh_autofree *log = directory_of(k->d->conf->audit_path);
	check_room(k, "state", k->d->conf->state);
	check_room(k, "log", log);
	check_permissions(k);
}
