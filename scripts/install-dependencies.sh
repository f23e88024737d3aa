#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs, with apt, what building, testing and the demo need and this machine lacks. Debian 12.
#   scripts/install-dependencies.sh [kernels]     kernels: and what scripts/test-kernels.sh needs
set -euo pipefail

packages=(
  # build
  bpftool clang-19 cmake g++ libbpf-dev libc-ares-dev libcap-ng-dev libcli11-dev libmnl-dev libnetfilter-conntrack-dev
  libseccomp-dev libspdlog-dev libssl-dev libtomlplusplus-dev libyaml-cpp-dev ninja-build nlohmann-json3-dev pkg-config
  prometheus-cpp-dev zlib1g-dev
  # test
  clang-format-19 clang-tidy-19 clangd-19 libclang-rt-19-dev libcpp-httplib-dev libgmock-dev libgtest-dev libvalijson-dev llvm-19
  prometheus prometheus-alertmanager python3-jsonschema python3-yaml tshark
  # image, and the test that runs it
  buildah podman runc
  # lab and demo
  conntrack curl iproute2 jq libnginx-mod-stream nftables nginx-light procps tcpdump
)
# prometheus-cpp's CMake files ask for libcurl, which its package forgets.
packages+=(libcurl4-openssl-dev)
[ "${1:-}" != kernels ] || packages+=(busybox-static cpio kmod qemu-system-common qemu-system-x86 util-linux xz-utils)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "missing packages: ${missing[*]}; run as root, or install them with: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A service that starts by itself is not what was asked for.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
