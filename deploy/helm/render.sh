#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes what kubectl and kustomize use from the chart: deploy/daemonset.yaml and deploy/prometheus/podmonitor.yaml, or the
# same below DIR. After each change of the chart; tests/deploy/deploy_test.sh fails while they differ.
#   deploy/helm/render.sh [DIR]     HELM: another helm than the one in PATH, as of scripts/install-cluster-tools.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
directory=${1:-deploy}
helm=${HELM:-helm}
command -v "$helm" >/dev/null || helm=build/tools/helm
command -v "$helm" >/dev/null || { echo "deploy/helm/render.sh: helm is missing: scripts/install-cluster-tools.sh" >&2; exit 1; }

# Without what only Helm has a use for. Its warning about the link to the rules says nothing new.
render() { # render ARGUMENT...
  "$helm" template hairpind deploy/helm/hairpind --namespace hairpind "$@" 2> >(grep -v 'found symbolic link' >&2) |
    sed -e '/^# Source: /d' -e '/app.kubernetes.io\/\(instance\|managed-by\): /d' -e '/helm.sh\/chart: /d' \
      -e '/# The configuration is read at start\.$/d' -e '/checksum\/config: /d' -e '1{/^---$/d}'
}

mkdir -p "$directory/prometheus"
{
  cat <<'HEAD'
# SPDX-License-Identifier: Apache-2.0
# Written by deploy/helm/render.sh from the chart: change that.
# hairpind on every node: kubectl apply -k deploy/namespace && kubectl apply -k deploy. The image is what scripts/image.sh or
# deploy/Dockerfile build: load it into the nodes under the name below, or push it and name it in kustomization.yaml.
HEAD
  render
} >"$directory/daemonset.yaml"
{
  cat <<'HEAD'
# SPDX-License-Identifier: Apache-2.0
# Written by deploy/helm/render.sh from the chart: change that.
# For the prometheus-operator: kubectl apply -f deploy/prometheus/podmonitor.yaml, and the alerts with
# deploy/prometheus/prometheusrule.sh | kubectl apply -f -
# Without the operator, the annotations prometheus.io/* of the DaemonSet are for the usual kubernetes_sd_configs job.
HEAD
  render --set podMonitor.create=true --show-only templates/podmonitor.yaml
} >"$directory/prometheus/podmonitor.yaml"
