#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Are the files in deploy/ what they must be? No root, no network, no cluster.
#   tests/deploy/deploy_test.sh [HAIRPIND]   HAIRPIND: the binary whose options the ConfigMap's keys must be
# One line a check. Needs jq, and python3 with PyYAML (python3-yaml); what else is missing skips its checks by name.
set -euo pipefail
hairpind=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

ok() {
  echo "ok    $1"
  passed=$((passed + 1))
}

not_ok() { # not_ok NAME REASON
  echo "FAIL  $1: $2"
  failed=$((failed + 1))
}

skip() { # skip NAME REASON
  echo "skip  $1: $2"
  skipped=$((skipped + 1))
}

run() { # run NAME COMMAND...: exits 0
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    ok "$name"
  else
    not_ok "$name" "$output"
  fi
}

have() { command -v "$1" >/dev/null; }

same() { # same NAME EXPECTED ACTUAL
  if [ "$2" = "$3" ]; then
    ok "$1"
  else
    not_ok "$1" "expected $2, found $3"
  fi
}

# The objects of a stream of YAML documents, as one JSON array in an order that does not depend on theirs.
objects() {
  "$python" -c 'import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)' |
    jq -cS 'sort_by(.kind // "", .metadata.name // "")'
}

value() { # value FILTER: of the manifest's objects; kind("X") is the object of that kind
  jq -cS "def kind(k): .[] | select(.kind == k); $1" "$work/manifest.json"
}

json() { jq -cS . <<<"$1"; }

is() { # is NAME FILTER EXPECTED-JSON
  same "$1" "$(json "$3")" "$(value "$2")"
}

python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import yaml' 2>/dev/null; then
    python=$candidate
    break
  fi
done
# Most checks would be left out without these two: that is no test.
[ -n "$python" ] || { echo "deploy_test.sh: python3 with PyYAML is missing: apt-get install python3-yaml" >&2; exit 1; }
have jq || { echo "deploy_test.sh: jq is missing: apt-get install jq" >&2; exit 1; }

objects <deploy/daemonset.yaml >"$work/manifest.json"

same "the manifest has each object once" \
  'ClusterRole ClusterRoleBinding ConfigMap DaemonSet Namespace ServiceAccount' "$(value '[.[].kind] | join(" ")' | tr -d '"')"
is "all are named hairpind" '[.[].metadata.name] | unique' '["hairpind"]'
is "the namespace admits the host's network and capabilities" \
  'kind("Namespace").metadata.labels["pod-security.kubernetes.io/enforce"]' '"privileged"'

is "the role reads pods, services, nodes and single identities of Cilium, no more" 'kind("ClusterRole").rules' \
  '[{"apiGroups": [""], "resources": ["pods", "services", "nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["cilium.io"], "resources": ["ciliumidentities"], "verbs": ["get"]}]'
is "the role is bound to the service account" 'kind("ClusterRoleBinding") | {roleRef, subjects}' \
  '{"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "hairpind"},
    "subjects": [{"kind": "ServiceAccount", "name": "hairpind", "namespace": "hairpind"}]}'
pod='kind("DaemonSet").spec.template.spec'
is "the pod runs under it, with its token" "$pod | [.serviceAccountName, .automountServiceAccountToken]" '["hairpind", true]'

is "the selector selects the pod" 'kind("DaemonSet").spec | .selector.matchLabels == .template.metadata.labels' true
is "on every Linux node, tainted or not" "$pod | [.tolerations, .nodeSelector, .affinity]" \
  '[[{"operator": "Exists"}], {"kubernetes.io/os": "linux"}, null]'
is "priority" "$pod.priorityClassName" '"system-node-critical"'
is "rolling update" 'kind("DaemonSet").spec.updateStrategy' \
  '{"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}'
is "the host's network, and no other namespace of it" "$pod | [.hostNetwork, .hostPID, .hostIPC]" '[true, null, null]'
is "one container" "$pod | [(.containers | length), .initContainers]" '[1, null]'
container="$pod.containers[0]"
is "security context: exactly BPF, NET_ADMIN, PERFMON" "$container.securityContext" \
  '{"runAsUser": 0, "privileged": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]}}'
