#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the parsers of what comes from outside, from the corpus in tests/fuzz/corpus.
#   scripts/fuzz.sh [SECONDS]     for each target; default 60
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
cmake --preset asan-ubsan >/dev/null
cmake --build --preset asan-ubsan --target fuzz_alert_log fuzz_api_answers fuzz_attributes fuzz_objects fuzz_manifests fuzz_events fuzz_requests
found=$(mktemp -d /tmp/hairpind-fuzz-XXXXXX)
trap 'rm -rf "$found"' EXIT
fuzz() { # fuzz TARGET
  mkdir -p "$found/$1"
  # What is found goes to a folder of its own; what crashes stays in build/.
  build/asan-ubsan/tests/fuzz/fuzz_$1 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
    -verbosity=0 -artifact_prefix=build/asan-ubsan/crash- "$found/$1" "tests/fuzz/corpus/$1" >"$found/$1.log" 2>&1
}

declare -A running
for target in alert_log api_answers attributes objects manifests events requests; do
  fuzz "$target" &
  running[$target]=$!
done
status=0
for target in "${!running[@]}"; do
  if wait "${running[$target]}"; then
    echo "fuzz_$target: $seconds s, nothing found"
  else
    cat "$found/$target.log" >&2
    echo "fuzz_$target failed: see build/asan-ubsan/crash-*" >&2
    status=1
  fi
done
exit $status
