/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bridge table: listed as nft says it, changed in one transaction with the other. */
#include "frames.h"
#include "sample_link.h"

#include <nft/private.h>

#include <time.h>

static void test_listing(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample_link();
	rebuild(rs);
	assert_both_listed(rs);

	/* nft takes its own listing back, and it still says the same. */
	bh_autofree char *have = run("nft -s list ruleset", NULL);
	assert_int_equal(bh_nft_flush(nft), 0);
	bh_autofree char *none = run("nft -s list ruleset", NULL);
	assert_string_equal(none, "");
	FILE *f = popen("nft -f /dev/stdin", "w");
	assert_non_null(f);
	fputs(have, f);
	assert_int_equal(pclose(f), 0);
	assert_both_listed(rs);
	rebuild(rs);
	assert_both_listed(rs);
	bh_ruleset_free(rs);
}

/* Both tables in one step, and what a change of one costs the other: nothing. */
static void test_deltas(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	struct bh_value two[] = {bh_value_ifname("veth2"), bh_value_ether(mac_2)};
	rebuild(a);
	bh_autofree char *before = run("nft -a list chain bridge bulkhead guard | head -2", NULL);
	bh_set_add_parts((struct bh_set *)bh_ruleset_find_set(b, "guard-mac"), two, "new");
	bh_set_add_parts((struct bh_set *)bh_ruleset_find_set(b, "routed"),
		(struct bh_value[]){bh_value_ifname("veth0")}, NULL);
	free(bh_ruleset_find_set(b, "guard-4")->elem[0].comment);
	bh_ruleset_find_set(b, "guard-4")->elem[0].comment = NULL;
	rule(find_chain(b, "guard"), BH_ACT_DROP, "new");
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	struct bh_chain *c = bh_ruleset_add_chain(b, "more", BH_HOOK_NONE, 0, NULL);
	c->table = BH_TABLE_BRIDGE;
	rule(c, BH_ACT_ACCEPT, NULL);
	bh_set_add_parts(bh_ruleset_add_concat_set(
				 b, "types", BH_TABLE_BRIDGE, 0, PARTS(BH_PART_ETHERTYPE), NULL),
		(struct bh_value[]){bh_value_u16(ETH_P_IP)}, NULL);
	bh_ruleset_seal(b);
	apply(a, b);
	assert_both_listed(b);
	apply(b, a);
	assert_both_listed(a);
	bh_autofree char *after = run("nft -a list chain bridge bulkhead guard | head -2", NULL);
	assert_string_equal(after, before);
	must("nft delete table bridge bulkhead; nft add table bridge bulkhead;"
	     "nft add chain bridge bulkhead forward '{ type filter hook forward priority 7; }'");
	rebuild(a);
	assert_both_listed(a);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* A kernel without: the other table is as it is to be, and changes as it is to. */
static void test_kernel_without(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	rule(find_chain(b, "guard"), BH_ACT_DROP, "new");
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	rebuild(a);
	bh_autofree char *before = list();
	assert_int_equal(bh_nft_flush(nft), 0);
	nft->caps.bridge = false;
	rebuild(a);
	bh_autofree char *after = list();
	assert_text(after, before);
	apply(a, b);
	apply(b, a);
	rebuild(a);
	bh_autofree char *again = list(), *none = list_bridge();
	assert_text(again, before);
	assert_non_null(strstr(none, "No such file"));
	assert_int_equal(bh_nft_flush(nft), 0);
	nft->caps.bridge = true;
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void refused(const uint8_t *read, size_t n, uint8_t family, enum bh_table table)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_nft_error e;
	bh_ruleset_add_concat_set(rs, "s", table, family, PARTS(BH_PART_IFNAME), NULL);
	struct bh_chain *c = bh_ruleset_add_chain(rs, "c", BH_HOOK_NONE, 0, NULL);
	c->table = (uint8_t)table;
	match_parts(rule(c, BH_ACT_DROP, NULL), BH_MATCH_CONCAT_SET, family, "s", read, n);
	bh_ruleset_seal(rs);
	assert_int_equal(bh_nft_rebuild(nft, rs, &e), -EINVAL);
	assert_string_equal(e.object, "the rules of chain c");
	bh_ruleset_free(rs);
}

static void test_hostile(void **state)
{
	(void)state;
	refused(PARTS(BH_READ_ETHER_SADDR), 0, BH_TABLE_INET);
	refused(PARTS(BH_READ_SADDR), 0, BH_TABLE_INET);
	refused(PARTS(200), 0, BH_TABLE_BRIDGE);
	refused(PARTS(BH_READ_SADDR, BH_READ_DADDR, BH_READ_ND_TARGET, BH_READ_IIFNAME,
			BH_READ_DPORT),
		BH_IPV6, BH_TABLE_BRIDGE); /* more than the registers hold */
	assert_int_equal(bh_nft_exists(nft), 0);
}

static struct bh_rule *counting(struct bh_chain *c, const char *what)
{
	struct bh_rule *r = rule(c, BH_ACT_NONE, what);
	r->counter = true;
	return r;
}

/* A counter for each thing that can be asked of a frame that comes in at p1. */
static struct bh_ruleset *asking(void)
{
	static const struct bh_port_range advert[] = {{136, 136}}, client[] = {{68, 68}};
	struct bh_value p1 = bh_value_ifname("p1"), m = bh_value_ether(mac_1);
	struct bh_ruleset *rs = sample_link();
	struct bh_set *set[] = {(void *)bh_ruleset_find_set(rs, "guarded"),
		(void *)bh_ruleset_find_set(rs, "guard-mac"),
		(void *)bh_ruleset_find_set(rs, "guard-arp"),
		(void *)bh_ruleset_find_set(rs, "guard-4"),
		(void *)bh_ruleset_find_set(rs, "guard-6"),
		(void *)bh_ruleset_find_set(rs, "guard-nd")};
	bh_set_add_parts(set[0], &p1, NULL);
	bh_set_add_parts(set[1], (struct bh_value[]){p1, m}, NULL);
	bh_set_add_parts(set[2], (struct bh_value[]){p1, m, m, v_addr("10.0.0.1")}, NULL);
	bh_set_add_parts(set[3], (struct bh_value[]){p1, m, v_addr("10.0.0.1")}, NULL);
	bh_set_add_parts(set[4], (struct bh_value[]){p1, m, v_addr("2001:db8::1")}, NULL);
	bh_set_add_parts(set[5], (struct bh_value[]){p1, m, v_addr("2001:db8::1")}, NULL);
	struct bh_chain *c = bh_ruleset_add_chain(rs, "ask", BH_HOOK_PREROUTING, -501, NULL);
	c->table = BH_TABLE_BRIDGE;
	match_parts(
		counting(c, "guarded"), BH_MATCH_CONCAT_SET, 0, "guarded", PARTS(BH_READ_IIFNAME));
	struct bh_rule *r = counting(c, "not guarded");
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "guarded", PARTS(BH_READ_IIFNAME));
	r->match[0].neg = true;
	match_ether(
		counting(c, "other"), true, 3, (const uint16_t[]){ETH_P_IP, ETH_P_ARP, ETH_P_IPV6});
	match_ether(counting(c, "tagged"), false, 2, (const uint16_t[]){ETH_P_8021Q, ETH_P_8021AD});
	match_ether(counting(c, "q"), false, 1, (const uint16_t[]){ETH_P_8021Q});
	match_ether(counting(c, "not ip"), true, 1, (const uint16_t[]){ETH_P_IP});
	match_parts(counting(c, "mac"), BH_MATCH_CONCAT_SET, 0, "guard-mac",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR));
	match_parts(counting(c, "arp"), BH_MATCH_CONCAT_SET, BH_IPV4, "guard-arp",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ARP_SADDR_ETHER,
			BH_READ_ARP_SADDR_IP));
	match_parts(counting(c, "ip"), BH_MATCH_CONCAT_SET, BH_IPV4, "guard-4",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR));
	match_parts(counting(c, "ip6"), BH_MATCH_CONCAT_SET, BH_IPV6, "guard-6",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR));
	r = counting(c, "dhcp");
	match_prefix(r, BH_MATCH_SADDR_PREFIX, "0.0.0.0/32");
	match_ports(r, BH_MATCH_SPORT, 17, 1, client);
	r = counting(c, "nd");
	match_ports(r, BH_MATCH_ICMPV6_TYPES, 58, 1, advert);
	match_parts(r, BH_MATCH_CONCAT_SET, BH_IPV6, "guard-nd",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ND_TARGET));
	r = rule(c, BH_ACT_NONE, NULL);
	match_parts(r, BH_MATCH_UPDATE, 0, "dropped",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ETHER_TYPE));
	r->match[0].counter = true;
	rule(c, BH_ACT_DROP, "end")->counter = true;
	bh_ruleset_seal(rs);
	return rs;
}

