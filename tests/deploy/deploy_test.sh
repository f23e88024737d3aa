#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Are the files in deploy/ what they must be? No root, no network, no cluster.
#   tests/deploy/deploy_test.sh [HAIRPIND]   HAIRPIND: the binary whose options the ConfigMap's keys must be
# One line a check. Needs jq, and python3 with PyYAML (python3-yaml); what else is missing skips its checks by name.
set -euo pipefail
hairpind=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
PATH=$PATH:$PWD/build/tools # kubectl, where there is no other
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/deploy/checks.sh

objects <deploy/daemonset.yaml >"$work/manifest.json"

same "the manifest has each object once" \
  'ClusterRole ClusterRoleBinding ConfigMap DaemonSet ServiceAccount' "$(value '[.[].kind] | join(" ")' | tr -d '"')"
is "all are named hairpind" '[.[].metadata.name] | unique' '["hairpind"]'
same "its namespace, by itself, admits the host's network and capabilities" \
  '[{"apiVersion":"v1","kind":"Namespace","metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"},"name":"hairpind"}}]' \
  "$(objects <deploy/namespace/namespace.yaml)"

is "the role reads pods, services, nodes, what else names load balancers, and single identities of Cilium, and writes Events, no more" 'kind("ClusterRole").rules' \
  '[{"apiGroups": [""], "resources": ["pods", "services", "nodes"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gateways"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["elbv2.k8s.aws"], "resources": ["targetgroupbindings"], "verbs": ["get", "list"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": ["get", "list"]},
    {"apiGroups": ["cilium.io"], "resources": ["ciliumidentities"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]'
is "the role is bound to the service account" 'kind("ClusterRoleBinding") | {roleRef, subjects}' \
  '{"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "hairpind"},
    "subjects": [{"kind": "ServiceAccount", "name": "hairpind", "namespace": "hairpind"}]}'
pod='kind("DaemonSet").spec.template.spec'
is "the pod runs under it, with its token" "$pod | [.serviceAccountName, .automountServiceAccountToken]" '["hairpind", true]'

is "the selector selects the pod" 'kind("DaemonSet").spec | .selector.matchLabels == .template.metadata.labels' true
is "on every Linux node, tainted or not" "$pod | [.tolerations, .nodeSelector]" \
  '[[{"operator": "Exists"}], {"kubernetes.io/os": "linux"}]'
is "that is x86-64 or arm64 and has a kernel of its own" "$pod.affinity" \
  '{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
    {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
    {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
    {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]}]}]}}}'
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
is "mounts: the configuration and the bpffs, read only, and a place of its own" "$container.volumeMounts" \
  '[{"name": "config", "mountPath": "/etc/hairpind", "readOnly": true},
    {"name": "state", "mountPath": "/var/lib/hairpind"},
    {"name": "bpffs", "mountPath": "/sys/fs/bpf", "readOnly": true, "mountPropagation": "HostToContainer"}]'
is "volumes" "$pod.volumes" \
  '[{"name": "config", "configMap": {"name": "hairpind"}}, {"name": "state", "emptyDir": {"sizeLimit": "64Mi"}},
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
  same "kubectl kustomize deploy/namespace gives the namespace" "$(objects <deploy/namespace/namespace.yaml)" \
    "$(kubectl kustomize deploy/namespace | objects)"
  # Somebody else's namespace is neither made privileged nor deleted with the agent.
  mkdir "$work/overlay"
  printf 'resources: [%s]\nnamespace: monitoring\n' "$(realpath --relative-to "$work/overlay" deploy)" \
    >"$work/overlay/kustomization.yaml"
  kubectl kustomize "$work/overlay" | objects >"$work/overlay.json" || true
  same "an overlay has no Namespace" '' "$(jq -r '.[] | select(.kind == "Namespace").metadata.name' "$work/overlay.json")"
  same "all that an overlay has is in its namespace, whom the role is bound to, too" '["monitoring"]' \
    "$(jq -c '[.[] | .metadata.namespace // .subjects[]?.namespace // empty] | unique' "$work/overlay.json")"
else
  skip "kustomize's output" "kubectl is missing: scripts/install-cluster-tools.sh"
fi

if have promtool; then
  run "promtool check rules" promtool check rules deploy/prometheus/rules.yaml
  run "promtool test rules" promtool test rules deploy/prometheus/rules.test.yaml
  run "the dashboard's queries, for promtool" "$python" tests/deploy/dashboard_test.py series "$work/dashboard.json"
  run "each query of the dashboard gives the right numbers" promtool test rules "$work/dashboard.json"
else
  skip "promtool check rules" "promtool is missing: apt-get install prometheus"
  skip "promtool test rules, and the dashboard's queries" "promtool is missing: apt-get install prometheus"
