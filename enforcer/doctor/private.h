/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside this module only. */
#pragma once

#include "doctor/doctor.h"
#include "link/link.h"
#include "nft/nft.h"

struct bh_doctor_look { /* what the checks have in common */
	const struct bh_doctor *d;
	json_t *checks;
	struct bh_nft_survey nft;
	struct bh_link_survey links;
	struct bh_doctor_ports ports;
};

void bh_doctor_tables(const struct bh_doctor_look *k); /* tables.c */
void bh_doctor_others(const struct bh_doctor_look *k); /* others.c */
void bh_doctor_bridges(const struct bh_doctor_look *k); /* bridges.c */
void bh_doctor_ports(const struct bh_doctor_look *k); /* ports.c */
void bh_doctor_queues(const struct bh_doctor_look *k); /* queues.c */
void bh_doctor_conntrack(const struct bh_doctor_look *k); /* conntrack.c */
void bh_doctor_files(const struct bh_doctor_look *k); /* files.c */
void bh_doctor_clock(const struct bh_doctor_look *k); /* clock.c */

/* A number in a file of /proc; −1: it is not there or says something else. */
long bh_doctor_number(const char *path);

/* --- judge.c --- */

/* Of a table with room for max; 0: not known. Nearly full from nine tenths on. */
enum bh_health bh_doctor_fill(uint64_t entries, uint64_t max);
/* Bytes: under 1 MiB nothing goes on; under 64 MiB, or a fiftieth, soon. size
 * 0: not known. */
enum bh_health bh_doctor_room(uint64_t available, uint64_t size);
/* Seconds since the epoch. newest: of what is known to be past; 0: nothing is. */
enum bh_health bh_doctor_time(int64_t now, int64_t newest, bool synchronised);
