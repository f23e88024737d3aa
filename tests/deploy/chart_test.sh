#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does the chart give what deploy/ has, and what its values promise? No root, no network, no cluster.
#   tests/deploy/chart_test.sh [HAIRPIND]   HAIRPIND: the binary whose options the values' config must be
# Exit status 77: there is no helm (scripts/install-cluster-tools.sh).
set -euo pipefail
hairpind=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.."
HELM=$(command -v helm || true)
export HELM=${HELM:-$PWD/build/tools/helm}
[ -x "$HELM" ] || { echo "chart_test.sh: skipped, helm is missing: scripts/install-cluster-tools.sh"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/deploy/checks.sh

chart=deploy/helm/hairpind
template() { # template ARGUMENT...: the objects
  "$HELM" template hairpind $chart --namespace hairpind "$@" 2>"$work/warnings" >"$work/rendered.yaml" || {
    grep -v 'found symbolic link' "$work/warnings" >&2
    return 1
  }
  objects <"$work/rendered.yaml"
}
use() { template "$@" >"$work/manifest.json"; } # use ARGUMENT...: what the checks below ask
refused() { # refused VALUE WORDS: the schema's words
  local output
  if output=$(template --set "$1" 2>&1); then
    not_ok "$1 is refused" "it is not"
  elif ! grep -qF -- "$2" <<<"$output"; then
    not_ok "$1 is refused" "$output"
  else
    ok "$1 is refused"
  fi
}

run "helm lint" "$HELM" lint --strict $chart
deploy/helm/render.sh "$work/written"
for file in daemonset.yaml prometheus/podmonitor.yaml; do
  run "deploy/$file is what deploy/helm/render.sh writes" diff "deploy/$file" "$work/written/$file"
done

# Helm's own labels and the checksum aside, both ways to install give the same objects.
bare='del(.[].metadata.labels) | map(del(.spec.template.metadata.annotations["checksum/config"]?))
  | walk(if type == "object" then del(.["app.kubernetes.io/instance"]) else . end)'
use
same "the chart gives the manifest's objects" "$(objects <deploy/daemonset.yaml | jq -cS "$bare")" "$(value "$bare")"
same "the chart has this version" "$(sed -n 's/^project(hairpind VERSION \([0-9.]*\).*/\1 \1/p' CMakeLists.txt)" \
  "$(sed -n 's/^\(version\|appVersion\): //p' $chart/Chart.yaml | paste -sd' ')"
is "the selector selects the pod" 'kind("DaemonSet").spec | .selector.matchLabels == .template.metadata.labels' true

daemonset='kind("DaemonSet")' container='kind("DaemonSet").spec.template.spec.containers[0]'
checksum="$daemonset.spec.template.metadata.annotations[\"checksum/config\"]"
before=$(value "$checksum")
use --set config.pending-syns=131072 --set config.cluster-dns=10.96.0.10 --set 'config.lb={10.0.5.5:443,lb.example.com:443}' --set-json config.handshake-timeout=2.5
value 'kind("ConfigMap").data["hairpind.toml"]' | jq -r . | grep -v '^#' >"$work/hairpind.toml"
same "the configuration is TOML" 'cluster-dns = "10.96.0.10"
handshake-timeout = 2.5
kubernetes-events = true
lb = ["10.0.5.5:443","lb.example.com:443"]
listen = "0.0.0.0:9477"
log-format = "json"
pending-syns = 131072
state-directory = "/var/lib/hairpind"' "$(cat "$work/hairpind.toml")"
is "the pods are restarted for it" "$checksum != $before" true
use --set 'config.listen=[::]:9500'
is "probes, port and annotation follow the listener" \
  "$container | [.livenessProbe.httpGet.port, .readinessProbe.httpGet.port, .ports[0].containerPort]" '[9500, 9500, 9500]'
is "annotation too" "$daemonset.spec.template.metadata.annotations[\"prometheus.io/port\"]" '"9500"'
use --set config.listen=
is "no listener, no probes" "$container | [.livenessProbe, .readinessProbe, .ports]" '[null, null, null]'
use --set config.health-listen=127.0.0.1:9478
is "probes ask the listener that is theirs" \
  "$container | [.livenessProbe.httpGet, .readinessProbe.httpGet.port, [.ports[].containerPort]]" \
  '[{"host": "127.0.0.1", "path": "/healthz", "port": 9478}, 9478, [9477, 9478]]'
is "and Prometheus the other" "$daemonset.spec.template.metadata.annotations[\"prometheus.io/port\"]" '"9477"'
use --set config.listen= --set config.health-listen=127.0.0.1:9478
is "also where it is the only one" "$container | [.readinessProbe.httpGet.port, [.ports[].name]]" '[9478, ["health"]]'
use --set tls.secretName=hairpind-tls --set podMonitor.create=true
is "TLS: the Secret is there to be read, as long as it lives" "$daemonset.spec.template.spec |
  [(.volumes[] | select(.name == \"tls\").secret), (.containers[0].volumeMounts[] | select(.name == \"tls\"))]" \
  '[{"secretName": "hairpind-tls", "defaultMode": 256},
    {"name": "tls", "mountPath": "/etc/hairpind-tls", "readOnly": true}]'
same "and the options name it" 'tls-cert-file = "/etc/hairpind-tls/tls.crt"
tls-key-file = "/etc/hairpind-tls/tls.key"' "$(value 'kind("ConfigMap").data["hairpind.toml"]' | jq -r . | grep '^tls-')"
is "probes speak it" "$container | [.livenessProbe, .readinessProbe | .httpGet | [.scheme, .port]]" \
  '[["HTTPS", 9477], ["HTTPS", 9477]]'
is "and scrapers" "[$daemonset.spec.template.metadata.annotations[\"prometheus.io/scheme\"],
  (kind(\"PodMonitor\").spec.podMetricsEndpoints[0] | .scheme, .tlsConfig)]" '["https", "https", {"insecureSkipVerify": true}]'
use --set tls.secretName=hairpind-tls --set config.health-listen=127.0.0.1:9478 --set podMonitor.create=true \
  --set podMonitor.tlsConfig.serverName=hairpind --set podMonitor.tlsConfig.ca.secret.name=hairpind-tls \
  --set podMonitor.tlsConfig.ca.secret.key=ca.crt
is "with a listener of their own probes do without" "$container | .livenessProbe.httpGet" \
  '{"host": "127.0.0.1", "path": "/healthz", "port": 9478}'
is "Prometheus verifies by what it is given" 'kind("PodMonitor").spec.podMetricsEndpoints[0].tlsConfig' \
  '{"serverName": "hairpind", "ca": {"secret": {"name": "hairpind-tls", "key": "ca.crt"}}}'
use --set config.kubernetes-events=false
is "without Events no right to write any" '[kind("ClusterRole").rules[] | select(.verbs | contains(["create"]) or contains(["patch"]))]' '[]'
same "and none are told" 'kubernetes-events = false' \
  "$(value 'kind("ConfigMap").data["hairpind.toml"]' | jq -r . | grep kubernetes-events)"
use --set scrapeAnnotations=false
is "the annotations can be left out" "$daemonset.spec.template.metadata.annotations | keys" '["checksum/config"]'
digest=sha256:$(printf '0%.0s' {1..64})
use --set image.repository=registry.example.com/hairpind --set image.digest="$digest" --set-string image.tag=1
is "a digest wins" "$container.image" "\"registry.example.com/hairpind@$digest\""
use --set resources.limits.memory=200Mi --set 'tolerations=null' --set affinity=null --set nodeSelector.pool=a
is "resources, tolerations, affinity, nodes" "$daemonset.spec.template.spec |
  [.containers[0].resources.limits, .tolerations, .affinity, .nodeSelector]" \
  '[{"memory": "200Mi"}, null, null, {"kubernetes.io/os": "linux", "pool": "a"}]'

use --set namespace.create=true
is "a namespace that it makes stays" 'kind("Namespace").metadata | [.name, .labels["pod-security.kubernetes.io/enforce"],
  .annotations["helm.sh/resource-policy"]]' '["hairpind", "privileged", "keep"]'
use --set resourceQuota.create=true
is "a quota for the priority class" 'kind("ResourceQuota").spec' '{"hard": {"pods": "15000"}, "scopeSelector":
  {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}]}}'
use --set podMonitor.create=true --set podMonitor.labels.release=kps --set prometheusRule.create=true \
  --set prometheusRule.labels.release=kps
is "the release label" '[.[] | select(.apiVersion == "monitoring.coreos.com/v1") | [.kind, .metadata.labels.release]]' \
  '[["PodMonitor", "kps"], ["PrometheusRule", "kps"]]'
is "the PodMonitor selects the pods" \
  "kind(\"PodMonitor\").spec.selector.matchLabels == $daemonset.spec.template.metadata.labels" true
same "the PrometheusRule has deploy/prometheus/rules.yaml" "$(objects <deploy/prometheus/rules.yaml | jq -cS '.[0]')" \
  "$(value 'kind("PrometheusRule").spec')"
use --set openshift.securityContextConstraints=true
scc='kind("SecurityContextConstraints")'
is "OpenShift: what the pod has, and no more" "$scc | [.allowedCapabilities, .allowHostNetwork, .allowHostPorts,
  .allowHostDirVolumePlugin, .allowHostPID, .allowHostIPC, .allowPrivilegedContainer, .allowPrivilegeEscalation,
  .readOnlyRootFilesystem]" '[["BPF", "NET_ADMIN", "PERFMON"], true, true, true, false, false, false, false, true]'
