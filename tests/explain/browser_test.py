#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of `hairpind explain -o html` in headless Chromium: no complaint on the console, no request to anywhere, drawn to the
   width of a telephone and of a screen. Exit status 77 where there is no Chromium.
   tests/explain/browser_test.py HAIRPIND [DIRECTORY]      DIRECTORY: keeps page and pictures there, to be looked at"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make_log  # noqa: E402  (beside this file)

HAIRPIND = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "build/dev/hairpind"
KEPT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
CHROMIUM = shutil.which("chromium")


def browse(directory, *arguments):
    """What Chromium prints and says on standard error, and what the page, not Chromium itself, asked for."""
    log = os.path.join(directory, "net.json")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--no-first-run", f"--user-data-dir={directory}/profile", f"--log-net-log={log}",
         "--enable-logging=stderr", "--hide-scrollbars", *arguments, f"file://{directory}/page.html"],
        capture_output=True, text=True, timeout=120, check=True)
    with open(log, encoding="utf-8") as file:
        events = json.load(file)["events"]
    started = [event.get("params", {}) for event in events]
    asked = {params["url"] for params in started if params.get("initiator", "not an origin") != "not an origin"}
    return done.stdout, done.stderr, asked


class BrowserTest(unittest.TestCase):
    def setUp(self):
        self.directory = KEPT or tempfile.mkdtemp(prefix="hairpind-browser-")
        if not KEPT:
            self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        lines = "".join(make_log.line(line) + "\n" for line in make_log.cluster())
        page = subprocess.run([HAIRPIND, "explain", "-o", "html"], input=lines.encode(), capture_output=True, check=True)
        with open(os.path.join(self.directory, "page.html"), "wb") as file:
            file.write(page.stdout)

    def test_what_a_page_does_is_noticed(self):
        with open(os.path.join(self.directory, "page.html"), "w", encoding="utf-8") as file:
            file.write("<script>undefined.x</script><img src=http://127.0.0.1:9/x.png>")
        _, said, asked = browse(self.directory, "--dump-dom")
        self.assertIn("CONSOLE", said)
        self.assertEqual(asked, {"http://127.0.0.1:9/x.png"})

    # Of scripts there are none (explain_test.py): what is drawn here is drawn without.
    def test_it_is_drawn_at_two_widths(self):
        for width in (400, 1400):
            picture = os.path.join(self.directory, f"page-{width}.png")
            _, said, asked = browse(self.directory, f"--window-size={width},2400", f"--screenshot={picture}")
            self.assertEqual([line for line in said.splitlines() if "CONSOLE" in line], [])
            self.assertEqual(asked, set())
            with open(picture, "rb") as file:
                content = file.read()
            self.assertEqual(struct.unpack("!II", content[16:24]), (width, 2400))
            self.assertGreater(len(content), 20000, "next to nothing is drawn")


if __name__ == "__main__":
    if CHROMIUM is None:
        print("skipped: no chromium here (Debian's package)", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
