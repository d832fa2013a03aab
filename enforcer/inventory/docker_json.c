/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See docker_json.h. Shapes: docs.docker.com/reference/api/engine, v1.24 and later;
 * docs.podman.io/en/latest/_static/api.html, v4 and later. */
#include "inventory/docker_json.h"

#include <errno.h>

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!(s[i] >= '0' && s[i] <= '9') && !(s[i] >= 'a' && s[i] <= 'f'))
			return false;
	}
	return true;
}

static bool take_id(const char *s, bh_docker_id ret)
{
	size_t n = s ? strlen(s) : 0;
	if (n != BH_DOCKER_ID_LEN || !is_hex(s, n))
		return false;
	memcpy(ret, s, n + 1);
	return true;
}

/* "sha256:HEX" as Docker says it, bare HEX as older Podman does. */
static bool take_image_id(const char *s, bh_docker_id ret)
{
	if (s && strncmp(s, "sha256:", 7) == 0)
		s += 7;
	return take_id(s, ret);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t without_repeats(bh_docker_id *id, size_t n)
{
	size_t kept = 0;
	qsort(id, n, sizeof(*id), by_id);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || strcmp(id[kept - 1], id[i]) != 0)
			memmove(id[kept++], id[i], sizeof(*id));
	}
	return kept;
}

int bh_docker_parse_list(
	const char *text, size_t len, bh_docker_id **ret, size_t *ret_n, struct bh_fault *fault)
{
	bh_autojson json_t *j = NULL;
	int err = bh_reply_json(text, len, &j, fault);
	if (err)
		return err;
	if (!json_is_array(j))
		return bh_faulty(fault, -EINVAL, "the list of containers is not an array");
	size_t n = json_array_size(j);
	if (n > BH_DOCKER_MAX_CONTAINERS)
		return bh_faulty(fault, -E2BIG, "%zu containers, at most %d are handled", n,
			BH_DOCKER_MAX_CONTAINERS);
	bh_autofree void *list = bh_xcalloc(n, sizeof(bh_docker_id));
	bh_docker_id *id = list;
	for (size_t i = 0; i < n; i++) {
		if (!take_id(bh_reply_text(json_object_get(json_array_get(j, i), "Id")), id[i]))
			return bh_faulty(fault, -EINVAL, "[%zu].Id is not a container id", i);
	}
	*ret_n = without_repeats(id, n);
	*ret = BH_TAKE_PTR(list);
	return 0;
}

/* With '?' for NULs: nothing that a selector could name, but no reason to know nothing of it.
 * Owned. */
static char *label_value(const json_t *v)
{
	size_t n = json_string_length(v);
	bh_autofree char *s = bh_xmemdup(json_string_value(v), n + 1);
	for (size_t i = 0; i < n; i++)
		if (!s[i])
			s[i] = '?';
	return bh_reply_bounded(s, BH_DOCKER_MAX_LABEL_VALUE);
}

static int take_labels(const json_t *of, struct bh_labels *ret, struct bh_fault *f)
{
	json_t *labels = json_object_get(of, "Labels");
	if (!labels || json_is_null(labels))
		return 0;
	if (!json_is_object(labels))
		return bh_faulty(f, -EINVAL, "Labels is not an object");
	const char *key;
	json_t *v;
	json_object_foreach(labels, key, v)
	{
		if (bh_label_key_check(key))
			continue;
		if (!json_is_string(v))
			return bh_faulty(f, -EINVAL, "label %s is not a string", key);
		if (ret->n == BH_DOCKER_MAX_HEARD_LABELS)
			return bh_faulty(f, -E2BIG, "more than %d labels; remove some",
				BH_DOCKER_MAX_HEARD_LABELS);
		bh_autofree char *cut = label_value(v);
		bh_labels_set(ret, key, cut);
	}
	return 0;
}

static char *take_name(const json_t *j, const char *id)
{
	const char *s = bh_reply_text(json_object_get(j, "Name"));
	if (s && *s == '/')
		s++;
	return bh_reply_good_name(s) ? bh_xstrdup(s) : bh_xstrndup(id, BH_DOCKER_SHORT_ID);
}

static char *take_image(const json_t *config)
{
	const char *s = bh_reply_text(json_object_get(config, "Image"));
	size_t n = s ? strlen(s) : 0;
	if (n == 0 || n > BH_DOCKER_MAX_IMAGE)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return NULL;
	}
	return bh_xstrdup(s);
}

