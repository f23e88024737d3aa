#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the tests on other kernels: Debian's newest of each series, in emulated machines (tests/vm/). As root.
#   scripts/test-kernels.sh [--arch arm64] [--subset] [--no-build] [SERIES...]    SERIES: 6.1 6.12 (default: both)
# --subset: what .ci/run has time for, a few minutes a kernel; else all, an hour and a half, both kernels at once, and
# docs/verdict-matrix-SERIES.md is written from what was found. --no-build: build/dev is up to date.
# --arch arm64: the unit tests by qemu-user; then on arm64 kernels that it loads, the packet tables and the verdicts of the
# routed datapath. Built in build/dev-arm64.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '4,8s/^# *//p' "$0" >&2
  exit 2
}

subset=no build=yes architecture=amd64 series=()
while [ $# -gt 0 ]; do
  case $1 in
  --subset) subset=yes ;;
  --no-build) build=no ;;
  --arch)
    architecture=${2:-}
    [ "$architecture" = amd64 ] || [ "$architecture" = arm64 ] || usage
    shift
    ;;
  [1-9]*.[0-9]*) series+=("$1") ;;
  *) usage ;;
  esac
  shift
done
[ ${#series[@]} -gt 0 ] || series=(6.1 6.12)
if [ "$(id -u)" -ne 0 ]; then
  echo "scripts/test-kernels.sh: not root: the guests share this machine's root" >&2
  exit 1
fi

preset=dev
if [ "$architecture" = amd64 ]; then
  ./scripts/install-dependencies.sh kernels
else
  preset=dev-arm64 root=$PWD/build/arm64/root
  ./scripts/install-dependencies.sh kernels arm64
  # What the guests' tests run.
  ./scripts/debian-root.sh arm64 "$root" base-passwd bash busybox-static conntrack coreutils curl dash findutils gawk grep \
    hostname iproute2 jq kmod libnginx-mod-stream mount nftables nginx-light procps sed tcpdump util-linux
  export APT_CONFIG=$root/var/lib/apt/apt.conf
fi
kernels=$PWD/build/kernels
mkdir -p "$kernels"

# The newest of a series: linux-image-6.1.0-56-cloud-amd64 or -arm64, linux-image-6.12.117+deb12-cloud-amd64.
newest() {
  apt-cache pkgnames "linux-image-$1." | grep -E "^linux-image-${1//./\\.}\.[^-]*(-[0-9]+)?-cloud-$architecture\$" | sort -V | tail -n 1
}

# Unpacks a series' kernel, never installs it, and prints where.
bring() {
  local package
  package=$(newest "$1")
  if [ -z "$package" ]; then
    apt-get update -qq
    package=$(newest "$1")
  fi
  if [ -z "$package" ]; then
    echo "scripts/test-kernels.sh: apt knows no linux-image-$1.*-cloud-$architecture; are Debian 12's sources set up?" >&2
    exit 1
  fi
  local directory=$kernels/${package#linux-image-}
  if [ ! -e "$directory/unpacked" ]; then
    rm -rf "$directory"
    mkdir "$directory"
    (
      cd "$directory"
      apt-get download -qq "$package" 2>/dev/null || { apt-get update -qq && apt-get download -qq "$package"; }
      dpkg -x ./*.deb .
      rm ./*.deb
      depmod -b . "${package#linux-image-}"
      touch unpacked
    ) >&2
  fi
  echo "$directory"
}

directories=()
for each in "${series[@]}"; do
  directories+=("$(bring "$each")")
done
if [ "$build" = yes ]; then
  cmake --preset $preset -DBUILD_TESTING=ON
  cmake --build --preset $preset
fi

failures=$(mktemp)
if [ "$architecture" = arm64 ]; then
  # qemu-user knows no seccomp filters, and does not say why a program did not start: the guests' job rights has these.
  # What it translates is on the processor time of the program, too.
  GTEST_FILTER='-LeastRights.*:ExecCredential.EachFailureIsNamed:HttpTlsTest.*TakeATenthOfACore*' \
    ctest --test-dir build/$preset -R '^unit_' -j 2 --output-on-failure || echo "unit tests under qemu-user" >>"$failures"
fi

guest() { # guest KERNEL SECONDS JOB...
  local kernel=$1 seconds=$2 release=${1##*/}
  shift 2
  # Ends with us, and takes its machine along.
  setpriv --pdeathsig TERM tests/vm/boot.sh "$kernel" "$kernels/results/$release/$1" "$seconds" "$@" &
  wait $! || echo "$release: $*" >>"$failures"
}

run_subset() { # run_subset SERIES KERNEL
  guest "$2" 1200 subset_without_module
  guest "$2" 1800 subset_with_module
}

jobs=(without_module without_module_capabilities with_module rights packets)
if [ "$architecture" = amd64 ]; then
  jobs+=(verdicts conntrack lifecycle coexistence storm others sensors)
else
  jobs+=(routed_verdicts sensors)
fi

run_all() { # run_all SERIES KERNEL
  local job page
  for job in "${jobs[@]}"; do
    guest "$2" 14400 "$job"
  done
  # Of the whole matrix alone.
  page=$kernels/results/${2##*/}/verdicts/verdict-matrix.md
  if [ -s "$page" ]; then
    cp "$page" "docs/verdict-matrix-$1.md"
    echo "${2##*/}: docs/verdict-matrix-$1.md is written"
  fi
}

trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -f "$failures"' EXIT
trap 'exit 143' INT TERM
for i in "${!series[@]}"; do
  rm -rf "$kernels/results/${directories[$i]##*/}"
  if [ $subset = yes ]; then
    run_subset "${series[$i]}" "${directories[$i]}"
  else
    run_all "${series[$i]}" "${directories[$i]}" &
  fi
done
wait
if [ -s "$failures" ]; then
  echo "scripts/test-kernels.sh: failed (logs in build/kernels/results):" >&2
  sed 's/^/  /' "$failures" >&2
  exit 1
fi
echo "scripts/test-kernels.sh: all passed on ${directories[*]##*/}"
