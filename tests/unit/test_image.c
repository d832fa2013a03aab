/* SPDX-License-Identifier: GPL-3.0-or-later */
/* References to images, taken apart and compared. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/image.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static void is(const char *got, const char *want, const char *what, const char *of)
{
	if (!bh_streq(got, want))
		fail_msg("%s of %s: %s, expected %s", what, of, got ? got : "none",
			want ? want : "none");
}

static void test_parts(void **state)
{
	static const struct {
		const char *s, *registry, *repository, *tag, *digest, *id;
		bool implied;
	} c[] = {
		{"nginx", "docker.io", "library/nginx", NULL, NULL, NULL, true},
		{"nginx:1.25", "docker.io", "library/nginx", "1.25", NULL, NULL, true},
		{"team/app:v1", "docker.io", "team/app", "v1", NULL, NULL, true},
		{"library/nginx", "docker.io", "library/nginx", NULL, NULL, NULL, true},
		{"docker.io/nginx", "docker.io", "library/nginx", NULL, NULL, NULL, false},
		{"index.docker.io/a/b", "docker.io", "a/b", NULL, NULL, NULL, false},
		{"ghcr.io/team/app/sub:v1-2_3", "ghcr.io", "team/app/sub", "v1-2_3", NULL, NULL,
			false},
		{"GHCR.io/team/app", "ghcr.io", "team/app", NULL, NULL, NULL, false},
		{"HOST/app", "host", "app", NULL, NULL, NULL, false},
		{"localhost/shop:1", "localhost", "shop", "1", NULL, NULL, false},
		{"localhost:5000/shop", "localhost:5000", "shop", NULL, NULL, NULL, false},
		{"reg.example:5000/a/b:t", "reg.example:5000", "a/b", "t", NULL, NULL, false},
		/* A port can't be told from a tag where no repository follows. */
		{"localhost:5000", "docker.io", "library/localhost", "5000", NULL, NULL, true},
		{"192.0.2.1:443/a", "192.0.2.1:443", "a", NULL, NULL, NULL, false},
		{"[2001:db8::1]:5000/a", "[2001:db8::1]:5000", "a", NULL, NULL, NULL, false},
		{"[2001:DB8::1]/a:x", "[2001:db8::1]", "a", "x", NULL, NULL, false},
		{"a@" DIGEST, "docker.io", "library/a", NULL, DIGEST, NULL, true},
		{"q.example/a:1@" DIGEST, "q.example", "a", "1", DIGEST, NULL, false},
		{"a@sha512:" HEX HEX, "docker.io", "library/a", NULL, "sha512:" HEX HEX, NULL,
			true},
		{"a__b.c-d---e", "docker.io", "library/a__b.c-d---e", NULL, NULL, NULL, true},
		{"docker://q.example/a:1", "q.example", "a", "1", NULL, NULL, false},
		{DIGEST, NULL, NULL, NULL, NULL, DIGEST, false},
		{HEX, NULL, NULL, NULL, NULL, DIGEST, false},
		/* Too short for an id: Docker would look for a repository of that name too. */
		{"0123456789ab", "docker.io", "library/0123456789ab", NULL, NULL, NULL, true},
	};
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(c); i++) {
		bh_autoimage struct bh_image g = {0};
		if (bh_image_parse(c[i].s, &g))
			fail_msg("%s is refused", c[i].s);
		is(g.registry, c[i].registry, "registry", c[i].s);
		is(g.repository, c[i].repository, "repository", c[i].s);
		is(g.tag, c[i].tag, "tag", c[i].s);
		is(g.digest, c[i].digest, "digest", c[i].s);
		is(g.id, c[i].id, "id", c[i].s);
		if (g.implied != c[i].implied)
			fail_msg("implied of %s", c[i].s);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", "a:", ":a", "@", "a@",
		"a@sha256", "a@sha256:", "a@sha256:" HEX "0", "a@sha256:0123", "a@:" HEX,
		"a@" DIGEST "@" DIGEST, "A", "Team:App", "a b", "a\n", "a\x1b[2J", "ä/b", "-a",
		"a-", "a..b", "a___b", "a._b", "a/-b", "a:-t", "a:t/", "a:t:u", "a.b:port/c",
		"a.b:/c", "a.b:123456/c", "[C0]/a", ".a/b", "a.-b/c", "[::1/a", "[]/a", "[::1]x/a",
		"[::1]:/a", "://a", "a@sha256:" HEX ":x", "q.example/", "q.example/A"};
	struct bh_image untouched = {.implied = true};
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
		if (bh_image_parse(bad[i], &untouched) != -EINVAL)
			fail_msg("\"%s\" is accepted", bad[i]);
	assert_int_equal(bh_image_parse(NULL, &untouched), -EINVAL);
	assert_null(untouched.registry);
	assert_true(untouched.implied);
}

