/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps, in order: each stands on what the one before it left. */
#include <errno.h>
#include <sys/socket.h>

#include "prove/private.h"

#define REMEDY "this kernel can't be relied on for it: upgrade it, and report `uname -r` with this"

enum { TCP_ALLOWED = 80, TCP_DENIED = 81, UDP_FROM_C = 53, UDP_FROM_A = 54 };

struct proof {
	const struct bh_prove_opts *opts;
	json_t *checks;
	struct prove_net net;
	struct prove_world world;
	/* B's sockets: listening by family and port, datagrams by port */
	int listen[2][2], udp[2];
	int raw; /* A's */
	char token; /* of the last frame */
	bool ipv6;
};

static const char *came_text(enum came c)
{
	static const char *const text[] = {[CAME_OPEN] = "it was answered",
		[CAME_REFUSED] = "it was refused by a reset",
		[CAME_NOTHING] = "nothing came",
		[CAME_ERROR] = "it could not be sent"};
	return text[c];
}

static void told(struct proof *p, const char *check, bool good, const char *what, const char *came)
{
	bh_finding(p->checks, check, good ? BH_HEALTH_OK : BH_HEALTH_FAIL, good ? NULL : REMEDY,
		"%s: %s", what, came);
}

static int sockets(struct proof *p)
{
	static const int family[] = {AF_INET, AF_INET6}, tcp[] = {TCP_ALLOWED, TCP_DENIED},
			 udp[] = {UDP_FROM_C, UDP_FROM_A};
	int r = prove_at(&p->net, AT_B);
	p->ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
	for (int f = 0; f < (p->ipv6 ? 2 : 1) && r >= 0; f++)
		for (int k = 0; k < 2 && r >= 0; k++)
			r = p->listen[f][k] = prove_listen(family[f], (uint16_t)tcp[k]);
	for (int k = 0; k < 2 && r >= 0; k++)
		r = p->udp[k] = prove_udp((uint16_t)udp[k]);
	if (r >= 0)
		r = prove_at(&p->net, AT_A);
	if (r >= 0)
		r = p->raw = prove_raw();
	return r < 0 ? r : prove_at(&p->net, AT_NODE);
}

/* From a place to B, and back to the node. */
static enum came reach(struct proof *p, int from, int family, uint16_t port, int ms, int *ret_fd)
{
	enum came c = prove_at(&p->net, from) == 0 ? prove_connect(family, AT_B, port, ms, ret_fd)
						   : CAME_ERROR;
	return prove_at(&p->net, AT_NODE) == 0 ? c : CAME_ERROR;
}

static void expect(
	struct proof *p, const char *check, uint16_t port, enum came want, const char *what)
{
	for (int v6 = 0; v6 < (p->ipv6 ? 2 : 1); v6++) {
		enum came c = reach(p, AT_A, v6 ? AF_INET6 : AF_INET, port,
			want == CAME_NOTHING ? PROVE_DROP_MS : PROVE_COME_MS, NULL);
		char bh_autofree *sent =
			bh_xasprintf("%s, from A to B's tcp/%u by IPv%d", what, port, v6 ? 6 : 4);
		told(p, check, c == want, sent, came_text(c));
	}
}

/* Does A's frame come out at B's socket? Tokens tell the frames apart. What should come is sent
 * again for a while: ports of a bridge begin to forward in their own time. */
static bool arrives(struct proof *p, int source, int k, bool tagged, bool want, char token)
{
	uint16_t port = k ? UDP_FROM_A : UDP_FROM_C;
	int tries = want ? PROVE_COME_MS / PROVE_DROP_MS : 1;
	bool came = false;
	while (prove_hear(p->udp[k], 0)) /* of earlier ones, which came twice */
		;
	for (int i = 0; i < tries && !came; i++)
		came = prove_frame(&p->net, p->raw, source, port, tagged, token) == 0 &&
		       prove_hear(p->udp[k], PROVE_DROP_MS) == token;
	return came;
}

static void frame(struct proof *p, const char *check, int source, int k, bool tagged, bool want,
	const char *what)
{
	bool came = arrives(p, source, k, tagged, want, ++p->token);
	told(p, check, came == want, what, came ? "it arrived" : "nothing came");
}

static void without_rules(struct proof *p)
{
	frame(p, "no-rules", AT_C, 0, false, true,
		"no rules yet: a datagram of A's in the name of C");
	frame(p, "no-rules", AT_A, 1, true, true,
		"no rules yet: a datagram of A's behind a tag of VLAN 0");
}

