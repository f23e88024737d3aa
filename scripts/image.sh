#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container image from build/release/hairpind, without a registry, a container engine or the network.
#   scripts/image.sh [--platform PLATFORM[,PLATFORM]] [NAME]
#                                 PLATFORM: linux/amd64, linux/arm64 (default: this machine's); two make one index
#                                 NAME: localhost/hairpind:VERSION (default), ...
#                                 Leaves the image in build/hairpind-oci.tar too, for 'ctr -n k8s.io images import',
#                                 'podman load -i' or 'skopeo copy --all oci-archive:... docker://...'
#                                 Prints the digest by which to name it, and leaves its SBOM (SPDX 2.3) beside the archive
#   scripts/image.sh --root DIR   only puts the image's files into DIR (deploy/Dockerfile)
# For arm64 on another machine the binary is build/release-arm64/hairpind, and the libraries are those that
# 'scripts/install-dependencies.sh arm64' has unpacked.
# BINARY (of one platform) and ARCHIVE name other paths. REVISION and SOURCE_URL say where the source is, for labels and
# SBOM: the commit of this checkout, and the address that it was cloned from, if that is public (https). The same files
# make the same image.
# STORAGE_ROOT=DIR keeps buildah's storage: podman --root DIR/root --runroot DIR/run --storage-driver vfs run NAME
set -euo pipefail
cd "$(dirname "$0")/.."

archive=${ARCHIVE:-build/hairpind-oci.tar}
limit=25000000 # every node of the cluster pulls it
version=$(sed -n 's/^project(hairpind VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)

# The commit, "-dirty" if what is built is not just that; nothing where there is no checkout.
revision=${REVISION-$(git -c safe.directory="$PWD" describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || true)}
source_url=${SOURCE_URL-$(git -c safe.directory="$PWD" config remote.origin.url 2>/dev/null | grep '^https://' || true)}

usage() {
  sed -n '3,17s/^# \{0,1\}//p' scripts/image.sh >&2
  exit 2
}

fail() {
  echo "scripts/image.sh: $*" >&2
  exit 1
}

# Where a platform's binary and libraries are, and the tools that read them. Debian's libraries of another architecture
# are in a root of their own.
native=$(dpkg --print-architecture)
choose() { # choose ARCHITECTURE
  local preset=release
  architecture=$1 libraries='' tool_prefix=''
  case $architecture in
  amd64) triplet=x86_64-linux-gnu loader=/lib64/ld-linux-x86-64.so.2 ;;
  arm64) triplet=aarch64-linux-gnu loader=/lib/ld-linux-aarch64.so.1 ;;
  esac
  if [ "$architecture" != "$native" ]; then
    [ "$architecture" = arm64 ] || fail "linux/$architecture is built on linux/$architecture only"
    preset=release-arm64 libraries=$PWD/build/arm64/root tool_prefix=$triplet-
    [ -e "$libraries/etc/os-release" ] || fail "there are no libraries for arm64; run scripts/install-dependencies.sh arm64"
  fi
  binary=${BINARY:-build/$preset/hairpind}
  [ ! -x "$binary" ] || return 0
  [ -z "${BINARY:-}" ] || fail "there is no $BINARY"
  cmake --preset "$preset"
  cmake --build --preset "$preset"
}

packages() { # packages ARGUMENT...: what dpkg-query says of the chosen libraries' packages
  dpkg-query --admindir="$libraries/var/lib/dpkg" "$@"
}

