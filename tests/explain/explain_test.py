#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`hairpind explain` from outside: the page by an HTML parser, the packets by tshark and capinfos, bad input by what is said of it.
   tests/explain/explain_test.py HAIRPIND      no root. Without tshark or Python's jsonschema their checks are skipped, by name."""
import gzip
import html.parser
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_log  # noqa: E402  (beside this file)

try:
    import jsonschema
except ImportError:
    jsonschema = None

HAIRPIND = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build/dev/hairpind"


def explain(lines, *arguments, status=0):
    """Of lines (objects or text) on standard input: stdout as bytes, and the lines of stderr."""
    text = "".join((line if isinstance(line, str) else make_log.line(line)) + "\n" for line in lines)
    done = subprocess.run([HAIRPIND, "explain", *arguments], input=text.encode("utf-8", "surrogateescape"),
                          capture_output=True, check=False)
    complaints = done.stderr.decode().splitlines()
    if done.returncode != status:
        raise AssertionError(f"exit status {done.returncode}, expected {status}: {complaints}")
    return done.stdout, complaints


class Page(html.parser.HTMLParser):
    """What of a page a browser would run or load, and whether its elements close."""
    VOID = {"meta", "br", "hr", "img", "input", "link"}
    SVG_EMPTY = {"path", "circle", "rect"}
    LOADING = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background", "formaction", "ping"}

    def __init__(self):
        super().__init__()
        self.open, self.bad, self.tags, self.style, self.text = [], [], [], "", ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag in {"script", "iframe", "object", "embed", "link", "img", "base", "form", "foreignobject", "image", "use"}:
            self.bad.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name in self.LOADING or name == "style":
                self.bad.append(f"{tag} {name}={value}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open[-1:] == [tag]:
            self.open.pop()
        if tag not in self.SVG_EMPTY:
            self.bad.append(f"<{tag}/>")

    def handle_endtag(self, tag):
        if self.open[-1:] != [tag]:
            self.bad.append(f"</{tag}> within {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.text += data


def parsed(lines, *arguments):
    page = Page()
    page.feed(explain(lines, "-o", "html", *arguments)[0].decode())
    page.close()
    return page


class HtmlTest(unittest.TestCase):
    def assert_harmless(self, page):
        self.assertEqual(page.bad, [])
        self.assertEqual(page.open, [])
        for word in ("url(", "@import", "expression", "javascript:"):
            self.assertNotIn(word, page.style)

    def test_no_script_and_no_outside_resource(self):
        page = parsed(make_log.cluster())
        self.assert_harmless(page)
        self.assertEqual(page.tags.count("svg"), 1 + 3 * 2)
        for text in ("shop/web", "[fd00:5::9]:6443", "dormant", "fixed", "NETFILTER_DROP", "What should have happened",
                     "02:43:14.000222Z", "Turn off client IP preservation"):
            self.assertIn(text, page.text)

    def test_what_tenants_wrote_is_text(self):
        attack = "</style></svg><script src=//x></script><img src=x onerror=y>\"'><a href=javascript:z>"

        def poisoned(value):
            if isinstance(value, dict):
                return {key: poisoned(inner) if key not in ("schema", "event", "time", "data", "kind", "state") else inner
                        for key, inner in value.items()}
            if isinstance(value, list):
                return [poisoned(inner) for inner in value]
            return attack if isinstance(value, str) else value

        page = parsed([poisoned(line) for line in make_log.cluster()])
        self.assert_harmless(page)
        self.assertIn(attack, page.text)


def tshark(path, *fields):
    arguments = [argument for field in fields for argument in ("-e", field)]
    # Sequence numbers as they are; what is checked is the file.
    done = subprocess.run(["tshark", "-r", path, "-o", "tcp.relative_sequence_numbers:FALSE", "-T", "fields",
                           "-E", "separator=/t", *arguments], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@unittest.skipUnless(shutil.which("tshark") and shutil.which("capinfos"), "tshark is not installed")
class PcapngTest(unittest.TestCase):
    def written(self, lines, *arguments):
        self.path = tempfile.NamedTemporaryFile(suffix=".pcapng", delete=False)
        self.addCleanup(os.unlink, self.path.name)
        self.path.write(explain(lines, "-o", "pcapng", *arguments)[0])
        self.path.close()
        return self.path.name

    def test_field_by_field(self):
        path = self.written(make_log.cluster())
        packets = [packet for packet in make_log.packets() if "data" in packet]
        rows = tshark(path, "frame.time_epoch", "frame.interface_name", "frame.interface_description", "frame.len",
                      "frame.cap_len", "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.seq_raw", "tcp.flags.syn",
                      "tcp.flags.ack", "tcp.flags.reset", "frame.comment")
        self.assertEqual(len(rows), len(packets))
        client, target, balancer = make_log.CLIENT, make_log.TARGET, make_log.BALANCER
        isn = 1451877577
        expected = [(client, balancer, isn, "SYN"), (client, balancer, isn, "SYN"), (client, target, isn, "SYN"),
                    (client, target, isn, "SYN"), (target, client, 77, "SYN ACK"), (target, client, 77, "SYN ACK"),
                    (client, target, isn + 1, "RST")]
        for row, packet, (source, destination, seq, flags) in zip(rows, packets, expected):
            microseconds = packet["time"].split(".")[1][:6]
            self.assertEqual(row[0], f"1795488194.{microseconds}000")
            self.assertEqual(row[1], packet["interface"])
            self.assertEqual(row[2], "node n1")
            self.assertEqual(row[3:5], [str(packet["length"])] * 2)
            self.assertEqual(row[5:9], [source[0], str(source[1]), destination[0], str(destination[1])])
            self.assertEqual(row[9], str(seq))
            self.assertEqual([flag in ("1", "True") for flag in row[10:13]], [flag in flags for flag in ("SYN", "ACK", "RST")])
            self.assertTrue(row[13].startswith(packet["hook"] + ": "), row[13])
            self.assertIn("b775f4d550e3d157", row[13])
        self.assertIn("then tcp_send_reset: the client's stack answers with RST", rows[5][13])

    def test_capinfos_reads_it(self):
        path = self.written(make_log.cluster())
        told = subprocess.run(["capinfos", path], capture_output=True, text=True, check=True).stdout
        for text in ("pcapng", "nanoseconds (9)", "Number of interfaces in file: 3", "Name = veth1", "Name = eth0",
                     "Description = node n1", "Raw IP"):
            self.assertIn(text, told)
        self.assertRegex(told, r"Number of packets:\s+7\n")

    def test_two_nodes_have_devices_of_their_own(self):
        lines = [make_log.evidence(), make_log.evidence(node="n2", incident="aaaa000000000000")]
        rows = tshark(self.written(lines), "frame.interface_name", "frame.interface_description")
        self.assertEqual(sorted(set(map(tuple, rows))),
                         [(name, f"node {node}") for name in ("eth0", "veth1", "veth2") for node in ("n1", "n2")])
        self.assertEqual(len(tshark(self.written(lines, "--incident", "aaaa"), "frame.number")), 7)


class BadInputTest(unittest.TestCase):
    def test_each_is_one_clear_line_and_the_rest_goes_on(self):
        cut = make_log.evidence(incident="cccc000000000000")
        cut["packets"][1]["data"] = cut["packets"][1]["data"][:21]
        future = make_log.alert(schema="hairpind.alert/v2")
        lines = [make_log.alert(), cut, future, future, "x" * (100 << 20), make_log.line(make_log.alert())[:300],
                 "plain text", make_log.alert(node="n2", incident="dddd000000000000"), "\xff\x1b[31m"]
        text, complaints = explain(lines)
        self.assertEqual(len(complaints), 4, complaints)
        for complaint, words in zip(complaints, ("standard input: 1 longer than 16 MiB passed over (first: line 5)",
                                                 "2 lines of schema 'hairpind.alert/v2' passed over",
                                                 "hold no whole alert (first: standard input, line 6)",
                                                 "1 of 8 packets of incident cccc000000000000 are no base64")):
            self.assertIn(words, complaint)
        self.assertIn(b"9 lines read, 3 alerts, 6 passed over", text)
        self.assertIn(b"dddd000000000000", text)

    def test_two_nodes_with_the_same_name(self):
        lines = [f"[pod/{pod}/hairpind] " + make_log.line(make_log.alert(incident=pod, time=f"2026-11-24T02:{minute}:00Z"))
                 for pod, minute in (("aaaa", "00"), ("bbbb", "10"), ("aaaa", "20"), ("bbbb", "30"))]
        complaints = explain(lines)[1]
        self.assertEqual(len(complaints), 1)
        self.assertIn("two nodes with the name 'n1'?", complaints[0])

    def test_what_cannot_be_read(self):
        complaints = explain([make_log.alert()], "/nowhere", "-", status=2)[1]
        self.assertIn("open '/nowhere': No such file or directory", complaints[0])
        explain([], "-o", "yaml", status=2)
        self.assertIn("no incident 'ffff'", explain(make_log.cluster(), "--incident", "ffff", status=1)[1][0])
        self.assertIn("begins 2 incidents", explain([make_log.alert(), make_log.alert(incident="b7")],
                                                    "--incident", "b7", status=1)[1][0])
        self.assertIn("no captured packet", explain([make_log.alert()], "-o", "pcapng", status=1)[1][0])
        self.assertIn(b"No alert of hairpind", explain(["nothing"])[0])

    def test_gzip(self):
        with tempfile.NamedTemporaryFile(suffix=".gz") as file:
            file.write(gzip.compress((make_log.line(make_log.alert()) + "\n").encode()))
            file.flush()
            self.assertIn(b"1 line read, 1 alert", explain([], file.name)[0])

    def test_json_is_json(self):
        told = json.loads(explain(make_log.cluster(), "-o", "json")[0])
        self.assertEqual([problem["state"] for problem in told["problems"]], ["dormant", "fixed"])
        self.assertEqual(told["problems"][0]["nodes"][0]["node"], "n2")


@unittest.skipUnless(jsonschema, "Python's jsonschema is not installed")
class JsonSchemaTest(unittest.TestCase):
    def setUp(self):
        docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs")
        with open(os.path.join(docs, "explain-v1.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)
        jsonschema.Draft7Validator.check_schema(schema)
        self.validator = jsonschema.Draft7Validator(schema)

    def violations(self, lines, *arguments):
        told = json.loads(explain(lines, "-o", "json", *arguments)[0])
        return [f"{error.json_path}: {error.message}" for error in self.validator.iter_errors(told)]

    def test_the_state_and_each_incident(self):
        for arguments in ((), ("--incident", "b775"), ("--incident", "c0ffee"), ("--incident", "d00d")):
            self.assertEqual(self.violations(make_log.cluster(), *arguments), [], arguments)
        self.assertEqual(self.violations([]), [])

    def test_lines_of_any_kind(self):
        lines = [make_log.alert(incident="1", client=None, load_balancer=None, responder=None, evidence=None, outcome=None),
                 make_log.alert(incident="2", client={"ip": 5, "port": 70000}, load_balancer={"port": "x"}, hint=None),
                 make_log.alert(event="hairpin_exposure", incident="3", cause=None, evidence=None, outcome=None),
                 make_log.evidence(incident="4", responder={"ip": "10.9.9.9", "port": 1, "kind": "remote"}),
                 make_log.alert(schema="hairpind.alert/v2")]
        self.assertEqual(self.violations(lines), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