static void collect(const struct bh_nft_counter *c, void *arg)
{
	if (strcmp(c->chain, "ask") == 0 && c->packets)
		bh_buf_printf(arg, "%s ", c->comment);
}

/* Sends one frame to fresh counters: which of them it moved. */
static void moves(int fd, const struct bh_ruleset *rs, const struct frame *f, const char *want)
{
	bh_autobuf struct bh_buf out = {0}, all = {0};
	bh_buf_printf(&all, "%send ", want);
	rebuild(rs);
	send_frame(fd, f);
	/* It may come in on another processor. */
	for (int i = 0; i < 500 && (!out.len || !strstr(out.s, "end ")); i++) {
		struct timespec pause = {.tv_nsec = i ? 1000000 : 0};
		nanosleep(&pause, NULL);
		out.len = 0;
		assert_int_equal(bh_nft_counters(nft, collect, &out), 0);
	}
	assert_string_equal(out.len ? out.s : "", all.s);
}

static void honest_frames(int fd, const struct bh_ruleset *rs)
{
	struct frame f = ether(mac_1, NULL, ETH_P_ARP);
	put_arp(&f, mac_1, "10.0.0.1");
	moves(fd, rs, &f, "guarded not ip mac arp ");
	f = ether(mac_1, NULL, ETH_P_IP);
	put_udp4(&f, "10.0.0.1", 68, 9);
	moves(fd, rs, &f, "guarded mac ip ");
	f = ether(mac_1, NULL, ETH_P_IP);
	put_udp4(&f, "0.0.0.0", 68, 67);
	moves(fd, rs, &f, "guarded mac dhcp ");
	f = ether(mac_1, NULL, ETH_P_IPV6);
	put_advert(&f, "2001:db8::1", "2001:db8::1");
	moves(fd, rs, &f, "guarded not ip mac ip6 nd ");
	f = ether(mac_1, NULL, ETH_P_IPV6);
	put_advert(&f, "fe80::1", "2001:db8::1");
	moves(fd, rs, &f, "guarded not ip mac nd ");
}

