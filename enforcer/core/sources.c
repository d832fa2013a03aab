/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which sources there are: those of the configuration, and with `auto` what is found at the usual
 * places, at the start or later. What was found once stays a source: an engine that is restarted,
 * or comes back after hours, needs nobody's help. It stays one over a restart of the daemon as long
 * as the rules of the earlier run are there: they are for its containers too, and an engine that
 * happens to be away at that moment must not make strangers of them.
 */
#include "core/sources.h"

#include <sys/stat.h>

#include "answer/clock.h"
#include "config/config.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "inventory/inventory.h"
#include "store/store.h"

#define PATIENCE_US 5000000

/* Richer ones first: several may be one and the same socket (podman-docker links Docker's to
 * Podman's). */
static const struct usual {
	enum bh_source_kind kind;
	const char *path;
} usual[] = {
	{BH_SOURCE_CRI, "/run/containerd/containerd.sock"},
	{BH_SOURCE_CRI, "/run/crio/crio.sock"},
	{BH_SOURCE_CRI, "/run/k3s/containerd/containerd.sock"},
	{BH_SOURCE_PODMAN, "/run/podman/podman.sock"},
	{BH_SOURCE_DOCKER, "/run/docker.sock"},
	{BH_SOURCE_DOCKER, "/var/run/docker.sock"},
};
_Static_assert(BH_ARRAY_SIZE(usual) <= 32, "found is a set of bits");

/* `found`: nobody named it. */
static struct bh_source *new_source(
	struct bh_core *c, enum bh_source_kind kind, const char *path, bool found)
{
	struct bh_source *s;
	switch (kind) {
	case BH_SOURCE_DOCKER:
	case BH_SOURCE_PODMAN:
		s = kind == BH_SOURCE_DOCKER ? bh_source_docker_new(c->loop, c->http, path)
					     : bh_source_podman_new(c->loop, c->http, path);
		if (c->conf->image_labels_ignore)
			bh_source_ignore_image_labels(s);
		return s;
	case BH_SOURCE_CRI:
		return bh_source_cri_new(c->loop, c->http, path, found);
	default:
		return bh_source_static_new(c->loop, path);
	}
}

static bool same_socket(const char *path, const struct stat *as)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_dev == as->st_dev && st.st_ino == as->st_ino;
}

/* A source already, or switched off. */
static bool is_settled(const struct bh_core *c, const struct usual *u, const struct stat *st)
{
	for (size_t i = 0; i < c->conf->n_sources; i++) {
		const struct bh_source_conf *s = &c->conf->sources[i];
		if (s->path ? same_socket(s->path, st) : s->kind == u->kind)
			return true;
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(usual); i++)
		if (c->found & 1u << i && same_socket(usual[i].path, st))
			return true;
	return false;
}

/* Whether the run before had found it; remembers that this one has. */
static bool remember(struct bh_core *c, const struct usual *u, bool found)
{
	bh_autofree char *name = bh_xasprintf("found %s", u->path);
	uint64_t before = 0;
	bh_store_get_u64(c->store, name, &before);
	if (before != found)
		bh_store_put_u64(c->store, name, found);
	return before;
}

static bool is_off(const struct bh_core *c, const struct usual *u)
{
	for (size_t i = 0; i < c->conf->n_sources; i++)
		if (c->conf->sources[i].kind == u->kind && !c->conf->sources[i].path)
			return true;
	return false;
}

static void add_found(struct bh_core *c, size_t i)
{
	c->found |= 1u << i;
	bh_inventory_mgr_add(c->inventory, new_source(c, usual[i].kind, usual[i].path, true));
}

static void find_sources(struct bh_core *c)
{
	struct stat st;
	for (size_t i = 0; c->conf->sources_auto && i < BH_ARRAY_SIZE(usual); i++) {
		if (c->found & 1u << i || stat(usual[i].path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
			is_settled(c, &usual[i], &st))
			continue;
		add_found(c, i);
		remember(c, &usual[i], true);
	}
}

/* After find_sources: those that are away now. */
static void recall_sources(struct bh_core *c)
{
	struct stat st;
	for (size_t i = 0; c->conf->sources_auto && i < BH_ARRAY_SIZE(usual); i++) {
		if (c->found & 1u << i || stat(usual[i].path, &st) == 0)
			continue;
		bool wanted = c->earlier && !is_off(c, &usual[i]);
		if (remember(c, &usual[i], false) && wanted) {
			remember(c, &usual[i], true);
			add_found(c, i);
		}
	}
}

void bh_core_sources_start(struct bh_core *c)
{
	bh_core_sources_settings(c);
	for (size_t i = 0; i < c->conf->n_sources; i++)
		if (c->conf->sources[i].path)
			bh_inventory_mgr_add(
				c->inventory, new_source(c, c->conf->sources[i].kind,
						      c->conf->sources[i].path, false));
	find_sources(c);
	recall_sources(c);
}

void bh_core_sources_settings(struct bh_core *c)
{
	bh_inventory_mgr_set_namespace_labels(
		c->inventory, (const char *const *)c->conf->namespace_labels);
}

bool bh_core_sources_enough(const struct bh_core *c)
{
	return c->ready || bh_inventory_mgr_synced(c->inventory) ||
	       (!c->earlier && bh_clock_steady() - c->pulse.started >= PATIENCE_US);
}

void bh_core_sources_tick(struct bh_core *c)
{
	find_sources(c);
	if (!c->ready && bh_core_sources_enough(c))
		bh_core_schedule(c);
}
