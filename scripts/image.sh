#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container image from build/release/hairpind, without a registry, a container engine or the network.
#   scripts/image.sh [NAME]       NAME: localhost/hairpind:VERSION (default), ...
#                                 Leaves the image in build/hairpind-oci.tar too, for 'ctr -n k8s.io images import',
#                                 'podman load -i' or 'skopeo copy oci-archive:... docker://...'
#                                 Prints the digest by which to name it, and leaves its SBOM (SPDX 2.3) beside the archive
#   scripts/image.sh --root DIR   only puts the image's files into DIR (deploy/Dockerfile)
# BINARY and ARCHIVE name other paths for the two. REVISION and SOURCE_URL say where the source is, for labels and SBOM: the commit of
# this checkout, and the address that it was cloned from, if that is public (https). The same files make the same image.
# STORAGE_ROOT=DIR keeps buildah's storage: podman --root DIR/root --runroot DIR/run --storage-driver vfs run NAME
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${BINARY:-build/release/hairpind}
archive=${ARCHIVE:-build/hairpind-oci.tar}
limit=25000000 # every node of the cluster pulls it
version=$(sed -n 's/^project(hairpind VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)

# The commit, "-dirty" if what is built is not just that; nothing where there is no checkout.
revision=${REVISION-$(git -c safe.directory="$PWD" describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || true)}
source_url=${SOURCE_URL-$(git -c safe.directory="$PWD" config remote.origin.url 2>/dev/null | grep '^https://' || true)}

usage() {
  sed -n '3,11s/^# \{0,1\}//p' scripts/image.sh >&2
  exit 2
}

fail() {
  echo "scripts/image.sh: $*" >&2
  exit 1
}

build_binary() {
  [ ! -x "$binary" ] || return 0
  [ -z "${BINARY:-}" ] || fail "there is no $BINARY"
  cmake --preset release
  cmake --build --preset release
}

# The binary, the loader and the libraries that it names, each where the loader looks for it without an ld.so.cache.
fill_root() { # fill_root DIRECTORY
  local root=$1 libraries library package
  mkdir -p "$root"
  strip -o "$root/hairpind" "$binary"
  libraries=$(ldd "$binary")
  ! grep 'not found' <<<"$libraries" >&2 || fail "a library of $binary is missing; run scripts/install-dependencies.sh"
  # "NAME => PATH (ADDRESS)", and the loader's "PATH (ADDRESS)"; the vdso has no path.
  libraries=$(awk '$2 == "=>" { print $3; next } $1 ~ "^/" { print $1 }' <<<"$libraries")
  local packages=()
  for library in $libraries; do
    # -L: the file that a versioned link leads to, under the link's name.
    cp -L --parents "$library" "$root"
    # Their licences ask that copyright notices go along.
    package=$(dpkg-query -S "$(realpath "$library")" "$library" 2>/dev/null | head -n 1 | cut -d: -f1) || true
    if [ -n "$package" ] && [ -e "/usr/share/doc/$package/copyright" ]; then
      cp -L --parents "/usr/share/doc/$package/copyright" "$root"
    else
      echo "no copyright file for $library" >&2
    fi
    [ -z "$package" ] || packages+=("$package")
  done
  add_package_lists "$root" "${packages[@]}"
  cp -L LICENSE "$root/LICENSE"
  chmod -R u=rwX,go=rX "$root"
}

# What scanners ask an image without a package manager: the distribution, and what dpkg knows of each package (as in "distroless"
# images); and an SBOM, which has what is compiled in, too.
add_package_lists() { # add_package_lists DIRECTORY PACKAGE...
  local root=$1 package
  shift
  mkdir -p "$root/etc" "$root/var/lib/dpkg/status.d" "$root/usr/share/doc/hairpind"
  cp -L /etc/os-release "$root/etc/os-release"
  while read -r package; do
    dpkg-query -s "$package:$(dpkg --print-architecture)" >"$root/var/lib/dpkg/status.d/$package"
  done < <(printf '%s\n' "$@" | sort -u)
  # Headers only, of which nothing else is in the image.
  local compiled_in=(nlohmann-json3-dev libcli11-dev libtomlplusplus-dev)
  local format='${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n'
  {
    printf '%s\n' "$@" | sort -u | xargs dpkg-query -W -f "DYNAMIC_LINK\t$format"
    dpkg-query -W -f "STATIC_LINK\t$format" "${compiled_in[@]}"
  } | jq --raw-input --slurp --arg version "$version" --arg revision "$revision" --arg source "$source_url" \
    --arg sha256 "$(sha256sum "$root/hairpind" | cut -d' ' -f1)" --arg distribution "$(. /etc/os-release && echo "$ID-$VERSION_ID")" \
    --arg created "$(date --utc --date="@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)" '
    def unknown: {licenseConcluded: "NOASSERTION", copyrightText: "NOASSERTION", filesAnalyzed: false};
    [split("\n")[] | select(. != "") | split("\t") | {relation: .[0], name: .[1], version: .[2], architecture: .[3], source: .[4],
      source_version: .[5], id: ("SPDXRef-" + (.[1] | gsub("[^A-Za-z0-9.-]"; "-")))}] as $packages |
    {spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: "hairpind-\($version)",
     documentNamespace: "https://hairpind.dev/spdx/hairpind-\($version)-\($sha256)",
     creationInfo: {created: $created, creators: ["Tool: hairpind-scripts-image.sh"]},
     packages: ([{name: "hairpind", SPDXID: "SPDXRef-hairpind", versionInfo: $version, primaryPackagePurpose: "APPLICATION",
         downloadLocation: (if $source == "" then "NOASSERTION" else "git+\($source)@\($revision)" end),
         licenseDeclared: "Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)",
         checksums: [{algorithm: "SHA256", checksumValue: $sha256}]}
         + (if $revision == "" then {} else {sourceInfo: "revision \($revision)"} end) + unknown] +
       [$packages[] | {name, SPDXID: .id, versionInfo: .version, supplier: "Organization: Debian", downloadLocation: "NOASSERTION",
         licenseDeclared: "NOASSERTION", sourceInfo: "Debian source package \(.source) \(.source_version)",
         externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl",
           referenceLocator: "pkg:deb/debian/\(.name)@\(.version | @uri)?arch=\(.architecture)&distro=\($distribution)"}]} + unknown]),
     relationships: ([{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: "SPDXRef-hairpind"}] +
       [$packages[] | {spdxElementId: "SPDXRef-hairpind", relationshipType: .relation, relatedSpdxElement: .id}])}' \
    >"$root/usr/share/doc/hairpind/sbom.spdx.json"
}

