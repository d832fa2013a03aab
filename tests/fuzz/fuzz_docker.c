/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's answers, read by every reader in turn. Beside memory safety: what is taken keeps to
 * its bounds, and a refusal says why in printable words.
 */
#include <bulkhead/util.h>

#include "inventory/docker_json.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool is_id(const char *s)
{
	return strlen(s) == BH_DOCKER_ID_LEN && strspn(s, "0123456789abcdef") == BH_DOCKER_ID_LEN;
}

static void check_fault(int err, const struct bh_fault *f)
{
	must(err < 0 && f->text[0]);
	for (const char *c = f->text; *c; c++)
		must(*c >= ' ' && *c <= '~');
}

static void check_container(const struct bh_docker_container *d)
{
	const struct bh_container *c = d->container;
	must(!d->image_id[0] || is_id(d->image_id));
	must(!d->pod[0] || (is_id(d->pod) && c && !c->image && !c->digest && !d->image_id[0]));
	if (!c)
		return;
	must(strcmp(c->id, ID) == 0 && c->pid > 0 && c->netns_path);
	must(c->name[0] && strlen(c->name) <= BH_DOCKER_MAX_NAME && !strchr(c->name, '/'));
	must(!c->image || strlen(c->image) <= BH_DOCKER_MAX_IMAGE);
	must(c->labels.n <= BH_DOCKER_MAX_HEARD_LABELS);
	for (size_t i = 0; i < c->labels.n; i++) {
		must(!bh_label_key_check(c->labels.item[i].key));
		must(strlen(c->labels.item[i].value) <= BH_DOCKER_MAX_LABEL_VALUE);
	}
	bh_autofree char *ns = bh_container_namespace(c, NULL);
	if (!ns)
		return;
	must(ns[0] && strlen(ns) <= 63 && ns[0] != '-' && ns[strlen(ns) - 1] != '-');
	must(strspn(ns, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(ns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct bh_fault f = {0};
	struct bh_docker_container c = {0};
	bh_docker_id id = "", *list = NULL;
	struct bh_docker_image image = {0};
	size_t n = 0;
	int r = bh_docker_parse_container(text, size, "docker", ID, &c, &f);
	if (r)
		check_fault(r, &f);
	else
		check_container(&c);
	bh_container_free(c.container);
	r = bh_docker_parse_event(text, size, id, &f);
	if (r < 0)
		check_fault(r, &f);
	else
		must(r == 1 ? is_id(id) : !id[0]);
	r = bh_docker_parse_list(text, size, &list, &n, &f);
	if (r)
		check_fault(r, &f);
	for (size_t i = 0; i < n; i++)
		must(is_id(list[i]) && (i == 0 || strcmp(list[i - 1], list[i]) < 0));
	free(list);
	r = bh_docker_parse_image(text, size, &image, &f);
	if (r)
		check_fault(r, &f);
	must(!image.digest ||
		(strncmp(image.digest, "sha256:", 7) == 0 && is_id(image.digest + 7)));
	bh_docker_image_finish(&image);
	struct bh_container *pod = bh_container_new();
	r = bh_podman_parse_pod(text, size, ID, pod, &f);
	if (r)
		check_fault(r, &f);
	else
		must(pod->name[0] && strlen(pod->name) <= BH_DOCKER_MAX_NAME &&
			pod->labels.n <= BH_DOCKER_MAX_HEARD_LABELS);
	must(!r || (!pod->name && pod->labels.n == 0));
	bh_container_free(pod);
	bh_docker_parse_error(text, size, &f);
	return 0;
}
