# SPDX-License-Identifier: GPL-2.0-only
"""Modules of other kernels, as distributions ship them: each kernel refuses them as the loader check says it would.

Nobody's damage here, only the most frequent mistake: a module for another kernel than the one that runs. Debian's own
take part.
"""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from typing import NamedTuple

import pytest

from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.verdict import Verdict
from tests.support.kernel_trees import swept
from tests.support.loading import Load, ModuleReport, load_modules
from tests.support.shipped_kernels import NATIVE, others_of, shipped_kernel
from tests.support.shipped_modules import plain

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

EACH = 25
"""Modules of each other kernel that are tried."""


class Tried(NamedTuple):
    """What the kernel did with a module, and what we say it does."""

    report: ModuleReport
    verdict: Verdict


@pytest.fixture(scope="module", params=[NATIVE[0], *swept(NATIVE[1]), NATIVE[2]])
def tried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Tried]:
    """Modules of the other kernels in one boot of this one."""
    kernel, place = shipped_kernel(request.param), tmp_path_factory.mktemp("foreign")
    files = [
        plain(file, place / other.tree.release / f"{file.name.partition('.')[0]}.ko")
        for other in others_of(request.param)
        for file in other.sample(EACH)[:EACH]
    ]
    assert len(files) >= EACH
    reports = load_modules(kernel.image, [Load(file) for file in files], timeout=180).modules
    found = []
    running = kernel.by_tree
    for file, report in zip(files, reports, strict=True):
        verdict, _ = load_module(file.read_bytes(), running)
        found.append(Tried(report, verdict))
        # What it says of its first taint it does not repeat.
        running = replace(running, tainted=running.tainted + verdict.taints)
    return found


def test_the_kernel_refuses_every_one_with_the_errno_that_was_said(tried: list[Tried]) -> None:
    for report, verdict in tried:
        assert not verdict.accepted
        assert errno.errorcode[report.insmod.status or 0] == verdict.errno, report


def test_the_kernel_logs_the_lines_that_were_said_and_no_others(tried: list[Tried]) -> None:
    for report, verdict in tried:
        assert verdict.log in report.insmod.log
        assert set(report.insmod.log) == set(verdict.lines)
