# SPDX-License-Identifier: GPL-2.0-only
"""Complaints with the places in the source that their traces mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kbuildpy.source_place import Explain
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.result import Result


def with_places(result: Result, explain: Explain) -> Result:
    """`result`, whose complaints, and those of its tests, `explain` was asked about."""
    tests = tuple(replace(test, complaints=_located(test.complaints, explain)) for test in result.tests)
    return replace(result, complaints=_located(result.complaints, explain), tests=tests)


def _located(complaints: Sequence[Complaint], explain: Explain) -> tuple[Complaint, ...]:
    return tuple(replace(complaint, explained=explain(complaint.log, complaint.module)) for complaint in complaints)
