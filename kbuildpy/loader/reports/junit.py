"""Verdicts as JUnit's XML, for continuous integration: a suite for each kernel, a case for each file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from kbuildpy.loader.verdict import Verdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def as_junit(verdicts: Sequence[Verdict]) -> str:
    """A document; a refusal is a failure whose text is the kernel's log, an unreadable file an error."""
    root = ElementTree.Element("testsuites", name="kbuildpy check")
    for kernel in dict.fromkeys(verdict.kernel for verdict in verdicts):
        of_kernel = [verdict for verdict in verdicts if verdict.kernel == kernel]
        errors = sum(not verdict.readable for verdict in of_kernel)
        failures = sum(not verdict.accepted for verdict in of_kernel) - errors
        suite = ElementTree.SubElement(
            root, "testsuite", name=_text(kernel), tests=str(len(of_kernel)), failures=str(failures), errors=str(errors)
        )
        for verdict in of_kernel:
            case = ElementTree.SubElement(suite, "testcase", classname=_text(kernel), name=_text(verdict.file))
            if not verdict.accepted:
                kind, why = ("failure", verdict.errno or "undefined") if verdict.readable else ("error", "unreadable")
                failure = ElementTree.SubElement(case, kind, type=why, message=_text(verdict.reason or ""))
                failure.text = _text("\n".join(filter(None, (verdict.log, verdict.hint))))
            said = [f"warns: {line}" for line in verdict.warnings]
            said += [f"not checked: {what}" for what in verdict.unchecked]
            if said:
                ElementTree.SubElement(case, "system-out").text = _text("\n".join(said))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _text(text: str) -> str:
    return _NOT_XML.sub("?", text)
