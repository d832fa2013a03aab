/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DNS messages, by RFC 1035. All bytes are somebody else's. What bounds the work: a compression
 * pointer must point before where its name began (4.1.4: "a prior occurrence"), so that names end;
 * MAX_JUMPS of them a name; MAX_RECORDS records, which are read once for each of MAX_ALIASES steps.
 * Names of anything but letters, digits, '-' and '_' are no host's names, and refused: nothing that
 * could be mistaken for something else, or do something to a terminal, gets any further.
 */
#include <errno.h>

#include "dns/private.h"

#define HEADER 12
#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define TYPE_ANY 255
#define CLASS_IN 1
#define MAX_JUMPS 32
#define MAX_RECORDS 128
#define MAX_ALIASES 12
#define MAX_TTL (7 * 86400) /* RFC 8767, section 4 */

struct message {
	const uint8_t *data;
	size_t len;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* One label behind what `out` has. */
static bool add_label(const uint8_t *p, size_t n, char *out, size_t *len)
{
	if (*len + (*len > 0) + n >= BH_DNS_NAME_STRLEN)
		return false;
	if (*len)
		out[(*len)++] = '.';
	for (size_t i = 0; i < n; i++) {
		char c = (char)p[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
		out[(*len)++] = c;
	}
	return true;
}

/*
 * The name at `at`. Returns where what follows it begins, 0 if it cannot be read. out: its text;
 * empty for the root and, with *ret_host false, for what is no host's name.
 */
static size_t read_name(
	const struct message *m, size_t at, char out[static BH_DNS_NAME_STRLEN], bool *ret_host)
{
	size_t next = 0, len = 0, before = at;
	bool host = true;

	for (unsigned jumps = 0; at < m->len;) {
		uint8_t n = m->data[at];
		if (n >= 0xc0) {
			if (m->len - at < 2 || ++jumps > MAX_JUMPS)
				return 0;
			size_t to = get16(m->data + at) & 0x3fff;
			if (!next)
				next = at + 2;
			if (to >= before)
				return 0;
			at = before = to;
			continue;
		}
		if (n > 63 || m->len - at < 1 + (size_t)n) /* 01 and 10 are not in use */
			return 0;
		if (n == 0) {
			out[host ? len : 0] = '\0';
			*ret_host = host && len > 0;
			return next ? next : at + 1;
		}
		host = host && add_label(m->data + at + 1, n, out, &len);
		at += 1 + (size_t)n;
	}
	return 0;
}

struct record {
	char owner[BH_DNS_NAME_STRLEN];
	bool host;
	uint16_t type, class;
	uint32_t ttl;
	size_t data, len; /* of the message */
};

/* The record at `at`. Returns where the next one begins, 0 if it is not whole. */
static size_t read_record(const struct message *m, size_t at, struct record *ret)
{
	at = read_name(m, at, ret->owner, &ret->host);
	if (!at || m->len - at < 10)
		return 0;
	const uint8_t *p = m->data + at;
	ret->type = get16(p);
	ret->class = get16(p + 2);
	ret->ttl = get32(p + 4);
	ret->len = get16(p + 8);
	ret->data = at + 10;
	return m->len - ret->data < ret->len ? 0 : ret->data + ret->len;
}

static void add_addr(const struct message *m, const struct record *r, struct bh_dns_message *ret)
{
	bool v6 = r->type == TYPE_AAAA;
	if ((ret->type != r->type && ret->type != TYPE_ANY) || r->len != (v6 ? 16 : 4) ||
		ret->n_addrs == BH_DNS_ADDRS)
		return;
	struct bh_addr *a = &ret->addr[ret->n_addrs++];
	*a = (struct bh_addr){.family = v6 ? BH_IPV6 : BH_IPV4};
	memcpy(a->b, m->data + r->data, r->len);
	/* The highest bit set means 0 (RFC 2181, section 8). */
	uint32_t ttl = r->ttl > INT32_MAX ? 0 : r->ttl;
	if (ttl < ret->ttl)
		ret->ttl = ttl;
}

/* One walk along the answer's records: addresses of `name` are collected, and where it is an alias,
 * it becomes the other name. True: it did, and is to be looked for in turn. */
static bool walk(const struct message *m, size_t at, unsigned count,
	char name[static BH_DNS_NAME_STRLEN], struct bh_dns_message *ret)
{
	char alias[BH_DNS_NAME_STRLEN];
	struct record r;
	bool is_alias = false, host;

	for (unsigned i = 0; i < count && i < MAX_RECORDS; i++) {
		at = read_record(m, at, &r);
		if (!at)
			break;
		if (r.class != CLASS_IN || !r.host || strcmp(r.owner, name) != 0)
			continue;
		if (r.type == TYPE_A || r.type == TYPE_AAAA)
			add_addr(m, &r, ret);
		else if (r.type == TYPE_CNAME && !is_alias)
			is_alias = read_name(m, r.data, alias, &host) && host;
	}
	if (is_alias)
		memcpy(name, alias, BH_DNS_NAME_STRLEN);
	return is_alias && ret->n_addrs == 0;
}

int bh_dns_parse(const uint8_t *data, size_t len, struct bh_dns_message *ret)
{
	struct message m = {data, len < UINT16_MAX ? len : UINT16_MAX};
	struct bh_dns_message out = {.ttl = MAX_TTL};
	char name[BH_DNS_NAME_STRLEN] = {0};
	bool host;

	if (len < HEADER || (data[2] & 0x78) != 0 || get16(data + 4) != 1)
		return -EBADMSG; /* too short, no plain query (OPCODE), or not one question */
	out.id = get16(data);
	out.is_answer = data[2] & 0x80;
	out.rcode = data[3] & 0x0f;
	size_t at = read_name(&m, HEADER, out.name, &host);
	if (!at || !host || m.len - at < 4 || get16(data + at + 2) != CLASS_IN)
		return -EBADMSG;
	out.type = get16(data + at);
	if (out.is_answer && out.rcode == 0) {
		memcpy(name, out.name, strlen(out.name) + 1);
		for (unsigned i = 0; i <= MAX_ALIASES; i++)
			if (!walk(&m, at + 4, get16(data + 6), name, &out))
				break;
	}
	*ret = out;
	return 0;
}