static void forged_frames(int fd, const struct bh_ruleset *rs)
{
	struct frame f = ether(mac_1, NULL, ETH_P_ARP);
	put_arp(&f, mac_2, "10.0.0.1");
	moves(fd, rs, &f, "guarded not ip mac ");
	f = ether(mac_1, NULL, ETH_P_ARP);
	put_arp(&f, mac_1, "10.0.0.2");
	moves(fd, rs, &f, "guarded not ip mac ");
	f = ether(mac_2, NULL, ETH_P_ARP);
	put_arp(&f, mac_1, "10.0.0.1");
	moves(fd, rs, &f, "guarded not ip ");
	f = ether(mac_1, NULL, ETH_P_IP);
	put_udp4(&f, "10.0.0.2", 1, 2);
	moves(fd, rs, &f, "guarded mac ");
	f = ether(mac_2, NULL, ETH_P_IP);
	put_udp4(&f, "10.0.0.1", 1, 2);
	moves(fd, rs, &f, "guarded ");
	f = ether(mac_1, NULL, ETH_P_IPV6);
	put_advert(&f, "2001:db8::1", "2001:db8::2");
	moves(fd, rs, &f, "guarded not ip mac ip6 ");
	f = ether(mac_1, NULL, 0x88cc); /* LLDP */
	put_zeros(&f, 50);
	moves(fd, rs, &f, "guarded other not ip mac ");
}

/* An honest packet behind a tag: VLAN 0 and others, 802.1ad, one in the other. */
static void tagged_frames(int fd, const struct bh_ruleset *rs)
{
	static const unsigned tags[][5] = {{ETH_P_8021Q, 0}, {ETH_P_8021Q, 5},
		{ETH_P_8021Q, 0xe000}, {ETH_P_8021AD, 0}, {ETH_P_8021AD, 7, ETH_P_8021Q, 8},
		{ETH_P_8021Q, 0, ETH_P_8021Q, 0}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(tags); i++) {
		struct frame f = ether(mac_1, tags[i], ETH_P_IP);
		put_udp4(&f, "10.0.0.1", 1, 2);
		moves(fd, rs, &f,
			tags[i][0] == ETH_P_8021Q ? "guarded other tagged q not ip mac "
						  : "guarded other tagged not ip mac ");
		f = ether(mac_1, tags[i], ETH_P_ARP);
		put_arp(&f, mac_1, "10.0.0.1");
		moves(fd, rs, &f,
			tags[i][0] == ETH_P_8021Q ? "guarded other tagged q not ip mac "
						  : "guarded other tagged not ip mac ");
	}
}

static void see_dropped(const struct bh_nft_elem *e, void *arg)
{
	bh_buf_printf(arg, "%s %02x %02x%02x %llu", (const char *)e->value[0].b, e->value[1].b[5],
		e->value[2].b[0], e->value[2].b[1], (unsigned long long)e->packets);
}

static void test_frames(void **state)
{
	(void)state;
	struct bh_ruleset *rs = asking();
	bh_autobuf struct bh_buf out = {0};
	int fd = make_port();
	honest_frames(fd, rs);
	forged_frames(fd, rs);
	tagged_frames(fd, rs);
	/* The last of them is on record. */
	assert_int_equal(
		bh_nft_elems_read(nft, bh_ruleset_find_set(rs, "dropped"), see_dropped, &out), 0);
	assert_string_equal(out.s, "p1 01 8100 1");
	close(fd);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_listing, clean),
		cmocka_unit_test_teardown(test_deltas, clean),
		cmocka_unit_test_teardown(test_kernel_without, clean),
		cmocka_unit_test_teardown(test_hostile, clean),
		cmocka_unit_test_teardown(test_frames, clean),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
