/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far a word is from another, to guess what somebody meant. */
#include <bulkhead/util.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

unsigned bh_text_distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[BH_DISTANCE_MAX + 1];
	if (n > BH_DISTANCE_MAX || m > BH_DISTANCE_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
			unsigned shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = change < shift ? change : shift;
		}
	}
	return row[m];
}
