# SPDX-License-Identifier: GPL-2.0-only
"""Knows a finding again in a later run, when lines were added above it.

A finding's fingerprint is made of its checker, rule and words, of its file, and of the text of its line; not of the
line's number, nor of numbers of lines in the words. Findings that have all of it in common are told apart by counting.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable

from kbuildpy.lint.finding import Finding
from kbuildpy.lint.source_lines import SourceLines

_NUMBERS = re.compile(r"\b(lines?) \d+(?:[-,]\s?\d+)*")


class Fingerprints:
    """The fingerprints of one run's findings, in their order; `shown` turns a path into what it is called in every
    checkout."""

    def __init__(self, shown: Callable[[str], str]) -> None:
        self._shown = shown
        self._lines = SourceLines()
        self._counts: Counter[str] = Counter()

    def of(self, finding: Finding) -> str:
        """The fingerprint of the next finding."""
        words = _NUMBERS.sub(r"\1 N", finding.message)
        line = self._lines.text(finding.file, finding.line).strip()
        parts = (finding.checker, finding.rule, words, self._shown(finding.file), line)
        digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:32]
        self._counts[digest] += 1
        return f"{digest}:{self._counts[digest]}"
