/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside this module only. */
#pragma once

#include <bulkhead/engine.h>
#include <netinet/in.h>
#include <stdatomic.h>

#include "doctor/findings.h"
#include "prove/prove.h"

struct bh_ct;
struct bh_link;
struct bh_nft;
struct bh_queue;

/* --- net.c: namespaces, links and addresses, by rtnetlink --- */

enum { AT_NODE, AT_A, AT_B, AT_C, PLACES };

struct prove_net {
	int home; /* the namespace that we came from… */
	bool left; /* …and are in no more */
	int ns[PLACES];
	uint8_t mac[PLACES][6];
};

/* Makes the namespaces and links. 0, or −errno with *ret_what: what it was about. Afterwards, and
 * after prove_at, the thread is in one of them. */
int prove_net_open(struct prove_net *n, const char **ret_what);
void prove_net_close(struct prove_net *n); /* back home */
int prove_at(const struct prove_net *n, int place); /* goes there: 0 or −errno */
struct in_addr prove_addr4(int place); /* 192.0.2.0/24, RFC 5737 */
struct in6_addr prove_addr6(int place); /* 2001:db8::/64, RFC 3849 */
int prove_bridge_nf(bool on); /* in the namespace that we are in */

/* --- send.c: sockets stay in the namespace in which they were made; −1 or −errno on failure --- */

enum came { CAME_OPEN, CAME_REFUSED, CAME_NOTHING, CAME_ERROR };
#define PROVE_DROP_MS 300 /* waited for what is to be dropped: an answer comes within one… */
#define PROVE_COME_MS 3000 /* …unless a neighbour has to be asked for more than once */

int prove_listen(int family, uint16_t port);
int prove_udp(uint16_t port);
/* A connection from the namespace that we are in. *ret_fd, may be NULL: the socket if it is open.
 */
enum came prove_connect(int family, int to, uint16_t port, int ms, int *ret_fd);
/* Does a byte sent by one come out at the other? */
bool prove_passes(int from, int to, int ms);
int prove_raw(void); /* for frames at eth0 */
/* A UDP datagram as a frame of A's to B, from the address of `source`; tagged: behind a tag of VLAN
 * 0. */
int prove_frame(
	const struct prove_net *n, int fd, int source, uint16_t port, bool tagged, char token);
char prove_hear(int fd, int ms); /* the first byte of what comes at a UDP socket; 0: nothing */

/* --- world.c: who lives there, and the rules --- */

struct prove_world {
	const struct bh_prove_opts *opts;
	struct bh_nft *nft;
	struct bh_link *link;
	struct bh_ct *ct;
	struct bh_queue *queue;
	struct bh_engine *_Atomic engine; /* the reader of the queue asks it */
	struct bh_engine *old[4]; /* those that it may still be asking */
	size_t n_old;
	atomic_uint asked; /* packets that the reader got */
	int loads;
};
int prove_world_open(struct prove_world *w, const char **ret_what);
void prove_world_close(struct prove_world *w);
bool prove_has_queue(const struct prove_world *w);
/* In force from now on. open: A may reach B's port 80. */
int prove_load(struct prove_world *w, const struct prove_net *n, bool open, bool reject,
	const char **ret_what);
int prove_cut(struct prove_world *w); /* ends flows that are allowed no more: how many, −errno */