# Does the binary start with nothing but these files? The loader would find what is missing in the host's folders.
check_root() { # check_root DIRECTORY
  local enter=(chroot)
  [ "$(id -u)" -eq 0 ] || enter=(unshare --user --map-root-user chroot)
  "${enter[@]}" "$1" /hairpind version || fail "the binary does not start in the image's root; a file is missing"
}

install_buildah() {
  command -v buildah >/dev/null && return
  [ "$(id -u)" -eq 0 ] || fail "buildah is missing; run as root, or install it with: sudo apt-get install buildah"
  echo "installing: buildah"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends buildah >/dev/null
}

build_image() { # build_image NAME
  local name=$1 container size storage=${STORAGE_ROOT:-$work/storage}
  mkdir -p "$storage"
  # What is built here comes from no registry, so nothing has a signature to ask for.
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
  # Storage of its own: the machine's may belong to a container engine, or be on what overlayfs refuses.
  image() {
    local command=$1
    shift
    buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs "$command" "$@"
  }

  local origin=()
  [ -z "$revision" ] || origin+=(--label "org.opencontainers.image.revision=$revision")
  [ -z "$source_url" ] || origin+=(--label "org.opencontainers.image.source=$source_url")
  container=$(image from --signature-policy "$work/policy.json" scratch)
  image copy --quiet --chown 0:0 "$container" "$work/root" / >/dev/null
  image config --user 0 --entrypoint '["/hairpind"]' --cmd run \
    --label org.opencontainers.image.title=hairpind \
    --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.licenses=Apache-2.0 \
    --label "org.opencontainers.image.description=Catches asymmetric hairpin connections on a Kubernetes node" \
    "${origin[@]}" "$container"
  # The same files make the same image: no build date, unless the caller names one.
  image commit --quiet --rm --format oci --timestamp "${SOURCE_DATE_EPOCH:-0}" \
    --signature-policy "$work/policy.json" "$container" "$name"
  # push adds to an archive that is there.
  rm -f "$archive"
  image push --quiet --signature-policy "$work/policy.json" "$name" "oci-archive:$archive:$name"

  cp "$work/root/usr/share/doc/hairpind/sbom.spdx.json" "${archive%.tar}.spdx.json"
  echo "digest: $(tar -xOf "$archive" index.json | jq -r '.manifests[0].digest')"
  size=$(du -sb --apparent-size "$work/root" | cut -f1)
  echo "$name: $(megabytes "$size") unpacked, $(megabytes "$(stat -c %s "$archive")") packed in $archive"
  if [ "$size" -gt "$limit" ]; then
    echo "the largest files:" >&2
    find "$work/root" -type f -printf '%s %P\n' | sort -rn | sed 8q >&2
    fail "the image is larger than $(megabytes "$limit")"
  fi
}

megabytes() { # megabytes BYTES
  awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'
}

case ${1:-} in
--root)
  [ $# -eq 2 ] || usage
  build_binary
  fill_root "$2"
  check_root "$2"
  ;;
-*) usage ;;
*)
  [ $# -le 1 ] || usage
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  build_binary
  fill_root "$work/root"
  check_root "$work/root"
  install_buildah
  build_image "${1:-localhost/hairpind:$version}"
  ;;
esac
