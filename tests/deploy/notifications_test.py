#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What do people get? A real Prometheus and Alertmanager with deploy/prometheus/rules.yaml, two nodes' /metrics (pages that this
test serves), and a webhook that reads the notifications. No root. Exit status 77: one of the two is missing.
"""
import http.server
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            found = condition()
            if found:
                return found
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


class Pages:
    """/metrics of each node at /NODE, and the webhook at /notify."""

    def __init__(self):
        self.text = {}  # by node; None: the agent is away
        self.notifications = []
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = pages.text.get(self.path.strip("/"))
                self.send_response(503 if text is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write((text or "").encode())

            def do_POST(self):
                pages.notifications.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def alerts(self, status):
        return [alert for each in self.notifications for alert in each["alerts"] if alert["status"] == status]


def problem(address, service, state, last, count=1, namespace="web"):
    """The series of a load balancer that has failed, as the agent has them."""
    lb = 'lb="{}",lb_namespace="{}",lb_service="{}"'.format(address, *service.split("/"))
    lines = [f'hairpind_problem_state{{{lb},state="{each}"}} {int(each == state)}'
             for each in ("active", "fixed", "dormant", "quiet")]
    lines.append(f'hairpind_last_mismatch_timestamp_seconds{{{lb},cause="hairpin_ip_target"}} {int(last)}')
    lines.append(f'hairpind_client_mismatches_total{{{lb},cause="hairpin_ip_target",client_namespace="{namespace}"}} {count}')
    return "\n".join(lines) + "\n"


class Stack:
    """Prometheus and Alertmanager, each when it is started. nodes: where each one's metrics are, (address, path)."""

    def __init__(self, work, notify, nodes):
        self.work = work
        self.running = {}
        self.prometheus_at = f"http://127.0.0.1:{free_port()}"
        self.alertmanager_at = f"http://127.0.0.1:{free_port()}"
        (work / "alertmanager.json").write_text(json.dumps({
            "route": {"receiver": "test", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s",
                      "repeat_interval": "4h"},
            "receivers": [{"name": "test", "webhook_configs": [{"url": f"http://{notify}/notify"}]}]}))
        (work / "prometheus.json").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "deploy/prometheus/rules.yaml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [self.alertmanager_at[len("http://"):]]}]}]},
            "scrape_configs": [{"job_name": f"hairpind-{node}", "metrics_path": path, "static_configs": [
                {"targets": [address], "labels": {"node": node, "instance": f"{node}:9477", "job": "hairpind"}}]}
                for node, (address, path) in nodes.items()]}))

    def start(self, name, *command):
        log = open(self.work / f"{name}.log", "ab")
        self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.work)
        log.close()

    def start_alertmanager(self):
        self.start("alertmanager", shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
                   f"--config.file={self.work}/alertmanager.json", f"--storage.path={self.work}/alertmanager",
                   f"--web.listen-address={self.alertmanager_at[len('http://'):]}", "--cluster.listen-address=")
        wait_for("Alertmanager", lambda: get(f"{self.alertmanager_at}/-/ready"))

    def start_prometheus(self, data):
        self.start("prometheus", "prometheus", f"--config.file={self.work}/prometheus.json",
                   f"--storage.tsdb.path={self.work}/{data}",
                   f"--web.listen-address={self.prometheus_at[len('http://'):]}")
        wait_for("Prometheus", lambda: get(f"{self.prometheus_at}/-/ready"))
        wait_for("a scrape", lambda: self.value('hairpind_build_info{instance="n1:9477"}'))

    def stop(self, name):
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)

    def value(self, query):
        answer = json.loads(get(f"{self.prometheus_at}/api/v1/query?query={urllib.parse.quote(query)}"))
        return answer["data"]["result"]

    def let_evaluate(self, times=5):
        """Until the rules have been evaluated so many times more, and Alertmanager has had time for what comes of it."""
        def iterations():
            return sum(float(line.split()[-1]) for line in get(f"{self.prometheus_at}/metrics").splitlines()
                       if line.startswith("prometheus_rule_group_iterations_total{"))
        goal = iterations() + times
        wait_for(f"{times} evaluations", lambda: iterations() >= goal)
        time.sleep(2)


