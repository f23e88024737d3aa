#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every test: unit, packet tables, lab. As root.
#   scripts/test.sh [PRESET]     PRESET: dev (default), release, ...
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "scripts/test.sh: not root. The packet and lab tests load BPF programs and build network namespaces: run" \
    "sudo ./scripts/test.sh, or for the unit tests alone: cmake --preset dev && cmake --build --preset dev &&" \
    "ctest --preset unit" >&2
  exit 1
fi
preset=${1:-dev}
results=$PWD/build/$preset/test-results

# What a killed test leaves: its prefix says which process it was.
remove_leftovers() {
  ip netns list 2>/dev/null | { grep -o '^hpt[0-9]*[a-z]' || true; } | sort -u | while read -r prefix; do
    [ -e "/proc/$(grep -o '[0-9]*' <<<"$prefix")" ] || tests/lab/lab.sh down "$prefix"
  done
}
trap remove_leftovers EXIT

./scripts/install-dependencies.sh
timeout 300 ./scripts/install-cluster-tools.sh || echo "scripts/test.sh: no helm or kubectl: the chart is not tested, or not all of it" >&2
cmake --preset "$preset" -DBUILD_TESTING=ON
cmake --build --preset "$preset"
rm -rf "$results"
status=0
GTEST_OUTPUT="xml:$results/" ctest --test-dir "build/$preset" -j 2 --output-on-failure || status=$?

sum() { # sum ATTRIBUTE: over all test binaries
  cat "$results"/*.xml 2>/dev/null | sed -n "s/^<testsuites.* $1=\"\([0-9]*\)\".*/\1/p" | awk "{ total += \$1 } END { print total + 0 }"
}
# What a log that is cut must not lose: at the end, a line for each failure.
failures() {
  cat "$results"/*.xml 2>/dev/null | awk '
    /<testcase / { match($0, / name="[^"]*"/); name = substr($0, RSTART + 7, RLENGTH - 8)
                   match($0, / classname="[^"]*"/); name = substr($0, RSTART + 12, RLENGTH - 13) "." name }
    /<failure / { match($0, /message="[^"]*"/); print "failed: " name ": " substr($0, RSTART + 9, RLENGTH - 10 < 700 ? RLENGTH - 10 : 700) }' |
    sed 's/&#x0A;/ /g; s/&quot;/"/g; s/&lt;/</g; s/&gt;/>/g; s/&apos;/'"'"'/g; s/&amp;/\&/g'
}

failures
skipped=$(cat "$results"/*.xml | grep -c '<skipped' || true)
tests=$(sum tests)
failed=$(sum failures)
echo "tests: $((tests - failed - skipped)) passed, $failed failed, $skipped skipped"
# Nothing is skipped on a machine that has what this script installs and a kernel that README names.
if [ "$tests" -le "$skipped" ]; then
  echo "scripts/test.sh: every test was skipped; the reasons are above" >&2
  status=1
fi
exit "$status"