/* A container that is being restarted is "running" with pid 0: not there yet. */
static int take_pid(const json_t *state, int *ret, struct bh_fault *f)
{
	json_t *running = json_object_get(state, "Running");
	if (!json_is_boolean(running))
		return bh_faulty(f, -EINVAL, "State.Running is not a boolean");
	if (!json_is_true(running)) {
		*ret = 0;
		return 0;
	}
	if (bh_reply_pid(json_object_get(state, "Pid"), ret))
		return bh_faulty(f, -EINVAL, "State.Pid is not a process id");
	return 0;
}

static bool is_joined(const json_t *j)
{
	const char *mode =
		bh_reply_text(json_object_get(json_object_get(j, "HostConfig"), "NetworkMode"));
	return mode && strncmp(mode, "container:", 10) == 0;
}

static void take_addr(const json_t *network, const char *key, struct bh_container *c)
{
	struct bh_addr a;
	const char *s = bh_reply_text(json_object_get(network, key));
	if (s && bh_addr_parse(s, &a) == 0)
		bh_container_declare(c, &a);
}

static void take_mac(const json_t *network, struct bh_container *c)
{
	uint8_t mac[6];
	const char *s = bh_reply_text(json_object_get(network, "MacAddress"));
	if (!s || strlen(s) != 17)
		return;
	for (size_t i = 0; i < 6; i++) {
		if (!is_hex(s + 3 * i, 2) || (i < 5 && s[3 * i + 2] != ':'))
			return;
		mac[i] = (uint8_t)strtoul(s + 3 * i, NULL, 16);
	}
	bh_container_declare_mac(c, mac);
}

/* What the engine gave it. Nothing is no fault: none, or another's. */
static void take_networks(const json_t *j, struct bh_container *c)
{
	json_t *all = json_object_get(json_object_get(j, "NetworkSettings"), "Networks"), *network;
	const char *name;
	size_t n = 0;
	json_object_foreach(all, name, network)
	{
		if (n++ == BH_DOCKER_MAX_NETWORKS)
			break;
		take_addr(network, "IPAddress", c);
		take_addr(network, "GlobalIPv6Address", c);
		take_mac(network, c);
	}
}

/* "REPOSITORY@sha256:HEX": the part behind @, or NULL. */
static const char *digest_of(const char *s)
{
	bh_docker_id ignored;
	const char *at = s ? strrchr(s, '@') : NULL;
	return at && strncmp(at + 1, "sha256:", 7) == 0 && take_image_id(at + 1, ignored) ? at + 1
											  : NULL;
}

static void take_digest(const json_t *j, struct bh_container *c)
{
	bh_docker_id ignored;
	const char *s = bh_reply_text(json_object_get(j, "ImageDigest"));
	if (s && strncmp(s, "sha256:", 7) == 0 && take_image_id(s, ignored))
		c->digest = bh_xstrdup(s);
}

/* Whether it only holds the namespaces of a pod. */
static bool take_pod(const json_t *j, bh_docker_id ret)
{
	return json_is_true(json_object_get(j, "IsInfra")) &&
	       take_id(bh_reply_text(json_object_get(j, "Pod")), ret);
}

static void free_container_p(struct bh_container **c)
{
	bh_container_free(*c);
}

int bh_docker_parse_container(const char *text, size_t len, const char *runtime, const char *id,
	struct bh_docker_container *ret, struct bh_fault *fault)
{
	bh_autojson json_t *j = NULL;
	__attribute__((cleanup(free_container_p))) struct bh_container *c = bh_container_new();
	bh_docker_id told = "", image = "", pod = "";
	int err = bh_reply_json(text, len, &j, fault);
	if (err)
		return err;
	if (!take_id(bh_reply_text(json_object_get(j, "Id")), told) || strcmp(told, id) != 0)
		return bh_faulty(fault, -EINVAL, "the answer is not about this container");
	err = take_pid(json_object_get(j, "State"), &c->pid, fault);
	if (err)
		return err;
	if (c->pid == 0) {
		*ret = (struct bh_docker_container){0};
		return 0;
	}
	json_t *config = json_object_get(j, "Config");
	err = take_labels(config, &c->labels, fault);
	if (err)
		return err;
	c->id = bh_xstrdup(told);
	c->runtime = bh_xstrdup(runtime);
	c->name = take_name(j, told);
	if (!take_pod(j, pod)) {
		c->image = take_image(config);
		take_image_id(bh_reply_text(json_object_get(j, "Image")), image);
		take_digest(j, c);
	}
	c->joined = is_joined(j);
	take_networks(j, c);
	c->netns_path = bh_xasprintf("/proc/%d/ns/net", c->pid);
	ret->container = BH_TAKE_PTR(c);
	memcpy(ret->image_id, image, sizeof(image));
	memcpy(ret->pod, pod, sizeof(pod));
	return 0;
}

