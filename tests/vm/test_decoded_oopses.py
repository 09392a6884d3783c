# SPDX-License-Identifier: GPL-2.0-only
"""An oops in a real kernel is told with the line where the bug is, and every place of its trace is addr2line's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.debug.decode import decode_log, find_among
from kbuildpy.debug.explain import explainer
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.subjects import Subject, read_subject
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.describe import describe_test
from kbuildpy.vm.kernels import kernel_of_tree
from kbuildpy.vm.located import with_places
from kbuildpy.vm.machine import machine_for
from kbuildpy.vm.programs import read_test
from kbuildpy.vm.result import TestResult
from kbuildpy.vm.session import run_modules
from kbuildpy.vm.settings import Settings
from kbuildpy.vm.trial import read_trial
from tests.support.addr2line import Chain, addr2line
from tests.support.arm64 import CROSS, CROSS_COMPILE, LINES
from tests.support.guest_kernels import tree_called
from tests.vm.oopses import FAULTS, SHAPES, Bug, build, write_modules

pytestmark = pytest.mark.vm

FEW = [("inlined", "write"), ("deep", "string"), ("beside", "bug")]
ALL = [
    *((shape, fault) for shape in (*SHAPES, "twin", "beside") for fault in FAULTS if fault not in ("read", "wild")),
    *(("plain", fault) for fault in ("read", "wild")),
]
# (what arm64 divides by zero is 0)
WITHOUT_DIVISION = [(shape, fault) for shape, fault in ALL if fault != "divide"]
RUNS = [
    pytest.param(("6.1", FEW), id="6.1-few"),
    *(
        pytest.param((line, WITHOUT_DIVISION if line in LINES else ALL), id=f"{line}-all", marks=pytest.mark.sweep)
        for line in ("6.1", "6.12", *LINES)
    ),
]


@dataclass(frozen=True)
class Ran:
    """One run: the bugs, and what came of the test that ran into each."""

    bugs: list[Bug]
    tests: dict[int, TestResult]
    subjects: list[Subject]
    kernel: str
    prefix: str
    scratch: Path


@pytest.fixture(scope="module", params=RUNS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    line, cases = request.param
    tree = tree_called(line)
    if shutil.which(machine_for(architecture_of(tree)).qemu) is None:
        pytest.skip("QEMU is not installed")
    scratch = tmp_path_factory.mktemp("oopses")
    bugs = write_modules(scratch / "m", cases)
    files = build(tree, scratch / "m", *(CROSS if line in LINES else ()))
    script = scratch / "poke.sh"
    script.write_text('#!/bin/sh\necho "$1" >/proc/boom\n')
    tests = tuple(read_test(f"{script} {bug.number}") for bug in bugs)
    trials = [read_trial(files[name]) for name in ("boom", "beside")]
    settings = Settings(tests=tests)
    [result, _] = run_modules(kernel_of_tree(tree), trials, settings, show=lambda chunk: None)
    subjects = [read_subject(file) for file in files.values()]
    located = with_places(result, explainer(subjects, scratch / "m"))
    named = {int(test.name.rpartition(" ")[2]): test for test in located.tests}
    return Ran(bugs, named, subjects, tree.release, CROSS_COMPILE if line in LINES else "", scratch)


def test_every_oops_is_told_with_the_line_of_the_bug(ran: Ran) -> None:
    told = {}
    for bug in ran.bugs:
        # (A loop that warns does so for each call. After an oops arm64 warns once of its own idle loop. strlen() is
        # inlined, too.)
        told[bug] = {
            next((place for place in complaint.explained.where if Path(place.file).parent == bug.file.parent), None)
            for complaint in ran.tests[bug.number].complaints
            if complaint.module
        }
    assert told == {bug: {(bug.function, str(bug.file), bug.line)} for bug in ran.bugs}


def test_the_report_begins_with_the_place(ran: Ran) -> None:
    for bug in ran.bugs:
        _, *told = describe_test(ran.tests[bug.number], ran.kernel).splitlines()
        line = told[1 if bug.fault == "string" else 0]
        assert line.endswith(f"{bug.function} ({bug.file.name}:{bug.line})")


def test_every_place_of_every_trace_is_addr2lines(ran: Ran) -> None:
    places: dict[tuple[str, str], dict[int, Chain]] = {}
    for module, section, offset, chain in _places(ran):
        places.setdefault((module, section), {})[offset] = chain
    files = {subject.module: subject.file for subject in ran.subjects}
    for (module, section), chains in places.items():
        oracle = addr2line(files[module], ran.scratch, prefix=ran.prefix)
        assert list(chains.values()) == oracle.chains(section, list(chains))
    # (all calls go through a few functions)
    assert sum(map(len, places.values())) >= len(ran.bugs)


def _places(ran: Ran) -> Iterator[tuple[str, str, int, Chain]]:
    by_name = {subject.module: subject for subject in ran.subjects}
    find = find_among(ran.subjects, Finder(ran.scratch))
    for test in ran.tests.values():
        for complaint in test.complaints:
            for decoded in decode_log(complaint.log, find):
                mention = decoded.mention
                if mention.module not in by_name:
                    continue
                assert decoded.problem is None and len(decoded.chains) == 1, decoded
                subject = by_name[mention.module]
                [symbol] = [each for each in subject.symbols.called(mention.symbol) if each.has_size(mention.size)]
                offset = symbol.offset + mention.offset - (1 if mention.returns else 0)
                chain = tuple((place.function, place.file, place.line) for place in decoded.chains[0])
                yield mention.module, symbol.section.name, offset, chain
