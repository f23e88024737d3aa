#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy's checks (.clang-tidy) over the files given, or all: any finding fails.
#   scripts/lint.sh [--changed | FILE...]     needs build/asan-ubsan configured, and built where sources are generated
# All takes half an hour of processor time. When it passes, it writes its commit to .clang-tidy-clean; --changed: what differs from
# that commit, or all where that cannot be told or the checks are others.
# By clangd, whose clang-tidy looks at the file's own code, each header by itself: clang-tidy 19 walks all that is included, for
# ten times the time and the same findings. clangd lacks the analyzer's checks: clang-tidy runs those, over src/, and leaves
# a function after 20,000 nodes instead of 225,000: a third of the time.
set -euo pipefail
cd "$(dirname "$0")/.."

sources=('src/*.[ch]pp' 'include/*.hpp' 'tests/*.[ch]pp')
clean=$(cat .clang-tidy-clean 2>/dev/null || true)
whole=
if [ "${1:-}" = --changed ] && git diff --quiet "$clean" -- .clang-tidy .clangd scripts/lint.sh 2>/dev/null; then
  mapfile -t files < <(git diff --name-only --diff-filter=d "$clean" -- "${sources[@]}"
    git ls-files -o --exclude-standard "${sources[@]}")
elif [ $# -gt 0 ] && [ "$1" != --changed ]; then
  files=("$@")
else
  mapfile -t files < <(git ls-files -co --exclude-standard "${sources[@]}")
  whole=yes
fi
echo "clang-tidy over ${#files[@]} files"
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
# Nobody's own settings.
export XDG_CONFIG_HOME=$log/none log

each() { # each COMMAND: of the files on standard input, as many at once as there are processors
  xargs -r -P "$(nproc)" -n 1 bash -c "$1" lint
}

status=0
# The last line is of a check that went through; how many findings it had is the exit status.
printf '%s\n' "${files[@]}" | each '
  out=$log/$(tr / _ <<<"$1")
  clangd-19 --check="$1" --check-locations=0 >"$out" 2>&1 && grep -q "All checks completed, 0 errors" "$out" && exit
  echo "$1:"
  grep "^E" "$out" | sed "s/^E\[[^]]*\]/ /" || tail -n 5 "$out"
  exit 1' || status=1
printf '%s\n' "${files[@]}" | { grep '^src/.*\.cpp$' || true; } | each '
  clang-tidy-19 -p build/asan-ubsan --quiet --checks="-*,clang-analyzer-*,-clang-analyzer-unix.Malloc" \
    --extra-arg={-Xclang,-analyzer-config,-Xclang,max-nodes=20000} --warnings-as-errors="*" "$1" 2>"$log/stderr-$$" || { cat "$log/stderr-$$"; exit 1; }' || status=1
if [ -n "$whole" ] && [ $status -eq 0 ] && git diff --quiet HEAD; then
  git rev-parse HEAD >.clang-tidy-clean
fi
exit $status
