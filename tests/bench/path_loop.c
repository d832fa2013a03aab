/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The least that can stand behind a queue: accepts every packet, looks at none. Reads 64 in one
 * system call and answers them in one, each with a verdict of its own. The daemon is measured
 * against it, behind the same rules. Runs until it is terminated.
 */
#include "bench/path.h"

#include <err.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <signal.h>
#include <sys/socket.h>

#define BATCH 64
#define MESSAGE 4096
#define COPIED 256 /* bytes of a packet, as the daemon asks for */
#define LENGTH 16384

static struct nlmsghdr *message(void *buf, int type, uint16_t queue)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	*g = (struct nfgenmsg){.version = NFNETLINK_V0, .res_id = htons(queue)};
	return h;
}

static void ask(struct mnl_socket *nl, struct nlmsghdr *h)
{
	char buf[8192];
	h->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		err(1, "queue");
	ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0)
		err(1, "queue");
}

static struct mnl_socket *open_queue(uint16_t num)
{
	char buf[8192];
	int size = LENGTH * 832, on = 1;
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		err(1, "netlink");
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	mnl_socket_setsockopt(nl, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	struct nlmsghdr *h = message(buf, NFQNL_MSG_CONFIG, num);
	struct nfqnl_msg_config_cmd cmd = {.command = NFQNL_CFG_CMD_BIND};
	struct nfqnl_msg_config_params params = {htonl(COPIED), NFQNL_COPY_PACKET};
	mnl_attr_put(h, NFQA_CFG_CMD, sizeof(cmd), &cmd);
	mnl_attr_put(h, NFQA_CFG_PARAMS, sizeof(params), &params);
	mnl_attr_put_u32(h, NFQA_CFG_QUEUE_MAXLEN, htonl(LENGTH));
	ask(nl, h);
	return nl;
}

/* The packet's verdict, appended to `out`; its length. */
static size_t accept_packet(const struct nlmsghdr *in, uint16_t num, char *out)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, in, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFQA_PACKET_HDR)
			continue;
		const struct nfqnl_msg_packet_hdr *p = mnl_attr_get_payload(a);
		struct nlmsghdr *h = message(out, NFQNL_MSG_VERDICT, num);
		struct nfqnl_msg_verdict_hdr v = {htonl(NF_ACCEPT), p->packet_id};
		mnl_attr_put(h, NFQA_VERDICT_HDR, sizeof(v), &v);
		return h->nlmsg_len;
	}
	return 0;
}

static void serve(struct mnl_socket *nl, uint16_t num)
{
	static char in[BATCH][MESSAGE], out[BATCH * 64];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	for (;;) {
		size_t len = 0;
		for (size_t i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){in[i], MESSAGE};
			msg[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		}
		int n = recvmmsg(mnl_socket_get_fd(nl), msg, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++) {
			const struct nlmsghdr *h = (const struct nlmsghdr *)in[i];
			if (h->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
				len += accept_packet(h, num, out + len);
		}
		if (len > 0 && mnl_socket_sendto(nl, out, len) < 0)
			err(1, "verdicts");
	}
}

void path_loop(struct path_opts *o)
{
	path_enter(o->lab[0].node);
	struct mnl_socket *nl = open_queue(o->port);
	puts("ready");
	fflush(stdout);
	serve(nl, o->port);
}
