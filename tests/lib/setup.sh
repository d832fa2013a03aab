# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by tests/run and examples/quickstart: installs what is missing, from Debian's packages only.

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkg-config libnftnl-dev libmnl-dev
libnetfilter-queue-dev libjansson-dev libyaml-dev libuv1-dev libhttp-parser-dev libnghttp2-dev
libcurl4-openssl-dev libmicrohttpd-dev libsqlite3-dev nettle-dev libssl-dev libprotobuf-c-dev protobuf-c-compiler"
DEMO_PACKAGES="nftables iproute2 kmod procps busybox-static curl jq"
TEST_PACKAGES="libcmocka-dev libbpf-dev mandoc conntrack iputils-ping clang clang-format libclang-rt-14-dev python3 iptables docker.io sqlite3 podman runc netavark
containerd containernetworking-plugins python3-grpcio
python3-jsonschema e2fsprogs rsyslog rsyslog-openssl openssl qemu-system-x86 cpio xz-utils
systemd"

require_root() {
	if [ "$(id -u)" != 0 ]; then
		echo "$0: root is needed (network namespaces, nftables): sudo $0" >&2
		exit 1
	fi
}

# need PACKAGE…: apt-get install those that are not there.
need() {
	local missing="" p
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	echo "installing from Debian's packages:$missing"
	# A package may start its service when it is installed (docker.io would run an engine in the
	# root network namespace); policy-rc.d is Debian's way to say no. It is put back afterwards.
	local policy=/usr/sbin/policy-rc.d made=""
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
	fi
	local rc=0
	{
		apt-get -q update &&
			DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
	} >"${SETUP_LOG:-/tmp/bulkhead-setup.log}" 2>&1 || rc=$?
	[ -z "$made" ] || rm -f "$policy"
	if [ "$rc" != 0 ]; then
		tail -n 20 "${SETUP_LOG:-/tmp/bulkhead-setup.log}" >&2
		echo "could not install:$missing (log: ${SETUP_LOG:-/tmp/bulkhead-setup.log})" >&2
		exit 1
	fi
}

# build DIR [meson options…]: configure if new, compile ($TARGETS, else all); ninja is called by
# $BUILD_WITH, if set.
build() {
	local dir=$1 top
	shift
	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$top" "$@" >"$dir.log" 2>&1 || {
			tail -n 30 "$dir.log" >&2
			echo "meson setup failed (log: $dir.log)" >&2
			return 1
		}
	fi
	${BUILD_WITH:-} ninja -C "$dir" ${TARGETS:-} >>"$dir.log" 2>&1 || {
		grep -E 'error|warning|FAILED' "$dir.log" | tail -n 30 >&2
		echo "the build failed (log: $dir.log)" >&2
		return 1
	}
}
