/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead explain [--state FILE] SRC DST PROTO/PORT. Exits with 0 whatever the verdict: the answer
 * is the text.
 */
#include "cli/decision.h"

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

/* "tcp/443", and "443/tcp" as container engines write it; "icmp". *ret_port 0: it has none. */
static bool parse_service(const char *s, uint8_t *ret_proto, uint16_t *ret_port)
{
	const char *slash = strchr(s, '/');
	char bh_autofree *first = bh_xstrndup(s, slash ? (size_t)(slash - s) : strlen(s));
	char bh_autofree *second = slash ? bh_xstrdup(slash + 1) : NULL;
	bool turned = second && is_number(first) && !is_number(second);
	const char *proto = turned ? second : first, *port = turned ? first : second;
	uint64_t n = 0;

	if (bh_proto_parse(proto, ret_proto) < 0 || cli_is_transport(*ret_proto) != (port != NULL))
		return false;
	if (port && (bh_parse_u64(port, 65535, &n) < 0 || n == 0))
		return false;
	*ret_port = (uint16_t)n;
	return true;
}

void cli_print_explanation(const struct cli *cli, const json_t *answer)
{
	char bh_autofree *text = cli_safe_lines(cli_str(answer, "text"));
	char bh_autofree *verdict = cli_safe(cli_str(answer, "verdict"));
	char bh_autofree *reason = cli_safe(cli_str(answer, "reason"));
	size_t len = strlen(text);
	printf("%s%s%s%s%s (%s)\n", text, len && text[len - 1] != '\n' ? "\n" : "",
		cli_paint(cli, cli_colour_of(verdict) ?: ""), verdict,
		cli_paint(cli, cli_colour_of(verdict) ? "\033[0m" : ""), reason);
}

static int explain_live(struct cli *cli, char **argv, uint8_t proto, uint16_t port)
{
	char bh_autofree *src = cli_urlencode(argv[0]), bh_autofree *dst = cli_urlencode(argv[1]);
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};
	char number[4];
	bool done;

	bh_buf_printf(&target, "/v1/explain?src=%s&dst=%s&protocol=%s", src, dst,
		bh_proto_name(proto, number));
	if (port)
		bh_buf_printf(&target, "&port=%u", port);
	int e = cli_get(cli, target.s, &r, &done);
	if (e == CLI_OK && !done)
		cli_print_explanation(cli, r.json);
	return e;
}

int cli_explain(struct cli *cli, int argc BH_UNUSED, char **argv)
{
	uint8_t proto;
	uint16_t port;

	if (!parse_service(argv[2], &proto, &port))
		return cli_usage_error(NULL,
			"\"%s\" is no service: tcp/443, udp/53, sctp/9 (ports 1 to 65535) or icmp",
			argv[2]);
	if (cli->opt[0])
		return cli_explain_state(cli, cli->opt[0], cli->opt[1], argv, proto, port);
	if (cli->opt[1])
		return cli_usage_error(NULL, "--in needs --state");
	return explain_live(cli, argv, proto, port);
}