static void identity(struct proof *p)
{
	frame(p, "identity", AT_A, 1, false, true, "a datagram of A's own, which a rule allows");
	frame(p, "identity", AT_C, 0, false, false,
		"a datagram of A's in the name of C, whom a rule allows");
	frame(p, "tagged", AT_A, 1, true, false,
		"the datagram of A's own behind a tag of VLAN 0, which hosts take off");
}

static void queued(struct proof *p)
{
	unsigned n = atomic_load(&p->world.asked);
	char bh_autofree *came = bh_xasprintf("the queue's reader got %u packets", n);
	if (prove_has_queue(&p->world))
		told(p, "queue", n > 0, "what no rule covers goes to the daemon", came);
	else
		bh_finding(p->checks, "queue", BH_HEALTH_SKIP,
			"modprobe nft_queue || modprobe xt_NFQUEUE",
			"this kernel has no NFQUEUE: denials are dropped, not recorded");
}

static int rejected(struct proof *p, const char **ret_what)
{
	if (!prove_has_queue(&p->world))
		return 0;
	int r = prove_load(&p->world, &p->net, true, true, ret_what);
	if (r == 0)
		expect(p, "reject", TCP_DENIED, CAME_REFUSED, "deny: reject, no rule");
	return r;
}

/* An established connection, before and after the rule that allows it goes. */
static int revoked(struct proof *p, const char **ret_what)
{
	bh_autoclose int a = -1, b = -1;
	enum came c = reach(p, AT_A, AF_INET, TCP_ALLOWED, PROVE_COME_MS, &a);
	for (int fd; (fd = accept(p->listen[0][0], NULL, NULL)) >= 0;) { /* the last is ours */
		if (b >= 0)
			close(b);
		b = fd;
	}
	bool passes = c == CAME_OPEN && b >= 0 && prove_passes(a, b, PROVE_COME_MS) &&
		      prove_passes(b, a, PROVE_COME_MS);
	told(p, "established", passes, "a byte each way on a connection that a rule allows",
		passes ? "both came" : "it did not come");
	if (!passes)
		return 0;
	int r = prove_load(&p->world, &p->net, false, false, ret_what);
	if (r < 0)
		return r;
	*ret_what = "cutting flows";
	r = prove_cut(&p->world);
	if (r < 0)
		return r;
	bool there = prove_passes(a, b, PROVE_DROP_MS), back = prove_passes(b, a, PROVE_DROP_MS);
	told(p, "revoked", !there && !back,
		"a byte each way on the same connection, when the rule has gone",
		there || back ? "it came" : "nothing came");
	return 0;
}

static int steps(struct proof *p, const char **ret_what)
{
	*ret_what = "br_netfilter (modprobe br_netfilter)";
	int r = prove_bridge_nf(false);
	if (r < 0)
		return r;
	without_rules(p);
	r = prove_load(&p->world, &p->net, true, false, ret_what);
	if (r < 0)
		return r;
	expect(p, "off", TCP_DENIED, CAME_OPEN, "br_netfilter off, no rule");
	if (!p->opts->without_bridge_nf)
		r = prove_bridge_nf(true);
	*ret_what = "br_netfilter";
	if (r < 0)
		return r;
	expect(p, "allowed", TCP_ALLOWED, CAME_OPEN, "br_netfilter on, a rule allows it");
	expect(p, "denied", TCP_DENIED, CAME_NOTHING, "br_netfilter on, no rule");
	queued(p);
	identity(p);
	r = rejected(p, ret_what);
	return r < 0 ? r : revoked(p, ret_what);
}

static void close_all(struct proof *p)
{
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 2; k++)
			if (p->listen[i][k] >= 0)
				close(p->listen[i][k]);
		if (p->udp[i] >= 0)
			close(p->udp[i]);
	}
	if (p->raw >= 0)
		close(p->raw);
	prove_world_close(&p->world);
	prove_net_close(&p->net);
}

int bh_prove(const struct bh_prove_opts *opts, json_t *checks)
{
	static const struct bh_prove_opts none;
	struct proof p = {.opts = opts ? opts : &none,
		.checks = checks,
		.listen = {{-1, -1}, {-1, -1}},
		.udp = {-1, -1},
		.raw = -1};
	const char *what = "";
	p.world.opts = p.opts;
	int r = prove_net_open(&p.net, &what);
	if (r == 0)
		r = prove_world_open(&p.world, &what);
	if (r == 0) {
		what = "sockets of the containers";
		r = sockets(&p);
	}
	if (r == 0)
		r = steps(&p, &what);
	close_all(&p);
	if (r < 0)
		bh_finding(checks, "setup", BH_HEALTH_FAIL,
			r == -EPERM ? "sudo bulkhead doctor --prove" : NULL, "%s: %s", what,
			strerror(-r));
	return r;
}
