#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a packet to a notification: the agent in the lab, and a real Prometheus and Alertmanager on its node. As root. Exit status 77:
one of the two is missing.
   tests/deploy/lab_notifications_test.py HAIRPIND
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from notifications_test import ROOT, expect_notified, get, run, wait_for  # noqa: E402  (beside this file)

LAB = ROOT / "tests/lab/lab.sh"
LISTEN = "127.0.0.1:9477"


def lab(*arguments):
    subprocess.run([LAB, arguments[0], os.environ["HAIRPIND_LAB_PREFIX"], *arguments[1:]], check=True)


def connects():
    return subprocess.run(["ip", "netns", "exec", os.environ["HAIRPIND_LAB_PREFIX"] + "-p1", "curl", "-sS", "-m", "2", "-o", "/dev/null",
                           "http://10.0.5.5:443/"], check=False, stderr=subprocess.DEVNULL).returncode == 0


def check(pages, stack):
    stack.start_alertmanager()
    stack.start_prometheus("data")
    expect_notified(pages, stack, "nothing has failed", 0, 0)
    assert not connects(), "the lab's load balancer must send the client to its own node"
    expect_notified(pages, stack, "it fails: notified", 1, 0)
    labels = pages.alerts("firing")[0]["labels"]
    assert (labels["alertname"], labels["load_balancer"], labels["cause"]) == (
        "HairpinnedConnections", "10.0.5.5:443", "hairpin_ip_target"), labels
    lab("evict")
    assert connects()
    wait_for("dormant", lambda: 'state="dormant"} 1' in get(f"http://{LISTEN}/metrics"))
    expect_notified(pages, stack, "the target has left: resolved", 1, 1)
    lab("place")
    wait_for("the pod's device", lambda: "veth2" in get(f"http://{LISTEN}/v1/status"))
    assert not connects()
    expect_notified(pages, stack, "it is back, and fails again: notified again", 2, 1)
    lab("mode", "lb-snat")
    wait_for("fixed", lambda: connects() and 'state="fixed"} 1' in get(f"http://{LISTEN}/metrics"))
    expect_notified(pages, stack, "it is fixed: resolved", 2, 2)


def on_the_node(hairpind):
    with tempfile.TemporaryDirectory(prefix="hairpind-notifications-") as work, \
            open(os.path.join(work, "agent.log"), "wb") as log:
        agent = subprocess.Popen([hairpind, "run", "--lb", "10.0.5.5:443", "--node-name", "n1", "--listen", LISTEN,
                                  "--alerts", os.path.join(work, "alerts.jsonl")], stderr=log)
        try:
            wait_for("the agent", lambda: get(f"http://{LISTEN}/readyz"))
            run(check, {"n1": (LISTEN, "/metrics")})
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(timeout=60)


def main():
    if "HAIRPIND_LAB_PREFIX" in os.environ:
        on_the_node(sys.argv[1])
        return
    prefix = f"hpt{os.getpid()}n"
    environment = os.environ | {"HAIRPIND_LAB_PREFIX": prefix, "HAIRPIND_LAB_BINARIES": str(pathlib.Path(sys.argv[1]).parent / "tests/lab")}
    try:
        subprocess.run([LAB, "up", prefix], check=True, env=environment)
        done = subprocess.run(["ip", "netns", "exec", prefix + "-node", sys.executable, os.path.abspath(__file__),
                               os.path.abspath(sys.argv[1])], check=False, env=environment)
    finally:
        subprocess.run([LAB, "down", prefix], check=True)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