int bh_podman_parse_pod(const char *text, size_t len, const char *id, struct bh_container *to,
	struct bh_fault *fault)
{
	bh_autojson json_t *j = NULL;
	struct bh_labels labels = {0};
	bh_docker_id told;
	int err = bh_reply_json(text, len, &j, fault);
	if (err)
		return err;
	if (!take_id(bh_reply_text(json_object_get(j, "Id")), told) || strcmp(told, id) != 0)
		return bh_faulty(fault, -EINVAL, "the answer is not about this pod");
	err = take_labels(j, &labels, fault);
	if (err) {
		bh_labels_finish(&labels);
		return err;
	}
	bh_labels_finish(&to->labels);
	to->labels = labels;
	free(to->name);
	to->name = take_name(j, told);
	return 0;
}

void bh_docker_image_finish(struct bh_docker_image *i)
{
	free(i->digest);
	bh_labels_finish(&i->labels);
	*i = (struct bh_docker_image){0};
}

int bh_docker_parse_image(
	const char *text, size_t len, struct bh_docker_image *ret, struct bh_fault *fault)
{
	bh_autojson json_t *j = NULL;
	struct bh_docker_image image = {0};
	int err = bh_reply_json(text, len, &j, fault);
	if (err)
		return err;
	if (!json_is_object(j))
		return bh_faulty(fault, -EINVAL, "the image is not an object");
	err = take_labels(json_object_get(j, "Config"), &image.labels, fault);
	if (err) {
		bh_docker_image_finish(&image);
		return err;
	}
	const char *first = NULL, *digest = NULL;
	json_t *list = json_object_get(j, "RepoDigests");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = bh_reply_text(json_array_get(list, i));
		const char *d = digest_of(s);
		if (d && (!first || strcmp(s, first) < 0)) {
			first = s;
			digest = d;
		}
	}
	image.digest = bh_xstrdup(digest);
	*ret = image;
	return 0;
}

/* Podman names some of them differently. Health checks, exec, pause and so on change nothing. */
static bool matters(const char *type, const char *action)
{
	static const char *const container[] = {
		"start", "restart", "die", "died", "stop", "destroy", "remove", "rename", "update"};
	static const char *const network[] = {"connect", "disconnect"};
	if (strcmp(type, "container") == 0) {
		for (size_t i = 0; i < BH_ARRAY_SIZE(container); i++) {
			if (strcmp(action, container[i]) == 0)
				return true;
		}
	} else if (strcmp(type, "network") == 0) {
		for (size_t i = 0; i < BH_ARRAY_SIZE(network); i++) {
			if (strcmp(action, network[i]) == 0)
				return true;
		}
	}
	return false;
}

int bh_docker_parse_event(const char *text, size_t len, bh_docker_id ret_id, struct bh_fault *fault)
{
	bh_autojson json_t *j = NULL;
	int err = bh_reply_json(text, len, &j, fault);
	if (err)
		return err;
	const char *type = bh_reply_text(json_object_get(j, "Type"));
	const char *action = bh_reply_text(json_object_get(j, "Action"));
	json_t *actor = json_object_get(j, "Actor");
	if (!type || !action || !json_is_object(actor))
		return bh_faulty(fault, -EINVAL, "the event lacks Type, Action or Actor");
	if (!matters(type, action))
		return 0;
	const char *id = bh_reply_text(json_object_get(actor, "ID"));
	/* Docker's network events are about the network, Podman's about the container. */
	json_t *of = json_object_get(json_object_get(actor, "Attributes"), "container");
	if (strcmp(type, "network") == 0 && of)
		id = bh_reply_text(of);
	if (!take_id(id, ret_id))
		return bh_faulty(fault, -EINVAL, "the event names no container");
	return 1;
}

void bh_docker_parse_error(const char *text, size_t len, struct bh_fault *ret)
{
	bh_autojson json_t *j = NULL;
	struct bh_fault ignored;
	ret->text[0] = '\0';
	if (bh_reply_json(text, len, &j, &ignored))
		return;
	const char *s = bh_reply_text(json_object_get(j, "message"));
	if (s)
		bh_faulty(ret, 0, "%s", s);
}
