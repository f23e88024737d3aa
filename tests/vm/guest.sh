#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Process 1 of a guest, after init: runs the jobs of the kernel's command line (jobs=JOB,JOB), each a function of
# jobs.sh. One line a result, on the console that is named said, with the kernel's name; the whole output of each is left in
# /run/results, and with it the exit status, 0 if all passed.
# shellcheck disable=SC2154 # kernel, source, build, said and jobs are of the kernel's command line
set -uo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
trap 'sync; busybox poweroff -f' EXIT
exec </dev/null >"/dev/$said" 2>&1
stty -F "/dev/$said" -opost
touch /run/results/up

mkdir -p /dev/shm /dev/pts /lib/modules
mount -t tmpfs shm /dev/shm
mount -t devpts devpts /dev/pts
mount -t bpf bpffs /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
release=$(uname -r)
ln -sfn "$kernel/lib/modules/$release" "/lib/modules/$release"
hostname guest
ip link set lo up
cd "$source" || exit
export HAIRPIND_LAB_PATIENCE=6

status=0
say() { echo "$release: $*"; }

# run NAME SECONDS COMMAND...: what all skipped, passed nothing
run() {
  local name=$1 seconds=$2 result=0 start=$SECONDS log=/run/results/$1.log counts
  shift 2
  timeout -k 10 "$seconds" "$@" >"$log" 2>&1 || result=$?
  counts=$(sed -n 's/^\[  \(PASSED\|SKIPPED\|FAILED\)  *\] \([0-9]*\) tests\?[.,].*/\2 \L\1/p' "$log" | paste -sd, | sed 's/,/, /g')
  counts="$((SECONDS - start)) s${counts:+, $counts}"
  case $result in
  0) say "ok: $name ($counts)" ;;
  77)
    status=1
    say "FAILED: $name: everything was skipped ($counts)"
    grep -A1 -m3 'Skipped$' "$log"
    ;;
  *)
    status=1
    [ "$result" -lt 124 ] || counts+=", exit status $result"
    say "FAILED: $name ($counts)"
    tail -n 40 "$log" | sed 's/^/    /'
    ;;
  esac
}

# gtest NAME SECONDS BINARY [FILTER]: of the build tree's tests/
gtest() {
  run "$1" "$2" "$build/tests/$3" --gtest_brief=1 --gtest_filter="${4:-*}"
}

# shellcheck source=tests/vm/jobs.sh
. "$source/tests/vm/jobs.sh"
for job in ${jobs//,/ }; do
  "$job"
done
echo $status >/run/results/status
