# SPDX-License-Identifier: GPL-2.0-only
"""Many files that are checked together: what nobody foresaw of one is said of that one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kbuildpy.loader import check
from kbuildpy.loader.check import Check, Checker, built_for
from kbuildpy.loader.kept import judge
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import NO_MODULES
from kbuildpy.loader.verdict import Verdict

RELEASES = ("6.1", "6.2")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Modules of which each needs the next, and the last one the first."""
    found = [tmp_path / f"m{number}.ko" for number in range(4)]
    for number, file in enumerate(found):
        file.write_bytes(b"\0depends=m%d\0" % ((number + 1) % len(found)))
    return found


def test_an_error_that_nobody_foresaw_is_said_of_its_file(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def load_module(contents: bytes, kernel: LoaderKernel, *_: Any, file: str, packed: object) -> tuple[Any, Any]:
        if file == str(files[1]):
            raise IndexError("index out of range")
        return Verdict(file, kernel.release, "m", accepted=True), NO_MODULES

    monkeypatch.setattr(judge, "load_module", load_module)
    kernels = tuple(LoaderKernel(release, (6, 1), "x86_64") for release in RELEASES)
    checker = Checker(Check(tuple(files), kernels, {}))
    for file in files:
        verdicts = checker.check(file)
        assert [verdict.kernel for verdict in verdicts] == [*RELEASES]
        for verdict in verdicts:
            assert verdict.accepted == verdict.readable == (file != files[1])
            if not verdict.readable:
                assert verdict.reason == f"{file}: internal error (IndexError: index out of range)"
                assert verdict.hint is not None and "defect" in verdict.hint
    assert not checker._pending


def test_an_interrupt_ends_a_check(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def load_module(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "load_module", load_module)
    with pytest.raises(KeyboardInterrupt):
        Checker(Check(tuple(files), (LoaderKernel("6.1", (6, 1), "x86_64"),), {})).check(files[0])


def test_neither_ends_it_the_search_for_kernels(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def stated_release(contents: bytes) -> str:
        if b"m2" in contents:
            raise IndexError("index out of range")
        return "6.1"

    monkeypatch.setattr(check, "stated_release", stated_release)
    found, silent = built_for(files)
    assert found == {"6.1": [files[0], *files[2:]]}
    [(file, [verdict])] = silent
    assert (file, verdict.readable) == (files[1], False)
