/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Links the whole of one library with what it may depend on: calling anything above it is an
 * undefined symbol here, which other programs have from elsewhere. */
int main(void)
{
	return 0;
}
