#!/usr/bin/python3
"""count.py FILE: "PASSED FAILED SKIPPED" of a JUnit file, as meson and pytest write them."""

import sys
import xml.etree.ElementTree as xml

cases = list(xml.parse(sys.argv[1]).iter("testcase"))
failed = sum(any(child.tag in ("failure", "error") for child in case) for case in cases)
skipped = sum(any(child.tag == "skipped" for child in case) for case in cases)
print(len(cases) - failed - skipped, failed, skipped)
