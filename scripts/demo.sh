#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows the failure, the alert, how it goes quiet and comes back, and the fix, in network namespaces of its own. As root.
#   scripts/demo.sh [--keep]     --keep: leave the lab and the agent up to explore
set -euo pipefail
cd "$(dirname "$0")/.."

keep=
case ${1:-} in
'') ;;
--keep) keep=yes ;;
*)
  echo "usage: sudo ./scripts/demo.sh [--keep]" >&2
  exit 2
  ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  echo "scripts/demo.sh: not root. The demo loads BPF programs and builds network namespaces (its own, and" \
    "removed when it ends): run sudo ./scripts/demo.sh" >&2
  exit 1
fi

bold='' red='' green='' dim='' plain=''
if [ -t 1 ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' dim=$'\e[2m' plain=$'\e[0m'
fi
title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }

prefix=hpd$$
work=$(mktemp -d /tmp/hairpind-demo-XXXXXX)
agent=
cleanup() {
  local status=$?
  if [ -n "$keep" ] && [ $status -eq 0 ]; then
    return
  fi
  if [ -n "$agent" ]; then
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
  fi
  tests/lab/lab.sh down "$prefix"
  rm -rf "$work"
  exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

node() { ip netns exec "$prefix-node" "$@"; }
client() { ip netns exec "$prefix-p1" "$@"; }
metrics() { node curl -sf http://127.0.0.1:9477/metrics | sed -n '/_bucket{/d; /{lb="10.0.5.5:443"/p'; }
wait_for() { # wait_for WHAT COMMAND...: up to 20 s
  local what=$1
  shift
  for _ in $(seq 200); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  echo "demo: waited 20 s in vain for $what; the agent's log:" >&2
  cat "$work/agent.log" >&2
  exit 1
}
connect() { # one try of the client
  local answer status=0
  answer=$(client curl -sS -m 2 http://10.0.5.5:443/ 2>&1) || status=$?
  if [ $status -eq 0 ]; then
    printf '  $ curl http://10.0.5.5:443/   %s-> %s%s\n' "$green" "answered by pod $answer" "$plain"
  else
    printf '  $ curl http://10.0.5.5:443/   %s-> %s%s\n' "$red" "$answer" "$plain"
  fi
}

title "Building"
./scripts/install-dependencies.sh
cmake --preset release >"$work/build.log" && cmake --build --preset release >>"$work/build.log" || {
  tail -30 "$work/build.log" >&2
  echo "demo: the build failed" >&2
  exit 1
}
echo "build/release/hairpind"

title "A node, two pods, an internal load balancer that keeps the client's address"
tests/lab/lab.sh up "$prefix"
cat <<'PICTURE'
     node 10.0.0.4                                    LB 10.0.5.5:443
    +---------------------------+                    +-----------------------------+
    |  client pod  10.0.1.10    |                    |  target: 10.0.1.20:8443     |
    |  target pod  10.0.1.20    |------ network -----|  rewrites the destination,  |
    |              (nginx)      |                    |  keeps the client's address |
    +---------------------------+                    +-----------------------------+
PICTURE

title "Starting hairpind on the node"
ip netns exec "$prefix-node" build/release/hairpind run --lb 10.0.5.5:443 --node-name demo-node \
  --alerts "$work/alerts.jsonl" 2>"$work/agent.log" &
agent=$!
wait_for "the agent" node curl -sf http://127.0.0.1:9477/readyz
cat "$work/agent.log"

title "The client connects to the load balancer"
metrics >"$work/before"
connect
note "  (a timeout, no error anywhere: this is what the application's log shows)"

title "What hairpind says"
wait_for "an alert" test -s "$work/alerts.jsonl"
alert=$(head -1 "$work/alerts.jsonl")
build/release/hairpind explain "$work/alerts.jsonl" --incident "$(jq -r .incident <<<"$alert")"
echo
note "  the line itself, schema docs/alert-v1.schema.json:"
echo "$alert"

title "The metrics that moved"
metrics >"$work/after"
diff "$work/before" "$work/after" | sed -n 's/^> /  /p' || true

told() { # told EVENT [MORE]: has such a line, and MORE in it, come since?
  grep -F "\"event\":\"$1\"" "$work/alerts.jsonl" | grep -qF "${2:-}"
}
title "The target moves to another node: the failures stop, and the ticket is closed"
tests/lab/lab.sh evict "$prefix"
connect
connect
wait_for "hairpind to notice who has left" told asymmetric_handshake_dormant
jq -r 'select(.event == "asymmetric_handshake_dormant") | "  " + .severity + ": " + .message' "$work/alerts.jsonl"

title "Monday: it is placed beside the client again"
tests/lab/lab.sh place "$prefix"
watched() { node curl -sf http://127.0.0.1:9477/v1/status | jq -r '.devices[]' | grep -w veth2; }
wait_for "the agent to see the pod's device" watched
connect
wait_for "an alert that says so" told asymmetric_handshake '"reopened":true'
jq -r 'select(.reopened) | "  " + .severity + ": " + .message' "$work/alerts.jsonl"
metrics >"$work/after"

title "The fix: the load balancer stops preserving the client's address"
note "  (AWS NLB: preserve_client_ip.enabled=false on the target group; here nftables masquerade)"
tests/lab/lab.sh mode "$prefix" lb-snat
for _ in 1 2 3 4 5; do connect; done
lines=$(wc -l <"$work/alerts.jsonl")
cp "$work/after" "$work/before"
answered() { metrics | grep -qF 'hairpind_handshakes_total{lb="10.0.5.5:443",result="answered"} 7'; }
wait_for "five more answered handshakes" answered
metrics >"$work/after"
title "The metrics that moved since: mismatches are not among them"
diff "$work/before" "$work/after" | sed -n 's/^> /  /p' || true
echo "  alerts: $lines, as before"
title "Is it over? The very path that failed works now"
wait_for "the proof" told asymmetric_handshake_resolved
jq -r 'select(.event == "asymmetric_handshake_resolved") | "  " + .severity + ", proof " + .proof + ": " + .message' \
  "$work/alerts.jsonl"
title "What is left in the logs, as 'hairpind explain' sums it up"
build/release/hairpind explain "$work/alerts.jsonl"

if [ -n "$keep" ]; then
  disown "$agent"
  title "Kept"
  cat <<KEPT
  the node        ip netns exec $prefix-node bash
  the client      ip netns exec $prefix-p1 curl -m 2 http://10.0.5.5:443/
  break it again  tests/lab/lab.sh mode $prefix ip-target       (tests/lab/lab.sh lists the modes)
  alerts          tail -f $work/alerts.jsonl | jq .
  as a page       build/release/hairpind explain $work/alerts.jsonl -o html > page.html
  metrics         ip netns exec $prefix-node curl -s http://127.0.0.1:9477/metrics
  remove all      kill $agent; tests/lab/lab.sh down $prefix; rm -r $work
KEPT
fi
