/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See cri_proto.h: the requests, and the answers but PodSandboxStatus. */
#include <errno.h>

#include "inventory/cri_unpack.h"

#define MAX_ANNOTATION (64u << 10) /* of one container's ports */
#define HEX_LEN 64

/* --- requests --- */

static void pack(const ProtobufCMessage *m, struct bh_buf *ret)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	bh_autofree uint8_t *p = bh_xcalloc(1, n + 1);
	protobuf_c_message_pack(m, p);
	bh_buf_add(ret, p, n);
}

static ProtobufCBinaryData bytes(const char *s)
{
	return (ProtobufCBinaryData){strlen(s), (uint8_t *)(uintptr_t)s};
}

void bh_cri_write_pods(struct bh_buf *ret)
{
	Cri__ListPodSandboxRequest r = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
	Cri__SandboxFilter f = CRI__SANDBOX_FILTER__INIT;
	Cri__SandboxStateValue v = CRI__SANDBOX_STATE_VALUE__INIT;
	v.state = CRI__SANDBOX_STATE__SANDBOX_READY;
	f.state = &v;
	r.filter = &f;
	pack(&r.base, ret);
}

void bh_cri_write_pod(struct bh_buf *ret, const char *id)
{
	Cri__PodSandboxStatusRequest r = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
	r.pod_sandbox_id = bytes(id);
	r.verbose = true;
	pack(&r.base, ret);
}

void bh_cri_write_image(struct bh_buf *ret, const char *ref)
{
	Cri__ImageStatusRequest r = CRI__IMAGE_STATUS_REQUEST__INIT;
	Cri__ImageSpec s = CRI__IMAGE_SPEC__INIT;
	s.image = bytes(ref);
	r.image = &s;
	pack(&r.base, ret);
}

/* --- answers --- */

int bh_cri_parse_version(const uint8_t *p, size_t n, char **ret, struct bh_fault *fault)
{
	struct cri_memory m;
	Cri__VersionResponse *r = cri_unpack(&m, &cri__version_response__descriptor, p, n, fault);
	if (!r)
		return -EINVAL;
	char *name = cri_id(&r->runtime_name);
	*ret = name ? name : bh_xstrdup("cri");
	cri_release(&m, r);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t without_repeats(char **s, size_t n)
{
	size_t kept = 0;
	if (n > 1)
		qsort(s, n, sizeof(*s), by_text);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && strcmp(s[kept - 1], s[i]) == 0)
			free(s[i]);
		else
			s[kept++] = s[i];
	}
	return kept;
}

int bh_cri_parse_pods(
	const uint8_t *p, size_t n, char ***ret, size_t *ret_n, struct bh_fault *fault)
{
	struct cri_memory m;
	Cri__ListPodSandboxResponse *r =
		cri_unpack(&m, &cri__list_pod_sandbox_response__descriptor, p, n, fault);
	int err = 0;
	size_t found = 0;
	if (!r)
		return -EINVAL;
	if (r->n_items > BH_CRI_MAX_PODS)
		err = bh_faulty(fault, -E2BIG, "%zu pods, at most %d are handled", r->n_items,
			BH_CRI_MAX_PODS);
	char **id = bh_xcalloc(err ? 0 : r->n_items, sizeof(*id));
	for (size_t i = 0; !err && i < r->n_items; i++) {
		/* Runtimes may ignore the filter. */
		if (r->items[i]->state != CRI__SANDBOX_STATE__SANDBOX_READY)
			continue;
		char *s = cri_id(&r->items[i]->id);
		if (s)
			id[found++] = s;
		else
			err = bh_faulty(fault, -EINVAL, "items[%zu].id is not a pod's id", i);
	}
	cri_release(&m, r);
	if (!err) {
		*ret_n = without_repeats(id, found);
		*ret = id;
		return 0;
	}
	while (found > 0)
		free(id[--found]);
	free(id);
	return err;
}

static bool is_image_ref(const char *s)
{
	for (size_t i = 0; s && s[i]; i++) {
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	}
	return s != NULL;
}

static char *take_ref(const ProtobufCBinaryData *d)
{
	bh_autofree char *s = cri_text(d, BH_CRI_MAX_IMAGE);
	return is_image_ref(s) ? BH_TAKE_PTR(s) : NULL;
}

char *bh_cri_digest(const char *ref)
{
	const char *at = ref ? strrchr(ref, '@') : NULL;
	const char *s = at ? at + 1 : ref;
	if (s && strncmp(s, "sha256:", 7) == 0)
		s += 7;
	else if (at)
		return NULL;
	if (!s || strlen(s) != HEX_LEN || strspn(s, "0123456789abcdef") != HEX_LEN)
		return NULL;
	return bh_xasprintf("sha256:%s", s);
}

/* A reference that is more than an image's id. */
static char *take_name(const ProtobufCBinaryData *d)
{
	bh_autofree char *s = take_ref(d);
	bh_autofree char *digest = s && !strchr(s, '@') ? bh_cri_digest(s) : NULL;
	return digest ? NULL : BH_TAKE_PTR(s);
}

/* An IANA service name, as Kubernetes wants it (RFC 6335, 5.1), without its finer points. */
static bool is_port_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return n > 0 && n <= 15 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int protocol(const char *s)
{
	if (!s || strcmp(s, "TCP") == 0)
		return IPPROTO_TCP;
	if (strcmp(s, "UDP") == 0)
		return IPPROTO_UDP;
	return strcmp(s, "SCTP") == 0 ? IPPROTO_SCTP : -1;
}

