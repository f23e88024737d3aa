#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kubectl against kube_api_server: what it prints is what a cluster with these objects would make it print.
#   kubectl_fidelity_test.sh BINARY     Exit status 77: there is no kubectl (scripts/install-cluster-tools.sh).
set -euo pipefail

binary=$1
PATH=$PATH:$(realpath "$(dirname "$0")/../..")/build/tools
if ! command -v kubectl >/dev/null; then
  echo "kubectl_fidelity_test.sh: skipped, no kubectl"
  exit 77
fi

directory=$(mktemp -d)
server=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  local status=$?
  local pids
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # a list
  [ -z "$pids" ] || kill $pids 2>/dev/null || true
  wait || true
  if [ "$status" -ne 0 ] && [ -e "$directory/server.log" ]; then
    sed 's/^/server: /' "$directory/server.log" >&2
  fi
  rm -rf "$directory"
}
trap clean_up EXIT
export HOME=$directory/home # kubectl's caches
export KUBECONFIG=$directory/kubeconfig

wait_for() { # wait_for WHAT COMMAND...: until it succeeds, 20 s at most
  local what=$1 i
  shift
  for ((i = 0; i < 200; i++)); do
    if "$@"; then
      return
    fi
    sleep 0.1
  done
  echo "FAILED: waited in vain for $what" >&2
  exit 1
}

start_server() { # start_server ARGUMENT...
  rm -f "$KUBECONFIG"
  : >"$directory/server.log"
  "$binary" --dir "$directory/objects" "$@" >"$directory/server.log" 2>&1 &
  server=$!
  wait_for "the server" grep -q '^serving' "$directory/server.log"
}

stop_server() {
  kill "$server"
  wait "$server"
}

checks=0
expect() { # expect PATTERN ARGUMENT...: kubectl's output has a line that matches
  local pattern=$1 output
  shift
  output=$(timeout 30 kubectl "$@" 2>&1) || true
  if ! grep -Eq -- "$pattern" <<<"$output"; then
    printf 'FAILED: kubectl %s: no line matches %s in\n%s\n' "$*" "$pattern" "$output" >&2
    exit 1
  fi
  checks=$((checks + 1))
}

expect_lines() { # expect_lines COUNT ARGUMENT...: kubectl succeeds and prints so many lines
  local count=$1 output
  shift
  if ! output=$(timeout 30 kubectl "$@" 2>&1) || [ "$(grep -c . <<<"$output")" -ne "$count" ]; then
    printf 'FAILED: kubectl %s: fails or has not %d lines:\n%s\n' "$*" "$count" "$output" >&2
    exit 1
  fi
  checks=$((checks + 1))
}

has_lines() { # has_lines COUNT FILE: so many or more
  [ "$(grep -c . "$2")" -ge "$1" ]
}

is_pending() { # is_pending POD
  [ "$(kubectl get pod "$1" -n shop -o 'jsonpath={.status.phase}')" = Pending ]
}

pod() { # pod NAME NODE PHASE
  printf '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s","namespace":"shop","labels":{"app":"web"}},
    "spec":{"nodeName":"%s","containers":[{"name":"web","image":"web:1"}]},
    "status":{"phase":"%s","podIP":"10.244.1.5","podIPs":[{"ip":"10.244.1.5"}]}}\n' "$1" "$2" "$3"
}

mkdir -p "$directory/objects" "$HOME"
pod web-0 n1 Running >"$directory/objects/web-0.json"
pod web-1 n2 Running >"$directory/objects/web-1.json"
cat >"$directory/objects/cluster.json" <<'JSON'
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}, "status": {"phase": "Active"}},
  {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
   "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}},
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
   "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.10", "selector": {"app": "web"},
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]},
   "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}]}
JSON

start_server
expect '^ *gitVersion: v1\.32\.0$' version -o yaml
expect '^pods +po +v1 +true +Pod$' api-resources
expect '^shop +web-0 ' get pods -A
expect_lines 3 get pods -A
expect_lines 3 get pods -A --chunk-size=1
expect_lines 1 get pods -A --field-selector spec.nodeName=n2 --no-headers
expect '^web-0 ' get pod web-0 -n shop
expect '^pod/web-1$' get po -n shop -o name
expect '"kind": "Service"' get svc -o json -A
expect '^203\.0\.113\.7 30080$' get svc -A -o 'jsonpath={.items[0].status.loadBalancer.ingress[0].ip} {.items[0].spec.ports[0].nodePort}'
expect '^n1 ' get nodes
expect '192\.0\.2\.1' describe node n1
expect '^shop ' get namespaces
expect '^ok$' get --raw /readyz
expect '^yes$' auth can-i list pods
expect '^Error from server \(NotFound\): pods "web-9" not found$' get pod web-9 -n shop
expect 'field label not supported: spec\.image$' get pods -A --field-selector spec.image=web
expect "the server doesn't have a resource type \"configmaps\"" get configmaps
expect 'You must be logged in to the server' get pods --token=wrong