fi
objects <deploy/prometheus/rules.yaml >"$work/rules.json"
same "each alert has a severity, a summary, a description, an action and a runbook" '' "$(jq -r '.[].groups[].rules[] |
  select(.alert) | select((.labels.severity and .annotations.summary and .annotations.description and .annotations.action and
  .annotations.runbook_url) | not) | .alert' "$work/rules.json")"
same "promtool's tests are of all alerts" "$(jq -r '.[].groups[].rules[].alert | select(.)' "$work/rules.json" | sort -u)" \
  "$(grep -o 'alertname="[A-Za-z]*"' deploy/prometheus/rules.test.yaml | cut -d'"' -f2 | sort -u)"
same "prometheusrule.sh wraps these rules" "$(jq -cS '.[0]' "$work/rules.json")" \
  "$(deploy/prometheus/prometheusrule.sh | objects | jq -cS '.[0].spec')"
run "the dashboard and the rules ask for metrics and labels of the agent" "$python" tests/deploy/dashboard_test.py names \
  tests/deploy/metrics.txt

# Alerts and rules link to these.
causes=$(sed -n 's/.*return "\([a-z_]*\)";.*/\1/p' src/core/event.cpp | grep '^hairpin_\|^asymmetric_\|^unsolicited_')
same "there are seven causes" 7 "$(wc -l <<<"$causes")"
for cause in $causes; do
  same "$cause has a runbook" '# '"$cause"' / ## Confirm by hand / ## Fix / ## Verify' \
    "$(grep '^#\+ ' "docs/runbooks/$cause.md" | paste -sd'|' | sed 's/|/ \/ /g')"
done
for alert in $(jq -r '.[].groups[].rules[] | select(.annotations.runbook_url // "" | contains("agent.md#")) |
    .alert + "=" + (.annotations.runbook_url | ltrimstr("https://hairpind.dev/"))' "$work/rules.json"); do
  same "${alert%%=*} has a section in the agent's runbook" "docs/runbooks/agent.md#$(tr '[:upper:]' '[:lower:]' <<<"${alert%%=*}") 1" \
    "${alert#*=} $(grep -cx "## ${alert%%=*}" docs/runbooks/agent.md)"
done
same "no link between runbooks leads nowhere" '' "$(grep -oh '([a-z_-]*\.md' docs/runbooks/*.md | tr -d '(' | sort -u |
  while read -r page; do [ -e "docs/runbooks/$page" ] || echo "$page"; done)"

objects <deploy/prometheus/podmonitor.yaml >"$work/podmonitor.json"
same "the PodMonitor selects the DaemonSet's pods and port" \
  "$(value "[kind(\"DaemonSet\") | .metadata.namespace, .spec.template.metadata.labels, .spec.template.spec.containers[0].ports[0].name]")" \
  "$(jq -cS '.[0] | [.metadata.namespace, .spec.selector.matchLabels, .spec.podMetricsEndpoints[0].port]' "$work/podmonitor.json")"

# A release, in a checkout of its own.
checkout=$work/checkout
mkdir -p "$checkout/scripts"
cp CMakeLists.txt "$checkout"
cp scripts/release.sh "$checkout/scripts"
git() { command git -C "$checkout" -c user.name=test -c user.email=test@localhost -c commit.gpgsign=false -c tag.gpgsign=false "$@"; }
commit() { git add -A && git commit --quiet --allow-empty -m "$1"; }
changelog() { # changelog HEADING: with a version before it
  printf '# Changelog\n\n## 99.0.0 (unreleased)\n\nNot yet.\n\n%s\n\nWhat is new.\n\n# not a heading\n\n## 0.0.1 (2020-01-01)\n\nOld.\n' "$1" \
    >"$checkout/CHANGELOG.md"
}
refused() { # refused NAME WORDS
  local said
  if said=$("$checkout/scripts/release.sh" 2>&1); then not_ok "$1" "it was made"; else same "$1" "$2" "$(grep -o -- "$2" <<<"$said" || true)"; fi
}
git init --quiet
changelog "## $version (unreleased)"
commit one
refused "a version that is not released is not tagged" "must be '## $version (YYYY-MM-DD)'"
changelog "## $version (2026-11-27)"
refused "nor what is not committed" "changes that are not committed"
commit two
same "the notes are that version's" "$(printf 'What is new.\n\n# not a heading')" "$("$checkout/scripts/release.sh" --notes)"
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
run "a release is tagged" "$checkout/scripts/release.sh"
same "the tag has them" "$(printf 'hairpind %s\n\nWhat is new.\n\n# not a heading' "$version")" \
  "$(git tag --list --format='%(contents)' "v$version" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}')"
refused "a version is tagged once" "v$version is tagged already"
rm "$checkout/CHANGELOG.md"
changelog '## 1.2.3 (2026-11-27)'
commit three
refused "a version without notes is not tagged" "has no section '## $version'"

summary
