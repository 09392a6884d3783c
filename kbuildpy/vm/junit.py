# SPDX-License-Identifier: GPL-2.0-only
"""Results of `kbuildpy run` as JUnit's XML: a suite for each kernel, a case for each module, test and point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from kbuildpy.junit import as_document, xml_text
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.result import Result, TestResult
from kbuildpy.vm.tap import SKIP


def as_junit(results: Sequence[Result], more: Mapping[str, Sequence[TestResult]] | None = None) -> str:
    """A document; a damaged file is an error, everything else a failure whose text is the kernel's log. `more` are the
    results of other tests in each kernel, by its release."""
    root = ElementTree.Element("testsuites", name="kbuildpy run")
    for kernel in dict.fromkeys(result.kernel for result in results):
        of_kernel = [result for result in results if result.kernel == kernel]
        suite = ElementTree.SubElement(root, "testsuite", name=xml_text(kernel or "not tried"))
        for result in of_kernel:
            _add_module(suite, result)
        for test in (*of_kernel[0].tests, *(more or {}).get(kernel, ())):
            _add_test(suite, test)
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(name, str(sum(1 for _ in suite.iter(tag))))
        suite.set("time", f"{sum(test.seconds for test in of_kernel[0].tests):.2f}")
    return as_document(root)


def _add_module(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname="modules", name=xml_text(result.file))
    if result.complaints:
        _add_failure(case, "failure" if result.kernel else "error", result.complaints)
    elif not result.content:
        ElementTree.SubElement(case, "failure", type="left", message="it was not loaded and removed")
    if result.log:
        ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(result.log))


def _add_test(suite: ElementTree.Element, test: TestResult) -> None:
    """The test as a whole, and below its name each point of it."""
    case = ElementTree.SubElement(
        suite, "testcase", classname=xml_text(test.kind), name=xml_text(test.name), time=f"{test.seconds:.2f}"
    )
    if test.skipped:
        ElementTree.SubElement(case, "skipped", message=xml_text(test.reason))
    elif not test.passed:
        lines = [line for complaint in test.complaints for line in complaint.text] or test.output
        failure = ElementTree.SubElement(case, "failure", type="test", message=xml_text(test.reason))
        failure.text = xml_text("\n".join(lines))
    for point in (leaf for top in test.points for leaf in top.leaves()):
        name = point.name or str(point.number)
        case = ElementTree.SubElement(suite, "testcase", classname=xml_text(test.name), name=xml_text(name))
        if point.failed:
            failure = ElementTree.SubElement(case, "failure", type="not ok", message=xml_text(name))
            failure.text = xml_text("\n".join(point.diagnostics))
        elif point.result == SKIP:
            ElementTree.SubElement(case, "skipped", message=xml_text(point.reason))


def _add_failure(case: ElementTree.Element, tag: str, complaints: Sequence[Complaint]) -> None:
    first = complaints[0]
    failure = ElementTree.SubElement(case, tag, type=first.kind, message=xml_text(first.words))
    text = [line for complaint in complaints for line in (*complaint.title(), *complaint.text)]
    failure.text = xml_text("\n".join(text))
