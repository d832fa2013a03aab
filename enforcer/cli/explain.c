/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead explain SRC DST PROTO/PORT. Exits with 0 whatever the verdict: the answer is the text.
 */
#include <bulkhead/flow.h>
#include <netinet/in.h>

#include "cli/cli.h"

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

/* "tcp/443", and "443/tcp" as container engines write it; "icmp". */
static bool parse_service(const char *s, char **ret_proto, char **ret_port)
{
	const char *slash = strchr(s, '/');
	char bh_autofree *first = bh_xstrndup(s, slash ? (size_t)(slash - s) : strlen(s));
	char bh_autofree *second = slash ? bh_xstrdup(slash + 1) : NULL;
	bool turned = second && is_number(first) && !is_number(second);
	const char *proto = turned ? second : first, *port = turned ? first : second;
	uint64_t n;
	uint8_t p;

	if (bh_proto_parse(proto, &p) < 0)
		return false;
	bool ports = p == IPPROTO_TCP || p == IPPROTO_UDP || p == IPPROTO_SCTP;
	if (ports != (port != NULL))
		return false;
	if (port && (bh_parse_u64(port, 65535, &n) < 0 || n == 0))
		return false;
	*ret_proto = bh_xstrdup(proto);
	*ret_port = bh_xstrdup(port);
	return true;
}

int cli_explain(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	char bh_autofree *proto = NULL, bh_autofree *port = NULL;
	char bh_autofree *src = cli_urlencode(argv[0]), bh_autofree *dst = cli_urlencode(argv[1]);
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};
	bool done;

	if (!parse_service(argv[2], &proto, &port))
		return cli_usage_error(NULL,
			"\"%s\" is no service: tcp/443, udp/53, sctp/9 (ports 1 to 65535) or icmp",
			argv[2]);
	char bh_autofree *encoded = cli_urlencode(proto);
	bh_buf_printf(&target, "/v1/explain?src=%s&dst=%s&protocol=%s", src, dst, encoded);
	if (port)
		bh_buf_printf(&target, "&port=%s", port);
	int e = cli_get(cli, target.s, &r, &done);
	if (e != CLI_OK || done)
		return e;
	char bh_autofree *text = cli_safe_lines(cli_str(r.json, "text"));
	char bh_autofree *verdict = cli_safe(cli_str(r.json, "verdict"));
	char bh_autofree *reason = cli_safe(cli_str(r.json, "reason"));
	size_t len = strlen(text);
	printf("%s%s%s%s%s (%s)\n", text, len && text[len - 1] != '\n' ? "\n" : "",
		cli_paint(cli, cli_colour_of(verdict) ?: ""), verdict,
		cli_paint(cli, cli_colour_of(verdict) ? "\033[0m" : ""), reason);
	return CLI_OK;
}
