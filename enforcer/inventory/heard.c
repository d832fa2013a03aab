/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel's notices speak of is looked at: at once after a time of quiet, else a few
 * milliseconds later, so that what follows at once is done together. Only what is really not what
 * it was is told of. When notices were lost, everybody is looked at, one after the other.
 *
 * A container may change its own addresses as often as it likes. A look costs no more than the one
 * inspection for each container that notices spoke of, and the time between two grows with what
 * the last took, so that no container can keep the daemon busy.
 */
#include "inventory/manager.h"

static void schedule(struct bh_inventory_mgr *m)
{
	uint64_t delay = 2 * (m->look_us + m->build_us) / 1000;
	uint64_t since = uv_now(m->loop) - m->looked_at;
	if (uv_is_active((uv_handle_t *)&m->look))
		return;
	if (delay < BH_MGR_DELAY_MS)
		delay = BH_MGR_DELAY_MS;
	if (delay > BH_MGR_DELAY_MAX_MS)
		delay = BH_MGR_DELAY_MAX_MS;
	uv_timer_start(&m->look, bh_mgr_on_look, since >= delay ? 0 : delay - since, 0);
}

static void hear_id(struct bh_inventory_mgr *m, struct bh_mgr_id *id)
{
	if (id->heard)
		return;
	id->heard = true;
	bh_mgr_id_add(&m->heard_id, id);
}

/* True: somebody is concerned. */
static bool hear(struct bh_inventory_mgr *m, uint64_t netns)
{
	const struct bh_space *s = bh_mgr_space(m, netns);
	for (size_t i = 0; s && i < s->n; i++)
		hear_id(m, s->member[i]);
	return s && s->n > 0;
}

static bool is_about(const struct bh_link_news *news, uint64_t netns)
{
	for (size_t i = 0; i < news->n; i++) {
		if (news->netns[i] == netns)
			return true;
	}
	return false;
}

/* Those that are dirty may have been inspected, but are not in their space yet. */
static void hear_dirty(struct bh_inventory_mgr *m, const struct bh_link_news *news)
{
	for (size_t i = 0; news->n > 0 && i < m->dirty_id.n; i++) {
		struct bh_record *r = bh_mgr_record(m, m->dirty_id.item[i]);
		if (r && r->seen && is_about(news, r->seen->netns))
			r->stale = true;
	}
}

static void on_notice(uv_poll_t *p, int status, int events BH_UNUSED)
{
	struct bh_inventory_mgr *m = p->data;
	/* That notices were lost makes it an error of the socket, which stops the polling. */
	struct bh_link_news news = {.all = status < 0, .host = status < 0};
	bool any = false;
	bh_link_watch_drain(m->link, &news);
	for (size_t i = 0; i < news.n; i++)
		any |= hear(m, news.netns[i]);
	hear_dirty(m, &news);
	if (news.all)
		bh_mgr_hurry(m);
	m->host_anew |= news.all;
	m->host_stale |= news.host;
	if (any || news.host)
		schedule(m);
	bh_link_news_finish(&news);
}

void bh_mgr_listen(struct bh_inventory_mgr *m)
{
	if (!uv_is_active((uv_handle_t *)&m->poll))
		uv_poll_start(&m->poll, UV_READABLE, on_notice);
}

void bh_mgr_on_look(uv_timer_t *t)
{
	struct bh_inventory_mgr *m = t->data;
	uint64_t start = uv_hrtime();
	bool news = false;
	for (size_t i = 0; i < m->heard_id.n; i++) {
		struct bh_mgr_id *id = m->heard_id.item[i];
		id->heard = false;
		news |= bh_mgr_inspect(m, id);
	}
	m->heard_id.n = 0;
	if (m->host_stale)
		news |= bh_mgr_host_look(m);
	bh_mgr_listen(m);
	m->looked_at = uv_now(m->loop);
	m->look_us = (uv_hrtime() - start) / 1000;
	if (news)
		m->fn(m->arg);
}
