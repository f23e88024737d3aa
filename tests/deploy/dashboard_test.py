#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the dashboard's and the rules' queries ask for what the agent has, and does each give the right numbers?

  tests/deploy/dashboard_test.py names PAGE     each metric and label of deploy/grafana and deploy/prometheus is in PAGE, a
                                                /metrics page of an agent that has seen a mismatch, in Kubernetes
  tests/deploy/dashboard_test.py recorded PAGE  PAGE, of a running agent, has all that metrics.txt has
  tests/deploy/dashboard_test.py series FILE    writes the test for promtool: the dashboard's queries against the series in
                                                dashboard.series.yaml, which says what each must give
"""
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What Prometheus adds, and what queries and rules make of it.
TARGET_LABELS = {"instance", "node", "job", "app_kubernetes_io_name"}
MADE_LABELS = {"load_balancer", "on_node"}
# Of an agent that speaks TLS, and no page here is of one. tests/lab/tls_lab_test.cpp reads it.
WITH_TLS = {"hairpind_tls_certificate_current": set()}


def dashboard_queries():
    """{"Panel A": expression}"""
    board = json.loads((ROOT / "deploy/grafana/hairpind.json").read_text())
    return {f"{panel['title']} {target['refId']}": target["expr"]
            for panel in board["panels"] for target in panel.get("targets", [])}


def variable_queries():
    board = json.loads((ROOT / "deploy/grafana/hairpind.json").read_text())
    return {f"variable {each['name']}": each["definition"]
            for each in board["templating"]["list"] if each["type"] == "query"}


def rule_queries():
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    queries = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules}
    for rule in rules:
        for query in re.findall(r'query \(printf "(.*?)" \$', rule.get("annotations", {}).get("summary", "")):
            queries[f"{rule['alert']}'s summary: {query}"] = query.replace('\\"', '"').replace("%q", '"x"')
    return queries


def page_labels(page):
    """{metric: its labels}, of a page in the text format."""
    labels = {}
    for line in page.splitlines():
        match = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line)
        if match and not line.startswith("#"):
            labels.setdefault(match[1], set()).update(re.findall(r'([a-z_]+)="', match[2] or ""))
    return labels


def families(page):
    """Of a page, those without a sample too: what has never happened has none."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def names(path):
    page = pathlib.Path(path).read_text()
    live = page_labels(page)
    recorded = page_labels((ROOT / "tests/deploy/metrics.txt").read_text())
    known = {**{name: recorded.get(name, set()) for name in families(page)}, **WITH_TLS, **live}
    faults = []
    queries = {**dashboard_queries(), **variable_queries(), **rule_queries()}
    for name, query in queries.items():
        bare = re.sub(r'"[^"]*"', '""', query)
        asked = re.findall(r"(?<![\w:])(hairpind_[a-z_]+)(?:\{([^}]*)\})?", bare)
        here = set()
        for metric, matchers in asked:
            if metric not in known:
                faults.append(f"{name}: {metric} is no metric of the agent")
                continue
            here |= known[metric]
            for label in re.findall(r"([a-z_]+)[=!]", matchers):
                if label not in known[metric] | TARGET_LABELS:
                    faults.append(f"{name}: {metric} has no label {label}")
        if not asked and not re.search(r"hairpind:|up\{", bare):
            faults.append(f"{name}: asks for nothing of the agent's")
        if "hairpind:" in bare:
            continue
        for grouping in re.findall(r"(?:by|on|without) \(([^)]*)\)", bare):
            for label in re.findall(r"[a-z_]+", grouping):
                if label not in here | TARGET_LABELS | MADE_LABELS:
                    faults.append(f"{name}: nothing in it has the label {label}")
    for fault in faults:
        print(fault)
    print(f"{len(queries)} queries")
    sys.exit(1 if faults else 0)


def recorded(path):
    page = pathlib.Path(path).read_text()
    live = page_labels(page)
    known = page_labels((ROOT / "tests/deploy/metrics.txt").read_text())
    faults = [f"{metric}: metrics.txt has {sorted(labels)}, the agent {sorted(live.get(metric, []))}"
              for metric, labels in known.items()
              if metric not in families(page) or not labels <= live.get(metric, labels)]
    faults += [f"{metric} is not in metrics.txt" for metric in live if metric not in known and metric.startswith("hairpind_")]
    print(*faults, f"{len(known)} metrics", sep="\n")
    sys.exit(1 if faults else 0)


def series(path):
    recorded = yaml.safe_load((ROOT / "tests/deploy/dashboard.series.yaml").read_text())
    queries = dashboard_queries()
    unasked = set(recorded["expected"]) ^ set(queries)
    if unasked:
        sys.exit(f"queries without an expectation, or the reverse: {sorted(unasked)}")
    tests = []
    for name, query in queries.items():
        for variable, value in {"$__rate_interval": "2m", "$__range": "1h", "$instance": ".*", "$lb": ".*"}.items():
            query = query.replace(variable, value)
        if "$" in query.replace('"$1"', ""):
            sys.exit(f"{name}: a variable that this test does not know: {query}")
        expected = [{"labels": labels, "value": value} for labels, value in recorded["expected"][name].items()]
        if not expected:
            sys.exit(f"{name}: an expectation of nothing is none")
        tests.append({"expr": query, "eval_time": recorded["at"], "exp_samples": expected})
    pathlib.Path(path).write_text(json.dumps({"rule_files": [], "evaluation_interval": "30s", "tests": [{
        "interval": recorded["interval"], "input_series": recorded["series"], "promql_expr_test": tests}]}))


if __name__ == "__main__":
    {"names": names, "recorded": recorded, "series": series}[sys.argv[1]](sys.argv[2])
