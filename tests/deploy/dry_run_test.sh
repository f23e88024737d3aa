#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does an API server take what the chart and deploy/ give, and would it refuse their mistakes? kubectl apply --dry-run=server
# against the API server of the tests (tests/kube). No root, no network, no cluster.
#   tests/deploy/dry_run_test.sh KUBE_API_SERVER
# Exit status 77: helm, kubectl or the fields of Kubernetes's kinds are missing (scripts/install-cluster-tools.sh).
set -euo pipefail
server=$(realpath "$1")
cd "$(dirname "$0")/../.."
export PATH=$PATH:$PWD/build/tools
schema=build/tools/kubernetes-schema.json
for tool in helm kubectl; do
  command -v $tool >/dev/null || { echo "dry_run_test.sh: skipped, $tool is missing: scripts/install-cluster-tools.sh"; exit 77; }
done
[ -e $schema ] || { echo "dry_run_test.sh: skipped, $schema is missing: scripts/install-cluster-tools.sh"; exit 77; }
work=$(mktemp -d)
pid=
stop_server() {
  [ -z "$pid" ] || kill "$pid"
  wait
  pid=
}
trap 'stop_server; rm -rf "$work"' EXIT
. tests/deploy/checks.sh
export HOME=$work/home KUBECONFIG=$work/kubeconfig # kubectl's caches
mkdir -p "$work/objects" "$HOME"

start_server() { # start_server ARGUMENT...: a cluster with what is in $work/objects
  local i
  stop_server
  rm -rf "$KUBECONFIG" "$HOME"/.kube
  : >"$work/server.log" # there before grep looks
  "$server" --dir "$work/objects" --schema $schema "$@" >"$work/server.log" 2>&1 &
  pid=$!
  for ((i = 0; i < 200; i++)); do
    ! grep -q '^serving' "$work/server.log" || return 0
    sleep 0.1
  done
  cat "$work/server.log" >&2
  return 1
}
namespace() { # namespace NAME: a cluster that has just this one. Not even "default", where kubectl puts what names none.
  rm -f "$work/objects"/*
  printf '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "%s"}}' "$1" >"$work/objects/namespace.json"
}

render() { helm template hairpind deploy/helm/hairpind --namespace hairpind "$@" 2>/dev/null; }
apply() { timeout 60 kubectl apply --dry-run=server "$@" 2>&1; }
complaints() { grep -Ev '\(server dry run\)$|^Warning: ' <<<"$1" | cut -c1-1000; }
state() { kubectl get --raw /api/v1/namespaces | jq -r .metadata.resourceVersion; } # each change of an object makes another

taken() { # taken NAME [VERDICT]: all objects of $work/rendered.yaml, none of them twice
  local name=$1 verdict=${2:-created} expected output
  if ! expected=$(objects <"$work/rendered.yaml" | jq length) || [ "$expected" -eq 0 ]; then
    not_ok "$name" "there are no objects, or a key is there twice"
  elif ! output=$(apply -f "$work/rendered.yaml"); then
    not_ok "$name" "$(complaints "$output")"
  else
    same "$name" "$expected" "$(grep -Ec "^[a-z.0-9]*/[a-z-]* $verdict \(server dry run\)$" <<<"$output")"
  fi
}
chart() { # chart NAME ARGUMENT...: taken, with these arguments of helm template
  local name=$1
  shift
  render "$@" >"$work/rendered.yaml"
  taken "$name"
}
refused() { # refused NAME FILTER WORDS: what all.json is after jq's FILTER; kubectl's output has the words
  local output
  jq -c "def kind(k): .items[] | select(.kind == k); $2" "$work/all.json" >"$work/list.json"
  jq -c '.items[]' "$work/list.json" >"$work/broken.json"
  if cmp -s "$work/list.json" "$work/all.json"; then
    not_ok "$1" "the filter changes nothing"
  elif output=$(apply -f "$work/broken.json"); then
    not_ok "$1" "it is taken"
  elif ! grep -qF -- "$3" <<<"$output"; then
    not_ok "$1" "$(complaints "$output")"
  else
    ok "$1"
  fi
}

everything=(--set 'podMonitor.create=true,podMonitor.labels.release=kps,prometheusRule.create=true,resourceQuota.create=true'
  --set openshift.securityContextConstraints=true,tls.secretName=hairpind-tls,config.health-listen=127.0.0.1:9478
  --set 'podMonitor.tlsConfig.ca.secret.name=hairpind-tls,podMonitor.tlsConfig.ca.secret.key=ca.crt'
  --set podMonitor.tlsConfig.serverName=hairpind)
namespace hairpind
start_server --schema tests/kube/custom_kinds.json
before=$(state)
chart "the chart"
chart "the chart with all that it can have" "${everything[@]}"
objects <"$work/rendered.yaml" | jq -c '{apiVersion: "v1", kind: "List", items: .}' >"$work/all.json" || true # said above
same "which are nine objects" 9 "$(jq '.items | length' "$work/all.json")"
# kubectl itself takes such a namespace away.
same "what is in no namespace names none" '' "$(jq -r --argjson cluster "$(kubectl api-resources --namespaced=false --no-headers |
  jq -R '[splits(" +")][-1]' | jq -sc .)" '.items[] | select(.metadata.namespace and (.kind | IN($cluster[]))).kind' "$work/all.json")"
