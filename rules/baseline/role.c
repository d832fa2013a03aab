/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Roles: what replicas have in common and other workloads have not. A role has to survive the
 * container: restarts, upgrades and scaling must land in the same role, or the baseline falls apart
 * into single flows. Hence labels that name an instance, a build or a host never count, and neither
 * do values that a NetworkPolicy could not select (paths, sentences, more than 63 characters).
 */
#include <bulkhead/baseline.h>

#define COMPOSE "com.docker.compose."
#define RECOMMENDED "app.kubernetes.io/"
#define NAME_LABEL "bulkhead.io/name"

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Set by machines for one instance, or bookkeeping of the tool that started the container. */
static bool is_volatile_key(const char *key)
{
	static const char *const prefix[] = {COMPOSE, "com.docker.swarm.task",
		"com.docker.swarm.node", "com.docker.swarm.service.id", "com.docker.desktop.",
		"desktop.docker.io/", "org.opencontainers.image.", "org.label-schema.",
		"io.kubernetes.", "io.cri-containerd.", "io.podman.", "io.buildah.",
		"io.container.", "annotation.", "statefulset.kubernetes.io/", "apps.kubernetes.io/",
		"batch.kubernetes.io/", "topology.kubernetes.io/", "bulkhead.io/"};
	static const char *const whole[] = {"pod-template-hash", "pod-template-generation",
		"rollouts-pod-template-hash", "controller-revision-hash", "controller-uid",
		"job-name", "job-uid", "pod-name", "pod-index", "kubernetes.io/hostname",
		"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart",
		"PODMAN_SYSTEMD_UNIT"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(prefix); i++)
		if (starts_with(key, prefix[i]))
			return true;
	for (size_t i = 0; i < BH_ARRAY_SIZE(whole); i++)
		if (bh_streq(key, whole[i]))
			return true;
	return false;
}

/* The last part of a key tells what it is about: "com.example/build-date", "vcs-ref". */
static bool is_build_key(const char *key)
{
	static const char *const part[] = {"build-date", "build_date", "builddate", "build-id",
		"build-number", "build-time", "created", "created-at", "vcs-ref", "vcs-url",
		"revision", "commit", "commit-sha", "git-commit", "git-sha", "digest", "checksum",
		"config-hash", "timestamp"};
	const char *last = key;
	for (const char *s = key; *s; s++)
		if (*s == '/' || *s == '.')
			last = s + 1;
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++)
		if (bh_streq(last, part[i]))
			return true;
	return false;
}

/* Does s begin with this shape? '0' stands for a decimal digit, 'x' for a hexadecimal one. */
static bool has_shape(const char *s, const char *shape)
{
	static const char digits[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
	for (; *shape; s++, shape++) {
		if (*s == '\0')
			return false;
		if (*shape == '0'       ? !strchr(digits, *s)
			: *shape == 'x' ? !strchr(hex, *s)
					: *s != *shape)
			return false;
	}
	return true;
}

/* A date, a UUID, or a Git or SHA-256 digest: no two builds or instances share it. */
static bool is_volatile_value(const char *value)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strlen(value);
	if (has_shape(value, "0000-00-00") || has_shape(value, "00000000T000000"))
		return true;
	if (n == 36 && has_shape(value, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"))
		return true;
	return (n == 40 || n == 63 || n == 64) && strspn(value, hex) == n;
}

/* The value of a label that can be selected, else NULL. */
static const char *usable(const struct bh_labels *l, const char *key)
{
	const char *value = bh_labels_get(l, key);
	return value && *value && !bh_label_value_check(value) ? value : NULL;
}

static bool take(const struct bh_workload *w, const char *key, struct bh_labels *to)
{
	const char *value = usable(&w->labels, key);
	if (value)
		bh_labels_set(to, key, value);
	return value != NULL;
}

/* The project is usually the namespace already; where it is not, services would mix without it. */
static bool take_compose(const struct bh_workload *w, struct bh_labels *to)
{
	const char *project = usable(&w->labels, COMPOSE "project");
	if (!take(w, COMPOSE "service", to))
		return false;
	if (project && !bh_streq(project, w->namespace))
		bh_labels_set(to, COMPOSE "project", project);
	return true;
}

static bool take_recommended(const struct bh_workload *w, struct bh_labels *to)
{
	bool any = take(w, RECOMMENDED "name", to);
	any |= take(w, RECOMMENDED "instance", to);
	any |= take(w, RECOMMENDED "component", to);
	return any;
}

static bool take_stable(const struct bh_workload *w, struct bh_labels *to)
{
	for (size_t i = 0; i < w->labels.n; i++) {
		const struct bh_label *l = &w->labels.item[i];
		if (!is_volatile_key(l->key) && !is_build_key(l->key) &&
			!is_volatile_value(l->value) && !bh_label_key_check(l->key) &&
			!bh_label_value_check(l->value))
			bh_labels_set(to, l->key, l->value);
	}
	return to->n > 0;
}

/* Nothing but the name is left. An empty selector would select the whole namespace. */
static void take_name(const struct bh_workload *w, struct bh_labels *to)
{
	if (take(w, NAME_LABEL, to))
		return;
	char bh_autofree *name = bh_label_value_of(w->name ? w->name : "");
	bh_labels_set(to, NAME_LABEL, name);
}

void bh_role_of(const struct bh_workload *w, struct bh_labels *ret_selector)
{
	struct bh_labels l = {0};
	if (!take_compose(w, &l) && !take_recommended(w, &l) && !take(w, "app", &l) &&
		!take(w, "k8s-app", &l) && !take_stable(w, &l))
		take_name(w, &l);
	*ret_selector = l;
}

char *bh_role_name(const struct bh_labels *selector)
{
	static const char *const primary[] = {COMPOSE "service", RECOMMENDED "name",
		RECOMMENDED "instance", RECOMMENDED "component", "app", "k8s-app", NAME_LABEL};
	const char *component = bh_labels_get(selector, RECOMMENDED "component");
	for (size_t i = 0; i < BH_ARRAY_SIZE(primary); i++) {
		const char *value = bh_labels_get(selector, primary[i]);
		if (!value)
			continue;
		/* One app, many components: the app's name alone would not tell them apart. */
		if (i >= 1 && i <= 2 && component && !strstr(value, component))
			return bh_xasprintf("%s-%s", value, component);
		return bh_xstrdup(value);
	}
	struct bh_buf b = {0};
	for (size_t i = 0; i < selector->n; i++)
		bh_buf_printf(&b, "%s%s=%s", i ? "," : "", selector->item[i].key,
			selector->item[i].value);
	return bh_buf_take(&b);
}