def expect_notified(pages, stack, what, firing, resolved):
    """So many, in all, and no more after the rules have been evaluated again."""
    def found():
        return len(pages.alerts("firing")), len(pages.alerts("resolved"))

    wait_for(f"{what}: {firing} firing and {resolved} resolved, not {found()}",
             lambda: found()[0] >= firing and found()[1] >= resolved)
    stack.let_evaluate()
    assert found() == (firing, resolved), f"{what}: firing and resolved are {found()}\n{json.dumps(pages.notifications, indent=1)}"
    print(f"ok    {what}", flush=True)


def check(pages, stack):
    agent = 'hairpind_build_info{version="0.1.0"} 1\n'
    now = time.time()
    old = problem("10.0.7.7:443", "shop/old", "quiet", now - 3 * 3600, 1000) + \
        problem("10.0.8.8:443", "shop/moved", "dormant", now - 300, 50)

    def expect(what, firing, resolved):
        """And only of what this test lets fail."""
        expect_notified(pages, stack, what, firing, resolved)
        for alert in pages.alerts("firing") + pages.alerts("resolved"):
            assert alert["labels"]["alertname"] == "HairpinnedConnections", alert
            assert alert["labels"]["load_balancer"] == "shop/api", alert

    pages.text = {"n1": agent + old, "n2": agent}
    stack.start_alertmanager()
    stack.start_prometheus("data")
    expect("a late start: nothing for old counts", 0, 0)

    def api(state, address="10.0.5.5:443", last=now):
        return problem(address, "shop/api", state, last)

    pages.text["n1"] = agent + old + api("active")
    expect("the first sample has the first mismatch: one notification", 1, 0)
    alert = pages.alerts("firing")[0]
    summary = alert["annotations"]["summary"]
    assert all(word in summary for word in ("shop/api", "n1", "in web", "hairpin_ip_target")), summary
    runbook = re.fullmatch(r"https://hairpind\.dev/(docs/runbooks/[a-z_]+\.md)", alert["annotations"]["runbook_url"])
    assert runbook and (ROOT / runbook[1]).exists(), alert["annotations"]["runbook_url"]

    pages.text["n2"] = agent + api("active", "10.0.6.5:443")
    expect("another node and another address of that Service: no other alert", 1, 0)
    pages.text["n1"] = agent + old + api("quiet")
    pages.text["n2"] = agent + api("fixed", "10.0.6.5:443")
    expect("quiet on one node, fixed on the other: not resolved", 1, 0)
    pages.text["n1"] = agent + old + api("active", last=now + 420)
    stack.let_evaluate(2)
    pages.text["n1"] = agent + old + api("quiet", last=now + 420)
    expect("again after seven minutes, and quiet: still the same alert", 1, 0)
    pages.text["n1"] = None
    expect("the agent is not reached: not resolved", 1, 0)
    stack.stop("prometheus")
    pages.text["n1"] = agent + old + api("quiet", last=now + 420)
    stack.start_prometheus("data")
    expect("Prometheus is started again: not resolved, nothing new", 1, 0)
    pages.text["n1"] = agent + old + api("dormant", last=now + 420)
    expect("the last agent says dormant: resolved", 1, 1)
    stack.stop("prometheus")
    stack.start_prometheus("anew")
    expect("a Prometheus that has lost its data: nothing", 1, 1)
    pages.text["n1"] = agent + old + api("active", last=now + 900)
    expect("it fails again: notified again", 2, 1)


def run(check_with, nodes=None):
    """check_with(pages, stack), and shows what people would have read. Without nodes: two whose pages the test serves."""
    if not shutil.which("prometheus") or not (shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")):
        print("skipped, prometheus or alertmanager is missing: scripts/install-dependencies.sh")
        sys.exit(77)
    work = pathlib.Path(tempfile.mkdtemp(prefix="hairpind-notifications-"))
    pages = Pages()
    stack = Stack(work, pages.address, nodes or {node: (pages.address, f"/{node}") for node in ("n1", "n2")})
    try:
        check_with(pages, stack)
    except AssertionError:
        for log in work.glob("*.log"):
            print(f"--- {log.name}", *log.read_text().splitlines()[-15:], sep="\n", file=sys.stderr)
        raise
    finally:
        for name in list(stack.running):
            stack.stop(name)
        shutil.rmtree(work)
    for each in pages.notifications:
        for alert in each["alerts"]:
            print(f"{alert['status']}: [{alert['labels']['severity']}] {alert['annotations']['summary']} "
                  f"{alert['annotations']['runbook_url']}")


if __name__ == "__main__":
    run(check)
