#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tags this commit as the version that CMakeLists.txt has, with what CHANGELOG.md says of it as the tag's message. Nothing is
# pushed. What must have passed before: CONTRIBUTING.md.
#   scripts/release.sh             refuses what has changes that are not committed, and a version that is "(unreleased)" or tagged
#   scripts/release.sh --notes     prints the version's notes alone
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "scripts/release.sh: $*" >&2
  exit 1
}

[ $# -eq 0 ] || [ "$*" = --notes ] || { sed -n '5,6s/^# *//p' scripts/release.sh >&2; exit 2; }
version=$(sed -n 's/^project(hairpind VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
heading=$(grep -m 1 "^## ${version//./\\.}\( \|\$\)" CHANGELOG.md) || fail "CHANGELOG.md has no section '## $version'"
notes=$(awk -v heading="$heading" '$0 == heading { within = 1; next } /^## / { within = 0 } within' CHANGELOG.md | sed '/./,$!d')
[ -n "$notes" ] || fail "CHANGELOG.md says nothing of $version"
if [ "${1:-}" = --notes ]; then
  echo "$notes"
  exit 0
fi

[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
[[ $heading =~ ^"## $version "\([0-9]{4}-[0-9]{2}-[0-9]{2}\)$ ]] || fail "CHANGELOG.md: '$heading' must be '## $version (YYYY-MM-DD)'"
! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null || fail "v$version is tagged already; the next version goes into CMakeLists.txt and Chart.yaml"
# A line of notes may begin with '#'.
git tag --annotate --cleanup=verbatim --file=- "v$version" <<<"hairpind $version

$notes"
echo "v$version is $(git rev-parse --short HEAD); git push origin v$version publishes it"
