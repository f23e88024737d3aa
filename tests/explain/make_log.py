#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes alert lines of a small cluster, as agents do, for the tests of `hairpind explain`."""
import base64
import json
import struct


def address(text):
    return bytes(int(part) for part in text.split("."))


def tcp(source, destination, flags, seq, ack=0):
    """An IPv4 packet with TCP and its usual options for a SYN."""
    options = bytes.fromhex("020405b40402080a0000000100000000010303070000")[:20]
    header = struct.pack("!HHIIBBHHH", source[1], destination[1], seq, ack, (5 + len(options) // 4) << 4, flags, 64240, 0, 0)
    body = header + options
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, 64, 6, 0) + address(source[0]) + \
        address(destination[0]) + body


SYN, ACK, RST = 2, 16, 4


def alert(**over):
    line = {
        "schema": "hairpind.alert/v1", "event": "asymmetric_handshake", "time": "2026-11-24T02:43:12.790622Z",
        "node": "n1", "incident": "b775f4d550e3d157", "severity": "critical", "cause": "hairpin_ip_target", "count": 1,
        "message": "SYN from pod shop/cart-1 (10.0.1.10:14482) to load balancer shop/web (10.0.5.5:443) was answered by "
                   "pod shop/web-7 (10.0.1.20:8443) on the same node, not by the load balancer; the client's kernel "
                   "reset it, and the connection cannot complete",
        "hint": "Turn off client IP preservation on the load balancer's target group.",
        "client": {"ip": "10.0.1.10", "port": 14482, "pod": "cart-1", "namespace": "shop", "workload": "Deployment/cart"},
        "load_balancer": {"ip": "10.0.5.5", "port": 443, "origin": "service", "service": "web", "namespace": "shop"},
        "responder": {"ip": "10.0.1.20", "port": 8443, "pod": "web-7", "namespace": "shop", "kind": "local_pod"},
        "backend": {"ip": "10.0.1.20", "port": 8443, "pod": "web-7", "namespace": "shop"},
        "evidence": {"syn_isn": 1451877577, "synack_ack": 1451877578, "isn_match": True, "returned_syn": True,
                     "syn_interface": "veth1", "synack_interface": "veth2", "syn_to_synack_us": 122,
                     "conntrack": "no_entry", "conntrack_source": "kernel"},
        "outcome": {"state": "reset_by_client", "drop_reason": None, "drop_location": None},
    }
    line.update(over)
    return line


CLIENT, TARGET, BALANCER = ("10.0.1.10", 14482), ("10.0.1.20", 8443), ("10.0.5.5", 443)


def packets(isn=1451877577, second=14):
    def at(microseconds):
        return f"2026-11-24T02:43:{second:02d}.{microseconds:06d}Z"

    def packet(time, hook, interface, data):
        return {"time": at(time), "hook": hook, "interface": interface, "length": len(data),
                "data": base64.b64encode(data).decode()}

    syn_out, syn_back = tcp(CLIENT, BALANCER, SYN, isn), tcp(CLIENT, TARGET, SYN, isn)
    answer = tcp(TARGET, CLIENT, SYN | ACK, 77, isn + 1)
    return [
        packet(100, "from_pod", "veth1", syn_out),
        packet(112, "to_net", "eth0", syn_out),
        packet(190, "from_net", "eth0", syn_back),
        packet(198, "to_pod", "veth2", syn_back),
        packet(222, "from_pod", "veth2", answer),
        packet(230, "to_pod", "veth1", answer),
        {"time": at(236), "hook": "tcp_send_reset", "note": "the client's stack answers with RST"},
        packet(241, "from_pod", "veth1", tcp(CLIENT, TARGET, RST, isn + 1)),
    ]


def evidence(**over):
    return alert(event="asymmetric_handshake_evidence", time="2026-11-24T02:43:14.500000Z", packets=packets(), **over)


def problem(state, **over):
    return {"state": state, "opened": "2026-11-24T02:43:12.790622Z", "last_mismatch": "2026-11-24T03:00:00.000000Z",
            "mismatched": 17, "answered": 40, "reopenings": 0, "same_node_answers": 3, "run": 20, "share": 0.21,
            "chance": 0.001, **over}


def cluster():
    """Alert lines of two load balancers on three nodes."""
    over = {"evidence": None, "outcome": None}
    api = {"ip": "fd00:5::9", "port": 6443, "origin": "learned"}
    return [
        alert(),
        evidence(),
        alert(event="asymmetric_handshake_repeated", time="2026-11-24T03:00:00.000000Z", count=17),
        alert(node="n2", incident="c0ffee0000000001", time="2026-11-24T03:10:00.000000Z", count=1,
              client={"ip": "10.0.2.10", "port": 5000, "pod": "cart-2", "namespace": "shop"}),
        alert(event="asymmetric_handshake_dormant", node="n2", incident="c0ffee0000000001", severity="warning",
              time="2026-11-24T04:00:00.000000Z", message="load balancer shop/web (10.0.5.5:443) is quiet, not fixed: its "
              "target (shop/web-9) has left this node", why={"left": "target", "who": ["shop/web-9"],
              "when": "2026-11-24T03:59:00.000000Z"}, problem=problem("dormant", mismatched=4), **over),
        alert(node="n3", incident="d00d000000000001", time="2026-11-24T03:10:00.000000Z", load_balancer=api,
              cause="hairpin_node_port", client={"ip": "fd00:1::10", "port": 40000},
              responder={"ip": "fd00::4", "port": 30443, "kind": "node"}, backend={"ip": "fd00:1::20", "port": 8443},
              outcome={"state": "dropped", "drop_reason": "NETFILTER_DROP", "drop_location": "nf_hook_slow"}),
        alert(event="asymmetric_handshake_resolved", node="n3", incident="d00d000000000001", severity="info",
              time="2026-11-24T05:00:00.000000Z", load_balancer=api, cause="hairpin_node_port", proof="same_node_path",
              message="connections from this node to load balancer [fd00:5::9]:6443 work again",
              client={"ip": "fd00:1::10", "port": 40000}, problem=problem("fixed"), **over),
    ]


def line(value):
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    for one in cluster():
        print(line(one))