chart "the chart without listener, state, Events and annotations" --set config.listen=,config.state-directory= \
  --set config.kubernetes-events=false,scrapeAnnotations=false,priorityClassName=,resources=null,affinity=null,tolerations=null
chart "the chart with an image of a registry" --set "image.repository=registry.example.com/hairpind,image.pullPolicy=Always" \
  --set "image.digest=sha256:$(printf '0%.0s' {1..64}),imagePullSecrets[0].name=registry"
kubectl kustomize deploy >"$work/rendered.yaml"
taken "kustomize's deploy/"
cat deploy/prometheus/podmonitor.yaml <(echo ---) <(deploy/prometheus/prometheusrule.sh) >"$work/rendered.yaml"
taken "deploy/prometheus"
same "kubectl apply -k deploy/namespace, which is there" "namespace/hairpind configured (server dry run)" \
  "$(apply -k deploy/namespace | grep -v '^Warning: .* missing the kubectl.kubernetes.io/last-applied-configuration')"

# The server, and so what it says of the above, is good for this much.
daemon_set='kind("DaemonSet").spec' pod='kind("DaemonSet").spec.template.spec'
refused "a field that is misspelled" "($pod) |= (.hostNetwrk = .hostNetwork)" 'unknown field "spec.template.spec.hostNetwrk"'
refused "one of a custom kind" '(kind("PodMonitor").spec) |= (.jobLable = .jobLabel)' 'unknown field "spec.jobLable"'
refused "a field of another type" "($pod.containers[0].ports[0].containerPort) |= tostring" 'of type integer'
refused "an annotation that is no string" '(kind("DaemonSet").spec.template.metadata.annotations["prometheus.io/scrape"]) = true' \
  'of type string'
refused "a field that is missing" "del($daemon_set.selector)" 'spec.selector: Required value'
refused "a version that there is not" '(kind("DaemonSet").apiVersion) = "apps/v1beta1"' \
  'no matches for kind "DaemonSet" in version "apps/v1beta1"'
refused "a kind that there is not" '(kind("DaemonSet").kind) = "DemonSet"' 'no matches for kind "DemonSet" in version "apps/v1"'
refused "no namespace" 'del(kind("ServiceAccount").metadata.namespace)' 'namespaces "default" not found'
refused "a name that is none" '(kind("ConfigMap").metadata.name) = "hair_pind"' 'metadata.name: Invalid value: "hair_pind"'
refused "a label that is none" '(kind("ServiceAccount").metadata.labels["app.kubernetes.io/name"]) = "hair pind"' \
  'metadata.labels: Invalid value: "hair pind"'
refused "a selector that does not match" "($daemon_set.selector.matchLabels[\"app.kubernetes.io/name\"]) = \"other\"" \
  'does not match template'
refused "a port that is none" "($pod.containers[0].ports[0].containerPort) = 94770" 'must be between 1 and 65535'
refused "a quantity that is none" "($pod.containers[0].resources.limits.memory) = \"128MB\"" 'quantities must match'
refused "a mount of no volume" "del($pod.volumes[1])" 'volumeMounts[1].name: Not found: "tls"'
refused "a word that is none" "($pod.containers[0].volumeMounts[2].mountPropagation) = \"HostToContaner\"" 'Unsupported value: "HostToContaner"'
refused "a rule without verbs" 'del(kind("ClusterRole").rules[0].verbs)' 'rules[0].verbs: Required value'
refused "a service account of no namespace" 'del(kind("ClusterRoleBinding").subjects[0].namespace)' 'subjects[0].namespace: Required value'
sed 's/^\( *\)hostNetwork: true$/&\n&/' deploy/daemonset.yaml >"$work/rendered.yaml"
same "a key that is there twice" '' "$(objects <"$work/rendered.yaml" 2>/dev/null)"
same "nothing of it is kept" "$before namespace/hairpind" "$(state) $(kubectl get -A -o name \
  ns,sa,cm,quota,ds,clusterroles,clusterrolebindings,podmonitors,prometheusrules,scc | paste -sd' ')"

# A release that is there: nothing but kubectl's own annotation is new.
cp "$work/all.json" "$work/objects/"
start_server --schema tests/kube/custom_kinds.json
render "${everything[@]}" >"$work/rendered.yaml"
taken "the chart over itself" configured
before=$(state)
refused "a change to what must not be" '(kind("ConfigMap").data["a b"]) = ""' 'a valid config key'
same "nothing of it is kept either" "$before" "$(state)"

namespace shop
start_server
render --namespace shop --set podMonitor.create=true >"$work/rendered.yaml"
output=$(apply -f "$work/rendered.yaml" || true)
same "without the CRDs of the prometheus-operator: all but the PodMonitor" "5 1" "$(grep -c 'created (server dry run)$' <<<"$output") \
$(grep -c 'no matches for kind "PodMonitor" in version "monitoring.coreos.com/v1"' <<<"$output")"
output=$(apply -k deploy || true)
same "without the namespace: only what is in none" "2 3" "$(grep -c 'created (server dry run)$' <<<"$output") \
$(grep -c 'namespaces "hairpind" not found$' <<<"$output")"
same "kubectl apply -k deploy/namespace" "namespace/hairpind created (server dry run)" "$(apply -k deploy/namespace)"

summary
