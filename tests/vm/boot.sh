#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots a kernel in QEMU without KVM and has guest.sh run jobs in it. As root: the guest sees this machine's root, or for
# arm64 the one of Debian's packages in build/arm64/root.
#   boot.sh KERNEL RESULTS SECONDS JOB...
# KERNEL is an unpacked linux-image package of either architecture, RESULTS a directory that the guest writes into, SECONDS the time it has.
# What the jobs say comes on stdout. Exit status: 0 all jobs passed; 1 some did not; 2 the guest ended without saying,
# or not in time.
set -euo pipefail
kernel=$(realpath "$1") results=$(realpath -m "$2") seconds=$3
shift 3
source=$(cd "$(dirname "$0")/../.." && pwd)
release=$(basename "$kernel"/lib/modules/*)
virtiofsd=/usr/lib/qemu/virtiofsd
case $release in
*-arm64)
  # Graviton2's. Its machine has one serial port.
  qemu=(qemu-system-aarch64 -machine virt,gic-version=3,memory-backend=memory -cpu neoverse-n1
    -device virtio-serial-pci -chardev stdio,id=said -device virtconsole,chardev=said)
  console=ttyAMA0 said=hvc0 root=$source/build/arm64/root build=build/dev-arm64 more_modules=virtio_console
  ;;
*)
  qemu=(qemu-system-x86_64 -machine q35,memory-backend=memory -cpu max,la57=off -serial stdio)
  console=ttyS0 said=ttyS1 root=/ build=build/dev more_modules=
  ;;
esac
# A guest that has not come this far in that time is started once more: rarely, one does not.
boot_seconds=180

scratch=$(mktemp -d)
processes=()
stop() {
  [ ${#processes[@]} -eq 0 ] || kill "${processes[@]}" 2>/dev/null || true
  wait
  processes=()
}
trap 'stop; rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM

pack_initramfs() {
  local module name number=100
  mkdir -p "$scratch/initramfs/bin" "$scratch/initramfs/modules"
  cp "$root/bin/busybox" "$scratch/initramfs/bin/"
  cp "$source/tests/vm/init" "$scratch/initramfs/"
  # In the order in which they need each other, and decompressed: busybox's insmod wants them so.
  for name in virtio_pci virtiofs overlay $more_modules; do
    modprobe -d "$kernel" -S "$release" --show-depends "$name"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r module; do
    name=$scratch/initramfs/modules/$((number++))-$(basename "${module%.xz}")
    case $module in
    *.xz) xz -dc "$module" >"$name" ;;
    *) cp "$module" "$name" ;;
    esac
  done
  (cd "$scratch/initramfs" && find . | cpio -o -H newc --quiet | gzip -1) >"$scratch/initramfs.gz"
}

share() { # share TAG DIRECTORY OPTION...
  local tag=$1 directory=$2
  shift 2
  "$virtiofsd" --socket-path="$scratch/$tag" -o source="$directory" "$@" >"$results/virtiofsd-$tag.log" 2>&1 &
  processes+=($!)
  while [ ! -S "$scratch/$tag" ]; do
    kill -0 $! || { cat "$results/virtiofsd-$tag.log" >&2; exit 2; }
    sleep 0.05
  done
}

run_guest() { # run_guest JOB...: until it ends, or has had its time
  rm -f "$results/up" "$results/status"
  share root "$root" -o cache=always -o sandbox=chroot
  local checkout=()
  if [ "$root" != / ]; then
    share source "$source" -o cache=always
    checkout=(-chardev socket,id=source,path="$scratch/source"
      -device vhost-user-fs-pci,chardev=source,tag=source,queue-size=1024)
  fi
  share results "$results" -o cache=none
  # One thread for all vCPUs: with one each, about one guest in a hundred panics.
  timeout -k 5 "$seconds" "${qemu[0]}" -accel tcg,thread=single -smp 2 -m 2G \
    -object memory-backend-memfd,id=memory,size=2G,share=on \
    -nodefaults -display none -no-reboot -serial "file:$results/console.log" "${qemu[@]:1}" \
    -chardev socket,id=root,path="$scratch/root" -device vhost-user-fs-pci,chardev=root,tag=root,queue-size=1024 \
    "${checkout[@]}" \
    -chardev socket,id=results,path="$scratch/results" -device vhost-user-fs-pci,chardev=results,tag=results \
    -kernel "$kernel/boot/vmlinuz-$release" -initrd "$scratch/initramfs.gz" \
    -append "console=$console loglevel=4 panic=-1 oops=panic said=$said source=$source build=$build kernel=$kernel jobs=$(IFS=,; echo "$*")" \
    </dev/null &
  local qemu=$! waited=0
  processes+=("$qemu")
  while [ ! -e "$results/up" ] && kill -0 "$qemu" 2>/dev/null; do
    sleep 0.5
    [ $((waited += 1)) -lt $((boot_seconds * 2)) ] || kill "$qemu"
  done
  guest_status=0
  wait "$qemu" || guest_status=$?
  stop
}

mkdir -p "$results"
pack_initramfs
run_guest "$@"
if [ ! -e "$results/up" ]; then
  echo "$release: did not boot; once more"
  run_guest "$@"
fi
if [ -s "$results/status" ]; then
  exit "$(cat "$results/status")"
fi
if [ ! -e "$results/up" ]; then
  what="did not boot"
elif grep -q 'Kernel panic' "$results/console.log"; then
  what="panicked"
elif [ "$guest_status" -eq 124 ]; then
  what="did not end within $seconds s"
else
  what="ended early (QEMU's exit status is $guest_status)"
fi
echo "$release: FAILED: the guest of '$*' $what; the end of $results/console.log:"
tail -n 40 "$results/console.log" 2>/dev/null || true
exit 2