static void take_port(const json_t *j, struct bh_cri_container *c)
{
	const char *name = bh_reply_text(json_object_get(j, "name"));
	double port = json_number_value(json_object_get(j, "containerPort"));
	int proto = protocol(bh_reply_text(json_object_get(j, "protocol")));
	if (!is_port_name(name) || port < 1 || port > 65535 || port != (int)port || proto < 0)
		return;
	c->port = bh_xrealloc(c->port, c->n_ports + 1, sizeof(*c->port));
	c->port[c->n_ports++] =
		(struct bh_named_port){bh_xstrdup(name), (uint8_t)proto, (uint16_t)port};
}

/* The kubelet's annotation is a convenience: one that cannot be read only means no named ports. */
static void take_ports(const Cri__Container *from, struct bh_cri_container *c)
{
	static const char key[] = "io.kubernetes.container.ports";
	bh_autojson json_t *list = NULL;
	struct bh_fault ignored;
	json_t *item;
	size_t i;
	for (i = 0; i < from->n_annotations && !list; i++) {
		const Cri__Entry *e = from->annotations[i];
		if (e->key.len == sizeof(key) - 1 && e->value.len <= MAX_ANNOTATION &&
			memcmp(e->key.data, key, e->key.len) == 0)
			bh_reply_json((const char *)e->value.data, e->value.len, &list, &ignored);
	}
	json_array_foreach(list, i, item)
	{
		if (c->n_ports == BH_CRI_MAX_PORTS)
			break;
		take_port(item, c);
	}
}

static bool take_container(const Cri__Container *from, struct bh_cri_container *c)
{
	c->pod = cri_id(&from->pod_sandbox_id);
	if (!c->pod)
		return false;
	c->image_ref = take_ref(&from->image_id);
	if (!c->image_ref)
		c->image_ref = take_ref(&from->image_ref);
	if (from->image)
		c->image = take_name(&from->image->user_specified_image);
	if (from->image && !c->image)
		c->image = take_name(&from->image->image);
	c->running = from->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING;
	c->created = from->state == CRI__CONTAINER_STATE__CONTAINER_CREATED;
	c->created_at = from->created_at;
	take_ports(from, c);
	return true;
}

void bh_cri_containers_free(struct bh_cri_container *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(c[i].pod);
		free(c[i].image);
		free(c[i].image_ref);
		for (size_t k = 0; k < c[i].n_ports; k++)
			free(c[i].port[k].name);
		free(c[i].port);
	}
	free(c);
}

int bh_cri_parse_containers(const uint8_t *p, size_t n, struct bh_cri_container **ret,
	size_t *ret_n, struct bh_fault *fault)
{
	struct cri_memory m;
	Cri__ListContainersResponse *r =
		cri_unpack(&m, &cri__list_containers_response__descriptor, p, n, fault);
	int err = 0;
	if (!r)
		return -EINVAL;
	if (r->n_containers > BH_CRI_MAX_CONTAINERS)
		err = bh_faulty(fault, -E2BIG, "%zu containers, at most %d are handled",
			r->n_containers, BH_CRI_MAX_CONTAINERS);
	size_t want = err ? 0 : r->n_containers, i = 0;
	struct bh_cri_container *c = bh_xcalloc(want, sizeof(*c));
	while (i < want && take_container(r->containers[i], &c[i]))
		i++;
	if (i < want)
		err = bh_faulty(
			fault, -EINVAL, "containers[%zu].pod_sandbox_id is not a pod's id", i);
	cri_release(&m, r);
	if (err) {
		bh_cri_containers_free(c, want);
		return err;
	}
	*ret = c;
	*ret_n = want;
	return 0;
}

/* The first in order, whatever the runtime's is; owned. */
static char *least(ProtobufCBinaryData *list, size_t n)
{
	char *best = NULL;
	for (size_t i = 0; i < n; i++) {
		char *s = take_ref(&list[i]);
		if (s && (!best || strcmp(s, best) < 0)) {
			char *other = best;
			best = s;
			s = other;
		}
		free(s);
	}
	return best;
}

int bh_cri_parse_image(const uint8_t *p, size_t n, struct bh_cri_image *ret, struct bh_fault *fault)
{
	struct cri_memory m;
	Cri__ImageStatusResponse *r =
		cri_unpack(&m, &cri__image_status_response__descriptor, p, n, fault);
	if (!r)
		return -EINVAL;
	*ret = (struct bh_cri_image){0};
	if (r->image) {
		bh_autofree char *digest = least(r->image->repo_digests, r->image->n_repo_digests);
		bh_autofree char *id = take_ref(&r->image->id);
		ret->name = least(r->image->repo_tags, r->image->n_repo_tags);
		ret->digest = bh_cri_digest(digest);
		if (!ret->digest)
			ret->digest = bh_cri_digest(id);
	}
	cri_release(&m, r);
	return 0;
}

int bh_cri_parse_event(const uint8_t *p, size_t n, struct bh_fault *fault)
{
	struct cri_memory m;
	void *r = cri_unpack(&m, &cri__container_event_response__descriptor, p, n, fault);
	cri_release(&m, r);
	return r ? 0 : -EINVAL;
}
