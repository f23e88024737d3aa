# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the tests in this folder: one line a check, counted. Needs jq, and python3 with PyYAML (python3-yaml).
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

# The objects of a stream of YAML documents, as one JSON array in an order that does not depend on theirs. A key that is there
# twice is refused: kubectl and helm take the last one and say nothing.
objects() {
  "$python" -c '
import json, sys, yaml
class Loader(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if len(keys) != len(set(keys)):
            sys.exit(f"a key is there twice, of {keys}:\n{node.start_mark}")
        return super().construct_mapping(node, deep)
json.dump([d for d in yaml.load_all(sys.stdin, Loader) if d], sys.stdout)' |
    jq -cS 'sort_by(.kind // "", .metadata.name // "")'
}

value() { # value FILTER: of the objects in $work/manifest.json; kind("X") is the object of that kind
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
[ -n "$python" ] || { echo "$0: python3 with PyYAML is missing: apt-get install python3-yaml" >&2; exit 1; }
have jq || { echo "$0: jq is missing: apt-get install jq" >&2; exit 1; }

summary() { # the last command of a test
  echo "tests: $passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
