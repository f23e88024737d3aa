#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs, with apt, what building, testing and the demo need and this machine lacks. Debian 12.
#   scripts/install-dependencies.sh [kernels] [arm64]
# kernels: and what scripts/test-kernels.sh needs. arm64: and the cross compiler, and the libraries that it links, which
# are unpacked into build/arm64/root.
set -euo pipefail

libraries=(
  libbpf-dev libc-ares-dev libcap-ng-dev libcli11-dev libmnl-dev libnetfilter-conntrack-dev libseccomp-dev libspdlog-dev
  libssl-dev libtomlplusplus-dev libyaml-cpp-dev nlohmann-json3-dev prometheus-cpp-dev zlib1g-dev
  # prometheus-cpp's CMake files ask for it, which its package forgets.
  libcurl4-openssl-dev
)
test_libraries=(libcpp-httplib-dev libgmock-dev libgtest-dev libvalijson-dev)
packages=(
  # build
  bpftool clang-19 cmake g++ ninja-build pkg-config "${libraries[@]}"
  # test
  clang-format-19 clang-tidy-19 clangd-19 libclang-rt-19-dev llvm-19 prometheus prometheus-alertmanager python3-jsonschema
  python3-yaml tshark "${test_libraries[@]}"
  # image, and the test that runs it
  buildah podman runc
  # lab and demo
  conntrack curl iproute2 jq libnginx-mod-stream nftables nginx-light procps tcpdump
)
arm64=no
case " $* " in *" arm64 "*) arm64=yes packages+=(g++-aarch64-linux-gnu qemu-user-static) ;; esac
case " $* " in
*" kernels "*)
  packages+=(busybox-static cpio kmod qemu-system-common qemu-system-x86 util-linux xz-utils)
  [ $arm64 = no ] || packages+=(qemu-system-arm)
  ;;
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
install_missing() {
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
}

[ ${#missing[@]} -eq 0 ] || install_missing
[ $arm64 = no ] || "$(dirname "$0")/debian-root.sh" arm64 "$(dirname "$0")/../build/arm64/root" base-files "${libraries[@]}" "${test_libraries[@]}"
