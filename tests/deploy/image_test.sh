#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image of scripts/image.sh, run by podman and runc as deploy/daemonset.yaml has the kubelet run it: its security
# context, mounts, arguments and rights. On the lab's node, against the tests' API server, it must name a real hairpin.
#   tests/deploy/image_test.sh HAIRPIND KUBE_API_SERVER     Exit status 77: no container can be started here.
set -euo pipefail
hairpind=$(realpath "$1") api_server=$(realpath "$2")
cd "$(dirname "$0")/../.."

skip() {
  echo "image_test.sh: skipped, $*"
  exit 77
}
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || skip "not root"
for tool in podman runc buildah jq curl python3; do
  command -v $tool >/dev/null || skip "$tool is missing: scripts/install-dependencies.sh"
done

prefix=hpt$$
container=hairpind-image-test-$$
work=$(mktemp -d /tmp/hairpind-image-XXXXXX)
export STORAGE_ROOT=$work/storage
# cgroupfs and the limits: there may be no systemd, and no right to raise them.
engine() {
  podman --root "$STORAGE_ROOT/root" --runroot "$STORAGE_ROOT/run" --storage-driver vfs --runtime runc \
    --cgroup-manager cgroupfs "$@"
}
limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
clean_up() {
  local status=$? pids
  [ ! -e "$work/started" ] || engine rm --force --time 1 "$container" >"$work/removed" 2>&1 || true
  pids=$(jobs -p)
  # shellcheck disable=SC2086 # a list
  [ -z "$pids" ] || kill $pids 2>/dev/null || true
  wait || true
  [ ! -e "$work/lab" ] || tests/lab/lab.sh down "$prefix"
  if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
    tail -n 30 "$work"/*.log >&2 || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

wait_for() { # wait_for WHAT COMMAND...: until it succeeds, 30 s at most
  local what=$1 i
  shift
  for ((i = 0; i < 300; i++)); do
    if "$@" >/dev/null 2>&1; then
      return
    fi
    sleep 0.1
  done
  fail "waited in vain for $what"
}

# The manifest's objects and, of them, the container.
python3 -c 'import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)' \
  <deploy/daemonset.yaml >"$work/manifest.json"
of() { # of KIND FILTER: raw
  jq -r --arg kind "$1" ".[] | select(.kind == \$kind) | $2" "$work/manifest.json"
}
spec=.spec.template.spec
box="$spec.containers[0]"

image=$(of DaemonSet "$box.image")
BINARY=$hairpind ARCHIVE=$work/hairpind-oci.tar scripts/image.sh "$image" >"$work/image.log" 2>&1 ||
  fail "scripts/image.sh: the image is not built"
cat "$work/image.log"
# image.sh has started the binary from these files already: what fails now is the machine's.
version=$(engine run --rm "${limits[@]}" --network none "$image" version 2>"$work/probe.log") ||
  skip "podman cannot start a container here: $(tail -n 1 "$work/probe.log")"
echo "in a container: $version"

# Built again, elsewhere: the same image, by its digest.
digest() { sed -n 's/^digest: //p' "$1"; }
BINARY=$hairpind ARCHIVE=$work/again.tar STORAGE_ROOT=$work/again scripts/image.sh "$image" >"$work/again.log" 2>&1 ||
  fail "scripts/image.sh, again: the image is not built"
[ -n "$(digest "$work/image.log")" ] && [ "$(digest "$work/image.log")" = "$(digest "$work/again.log")" ] ||
  fail "built twice, the digests are $(digest "$work/image.log") and $(digest "$work/again.log")"
revision=$(engine image inspect --format '{{index .Labels "org.opencontainers.image.revision"}}' "$image")
[[ $revision =~ ^[0-9a-f]{40}(-dirty)?$ ]] || [ ! -e .git ] || fail "the image's label names no revision: $revision"
# What scanners and auditors read: every library belongs to a package that is listed, in dpkg's words and in the SBOM.
root=$(engine image mount "$image")
sbom=$root/usr/share/doc/hairpind/sbom.spdx.json
cmp -s "$sbom" "$work/hairpind-oci.spdx.json" || fail "the SBOM beside the archive is not the image's"
libraries=0
while read -r library; do
  package=$(dpkg-query -S "$(realpath "/$library")" "/$library" 2>/dev/null | head -n 1 | cut -d: -f1) || true
  version=$(dpkg-query -W -f '${Version}' "$package:$(dpkg --print-architecture)")
  grep -qxF "Version: $version" "$root/var/lib/dpkg/status.d/$package" || fail "/$library: dpkg's words on $package $version are missing"
  jq -e --arg name "$package" --arg version "$version" '.packages[] | select(.name == $name and .versionInfo == $version)' \
    "$sbom" >/dev/null || fail "/$library: $package $version is not in the SBOM"
  libraries=$((libraries + 1))
done < <(cd "$root" && find . -name '*.so*' -printf '%P\n')
[ "$libraries" -gt 10 ] || fail "the image has $libraries libraries"
grep -qx 'ID=debian' "$root/etc/os-release" || fail "the image does not say which distribution's packages these are"
jq -e --arg sha256 "$(sha256sum "$root/hairpind" | cut -d' ' -f1)" '
  .spdxVersion == "SPDX-2.3" and .dataLicense == "CC0-1.0" and (.documentNamespace | startswith("https://")) and
  .packages[0].name == "hairpind" and .packages[0].checksums[0].checksumValue == $sha256 and
  ([.packages[].SPDXID] | length == (unique | length)) and
  ([.relationships[] | .spdxElementId, .relatedSpdxElement] - [.packages[].SPDXID, .SPDXID] == []) and
  ([.packages[].SPDXID] - [.relationships[].relatedSpdxElement] == []) and
  all(.packages[1:][].externalRefs[]; .referenceLocator | test("^pkg:deb/debian/[^@]+@[^?]+[?]arch="))' "$sbom" >/dev/null ||
  fail "the SBOM lacks a package, a relationship or the binary's checksum"
engine image unmount "$image" >"$work/unmounted"

# What the container runtimes of today have as RuntimeDefault: bpf(2) is for who has CAP_BPF. Debian 12's profile is
# older and asks for CAP_SYS_ADMIN.
jq '(.syscalls[].names) -= ["bpf", "perf_event_open"]
    | .syscalls += [{names: ["bpf"], action: "SCMP_ACT_ALLOW", includes: {caps: ["CAP_BPF"]}},
                    {names: ["perf_event_open"], action: "SCMP_ACT_ALLOW", includes: {caps: ["CAP_PERFMON"]}}]
    | .syscalls |= map(select(.names != []))' /usr/share/containers/seccomp.json >"$work/seccomp.json"

# The security context as the kubelet would put it to the runtime; a key that this test does not know is a failure.
unknown=$(of DaemonSet "$box.securityContext | keys - [\"runAsUser\", \"privileged\", \"allowPrivilegeEscalation\",
  \"readOnlyRootFilesystem\", \"seccompProfile\", \"capabilities\"] | join(\" \")")
[ -z "$unknown" ] || fail "the security context has keys that this test does not apply: $unknown"
context() { of DaemonSet "$box.securityContext.$1"; }
options=(--user "$(context runAsUser)")
for capability in $(context 'capabilities.drop[]'); do options+=(--cap-drop "$capability"); done
for capability in $(context 'capabilities.add[]'); do options+=(--cap-add "$capability"); done
[ "$(context privileged)" = false ] || options+=(--privileged)
[ "$(context allowPrivilegeEscalation)" != false ] || options+=(--security-opt no-new-privileges)
[ "$(context readOnlyRootFilesystem)" != true ] || options+=(--read-only --read-only-tmpfs=false)
case $(context seccompProfile.type) in
RuntimeDefault) options+=(--security-opt "seccomp=$work/seccomp.json") ;;
Unconfined) options+=(--security-opt seccomp=unconfined) ;;
*) fail "seccompProfile: $(context seccompProfile.type)" ;;
esac
[ "$(of DaemonSet "$spec.hostNetwork")" = true ] || fail "the pod has no hostNetwork"
options+=(--network "ns:/run/netns/$prefix-node")

# Its volumes: the ConfigMap as files, the node's directories, an empty one, and the service account as the kubelet mounts it.
while IFS=$'\t' read -r name path read_only; do
  source=$(of DaemonSet "$spec.volumes[] | select(.name == \"$name\") | .hostPath.path // \"\"")
  if [ -z "$source" ]; then
    source=$work/$name
    mkdir "$source"
    [ -z "$(of DaemonSet "$spec.volumes[] | select(.name == \"$name\") | .configMap // \"\"")" ] || while read -r key; do
      of ConfigMap ".data[\"$key\"]" >"$source/$key"
    done < <(of ConfigMap '.data | keys[]')
  fi
  options+=(--volume "$source:$path$([ "$read_only" != true ] || echo :ro)")
done < <(of DaemonSet "$box.volumeMounts[] | [.name, .mountPath, .readOnly] | @tsv")
mkdir "$work/account"
options+=(--volume "$work/account:/var/run/secrets/kubernetes.io/serviceaccount:ro")

# A cluster of one node with a client and a target of the same Service, as the lab has them.
mkdir "$work/objects"
pod() { # pod NAME APP V4 V6
  jq -n --arg name "$1" --arg app "$2" --arg v4 "$3" --arg v6 "$4" '{kind: "Pod", apiVersion: "v1",
    metadata: {namespace: "shop", name: $name, labels: {app: $app, "pod-template-hash": "7d9f"},
      ownerReferences: [{kind: "ReplicaSet", name: ($app + "-7d9f"), controller: true}]},
    spec: {nodeName: "n1", containers: [{name: "c"}]},
    status: {phase: "Running", podIP: $v4, podIPs: [{ip: $v4}, {ip: $v6}],
      conditions: [{type: "Ready", status: "True"}]}}' >"$work/objects/$1.json"
}
pod web-7d9f-abcde web 10.0.1.10 fd00:1::10
pod api-7d9f-fghij api 10.0.1.20 fd00:1::20
jq -n '{kind: "Service", apiVersion: "v1", metadata: {namespace: "shop", name: "api"},
  spec: {type: "LoadBalancer", loadBalancerClass: "service.k8s.aws/nlb", selector: {app: "api"},
    ports: [{port: 443, nodePort: 30443}]},
  status: {loadBalancer: {ingress: [{ip: "10.0.5.5", ipMode: "Proxy"}]}}}' >"$work/objects/api.json"
jq -n '{kind: "Node", apiVersion: "v1", metadata: {name: "n1"},
  status: {addresses: [{type: "InternalIP", address: "10.0.0.4"}]}}' >"$work/objects/n1.json"

: >"$work/lab"
tests/lab/lab.sh up "$prefix"
node() { ip netns exec "$prefix-node" "$@"; }
# The token may do what the ClusterRole grants, and nothing else.
rights=()
while read -r right; do rights+=(--allow "$right"); done < <(of ClusterRole \
  '.rules[] | "\(.verbs[]) \(.resources[])\(.apiGroups[] | if . == "" then "" else "." + . end)"')
token=$(head -c 24 /dev/urandom | base64)
# Not by node(), whose shell would be the job: the server must be, to be stopped.
ip netns exec "$prefix-node" "$api_server" --dir "$work/objects" --token "$token" --kubeconfig "$work/kubeconfig" "${rights[@]}" \
  >"$work/api-server.log" 2>&1 &
wait_for "the API server" grep -q '^serving' "$work/api-server.log"
server=$(sed -n 's/^serving https:\/\/\([^,]*\),.*/\1/p' "$work/api-server.log")
printf %s "$token" >"$work/account/token"
python3 -c 'import base64, sys, yaml
cluster = yaml.safe_load(open(sys.argv[1]))["clusters"][0]["cluster"]
sys.stdout.buffer.write(base64.b64decode(cluster["certificate-authority-data"]))' \
  "$work/kubeconfig" >"$work/account/ca.crt"
options+=(--env "KUBERNETES_SERVICE_HOST=${server%:*}" --env "KUBERNETES_SERVICE_PORT=${server##*:}")
while read -r name; do options+=(--env "$name=n1"); done < \
  <(of DaemonSet "$box.env[] | select(.valueFrom.fieldRef.fieldPath == \"spec.nodeName\").name")

mapfile -t arguments < <(of DaemonSet "$box.args[]")
: >"$work/started"
engine run --name "$container" "${limits[@]}" "${options[@]}" "$image" "${arguments[@]}" \
  >"$work/alerts" 2>"$work/agent.log" &
runner=$!
probe() { # probe KIND: as the kubelet would
  local url
  url=$(of DaemonSet "$box.$1.httpGet | \"http://\(.host):\(.port)\(.path)\"")
  node curl -sf -m 5 "$url"
}
wait_for "the readiness probe" probe readinessProbe
wait_for "the liveness probe" probe livenessProbe

# It has what the manifest says, and no more; of that, what it needs once its programs are loaded.
pid=$(engine inspect --format '{{.State.Pid}}' "$container")
status() { sed -n "s/^$1:\t//p" "/proc/$pid/status"; }
expected=$(python3 - $(context 'capabilities.add[]') <<'PY'
import sys
numbers = {"NET_ADMIN": 12, "PERFMON": 38, "BPF": 39}  # linux/capability.h
print("%016x" % sum(1 << numbers[name] for name in sys.argv[1:]))
PY
)
[ "$(status CapBnd)" = "$expected" ] || fail "CapBnd is $(status CapBnd), not $expected"
loops=0000008000001000 # BPF and NET_ADMIN
for set in CapEff CapPrm; do
  [ "$(status $set)" = "$loops" ] || fail "$set is $(status $set), not $loops"
done
[ "$(status NoNewPrivs) $(status Seccomp)" = "1 2" ] || fail "NoNewPrivs, Seccomp: $(status NoNewPrivs) $(status Seccomp)"
awk '$5 == "/" { split($6, flags, ","); exit flags[1] != "ro" }' "/proc/$pid/mountinfo" || fail "the root is writable"

metric() { node curl -sf http://127.0.0.1:9477/metrics | grep -qF "$1"; }
wait_for "the Service's load balancer" metric 'hairpind_load_balancers{origin="service"} 1'
ip netns exec "$prefix-p1" curl -s -m 1 http://10.0.5.5:443/ >"$work/answer" && fail "the lab's hairpin was answered"
wait_for "an alert" grep -q asymmetric_handshake "$work/alerts"
alert=$(grep -m 1 asymmetric_handshake "$work/alerts")
named=$(jq -c '[.node, .cause, .client.pod, .client.namespace, .client.workload, .load_balancer.service,
  .load_balancer.namespace, .responder.pod, .backend.workload, .evidence.returned_syn]' <<<"$alert")
[ "$named" = '["n1","hairpin_ip_target","web-7d9f-abcde","shop","Deployment/web","api","shop","api-7d9f-fghij","Deployment/api",true]' ] ||
  fail "the alert is not fully named: $alert"
grep -qF aws-load-balancer-target-group-attributes <<<"$alert" || fail "the hint is not the Service's: $alert"
wait_for "the mismatch in the metrics" metric \
  'hairpind_client_mismatches_total{lb="10.0.5.5:443",lb_namespace="shop",lb_service="api",cause="hairpin_ip_target",client_namespace="shop"} 1'
wait_for "the Events on the pod and on the Service" metric 'hairpind_kubernetes_events_total{result="written"} 2'
# What the dashboard and the alerts ask for is there; pairs that can fail are counted every few seconds.
wait_for "the pair that can fail" metric 'hairpind_exposed_pairs{lb_namespace="shop",lb_service="api"'
node curl -sf http://127.0.0.1:9477/metrics >"$work/metrics.log"
tests/deploy/dashboard_test.py names "$work/metrics.log" || fail "the dashboard or the rules ask for what the agent has not"
tests/deploy/dashboard_test.py recorded "$work/metrics.log" || fail "tests/deploy/metrics.txt is not what the agent says"
! grep -qi 'forbidden' "$work/agent.log" || fail "the ClusterRole lacks a right"

engine stop --time 10 "$container" >"$work/stopped"
[ "$(jq -r '.problems[].load_balancer.ip' "$work/state/problems.json")" = 10.0.5.5 ] || fail "the problem is not remembered"
code=0
wait "$runner" || code=$?
[ "$code" -eq 0 ] || fail "after SIGTERM the exit status is $code"
echo "image_test.sh: passed: $(jq -r .message <<<"$alert")"