# Events are made and changed, as the agent does.
event() { # event NAME COUNT [NAMESPACE]
  printf '{"apiVersion":"v1","kind":"Event","metadata":{"name":"%s","namespace":"shop"},"reason":"AsymmetricHairpin",
    "involvedObject":{"apiVersion":"v1","kind":"Pod","namespace":"%s","name":"web-0"},"type":"Warning","count":%s,
    "firstTimestamp":"2026-11-26T14:52:38Z","lastTimestamp":"2026-11-26T14:52:38Z"}\n' "$1" "${3:-shop}" "$2" \
    >"$directory/event.json"
}
events=/api/v1/namespaces/shop/events
event web-0.1 1
expect '"involvedObject":' create --raw $events -f "$directory/event.json"
expect '^Error from server \(AlreadyExists\): events "web-0\.1" already exists$' create --raw $events -f "$directory/event.json"
expect '^event/web-0\.1 patched$' patch event web-0.1 -n shop --type merge -p '{"count":7}'
expect '^web-0\.1 +AsymmetricHairpin +7$' get events -n shop \
  -o custom-columns=N:.metadata.name,R:.reason,C:.count --field-selector involvedObject.name=web-0,type=Warning
expect '^shop +web-0\.1 ' get events -A
expect 'events "web-9" not found$' patch event web-9 -n shop --type merge -p '{"count":7}'
event web-0.2 1 night
expect 'involvedObject\.namespace: does not match event\.namespace' create --raw $events -f "$directory/event.json"
event web-0.3 '"many"'
expect 'cannot be handled as a Event' create --raw $events -f "$directory/event.json"
expect 'namespaces "night" not found$' create --raw /api/v1/namespaces/night/events -f "$directory/event.json"

# A watch sees what comes, changes and goes. It starts from the very version of a pod's change, which is not told again.
pod web-1 n2 Pending >"$directory/objects/web-1.json"
kill -HUP "$server"
wait_for "the change before" is_pending web-1
: >"$directory/watch" && : >"$directory/watch-one" # there before grep looks
kubectl get pods -A -w --output-watch-events -o custom-columns=T:.type,N:.object.metadata.name,P:.object.status.phase \
  >"$directory/watch" 2>&1 &
wait_for "what is there already" grep -Eq '^ADDED +web-1 +Pending' "$directory/watch"
pod web-2 n1 Pending >"$directory/objects/web-2.json"
kill -HUP "$server"
wait_for "the added pod" grep -Eq '^ADDED +web-2 +Pending' "$directory/watch"
pod web-2 n1 Running >"$directory/objects/web-2.json"
kill -HUP "$server"
wait_for "the changed pod" grep -Eq '^MODIFIED +web-2 +Running' "$directory/watch"
rm "$directory/objects/web-2.json"
kill -HUP "$server"
wait_for "the deleted pod" grep -Eq '^DELETED +web-2 +Running' "$directory/watch"
# Each of these once: the list's objects are not told again, what did not change is not told at all.
if [ "$(grep -c . "$directory/watch")" -ne 6 ]; then
  printf 'FAILED: the watch is not a header and five events:\n%s\n' "$(cat "$directory/watch")" >&2
  exit 1
fi
# And so one of a single object, which has metadata.name in its field selector.
kubectl get pod web-0 -n shop -w -o name >"$directory/watch-one" 2>&1 &
wait_for "the one pod" grep -qx 'pod/web-0' "$directory/watch-one"
pod web-0 n1 Failed >"$directory/objects/web-0.json"
pod web-1 n2 Failed >"$directory/objects/web-1.json"
kill -HUP "$server"
wait_for "the one pod's change" has_lines 2 "$directory/watch-one"
sleep 0.3 # for what should not come
expect_lines 2 get pods -n shop -o name
if has_lines 3 "$directory/watch-one"; then
  printf 'FAILED: the watch of one pod saw more:\n%s\n' "$(cat "$directory/watch-one")" >&2
  exit 1
fi
checks=$((checks + 5))

# With a watch open it ends at once all the same.
before=$SECONDS
stop_server
if [ $((SECONDS - before)) -gt 2 ]; then
  echo "FAILED: the server took $((SECONDS - before)) s to end" >&2
  exit 1
fi

start_server --token another --allow 'list pods' --allow 'get pods'
expect '^yes$' auth can-i list pods -A
expect '^no$' auth can-i watch pods -A
expect '^no$' auth can-i list services
event web-0.4 1
expect 'events is forbidden: User "system:serviceaccount:hairpind:hairpind" cannot create resource "events" in API group "" in the namespace "shop"$' \
  create --raw $events -f "$directory/event.json"
expect '^shop +web-0 ' get pods -A
expect '^Error from server \(Forbidden\): services is forbidden: User "system:serviceaccount:hairpind:hairpind" cannot list resource "services" in API group "" at the cluster scope$' \
  get services -A
expect '^Error from server \(Forbidden\): services "web" is forbidden: User "system:serviceaccount:hairpind:hairpind" cannot get resource "services" in API group "" in the namespace "shop"$' \
  get service web -n shop
stop_server

start_server --credential certificate --allow 'list nodes'
expect '^n1 ' get nodes
expect 'User "hairpind-client" cannot list resource "pods"' get pods -A
stop_server

echo "kubectl_fidelity_test.sh: $checks checks passed with kubectl $(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: //p')"
