# SPDX-License-Identifier: GPL-2.0-only
"""Where a test in C cannot be compiled for want of the C library, the error names its package; no other error does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.vm.machine import MACHINES
from kbuildpy.vm.programs import guest_files, read_test

NATIVE = next((machine for machine in MACHINES if machine.native), None)
pytestmark = pytest.mark.skipif(
    NATIVE is None or shutil.which("gcc") is None, reason="compiles with this machine's gcc"
)


def hint_for(text: str, place: Path) -> str:
    """The hint of the error that compiling `text` ends with."""
    source = place / "a_test.c"
    source.write_text(text)
    assert NATIVE
    with pytest.raises(KbuildError, match="gcc cannot compile it") as caught:
        guest_files([read_test(str(source))], [], NATIVE)
    return caught.value.hint


@pytest.mark.parametrize("header", ["errno.h", "stdio.h", "net/if.h"])
def test_without_the_library_its_package_is_named(header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "bin/gcc"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shutil.which("gcc")} -nostdinc "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:/usr/bin:/bin")
    assert hint_for(f"#include <{header}>\nint main(void) {{ return 0; }}\n", tmp_path) == "apt-get install libc6-dev"


@pytest.mark.parametrize(
    "text", ["int main(void) { return 0 }\n", "#include <of_nobody.h>\nint main(void) { return 0; }\n"]
)
def test_a_mistake_of_the_test_is_no_missing_package(text: str, tmp_path: Path) -> None:
    assert hint_for(text, tmp_path) == ""