is "no security context of the pod changes that" "$pod.securityContext" null
is "resources" "$container.resources" '{"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}}'
is "liveness probe" "$container.livenessProbe.httpGet" '{"host": "127.0.0.1", "port": 9477, "path": "/healthz"}'
is "readiness probe" "$container.readinessProbe.httpGet" '{"host": "127.0.0.1", "port": 9477, "path": "/readyz"}'
is "port for Prometheus" "$container.ports" '[{"name": "metrics", "containerPort": 9477, "protocol": "TCP"}]'
is "node name" "$container.env" '[{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]'
is "mounts: the configuration and the bpffs, read only" "$container.volumeMounts" \
  '[{"name": "config", "mountPath": "/etc/hairpind", "readOnly": true},
    {"name": "bpffs", "mountPath": "/sys/fs/bpf", "readOnly": true, "mountPropagation": "HostToContainer"}]'
is "volumes" "$pod.volumes" \
  '[{"name": "config", "configMap": {"name": "hairpind"}},
    {"name": "bpffs", "hostPath": {"path": "/sys/fs/bpf", "type": "Directory"}}]'
is "the configuration file is the ConfigMap's" \
  "[($container.args[-1] | ltrimstr(\"/etc/hairpind/\")), $container.args[0]] == [(kind(\"ConfigMap\").data | keys[]), \"run\"]" true
version=$(sed -n 's/^project(hairpind VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
is "the image is this version, under the name of scripts/image.sh" "$container.image" "\"localhost/hairpind:$version\""

value 'kind("ConfigMap").data["hairpind.toml"]' | jq -r . >"$work/hairpind.toml"
# Those in comments too: they are there to be uncommented.
keys=$(sed -n 's/^\(# \)\{0,1\}\([a-z-]*\) = .*/\2/p' "$work/hairpind.toml")
same "a list of load balancers is optional" '' "$(grep '^lb' "$work/hairpind.toml" || true)"
if [ -n "$hairpind" ]; then
  options=$("$hairpind" run --help | grep -o '^ *\(-[a-z],\)\{0,1\}--[a-z-]*' | sed 's/.*--//')
  for key in $keys; do
    run "the ConfigMap's key $key is an option of hairpind run" grep -qx -- "$key" <<<"$options"
  done
else
  skip "the ConfigMap's keys are options of hairpind run" "no binary given: $0 build/dev/hairpind"
fi

if have kubectl; then
  if rendered=$(kubectl kustomize deploy 2>&1); then
    same "kubectl kustomize deploy gives the manifest" "$(cat "$work/manifest.json")" "$(objects <<<"$rendered")"
  else
    not_ok "kubectl kustomize deploy gives the manifest" "$rendered"
  fi
else
  skip "kubectl kustomize deploy gives the manifest" "kubectl is missing"
fi

if have promtool; then
  run "promtool check rules" promtool check rules deploy/prometheus/rules.yaml
  run "promtool test rules" promtool test rules deploy/prometheus/rules.test.yaml
else
  skip "promtool check rules" "promtool is missing: apt-get install prometheus"
  skip "promtool test rules" "promtool is missing: apt-get install prometheus"
fi
objects <deploy/prometheus/rules.yaml >"$work/rules.json"
same "each alert has a severity, a summary, a description and an action" '' "$(jq -r '.[].groups[].rules[] |
  select((.labels.severity and .annotations.summary and .annotations.description and .annotations.action) | not) | .alert' \
  "$work/rules.json")"
same "prometheusrule.sh wraps these rules" "$(jq -cS '.[0]' "$work/rules.json")" \
  "$(deploy/prometheus/prometheusrule.sh | objects | jq -cS '.[0].spec')"
for metric in $(jq -r '.[].groups[].rules[].expr' "$work/rules.json" | grep -o 'hairpind_[a-z_]*' | sort -u); do
  run "$metric is a metric of the agent" grep -rqF "\"$metric\"" src
done
objects <deploy/prometheus/podmonitor.yaml >"$work/podmonitor.json"
same "the PodMonitor selects the DaemonSet's pods and port" \
  "$(value "[kind(\"DaemonSet\") | .metadata.namespace, .spec.template.metadata.labels, .spec.template.spec.containers[0].ports[0].name]")" \
  "$(jq -cS '.[0] | [.metadata.namespace, .spec.selector.matchLabels, .spec.podMetricsEndpoints[0].port]' "$work/podmonitor.json")"

echo "tests: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
