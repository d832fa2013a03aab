/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What docker_json.c reads of the engine's answers, told to the sieve in front of it. */
#include "inventory/docker_json.h"

static const struct bh_sieve_path each[] = {{"*", NULL}, {NULL, NULL}};
static const struct bh_sieve_path list_item[] = {{"Id", NULL}, {NULL, NULL}};
static const struct bh_sieve_path state[] = {{"Running", NULL}, {"Pid", NULL}, {NULL, NULL}};
static const struct bh_sieve_path host_config[] = {{"NetworkMode", NULL}, {NULL, NULL}};
static const struct bh_sieve_path config[] = {{"Image", NULL}, {"Labels", each}, {NULL, NULL}};
static const struct bh_sieve_path network[] = {
	{"IPAddress", NULL}, {"GlobalIPv6Address", NULL}, {"MacAddress", NULL}, {NULL, NULL}};
static const struct bh_sieve_path networks[] = {{"*", network}, {NULL, NULL}};
static const struct bh_sieve_path network_settings[] = {{"Networks", networks}, {NULL, NULL}};
static const struct bh_sieve_path digests[] = {{"[]", NULL}, {NULL, NULL}};
static const struct bh_sieve_path attributes[] = {{"container", NULL}, {NULL, NULL}};
static const struct bh_sieve_path actor[] = {
	{"ID", NULL}, {"Attributes", attributes}, {NULL, NULL}};

const struct bh_sieve_path bh_docker_list_wanted[] = {{"[]", list_item}, {NULL, NULL}};
const struct bh_sieve_path bh_docker_container_wanted[] = {{"Id", NULL}, {"Name", NULL},
	{"Image", NULL}, {"ImageDigest", NULL}, {"IsInfra", NULL}, {"Pod", NULL}, {"State", state},
	{"HostConfig", host_config}, {"Config", config}, {"NetworkSettings", network_settings},
	{NULL, NULL}};
const struct bh_sieve_path bh_docker_pod_wanted[] = {
	{"Id", NULL}, {"Name", NULL}, {"Labels", each}, {NULL, NULL}};
const struct bh_sieve_path bh_docker_image_wanted[] = {
	{"RepoDigests", digests}, {"Config", config}, {NULL, NULL}};
const struct bh_sieve_path bh_docker_event_wanted[] = {
	{"Type", NULL}, {"Action", NULL}, {"Actor", actor}, {NULL, NULL}};
