# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts as JUnit XML, for continuous integration: a test suite for each kernel, a test case for each file."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from kbuildpy.junit import as_document, xml_text
from kbuildpy.loader.verdict import Verdict


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """Return the XML document. A refusal is a failure whose text is the log line and the hint; an unreadable file is an
    error."""
    root = ElementTree.Element("testsuites", name="kbuildpy check")
    for kernel in dict.fromkeys(verdict.kernel for verdict in verdicts):
        of_kernel = [verdict for verdict in verdicts if verdict.kernel == kernel]
        errors = sum(not verdict.readable for verdict in of_kernel)
        failures = sum(not verdict.accepted for verdict in of_kernel) - errors
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=xml_text(kernel),
            tests=str(len(of_kernel)),
            failures=str(failures),
            errors=str(errors),
        )
        for verdict in of_kernel:
            case = ElementTree.SubElement(suite, "testcase", classname=xml_text(kernel), name=xml_text(verdict.file))
            if not verdict.accepted:
                kind, why = ("failure", verdict.errno or "undefined") if verdict.readable else ("error", "unreadable")
                failure = ElementTree.SubElement(case, kind, type=why, message=xml_text(verdict.reason or ""))
                failure.text = xml_text("\n".join(filter(None, (verdict.log, verdict.hint))))
            said = [f"warns: {line}" for line in verdict.warnings]
            said += [f"not beside {item.file}: {item.log}" for item in verdict.excludes]
            said += [f"not checked: {item.sentence}" for item in verdict.unchecked]
            if said:
                ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(said))
    return as_document(root)
