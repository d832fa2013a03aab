/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pod sandbox: who it is from its status, where it is from the JSON that runtimes add when
 * asked verbosely (containerd and CRI-O: {"pid": …, "runtimeSpec": {"linux": {"namespaces": …}}}).
 */
#include <errno.h>

#include "inventory/cri_unpack.h"

#define NETNS_PATH_MAX 255

/* The kubelet's bookkeeping (pkg/kubelet/kuberuntime/labels.go), no labels of the pod. */
static bool is_bookkeeping(const char *key)
{
	static const char *const keys[] = {
		"io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i]) == 0)
			return true;
	}
	return false;
}

static int take_label(const Cri__Entry *e, struct bh_labels *ret, struct bh_fault *f)
{
	bh_autofree char *key = cri_text(&e->key, 1024), *value = NULL;
	if (!key || bh_label_key_check(key) || is_bookkeeping(key))
		return 0;
	value = e->value.len ? cri_text(&e->value, SIZE_MAX) : bh_xstrdup("");
	if (!value)
		return bh_faulty(f, -EINVAL, "the value of label %s is not text", key);
	if (ret->n == BH_CRI_MAX_LABELS && !bh_labels_get(ret, key))
		return bh_faulty(f, -E2BIG, "more than %d labels; remove some", BH_CRI_MAX_LABELS);
	bh_autofree char *cut = bh_reply_bounded(value, BH_CRI_MAX_LABEL_VALUE);
	bh_labels_set(ret, key, cut);
	return 0;
}

static void take_ip(const ProtobufCBinaryData *d, struct bh_container *c)
{
	struct bh_addr a;
	bh_autofree char *s = cri_text(d, BH_ADDR_STRLEN);
	if (s && bh_addr_parse(s, &a) == 0)
		bh_container_declare(c, &a);
}

static void take_network(const Cri__NetworkStatus *n, struct bh_container *c)
{
	if (!n)
		return;
	take_ip(&n->ip, c);
	for (size_t i = 0; i < n->n_additional_ips && i < BH_CRI_MAX_IPS; i++)
		take_ip(&n->additional_ips[i]->ip, c);
}

static void take_identity(const Cri__PodSandboxStatus *s, struct bh_container *c)
{
	const Cri__SandboxMetadata *m = s->metadata;
	bh_autofree char *name = m ? cri_text(&m->name, BH_REPLY_MAX_NAME) : NULL;
	c->name = bh_reply_good_name(name) ? BH_TAKE_PTR(name)
					   : bh_xstrndup(c->id, BH_REPLY_SHORT_ID);
	c->namespace = m ? cri_text(&m->namespace_, BH_REPLY_MAX_NAME) : NULL;
}

static bool on_host_network(const Cri__PodSandboxStatus *s)
{
	const Cri__Namespace *n = s->on_linux ? s->on_linux->namespaces : NULL;
	return n && n->options && n->options->network == CRI__NAMESPACE_MODE__NODE;
}

/* The path of its network namespace, in the order of the list; NULL: none is told. */
static const char *network_path(const json_t *info)
{
	json_t *spec = json_object_get(info, "runtimeSpec"), *item;
	json_t *list = json_object_get(json_object_get(spec, "linux"), "namespaces");
	size_t i;
	json_array_foreach(list, i, item)
	{
		const char *type = bh_reply_text(json_object_get(item, "type"));
		const char *path = bh_reply_text(json_object_get(item, "path"));
		if (type && strcmp(type, "network") == 0)
			return path && path[0] ? path : NULL;
	}
	return NULL;
}

static bool is_good_path(const char *s)
{
	size_t n = 0;
	for (; s[n]; n++) {
		if (s[n] <= ' ' || s[n] > '~')
			return false;
	}
	return s[0] == '/' && n <= NETNS_PATH_MAX && !strstr(s, "/../");
}

static int take_info(const Cri__PodSandboxStatusResponse *r, struct bh_container *c, bool host,
	struct bh_fault *f)
{
	bh_autojson json_t *info = NULL;
	for (size_t i = 0; i < r->n_info && !info; i++) {
		const Cri__Entry *e = r->info[i];
		if (e->key.len != 4 || memcmp(e->key.data, "info", 4) != 0)
			continue;
		int err = bh_reply_json((const char *)e->value.data, e->value.len, &info, f);
		if (err)
			return err;
	}
	json_t *pid = json_object_get(info, "pid");
	/* Without a pause process CRI-O may say 0 or −1. */
	if (pid && !(json_real_value(pid) < 0) && bh_reply_pid(pid, &c->pid))
		return bh_faulty(f, -EINVAL, "info.pid is not a process id");
	const char *path = host ? NULL : network_path(info);
	if (path && !is_good_path(path))
		return bh_faulty(f, -EINVAL, "info: the network namespace has a strange path");
	if (path)
		c->netns_path = bh_xstrdup(path);
	else if (c->pid)
		c->netns_path = bh_xasprintf("/proc/%d/ns/net", c->pid);
	else if (host) /* CRI-O without a pause process: it is this node's, as ours is */
		c->netns_path = bh_xstrdup("/proc/self/ns/net");
	else
		return bh_faulty(f, -EINVAL,
			"the runtime tells neither its process nor its network namespace");
	return 0;
}

static int take_pod(
	const Cri__PodSandboxStatusResponse *r, struct bh_container *c, struct bh_fault *f)
{
	const Cri__PodSandboxStatus *s = r->status;
	bool host = on_host_network(s);
	take_identity(s, c);
	for (size_t i = 0; i < s->n_labels; i++) {
		int err = take_label(s->labels[i], &c->labels, f);
		if (err)
			return err;
	}
	if (!host)
		take_network(s->network, c);
	return take_info(r, c, host, f);
}

int bh_cri_parse_pod(const uint8_t *p, size_t n, const char *id, struct bh_container **ret,
	struct bh_fault *fault)
{
	struct cri_memory m;
	Cri__PodSandboxStatusResponse *r =
		cri_unpack(&m, &cri__pod_sandbox_status_response__descriptor, p, n, fault);
	if (!r)
		return -EINVAL;
	bh_autofree char *told = r->status ? cri_id(&r->status->id) : NULL;
	struct bh_container *c = NULL;
	int err = 0;
	if (!bh_streq(told, id)) {
		err = bh_faulty(fault, -EINVAL, "the answer is not about this pod");
	} else if (r->status->state == CRI__SANDBOX_STATE__SANDBOX_READY) {
		c = bh_container_new();
		c->id = bh_xstrdup(id);
		err = take_pod(r, c, fault);
	}
	cri_release(&m, r);
	if (err)
		bh_container_free(c);
	else
		*ret = c;
	return err;
}
