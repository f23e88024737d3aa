#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures: nanoseconds a packet costs over an empty program, then the idle agent in the lab. As root.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "scripts/bench.sh: not root: run sudo ./scripts/bench.sh" >&2
  exit 1
fi
./scripts/install-dependencies.sh
cmake --preset release >/dev/null
cmake --build --preset release >/dev/null

echo "kernel $(uname -r), $(nproc) CPUs, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)"
build/release/tests/bench/packet_bench

prefix=hpb$$
agent=
cleanup() {
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  tests/lab/lab.sh down "$prefix"
}
trap cleanup EXIT
tests/lab/lab.sh up "$prefix"
ip netns exec "$prefix-node" build/release/hairpind run --lb 10.0.5.5:443 --alerts /dev/null --log-level error &
agent=$!
for _ in $(seq 100); do
  ! ip netns exec "$prefix-node" curl -sf http://127.0.0.1:9477/readyz >/dev/null || break
  sleep 0.1
done
runtime() { cat /proc/"$agent"/task/*/schedstat | awk '{ total += $1 } END { print total }'; } # nanoseconds, all threads
before=$(runtime)
sleep 20
after=$(runtime)
echo
awk -v ns=$((after - before)) \
  'BEGIN { printf "%-34s %-9s %8.3f   %s\n", "agent, idle, % of a core", "", 100 * ns / 20e9, "0.1" }'
awk '/^VmRSS/ { printf "%-34s %-9s %8.1f   %s\n", "agent, resident, MiB", "", $2 / 1024, "20" }' "/proc/$agent/status"