static bool accepted(const char *s)
{
	struct bh_image i = {0};
	int r = bh_image_parse(s, &i);
	bh_image_finish(&i);
	return r == 0;
}

static void test_lengths(void **state)
{
	char text[4096];
	(void)state;
	memset(text, 'a', sizeof(text));
	text[255] = '\0';
	assert_true(accepted(text));
	text[255] = 'a';
	text[256] = '\0';
	assert_false(accepted(text));
	memset(text, 'a', sizeof(text));
	text[1] = ':';
	text[2 + 128] = '\0';
	assert_true(accepted(text));
	text[2 + 128] = 'a';
	text[2 + 129] = '\0';
	assert_false(accepted(text));
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_false(accepted(text));
	/* Nothing but separators, as long as it may be. */
	memset(text, '/', BH_IMAGE_MAX);
	text[BH_IMAGE_MAX] = '\0';
	assert_false(accepted(text));
}

/* Whatever is cut off, changed or put in: no crash, and what is taken has its parts. */
static void test_mangled(void **state)
{
	static const char whole[] = "reg.example:5000/team/app_x:v1.2@" DIGEST;
	static const char put[] = "/:@.-_[]A \x80\n";
	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++)
		for (size_t k = 0; k < sizeof(put); k++) {
			char text[sizeof(whole)];
			bh_autoimage struct bh_image g = {0};
			memcpy(text, whole, sizeof(whole));
			text[i] = put[k]; /* the last is the NUL */
			if (bh_image_parse(text, &g) == 0 && !g.id)
				assert_true(g.registry && g.registry[0] && g.repository &&
					    g.repository[0]);
		}
}

static bool matches(const char *want, const char *have)
{
	bh_autoimage struct bh_image w = {0}, h = {0};
	assert_int_equal(bh_image_parse(want, &w), 0);
	assert_int_equal(bh_image_parse(have, &h), 0);
	return bh_image_matches(&w, &h);
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(matches("nginx", "nginx:1.25"));
	assert_true(matches("nginx", "docker.io/library/nginx@" DIGEST));
	assert_true(matches("nginx:1.25", "docker.io/library/nginx:1.25@" DIGEST));
	assert_false(matches("nginx:1.25", "nginx:1.26"));
	assert_false(matches("nginx:1.25", "nginx"));
	assert_false(matches("nginx", "team/nginx"));
	assert_false(matches("nginx", "ghcr.io/library/nginx"));
	assert_false(matches("ghcr.io/nginx", "nginx"));
	assert_true(matches("nginx@" DIGEST, "nginx:1.25@" DIGEST));
	assert_false(matches("nginx@" DIGEST, "nginx:1.25"));
	/* Podman's name for what was built here. */
	assert_true(matches("shop:1", "localhost/shop:1"));
	assert_true(matches("team/shop", "localhost/team/shop:1"));
	assert_false(matches("shop:2", "localhost/shop:1"));
	assert_false(matches("docker.io/shop:1", "localhost/shop:1"));
	assert_true(matches("localhost/shop", "localhost/shop:1"));
	assert_true(matches(HEX, DIGEST));
	assert_true(matches(HEX, "nginx@" DIGEST));
	assert_false(matches(HEX, "nginx"));
	assert_false(matches("nginx", DIGEST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_matches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
