#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whether an archive of scripts/image.sh --platform linux/amd64,linux/arm64 is one index of two whole images, each of its own
# architecture to the last file. No root. A release step (CONTRIBUTING.md): what it reads takes ten minutes to build.
#   platforms_test.sh ARCHIVE
set -euo pipefail
archive=$(realpath "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/deploy/checks.sh

tar -xf "$archive" -C "$work"
blob() { echo "$work/blobs/sha256/${1#sha256:}"; }
same "the archive has one thing to push: an index" '["application/vnd.oci.image.index.v1+json"]' \
  "$(jq -c '[.manifests[].mediaType]' "$work/index.json")"
index=$(blob "$(jq -r '.manifests[0].digest' "$work/index.json")")
same "it names two platforms" '["linux/amd64","linux/arm64"]' \
  "$(jq -c '[.manifests[].platform | "\(.os)/\(.architecture)"] | sort' "$index")"

declare -A machine=([amd64]='Advanced Micro Devices X86-64' [arm64]=AArch64)
for architecture in amd64 arm64; do
  manifest=$(blob "$(jq -r --arg is "$architecture" '.manifests[] | select(.platform.architecture == $is) | .digest' "$index")")
  config=$(blob "$(jq -r '.config.digest' "$manifest")")
  same "$architecture: the configuration says so, too" "linux/$architecture" "$(jq -r '.os + "/" + .architecture' "$config")"
  same "$architecture: what is started, and as whom" '[["/hairpind"],["run"],"0"]' \
    "$(jq -c '[.config.Entrypoint, .config.Cmd, .config.User]' "$config")"
  root=$work/$architecture
  mkdir "$root"
  for layer in $(jq -r '.layers[].digest' "$manifest"); do
    tar -xf "$(blob "$layer")" -C "$root"
  done
  programs() { find "$root" -type f \( -name '*.so*' -o -name hairpind \) -exec readelf "$1" {} +; }
  same "$architecture: every program and library is" "${machine[$architecture]}" \
    "$(programs -h | sed -n 's/^ *Machine: *//p' | sort -u)"
  missing=''
  for name in $(programs -d | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | sort -u); do
    [ -n "$(find "$root" -name "$name")" ] || missing+=" $name"
  done
  same "$architecture: nothing that they need is missing" '' "$missing"
  sbom=$root/usr/share/doc/hairpind/sbom.spdx.json
  same "$architecture: the SBOM names no other's packages" '' \
    "$(jq -r '.packages[].externalRefs[]?.referenceLocator' "$sbom" | grep -v "arch=\(all\|$architecture\)&" || true)"
  same "$architecture: the SBOM has the binary's checksum" "$(sha256sum "$root/hairpind" | cut -d' ' -f1)" \
    "$(jq -r '.packages[0].checksums[0].checksumValue' "$sbom")"
  same "$architecture: dpkg's words are of its packages" "$architecture" \
    "$(sed -n 's/^Architecture: //p' "$root"/var/lib/dpkg/status.d/* | sort -u)"
done

summary
