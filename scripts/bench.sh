#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures what hairpind costs, each beside its budget: nanoseconds a packet over an empty program, then the agent in the
# lab, against the lab without it, and in a large cluster that changes all the time. As root; some seven minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "scripts/bench.sh: not root: run sudo ./scripts/bench.sh" >&2
  exit 1
fi
./scripts/install-dependencies.sh
cmake --preset release -DBUILD_TESTING=ON >/dev/null
cmake --build --preset release >/dev/null

echo "kernel $(uname -r), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
build/release/tests/bench/packet_bench

echo
build/release/tests/bench/lab_bench

echo
build/release/tests/bench/cluster_bench
