#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints rules.yaml as a PrometheusRule for the prometheus-operator, so that there is one copy of the alerts:
#   deploy/prometheus/prometheusrule.sh | kubectl apply -f -
set -euo pipefail
cd "$(dirname "$0")"

cat <<'HEAD'
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: hairpind
  namespace: hairpind
  labels: {app.kubernetes.io/name: hairpind}
spec:
HEAD
# A rule file is the spec itself. Empty lines stay empty.
sed 's/^./  &/' rules.yaml
