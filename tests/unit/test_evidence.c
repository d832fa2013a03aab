/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The evidence of the audit log: the tree against the vectors of Certificate Transparency, notes
 * against hostile bytes, and every single change of a small log found with its number. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit/audit.h"
#include "audit/key.h"
#include "evidence/verify.h"

static char dir[64], path[96];

static int setup(void **state BH_UNUSED)
{
	snprintf(dir, sizeof(dir), "/tmp/bh-test-evidence-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
	return 0;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf %s", dir);
	return system(cmd) < 0 ? -1 : 0;
}

static void hex(const uint8_t h[BH_TREE_HASH], char ret[65])
{
	for (int i = 0; i < BH_TREE_HASH; i++)
		snprintf(ret + 2 * i, 3, "%02x", h[i]);
}

/* From the reference implementation of Certificate Transparency (merkle_tree_test.cc). */
static const struct {
	const char *leaf;
	size_t len;
	const char *root;
} vector[] = {
	{"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
	{"\0", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
	{"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
	{"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
	{"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
	{"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
	{"\x50\x51\x52\x53\x54\x55\x56\x57", 8,
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
	{"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void test_tree(void **state BH_UNUSED)
{
	struct bh_tree t = {0};
	uint8_t h[BH_TREE_HASH];
	char text[65];

	bh_tree_root(&t, h);
	hex(h, text);
	assert_string_equal(
		text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < BH_ARRAY_SIZE(vector); i++) {
		bh_tree_leaf(vector[i].leaf, vector[i].len, h);
		bh_tree_add(&t, h);
		bh_tree_root(&t, h);
		hex(h, text);
		assert_string_equal(text, vector[i].root);
	}
}

/* Every proof, from every place where pruned files can begin. */
static void test_proofs(void **state BH_UNUSED)
{
	enum { N = 70 };
	uint8_t leaf[N][BH_TREE_HASH], root[BH_TREE_HASH], got[BH_TREE_HASH],
		proof[64][BH_TREE_HASH], frontier[64][BH_TREE_HASH];
	size_t n;

	for (int i = 0; i < N; i++)
		bh_tree_leaf(&i, sizeof(i), leaf[i]);
	for (size_t start = 0; start < N; start++) {
		struct bh_tree begin = {0}, again, t;
		for (size_t i = 0; i < start; i++)
			bh_tree_add(&begin, leaf[i]);
		bh_tree_frontier(&begin, frontier, &n);
		assert_int_equal(bh_tree_from_frontier(start, frontier[0], n, &again), 0);
		assert_int_equal(bh_tree_from_frontier(start, frontier[0], n + 1, &t), -EINVAL);
		t = again;
		for (size_t size = start + 1; size <= N; size++) {
			bh_tree_add(&t, leaf[size - 1]);
			bh_tree_root(&t, root);
			size_t i = start + (size * 7) % (size - start);
			bh_tree_prove(
				&again, (const void *)leaf[start], size - start, i, proof, &n);
			assert_int_equal(bh_tree_root_of_proof(
						 leaf[i], i, size, (const void *)proof, n, got),
				0);
			assert_memory_equal(got, root, sizeof(root));
			if (size > 1) {
				assert_int_equal(bh_tree_root_of_proof(leaf[i], i, size,
							 (const void *)proof, n - 1, got),
					-EINVAL);
				assert_true(bh_tree_root_of_proof(leaf[(i + 1) % N], i, size,
						    (const void *)proof, n, got) < 0 ||
					    memcmp(got, root, sizeof(root)) != 0);
			}
		}
	}
}

/* The key of the specification's own example (C2SP signed-note). */
static void test_verifier_keys(void **state BH_UNUSED)
{
	static const char good[] =
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	static const char *const bad[] = {"", "PeterNeumann",
		"PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW ",
		"Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"};
	struct bh_verifier v;
	assert_int_equal(bh_verifier_parse(good, strlen(good), &v), 0);
	char bh_autofree *again = bh_verifier_format(&v);
	assert_string_equal(again, good);
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
		assert_int_equal(bh_verifier_parse(bad[i], strlen(bad[i]), &v), -EINVAL);

	static const char note[] = "If you think cryptography is the answer to your problem,\n"
				   "then you don't know what your problem is.\n"
				   "\n"
				   "\xe2\x80\x94 PeterNeumann "
				   "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC"
				   "2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
	struct bh_note n;
	size_t used;
	assert_int_equal(bh_note_parse(note, strlen(note), &n, &used), 0);
	assert_int_equal(used, strlen(note));
	assert_true(bh_verifier_parse(good, strlen(good), &v) == 0 && bh_note_is_signed_by(&n, &v));
	v.key[3] ^= 1;
	assert_false(bh_note_is_signed_by(&n, &v));
}

/* --- a small log, and all that can be done to it --- */

static struct bh_buf data;

static void write_file(const char *file, const char *text, size_t len)
{
	int bh_autoclose fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
}

static void read_file(const char *file, struct bh_buf *ret)
{
	char chunk[65536];
	size_t n;
	FILE bh_autofclose *f = fopen(file, "r");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		bh_buf_add(ret, chunk, n);
}

static void make_log(int records)
{
	struct bh_audit_opts o = {
		.path = path, .node = "n", .machine_id = "m", .boot_id = "b", .version = "1"};
	struct bh_audit *a;
	assert_int_equal(bh_audit_open(&o, &a), 0);
	for (int i = 0; i < records; i++) {
		/* Some checkpoints cover one record, some several. */
		bh_audit_event(a, "x", NULL, NULL, NULL, NULL);
		if (i % 3 == 1)
			assert_int_equal(bh_audit_settle(a, 20000), 0);
	}
	bh_audit_close(a);
	bh_buf_finish(&data);
	read_file(path, &data);
}

static uint64_t sequence_of(size_t at)
{
	uint64_t n = 1;
	for (size_t i = 0; i < at; i++)
		n += data.s[i] == '\n';
	return n;
}

static void check(const char *what, size_t at, const char *text, size_t len,
	enum bh_verify_outcome outcome, uint64_t sequence)
{
	char *file[] = {path};
	struct bh_verify_opts o = {.file = file, .n_files = 1};
	struct bh_verify_result r;

	write_file(path, text, len);
	assert_int_equal(bh_evidence_verify(&o, &r), 0);
	if (r.outcome != outcome || r.bad_sequence != sequence)
		fail_msg("%s at %zu: outcome %d, record %llu; wanted %d, %llu (%s)", what, at,
			(int)r.outcome, (unsigned long long)r.bad_sequence, (int)outcome,
			(unsigned long long)sequence, r.what ? r.what : "-");
	bh_verify_result_finish(&r);
}

static void test_every_byte(void **state BH_UNUSED)
{
	make_log(3);
	check("nothing", 0, data.s, data.len, BH_VERIFY_NO_ANCHOR, 0);
	char bh_autofree *copy = bh_xcalloc(1, data.len + 1);
	for (size_t at = 0; at < data.len; at++) {
		bool end = at == data.len - 1;
		uint64_t seq = sequence_of(at);
		memcpy(copy, data.s, data.len);
		copy[at] ^= (char)(1 << at % 8);
		check("changed", at, copy, data.len, end ? BH_VERIFY_TRUNCATED : BH_VERIFY_ALTERED,
			seq);
		memcpy(copy, data.s, at);
		memcpy(copy + at, data.s + at + 1, data.len - at - 1);
		bool last =
			seq == 3; /* its newline or its contents: all the same it is not whole */
		check("removed", at, copy, data.len - 1,
			last && end ? BH_VERIFY_TRUNCATED : BH_VERIFY_ALTERED, seq);
		copy[at] = 'x';
		memcpy(copy + at + 1, data.s + at, data.len - at);
		check("added", at, copy, data.len + 1, BH_VERIFY_ALTERED, seq);
		check("cut", at, data.s, at, BH_VERIFY_TRUNCATED, seq);
	}
	/* What nobody signed, after the end. */
	memcpy(copy, data.s, data.len);
	copy[data.len] = 'x';
	check("half a line added", data.len, copy, data.len + 1, BH_VERIFY_ALTERED, 4);
	copy[data.len] = '\n';
	check("a line added", data.len, copy, data.len + 1, BH_VERIFY_ALTERED, 4);
}

static size_t line_start(uint64_t n) /* from 1 */
{
	size_t at = 0;
	while (--n > 0)
		at = (size_t)((const char *)memchr(data.s + at, '\n', data.len - at) - data.s) + 1;
	return at;
}

static void test_every_record(void **state BH_UNUSED)
{
	enum { N = 9 };
	make_log(N);
	char bh_autofree *copy = bh_xcalloc(2, data.len);
	size_t start[N + 2];
	for (uint64_t i = 1; i <= N; i++)
		start[i] = line_start(i);
	start[N + 1] = data.len;
	for (uint64_t i = 1; i <= N; i++) {
		size_t from = start[i], to = start[i + 1], n = to - from;
		memcpy(copy, data.s, from);
		memcpy(copy + from, data.s + to, data.len - to);
		check("record removed", i, copy, data.len - n,
			i == N ? BH_VERIFY_TRUNCATED : BH_VERIFY_ALTERED, i);
		memcpy(copy, data.s, to);
		memcpy(copy + to, data.s + from, data.len - from);
		check("record doubled", i, copy, data.len + n, BH_VERIFY_ALTERED, i + 1);
		for (uint64_t k = i + 1; k <= N; k++) {
			struct bh_buf bh_autobuf b = {0};
			bh_buf_add(&b, data.s, from);
			bh_buf_add(&b, data.s + start[k], start[k + 1] - start[k]);
			bh_buf_add(&b, data.s + to, start[k] - to);
			bh_buf_add(&b, data.s + from, n);
			bh_buf_add(&b, data.s + start[k + 1], data.len - start[k + 1]);
			check("records swapped", i, b.s, b.len, BH_VERIFY_ALTERED, i);
		}
	}
	check("put back", 0, data.s, data.len, BH_VERIFY_NO_ANCHOR, 0);
}

/* Not one byte of a checkpoint can change and still be signed. */
static void test_every_byte_of_a_checkpoint(void **state BH_UNUSED)
{
	char bh_autofree *notes = bh_xasprintf("%s.checkpoints", path);
	char bh_autofree *keys = bh_xasprintf("%s.keys", path);
	struct bh_buf bh_autobuf text = {0}, bh_autobuf key = {0};
	struct bh_verifier v;
	struct bh_note n;
	struct bh_checkpoint c;
	size_t used, signed_by_us = 0;

	make_log(5);
	read_file(notes, &text);
	read_file(keys, &key);
	assert_int_equal(bh_verifier_parse(key.s, strcspn(key.s, "\n"), &v), 0);
	for (size_t at = 0; at < text.len; at += used) {
		assert_int_equal(bh_note_parse(text.s + at, text.len - at, &n, &used), 0);
		assert_true(bh_note_is_signed_by(&n, &v));
		assert_int_equal(bh_checkpoint_parse(&n, &c), 0);
		struct bh_buf bh_autobuf again = {0};
		bh_checkpoint_format(&c, &again);
		assert_int_equal(again.len, n.text_len);
		assert_memory_equal(again.s, n.text, n.text_len);
		bh_checkpoint_finish(&c);
		for (size_t i = 0; i < n.text_len; i++) {
			char bh_autofree *copy = bh_xmemdup(text.s + at, used);
			struct bh_note m;
			size_t other;
			copy[i] ^= (char)(1 << i % 8);
			if (bh_note_parse(copy, used, &m, &other) == 0)
				signed_by_us += bh_note_is_signed_by(&m, &v);
		}
	}
	assert_int_equal(signed_by_us, 0);
	bh_buf_finish(&data);
}

/* An erased key's file says nothing any more; a key comes back as it was saved. */
static void test_keys(void **state BH_UNUSED)
{
	char bh_autofree *file = bh_xasprintf("%s/key", dir);
	struct bh_audit_key a, b;
	struct bh_buf bh_autobuf text = {0};
	uint8_t x[64], y[64];

	assert_int_equal(bh_audit_key_load(file, &b), -ENOENT);
	assert_int_equal(bh_audit_key_new("log", 77, &a), 0);
	assert_int_equal(bh_audit_key_save(&a, file), 0);
	assert_int_equal(bh_audit_key_load(file, &b), 0);
	assert_int_equal(b.made, 77);
	assert_true(bh_verifier_eq(&a.pub, &b.pub));
	bh_audit_key_sign(&a, "x", 1, x);
	bh_audit_key_sign(&b, "x", 1, y);
	assert_memory_equal(x, y, sizeof(x));
	bh_audit_key_finish(&b);
	assert_int_equal(bh_audit_key_erase(file), 0);
	assert_int_equal(bh_audit_key_load(file, &b), -EINVAL);
	read_file(file, &text);
	for (size_t i = 0; i < text.len; i++)
		assert_int_equal(text.s[i], 0);
	bh_audit_key_finish(&a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_tree),
		T(test_proofs),
		T(test_verifier_keys),
		T(test_every_byte),
		T(test_every_record),
		T(test_every_byte_of_a_checkpoint),
		T(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
