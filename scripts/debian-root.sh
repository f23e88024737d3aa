#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks packages of Debian for another architecture, and all that they depend on, into a directory: to compile and
# link against, to run under qemu-user, to be the root of a guest. Nothing in it is run and nothing is installed on this
# machine; dpkg's lists are written, for dpkg-query --admindir=DIRECTORY/var/lib/dpkg.
#   scripts/debian-root.sh ARCHITECTURE DIRECTORY PACKAGE...      what is there already is left alone
set -euo pipefail

[ $# -ge 3 ] || { sed -n '6s/^# *//p' "$0" >&2; exit 2; }
architecture=$1
mkdir -p "$2"
root=$(realpath "$2")
shift 2

# One tree, as Debian has it: packages name /lib and /usr/lib.
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/var/lib/dpkg/info" "$root/var/lib/apt/lists/partial" \
  "$root/var/cache/apt/archives/partial"
for name in bin sbin lib; do
  [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"
done
status=$root/var/lib/dpkg/status
touch "$status"
# With more than one architecture dpkg names the lists of files so.
echo 1 >"$root/var/lib/dpkg/info/format"

# This machine's sources for the other architecture, with a state of their own. Others may ask apt so, too.
export APT_CONFIG=$root/var/lib/apt/apt.conf
cat >"$APT_CONFIG" <<END
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Dir::State "$root/var/lib/apt";
Dir::State::status "$status";
Dir::Cache "$root/var/cache/apt";
END

unpack() { # unpack PACKAGE_FILE
  local name multiarch list
  name=$(dpkg-deb -f "$1" Package)
  multiarch=$(dpkg-deb -f "$1" Multi-Arch)
  list=$root/var/lib/dpkg/info/$name
  [ "$multiarch" != same ] || list+=:$architecture
  dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$root"
  dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's|^\./\(.*[^/]\)/\{0,1\}$|/\1|; s|^\./$|/.|' >"$list.list"
  { dpkg-deb -f "$1" && printf 'Status: install ok installed\n\n'; } >>"$status"
}

[ -n "$(find "$root/var/lib/apt/lists" -name '*_Packages*' -print -quit)" ] || apt-get update -qq
apt-get install -qq --yes --no-install-recommends --download-only -o APT::Keep-Downloaded-Packages=true "$@" >/dev/null
find "$root/var/cache/apt/archives" -name '*.deb' -print0 | while IFS= read -r -d '' package; do
  unpack "$package"
  rm "$package"
done

# Links of the kind /lib/NAME would lead into this machine's.
find "$root" -xdev -type l -lname '/*' -not -lname '/proc/*' -not -lname '/dev/*' -print0 |
  while IFS= read -r -d '' link; do
    ln -snf "$(realpath -m --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" "$link"
  done

# What base-passwd's maintainer script would put in place.
for list in passwd group; do
  master=$root/usr/share/base-passwd/$list.master
  [ ! -e "$master" ] || [ -e "$root/etc/$list" ] || cp "$master" "$root/etc/$list"
done
