/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes workloads of what the runtime answered. A pod is one: its sandbox says who and where it is,
 * and of its containers the one that was made first among those that run stands for its image; the
 * others add theirs, and all of them named ports. It is told of before it has containers: then
 * nothing of it is held up.
 */
#include "inventory/cri.h"

/* --- the list --- */

void bh_cri_forget_list(struct bh_cri *d)
{
	for (size_t i = 0; i < d->n_pods; i++)
		free(d->pod[i]);
	free(BH_TAKE_PTR(d->pod));
	bh_cri_containers_free(BH_TAKE_PTR(d->container), d->n_containers);
	d->n_pods = d->n_containers = 0;
}

static int liveness(const struct bh_cri_container *c)
{
	return c->running ? 2 : c->created ? 1 : 0;
}

/* By pod; the one that stands for it first. */
static int by_pod(const void *a, const void *b)
{
	const struct bh_cri_container *x = a, *y = b;
	int r = strcmp(x->pod, y->pod);
	if (r == 0)
		r = liveness(y) - liveness(x);
	if (r == 0)
		r = (x->created_at > y->created_at) - (x->created_at < y->created_at);
	return r ? r : bh_strcmp0(x->image_ref, y->image_ref);
}

static bool has_port(const struct bh_cri_item *pod, const char *name)
{
	for (size_t i = 0; i < pod->n_ports; i++) {
		if (strcmp(pod->port[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Those of the first container that has the name, as Kubernetes resolves them. */
static void add_ports(struct bh_cri_item *pod, const struct bh_cri_container *c)
{
	for (size_t i = 0; i < c->n_ports && pod->n_ports < BH_CRI_MAX_PORTS; i++) {
		if (has_port(pod, c->port[i].name))
			continue;
		pod->port = bh_xrealloc(pod->port, pod->n_ports + 1, sizeof(*pod->port));
		pod->port[pod->n_ports] = c->port[i];
		pod->port[pod->n_ports++].name = bh_xstrdup(c->port[i].name);
	}
}

void bh_cri_forget_runs(struct bh_cri_item *pod)
{
	while (pod->n_runs > 0) {
		free(pod->run[--pod->n_runs].image);
		free(pod->run[pod->n_runs].image_ref);
	}
	free(BH_TAKE_PTR(pod->run));
}

static void add_run(struct bh_cri_item *pod, const struct bh_cri_container *c)
{
	for (size_t i = 0; i < pod->n_runs; i++)
		if (bh_streq(pod->run[i].image, c->image) &&
			bh_streq(pod->run[i].image_ref, c->image_ref))
			return;
	if (pod->n_runs == BH_IMAGES_MAX + 1)
		return;
	pod->run = bh_xrealloc(pod->run, pod->n_runs + 1, sizeof(*pod->run));
	pod->run[pod->n_runs++] =
		(struct bh_cri_run){bh_xstrdup(c->image), bh_xstrdup(c->image_ref)};
}

static void add_container(struct bh_cri_item *pod, const struct bh_cri_container *c)
{
	add_run(pod, c);
	add_ports(pod, c);
}

/* c[0..n): the containers of this pod. Those that have ended count only while there is no other. */
static void take_containers(struct bh_cri_item *pod, const struct bh_cri_container *c, size_t n)
{
	bh_cri_forget_runs(pod);
	while (pod->n_ports > 0)
		free(pod->port[--pod->n_ports].name);
	for (size_t i = 0; i < n; i++) {
		if (liveness(&c[i]) == liveness(&c[0]) || liveness(&c[i]) > 0)
			add_container(pod, &c[i]);
	}
}

static struct bh_cri_item *image_of(const struct bh_cri *d, const struct bh_cri_run *r)
{
	return r->image_ref ? bh_idmap_get(&d->images, r->image_ref) : NULL;
}

static void want_image(struct bh_cri *d, const char *ref)
{
	struct bh_cri_item *i = ref ? bh_idmap_get(&d->images, ref) : NULL;
	if (ref && !i)
		i = bh_cri_image_new(d, ref);
	if (i && !i->known && i->failures == 0)
		bh_cri_ask(i);
}

static void take_all_containers(struct bh_cri *d)
{
	struct bh_cri_container *c = d->container;
	size_t at = 0;
	if (d->n_containers > 1)
		qsort(c, d->n_containers, sizeof(*c), by_pod);
	for (size_t i = 0; i < d->n_pods; i++) {
		struct bh_cri_item *pod = bh_idmap_get(&d->pods, d->pod[i]);
		while (at < d->n_containers && strcmp(c[at].pod, pod->id) < 0)
			at++;
		size_t from = at;
		while (at < d->n_containers && strcmp(c[at].pod, pod->id) == 0)
			at++;
		take_containers(pod, c + from, at - from);
		for (size_t k = 0; k < pod->n_runs; k++)
			want_image(d, pod->run[k].image_ref);
		bh_cri_tell(pod);
	}
}

static void remove_others(struct bh_cri *d)
{
	bh_autofree void *list = bh_idmap_values(&d->pods);
	struct bh_cri_item **i = list;
	size_t n = d->pods.n;
	for (size_t k = 0; k < n; k++) {
		if (i[k]->listed)
			continue;
		if (i[k]->told && d->phase == BH_CRI_LIVE)
			d->base.sink.remove(d->base.sink.arg, i[k]->id);
		bh_cri_had_news(d);
		bh_cri_item_drop(i[k]);
	}
}

/* Images come and go without end on a build machine; and one that cannot be asked about is nobody's
 * trouble once no pod uses it. */
static void forget_images(struct bh_cri *d)
{
	bh_autofree void *pods = bh_idmap_values(&d->pods), *images = bh_idmap_values(&d->images);
	struct bh_cri_item **pod = pods, **image = images;
	size_t n = d->images.n;
	if (d->failing == 0 && n < BH_CRI_MAX_IMAGES)
		return;
	for (size_t k = 0; k < n; k++)
		image[k]->listed = false;
	for (size_t k = 0; k < d->pods.n; k++)
		for (size_t r = 0; r < pod[k]->n_runs; r++) {
			struct bh_cri_item *i = image_of(d, &pod[k]->run[r]);
			if (i)
				i->listed = true;
		}
	for (size_t k = 0; k < n; k++) {
		if (!image[k]->listed)
			bh_cri_item_drop(image[k]);
	}
}

void bh_cri_apply_list(struct bh_cri *d)
{
	bool all = d->ask_all;
	d->ask_all = false;
	bh_autofree void *list = bh_idmap_values(&d->pods);
	for (size_t k = 0; k < d->pods.n; k++)
		((struct bh_cri_item **)list)[k]->listed = false;
	for (size_t k = 0; k < d->n_pods; k++) {
		struct bh_cri_item *i = bh_idmap_get(&d->pods, d->pod[k]);
		bool is_new = !i;
		if (is_new)
			i = bh_cri_pod_new(d, d->pod[k]);
		i->listed = true;
		if (is_new)
			bh_cri_had_news(d);
		if (is_new || all)
			bh_cri_ask(i);
	}
	remove_others(d);
	take_all_containers(d);
	forget_images(d);
	bh_cri_forget_list(d);
}

/* --- what is told --- */

static void compose_image(
	const struct bh_cri *d, const struct bh_cri_run *r, bool first, struct bh_container *c)
{
	const struct bh_cri_item *i = image_of(d, r);
	bh_autofree char *image = bh_xstrdup(r->image ? r->image : i ? i->what.name : NULL);
	bh_autofree char *digest =
		i && i->what.digest ? bh_xstrdup(i->what.digest) : bh_cri_digest(r->image_ref);
	if (first) {
		c->image = BH_TAKE_PTR(image);
		c->digest = BH_TAKE_PTR(digest);
	} else {
		bh_images_add(&c->others, &(struct bh_run_image){c->image, c->digest},
			&(struct bh_run_image){image, digest});
	}
}

/* Owned; NULL: too little is known of it. */
static struct bh_container *compose(const struct bh_cri_item *pod)
{
	const struct bh_cri *d = pod->cri;
	if (!pod->said)
		return NULL;
	struct bh_container *c = bh_container_copy(pod->said);
	for (size_t k = 0; k < pod->n_runs; k++)
		compose_image(d, &pod->run[k], k == 0, c);
	c->port = bh_xrealloc(c->port, pod->n_ports, sizeof(*c->port)); /* the copy has none */
	for (; c->n_ports < pod->n_ports; c->n_ports++) {
		c->port[c->n_ports] = pod->port[c->n_ports];
		c->port[c->n_ports].name = bh_xstrdup(pod->port[c->n_ports].name);
	}
	return c;
}

void bh_cri_tell(struct bh_cri_item *pod)
{
	struct bh_cri *d = pod->cri;
	if (d->phase != BH_CRI_LIVE)
		return;
	struct bh_container *c = compose(pod);
	if (!c || (pod->told && bh_container_equal(c, pod->told))) {
		bh_container_free(c);
		return;
	}
	bh_container_free(pod->told);
	pod->told = c;
	bh_cri_had_news(d);
	d->base.sink.upsert(d->base.sink.arg, bh_container_copy(c));
}

void bh_cri_tell_image(struct bh_cri_item *image)
{
	struct bh_cri *d = image->cri;
	bh_autofree void *list = bh_idmap_values(&d->pods);
	struct bh_cri_item **pod = list;
	for (size_t k = 0; k < d->pods.n; k++) {
		bool its = false;
		for (size_t r = 0; r < pod[k]->n_runs; r++)
			its |= bh_streq(pod[k]->run[r].image_ref, image->id);
		if (its)
			bh_cri_tell(pod[k]);
	}
}

/* Everything that was listed has been answered once: the complete list. */
void bh_cri_end_sync(struct bh_cri *d)
{
	bh_autofree void *list = bh_idmap_values(&d->pods);
	struct bh_cri_item **pod = list;
	bh_autofree struct bh_container **c = bh_xcalloc(d->pods.n, sizeof(*c));
	size_t n = 0;
	for (size_t k = 0; k < d->pods.n; k++) {
		bh_container_free(pod[k]->told);
		pod[k]->told = compose(pod[k]);
		if (pod[k]->told)
			c[n++] = bh_container_copy(pod[k]->told);
	}
	d->base.sink.sync(d->base.sink.arg, c, n);
	bh_cri_live(d);
}
