# SPDX-License-Identifier: GPL-2.0-only
"""The text of a result."""

from __future__ import annotations

from kbuildpy.printable import printable
from kbuildpy.vm.result import Result, TestResult

# Documentation/admin-guide/tainted-kernels.rst, as far as a module has them (kernel/module/main.c: module_flags_taint).
_LETTERS = {
    "P": "proprietary",
    "F": "forced",
    "C": "staging",
    "O": "out of tree",
    "E": "not signed by a key of the kernel",
    "K": "live patch",
    "N": "a test",
    "X": "distribution's own",
}
_LAST = 20  # lines of output of a test that failed
_LONGEST = 100  # lines of log for one complaint


def as_text(result: Result, *, log: bool = True) -> str:
    """The result of a module with its reasons, and, unless `log` is False, the kernel's lines about them."""
    where = f" ({result.kernel})" if result.kernel else ""
    lines = [f"{result.file}{where}: {_verdict(result)}"]
    if result.needs:
        lines.append(f"  needs: {', '.join(result.needs)}")
    if result.line:
        lines.append(f"  /proc/modules: {result.line}")
    if result.taints:
        meanings = "; ".join(_LETTERS.get(letter, "?") for letter in result.taints)
        lines.append(f"  taints: {result.taints} ({meanings})")
    lines += [f"  dynamic debug: {message}" for message in result.messages]
    lines += [f"  the kernel's remark: {remark}" for remark in result.remarks]
    for complaint in result.complaints:
        lines += [f"  {line}" for line in complaint.title()]
        if log:
            lines += [f"  | {line}" for line in complaint.text[:_LONGEST]]
            if len(complaint.text) > _LONGEST:
                lines.append(f"  | ... {len(complaint.text) - _LONGEST} more lines")
    return "\n".join(map(printable, lines))


def describe_test(test: TestResult, kernel: str) -> str:
    """The result of a test; for a failed one, its failed points."""
    leaves = [leaf for point in test.points for leaf in point.leaves()]
    counted = f", {sum(not leaf.failed for leaf in leaves)} of {len(leaves)}" if leaves else ""
    verdict = "skipped" if test.skipped else "passed" if test.passed else "failed"
    reason = f": {test.reason}" if test.reason else counted
    lines = [f"{test.name} ({kernel}): {verdict}{reason}"]
    if not test.passed:
        for leaf in leaves:
            if leaf.failed:
                lines.append(f"  not ok: {leaf.name or leaf.number}")
                lines += [f"    # {remark}" for remark in leaf.diagnostics]
        for complaint in test.complaints:
            lines += [f"  {line}" for line in complaint.title()]
            lines += [f"  | {line}" for line in complaint.text[:_LONGEST]]
        if not leaves:
            lines += [f"  > {line}" for line in test.output[-_LAST:]]
    return "\n".join(map(printable, lines))


def _verdict(result: Result) -> str:
    if result.content:
        return "loaded and removed"
    if not result.kernel:
        return "not tried"
    if not result.loaded:
        return f"not loaded{f', {result.errno}' if result.errno else ''}"
    if result.removed:
        return "loaded and removed, with complaints"
    tried = any(complaint.kind in ("busy", "hang", "killed", "left") for complaint in result.complaints)
    return "loaded and not removed" if tried else "loaded; the kernel died before its removal"
