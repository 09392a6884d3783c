# SPDX-License-Identifier: GPL-2.0-only
"""The probes of NVIDIA's modules, of OpenZFS and of evdi: the answers of their own scripts and ours, side by side, and
the time.

`KBUILDPY_CONFTESTS` names a folder with their sources, `open-gpu-kernel-modules`, `zfs` and `evdi` (1.15.0 or later,
which has the script); without it, or without one of them, the test is skipped. The figures are printed (`-rA` shows
them).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.probes.answer_probes import answer_probes
from kbuildpy.probes.probe import Probe
from tests.support.conftests import (
    Answers,
    Conftest,
    evdi_answers,
    evdi_probes,
    m4_answers,
    m4_probes,
    of_m4,
    processor_time,
)
from tests.support.kernel_trees import trees
from tests.support.packages import newer_kernel, other_compiler

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

LINES: dict[str, Callable[[], KernelTree]] = {
    **{tree.release: (lambda tree=tree: tree) for tree in trees()},  # type: ignore[misc]
    "7.3": lambda: newer_kernel()[0],
}
OTHERS = {
    "NV_REGISTER_SHRINKER_HAS_FMT_ARG": "a call of an undeclared function compiles there, whatever its arguments are",
}
"""Where their answer is wrong, and why. On older kernels it may be right by chance."""
WRONG = {
    "HAVE_FILE_F_VERSION": "a declaration without a name and a semicolon in its braces: it compiles nowhere",
}
"""Probes that answer no everywhere because of their own text, and that we refuse."""
by_line = pytest.mark.parametrize("line", LINES)


def sources(name: str, below: str) -> Path:
    """The folder `below` the sources of the project `name`."""
    folder = os.environ.get("KBUILDPY_CONFTESTS")
    place = Path(folder or "", name, below)
    if not folder or not place.is_dir():
        pytest.skip(f"KBUILDPY_CONFTESTS names no folder with {name}/{below}")
    return place


def asked(tree: KernelTree) -> TreeAnswer:
    """The answer of `tree`, which is asked once and for all, like make's own reading of the makefiles in theirs."""
    variables = dict(word.split("=", 1) for word in other_compiler(tree))
    return ask_tree(tree, variables=variables, environ=os.environ)


def ours(answer: TreeAnswer, probes: list[Probe]) -> tuple[Answers, dict[str, str]]:
    """What we answer, and why probes are refused, by name; the time is that of a call without those."""
    refused: dict[str, str] = {}
    while True:
        began, own = processor_time(), time.process_time()
        left = [probe for probe in probes if probe.name not in refused]
        try:
            found = dict(answer_probes(answer, left, environ=os.environ).found)
        except KbuildError as error:
            name, _, reason = error.message.partition(": ")
            assert name in {probe.name for probe in left}, error
            refused[name] = reason
            continue
        return Answers(found, processor_time() - began + time.process_time() - own), refused


def assert_same(
    theirs: Answers, mine: Answers, refused: dict[str, str], answer: TreeAnswer, probes: list[Probe]
) -> None:
    """The same answers but for those known to be wrong, and ours in at most a tenth of the time. A difference that
    other probes' headers make is gone when the probe is asked alone. What we refuse, a header that is not there or a
    wrong text, is one of their noes."""
    release = answer.tree.release
    common = theirs.found.keys() & mine.found.keys()
    different = sorted(name for name in common if theirs.found[name] != mine.found[name])
    print(
        f"{release}: {len(common)} probes, {sum(mine.found[name] for name in common)} yes, {len(different)} different "
        f"({', '.join(different)}), {len(refused)} refused ({', '.join(refused)}); processor time: theirs "
        f"{theirs.seconds:.1f} s, ours {mine.seconds:.2f} s, {theirs.seconds / mine.seconds:.0f} times less"
    )
    assert len(common) >= 40
    for probe in probes:
        if probe.name in different and probe.name not in OTHERS:
            alone, _ = ours(answer, [probe._replace(alone=True)])
            print(f"{release}: {probe.name}: {mine.found[probe.name]} with the headers of others, as theirs without")
            assert alone.found[probe.name] == theirs.found[probe.name], probe
    for name, reason in refused.items():
        assert "there is no header" in reason or name in WRONG
        assert not theirs.found[name]
    assert mine.seconds <= theirs.seconds / 10


@by_line
def test_answers_the_probes_of_nvidia_s_modules(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = LINES[line]()
    shutil.copytree(sources("open-gpu-kernel-modules", "kernel-open"), tmp_path / "theirs")
    script = Conftest(tmp_path / "theirs", tree)
    theirs = script.own_answers()
    answer = asked(tree)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    spent = 0.0

    def present(headers: list[Probe]) -> dict[str, bool]:
        nonlocal spent
        found, _ = ours(answer, headers)
        spent += found.seconds
        return found.found

    probes = script.probes(present)
    mine, refused = ours(answer, probes)
    assert_same(theirs, mine._replace(seconds=mine.seconds + spent), refused, answer, probes)


@by_line
def test_answers_the_probes_of_openzfs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = LINES[line]()
    probes = m4_probes(sources("zfs", "config"))
    theirs = m4_answers(probes, tree, tmp_path / "theirs", other_compiler(tree))
    named = theirs._replace(found={f"HAVE_{name.upper()}": yes for name, yes in theirs.found.items()})
    answer = asked(tree)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    asking = [of_m4(probe) for probe in probes]
    mine, refused = ours(answer, asking)
    assert_same(named, mine, refused, answer, asking)


@by_line
def test_answers_the_probes_of_evdi(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = LINES[line]()
    script = sources("evdi", "module") / "conftest.sh"
    if not script.exists():
        pytest.skip("this version of evdi has no conftest.sh")
    theirs = evdi_answers(script, tree, tmp_path / "theirs", other_compiler(tree))
    answer = asked(tree)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    probes = evdi_probes(script)
    mine, refused = ours(answer, probes)
    assert theirs.found.keys() == mine.found.keys() | refused.keys()
    assert_same(theirs, mine, refused, answer, probes)
