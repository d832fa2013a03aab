/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A CRI runtime's answers, read by every reader in turn; and the bytes once more as the JSON beside
 * a pod's status, as a gRPC stream, and as its message. Beside memory safety: what is taken keeps
 * to its bounds, and a refusal says why in printable words.
 */
#include "grpc/frame.h"
#include "inventory/cri_proto.h"
#include "lib/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_fault(int err, const struct bh_fault *f)
{
	must(err < 0 && f->text[0]);
	for (const char *c = f->text; *c; c++)
		must(*c >= ' ' && *c <= '~');
}

static void check_ref(const char *s)
{
	must(!s || (s[0] && strlen(s) <= BH_CRI_MAX_IMAGE && !strpbrk(s, " \n\t")));
}

static void check_digest(const char *s)
{
	must(!s || (strlen(s) == 71 && strncmp(s, "sha256:", 7) == 0));
}

static void check_pod(const struct bh_container *c)
{
	must(strcmp(c->id, "one") == 0 && bh_reply_good_name(c->name));
	must(c->netns_path && c->netns_path[0] == '/' && c->pid >= 0);
	must(c->labels.n <= BH_CRI_MAX_LABELS && c->n_addrs <= BH_CRI_MAX_IPS + 1);
	for (size_t i = 0; i < c->labels.n; i++) {
		must(!bh_label_key_check(c->labels.item[i].key));
		must(strlen(c->labels.item[i].value) <= BH_CRI_MAX_LABEL_VALUE);
	}
	bh_autofree char *ns = bh_container_namespace(c, NULL);
	must(!ns || (ns[0] && strlen(ns) <= 63));
}

static void read_pod(const uint8_t *p, size_t n)
{
	struct bh_container *c = NULL;
	struct bh_fault f = {0};
	int r = bh_cri_parse_pod(p, n, "one", &c, &f);
	if (r)
		check_fault(r, &f);
	if (c)
		check_pod(c);
	bh_container_free(c);
}

/* A good status with these bytes as its info. */
static void read_info(const uint8_t *p, size_t n)
{
	struct bh_buf s = {0}, e = {0};
	bh_autobuf struct bh_buf b = {0};
	pb_text(&s, 1, "one");
	pb_message(&b, 1, &s);
	pb_text(&e, 1, "info");
	pb_bytes(&e, 2, p, n);
	pb_message(&b, 2, &e);
	read_pod((const uint8_t *)b.s, b.len);
}

static void read_lists(const uint8_t *p, size_t n)
{
	struct bh_fault f = {0};
	char **id = NULL;
	struct bh_cri_container *c = NULL;
	size_t n_ids = 0, n_c = 0;
	int r = bh_cri_parse_pods(p, n, &id, &n_ids, &f);
	if (r)
		check_fault(r, &f);
	for (size_t i = 0; i < n_ids; i++) {
		must(bh_reply_good_name(id[i]) && strlen(id[i]) <= BH_CRI_MAX_ID);
		must(i == 0 || strcmp(id[i - 1], id[i]) < 0);
	}
	for (size_t i = 0; i < n_ids; i++)
		free(id[i]);
	free(id);
	r = bh_cri_parse_containers(p, n, &c, &n_c, &f);
	if (r)
		check_fault(r, &f);
	for (size_t i = 0; i < n_c; i++) {
		must(c[i].pod && c[i].n_ports <= BH_CRI_MAX_PORTS);
		check_ref(c[i].image);
		check_ref(c[i].image_ref);
	}
	bh_cri_containers_free(c, n_c);
}

static int take(const uint8_t *p, size_t n, void *arg)
{
	size_t *budget = arg;
	must(p && n <= 1000 && n <= *budget);
	*budget -= n;
	return 0;
}

static void read_frames(const uint8_t *p, size_t n)
{
	struct bh_grpc_frames f = {.max = 1000};
	size_t budget = n, half = n / 2;
	char out[50];
	if (bh_grpc_frames_add(&f, (const char *)p, half, take, &budget) == 0)
		bh_grpc_frames_add(&f, (const char *)p + half, n - half, take, &budget);
	bh_grpc_frames_finish(&f);
	bh_autofree char *text = bh_xstrndup((const char *)p, n);
	bh_grpc_decode_message(text, out, sizeof(out));
	must(strlen(out) < sizeof(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_fault f = {0};
	struct bh_cri_image image = {0};
	char *name = NULL;
	read_pod(data, size);
	read_info(data, size);
	read_lists(data, size);
	read_frames(data, size);
	int r = bh_cri_parse_image(data, size, &image, &f);
	if (r)
		check_fault(r, &f);
	check_ref(image.name);
	check_digest(image.digest);
	free(image.name);
	free(image.digest);
	r = bh_cri_parse_version(data, size, &name, &f);
	must(r ? !name : bh_reply_good_name(name));
	free(name);
	r = bh_cri_parse_event(data, size, &f);
	if (r)
		check_fault(r, &f);
	return 0;
}