# The names of what a file, and in turn what it names, needs. Read, not run: it may be of another architecture.
needed_by() { # needed_by FILE
  local queue=("$1") file name
  local -A known=()
  while [ ${#queue[@]} -gt 0 ]; do
    file=${queue[0]} queue=("${queue[@]:1}")
    for name in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
      [ -z "${known[$name]:-}" ] || continue
      known[$name]=yes
      [ "$name" != "${loader##*/}" ] || continue
      [ -e "$libraries/lib/$triplet/$name" ] || fail "$name of $binary is missing; run scripts/install-dependencies.sh"
      queue+=("$libraries/lib/$triplet/$name")
      echo "/lib/$triplet/$name"
    done
  done
}

# The binary, the loader and the libraries that it names, each where the loader looks for it without an ld.so.cache.
fill_root() { # fill_root DIRECTORY
  local root=$1 needed path package
  mkdir -p "$root"
  "${tool_prefix}strip" -o "$root/hairpind" "$binary"
  needed=$(needed_by "$binary")
  local of_packages=()
  for path in $loader $needed; do
    # The file that a versioned link leads to, under the link's name.
    install -D "$libraries$path" "$root$path"
    # Their licences ask that copyright notices go along.
    package=$(packages -S "$path" "/usr$path" 2>/dev/null | head -n 1 | cut -d: -f1) || true
    if [ -n "$package" ] && [ -e "$libraries/usr/share/doc/$package/copyright" ]; then
      install -D -m 644 "$libraries/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
    else
      echo "no copyright file for $path" >&2
    fi
    [ -z "$package" ] || of_packages+=("$package")
  done
  add_package_lists "$root" "${of_packages[@]}"
  cp -L LICENSE "$root/LICENSE"
  chmod -R u=rwX,go=rX "$root"
}

# What scanners ask an image without a package manager: the distribution, and what dpkg knows of each package (as in "distroless"
# images); and an SBOM, which has what is compiled in, too.
add_package_lists() { # add_package_lists DIRECTORY PACKAGE...
  local root=$1 package
  shift
  mkdir -p "$root/etc" "$root/var/lib/dpkg/status.d" "$root/usr/share/doc/hairpind"
  cp -L "$libraries/etc/os-release" "$root/etc/os-release"
  local linked
  mapfile -t linked < <(printf '%s\n' "$@" | sort -u)
  for package in "${linked[@]}"; do
    packages -s "$package:$architecture" >"$root/var/lib/dpkg/status.d/$package"
  done
  # Headers only, of which nothing else is in the image.
  local compiled_in=(nlohmann-json3-dev libcli11-dev libtomlplusplus-dev)
  local format='${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n'
  {
    packages -W -f "DYNAMIC_LINK\t$format" "${linked[@]/%/:$architecture}"
    packages -W -f "STATIC_LINK\t$format" "${compiled_in[@]}"
  } | jq --raw-input --slurp --arg version "$version" --arg revision "$revision" --arg source "$source_url" \
    --arg sha256 "$(sha256sum "$root/hairpind" | cut -d' ' -f1)" --arg distribution "$(. "$libraries/etc/os-release" && echo "$ID-$VERSION_ID")" \
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

# Does the binary start with nothing but these files? The loader would find what is missing in the host's folders. One of
# another architecture is tried where qemu-user is.
check_root() { # check_root DIRECTORY
  local enter=(chroot "$1" /hairpind)
  if [ "$architecture" != "$native" ]; then
    command -v qemu-aarch64-static >/dev/null || return 0
    enter=(qemu-aarch64-static -L "$1" "$1/hairpind")
  elif [ "$(id -u)" -ne 0 ]; then
    enter=(unshare --user --map-root-user "${enter[@]}")
  fi
  "${enter[@]}" version || fail "the binary does not start in the image's root; a file is missing"
}

install_buildah() {
  command -v buildah >/dev/null && return
  [ "$(id -u)" -eq 0 ] || fail "buildah is missing; run as root, or install it with: sudo apt-get install buildah"
  echo "installing: buildah"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends buildah >/dev/null
}

# Storage of its own: the machine's may belong to a container engine, or be on what overlayfs refuses.
image() {
  local command=$1
  shift
  buildah --root "$storage/root" --runroot "$storage/run" --storage-driver vfs "$command" "$@"
}

# The image of the chosen platform, from the files in DIRECTORY.
commit_image() { # commit_image NAME DIRECTORY
  local container size origin=()
  [ -z "$revision" ] || origin+=(--label "org.opencontainers.image.revision=$revision")
  [ -z "$source_url" ] || origin+=(--label "org.opencontainers.image.source=$source_url")
  container=$(image from --signature-policy "$work/policy.json" --arch "$architecture" scratch)
  image copy --quiet --chown 0:0 "$container" "$2" / >/dev/null
  image config --user 0 --entrypoint '["/hairpind"]' --cmd run --os linux --arch "$architecture" \
    --label org.opencontainers.image.title=hairpind \
    --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.licenses=Apache-2.0 \
    --label "org.opencontainers.image.description=Catches asymmetric hairpin connections on a Kubernetes node" \
    "${origin[@]}" "$container"
  # The same files make the same image: no build date, unless the caller names one.
  image commit --quiet --rm --format oci --timestamp "${SOURCE_DATE_EPOCH:-0}" \
    --signature-policy "$work/policy.json" "$container" "$1" >/dev/null

  size=$(du -sb --apparent-size "$2" | cut -f1)
  echo "linux/$architecture: $(megabytes "$size") unpacked"
  if [ "$size" -gt "$limit" ]; then
    echo "the largest files:" >&2
    find "$2" -type f -printf '%s %P\n' | sort -rn | sed 8q >&2
    fail "the image is larger than $(megabytes "$limit")"
  fi
}

build_image() { # build_image NAME PLATFORM...
  local name=$1 platform root part parts=()
  shift
  mkdir -p "$storage" "$(dirname "$archive")"
  # What is built here comes from no registry, so nothing has a signature to ask for.
  echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
  # push adds to an archive that is there.
  rm -f "$archive"
  for platform; do
    choose "${platform#linux/}"
    root=$work/$architecture
    fill_root "$root"
    check_root "$root"
    part=$name
    [ $# -eq 1 ] || part=$name-$architecture
    parts+=("$part")
    commit_image "$part" "$root"
    cp "$root/usr/share/doc/hairpind/sbom.spdx.json" "${archive%.tar}${part#"$name"}.spdx.json"
  done
  if [ $# -eq 1 ]; then
    image push --quiet --signature-policy "$work/policy.json" "$name" "oci-archive:$archive:$name"
  else
    # Storage that is kept may have one of that name, which is not made anew.
    image manifest rm "$name" &>/dev/null || image rmi "$name" &>/dev/null || true
    image manifest create "$name" "${parts[@]/#/containers-storage:}" >/dev/null
    image manifest push --quiet --all --signature-policy "$work/policy.json" "$name" "oci-archive:$archive:$name"
  fi
  echo "digest: $(tar -xOf "$archive" index.json | jq -r '.manifests[0].digest')"
  echo "$name: $(megabytes "$(stat -c %s "$archive")") packed in $archive"
}

megabytes() { # megabytes BYTES
  awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'
}

platforms=linux/$native
if [ "${1:-}" = --platform ]; then
  [ $# -ge 2 ] || usage
  platforms=$2
  shift 2
fi
IFS=, read -r -a platforms <<<"$platforms"
for platform in "${platforms[@]}"; do
  case $platform in
  linux/amd64 | linux/arm64) ;;
  *) fail "no image is made for '$platform'; there are linux/amd64 and linux/arm64" ;;
  esac
done

case ${1:-} in
--root)
  [ $# -eq 2 ] && [ ${#platforms[@]} -eq 1 ] || usage
  choose "${platforms[0]#linux/}"
  fill_root "$2"
  check_root "$2"
  ;;
-*) usage ;;
*)
  [ $# -le 1 ] || usage
  [ -z "${BINARY:-}" ] || [ ${#platforms[@]} -eq 1 ] || fail "BINARY is of one platform"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  storage=${STORAGE_ROOT:-$work/storage}
  install_buildah
  build_image "${1:-localhost/hairpind:$version}" "${platforms[@]}"
  ;;
esac
