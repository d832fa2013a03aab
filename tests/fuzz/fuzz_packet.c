/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packet bytes from anybody: no read beyond them, and what the header promises of faults holds. */
#include <stdlib.h>

#include "queue/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bh_packet *p, size_t size)
{
	bool ok = p->fault == BH_PACKET_OK || p->fault == BH_PACKET_FRAGMENT;

	if (ok && (p->flow.src.family == 0 || p->flow.src.family != p->flow.dst.family))
		abort();
	if (ok && size < 20)
		abort();
	if (p->fault == BH_PACKET_FRAGMENT && (p->flow.sport || p->flow.dport))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_packet p;
	size_t real = 0;

	bh_packet_parse(data, size, &p);
	check(&p, size);
	if (size >= 3) { /* the same as a copy of a packet of any length */
		real = (size_t)data[0] << 9 | data[1];
		data += 2;
		size -= 2;
		bh_packet_parse_copy(data, size, real < size ? size : real, &p);
		check(&p, size);
	}
	return 0;
}
