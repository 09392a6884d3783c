# SPDX-License-Identifier: GPL-2.0-only
"""All modules of two kernels for ten kernels: what `kbuildpy check` prints from kept verdicts is what it prints without
them, byte for byte, in less than half a millisecond for each.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.exclusions import with_exclusions
from kbuildpy.loader.reports.describe import as_matrix, as_text
from kbuildpy.loader.reports.sarif import as_sarif
from kbuildpy.loader.verdict import Verdict
from tests.support.builds import kbuildpy
from tests.support.fetched_kernels import facts_of, ten_kernels
from tests.support.shipped_kernels import shipped_kernel

pytestmark = [
    pytest.mark.parity,
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which("apt-cache") is None, reason="there is no apt"),
]

MOST = 0.5
"""Milliseconds of the processor, user and system, that a kept verdict may take, with all that the command does."""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ChosenKernel]]:
    with ten_kernels(tmp_path_factory.mktemp("kernels")) as found:
        yield found


@pytest.mark.parametrize("line", ["6.1", "6.12"])
def test_all_modules_have_the_verdicts_of_the_stages(line: str, kernels: Sequence[ChosenKernel]) -> None:
    directory = shipped_kernel(line).modules[0].parents[0]
    while directory.name != "kernel":
        directory = directory.parent
    files = find_modules([directory])
    assert len(files) > 4000
    check = Check(tuple(files), tuple(map(facts_of, kernels)), {})
    expected = with_exclusions([row for _, row in check_files(check, kept=False)])
    lines = "".join(f"{json.dumps(verdict.to_json())}\n" for row in expected for verdict in row)
    shutil.rmtree(Path(os.environ["KBUILDPY_CACHE"], "check"), ignore_errors=True)
    words = [word for kernel in kernels for word in ("-k", str(kernel.release))]
    for kept in (False, True):
        before = seconds_of_children()
        done = kbuildpy("check", directory, *words, "--format", "json")
        cost = (seconds_of_children() - before) / (len(files) * len(kernels)) * 1000
        print(f"{line}: {cost:.3f} ms for a verdict{' that was kept' if kept else ''}")
        assert done.text == lines
        assert not kept or cost <= MOST
    rows = with_exclusions([row for _, row in check_files(check)])
    assert rows == expected
    assert [*reports(rows)] == [*reports(expected)]


def reports(rows: Sequence[Sequence[Verdict]]) -> Iterator[str]:
    """All that can be printed of verdicts."""
    yield as_matrix(rows)
    verdicts = [verdict for row in rows for verdict in row]
    yield as_sarif(verdicts)
    for verdict in verdicts:
        yield as_text(verdict, verbose=True)


def seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