is "which its service account may use" 'kind("ClusterRole").rules[] | select(.verbs == ["use"])' \
  '{"apiGroups": ["security.openshift.io"], "resources": ["securitycontextconstraints"], "resourceNames": ["hairpind"],
    "verbs": ["use"]}'
"$HELM" template edge $chart --namespace infra 2>"$work/warnings" | objects >"$work/manifest.json"
is "of another name, in another namespace" '[.[] | .metadata | [.name, .namespace]] | unique' \
  '[["edge-hairpind", null], ["edge-hairpind", "infra"]]'
is "the role is bound to that one" 'kind("ClusterRoleBinding") | [.roleRef.name, .subjects[0].name, .subjects[0].namespace]' \
  '["edge-hairpind", "edge-hairpind", "infra"]'

refused config.lisen=0.0.0.0:9477 lisen
refused config.listen=10.0.0.4:9477 config.listen
refused config.cluster-dns=kube-dns config.cluster-dns
refused config.log-format=xml config.log-format
refused config.kubernetes-events=often config.kubernetes-events
refused config.pending-syns=1 config.pending-syns
refused image.digest=sha256:abc image.digest
refused replicas=3 replicas
refused tls.enabled=true tls
refused config.health-listen=10.0.0.4:9478 config.health-listen
refused tls.secretName=hairpind-tls,config.listen= "tls.secretName needs a config.listen"
refused resourceQuota.create=true,priorityClassName= "needs a priorityClassName"
if [ -n "$hairpind" ]; then
  options=$("$hairpind" run --help | grep -o '^ *\(-[a-z],\)\{0,1\}--[a-z-]*' | sed 's/.*--//')
  for key in $(jq -r '.properties.config.properties | keys[]' $chart/values.schema.json); do
    run "config.$key is an option of hairpind run" grep -qx -- "$key" <<<"$options"
  done
else
  skip "the values' config are options of hairpind run" "no binary given: $0 build/dev/hairpind"
fi

summary
