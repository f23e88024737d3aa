#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does this commit make the same image twice? Clones it into two directories of other names and depths, builds the agent from
# source in each, packs both, and compares the digests; names the files of the images that differ. Before a release: takes ten
# minutes of a processor twice. What is not committed is not looked at.
#   scripts/check-reproducible.sh     As root, or with buildah
set -euo pipefail
cd "$(dirname "$0")/.."

commit=$(git rev-parse HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first=$work/a second=$work/another/and/deeper

build_image() { # build_image DIRECTORY
  git clone --quiet --no-hardlinks . "$1"
  git -C "$1" checkout --quiet --detach "$commit"
  cmake -S "$1" --preset release >/dev/null
  cmake --build "$1/build/release" --target hairpind -j 2 -- --quiet
  # The address that it was cloned from is no part of the source.
  SOURCE_URL='' "$1/scripts/image.sh" localhost/hairpind:reproducible | tee "$1/image.log"
  SOURCE_URL='' "$1/scripts/image.sh" --root "$1/root" >/dev/null
}

echo "revision $commit"
build_image "$first"
build_image "$second"
digests=$(sed -n 's/^digest: //p' "$first/image.log" "$second/image.log" | sort -u)
if [ "$(wc -l <<<"$digests")" -eq 1 ]; then
  echo "scripts/check-reproducible.sh: both builds of $commit are $digests"
  exit 0
fi
echo "scripts/check-reproducible.sh: two builds of $commit differ:" >&2
diff --recursive --brief "$first/root" "$second/root" >&2 || true
for directory in "$first" "$second"; do
  readelf --wide --sections "$directory/root/hairpind" | sed -n 's/^ *\[ *[0-9]*\] \(\.[^ ]*\) .*/\1/p' | while read -r section; do
    printf '%s %s\n' "$section" "$(objcopy -O binary --only-section="$section" \
      "$directory/root/hairpind" /dev/stdout 2>/dev/null | sha256sum | cut -d' ' -f1)"
  done >"$directory/sections"
done
echo "sections of the binary that differ:" >&2
diff <(cat "$first/sections") <(cat "$second/sections") | sed -n 's/^< \([^ ]*\) .*/  \1/p' >&2
exit 1
