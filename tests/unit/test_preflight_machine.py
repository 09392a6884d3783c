# SPDX-License-Identifier: GPL-2.0-only
"""What a made-up machine tells a preflight, and which modules are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.errors import UsageError
from kbuildpy.kernel.enforcement import enforcement
from kbuildpy.preflight.machine import dkms_sources, loaded_modules
from kbuildpy.preflight.subjects import Candidate, candidates, module_set


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("folder", "text", "expected"),
    [
        ("a-1.0", 'PACKAGE_NAME="a"\nPACKAGE_VERSION="1.0"\nBUILT_MODULE_NAME[0]="a-b"\n', {"a_b": "a/1.0"}),
        ("a-1.0", "PACKAGE_NAME=a\nPACKAGE_VERSION=1.0\n", {"a": "a/1.0"}),
        (
            "a-1.0",
            "PACKAGE_NAME=a\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME[0]=$PACKAGE_NAME\nBUILT_MODULE_NAME[1]=x\n",
            {"a": "a/1.0", "x": "a/1.0"},
        ),
        ("a-b-2.0", 'PACKAGE_NAME=a-b\nPACKAGE_VERSION="#MODULE_VERSION#"\n', {"a_b": "a-b/2.0"}),
        ("a-b-2.0", "PACKAGE_NAME=$(echo x)\nPACKAGE_VERSION=`echo 1`\n", {"a_b": "a-b/2.0"}),
    ],
)
def test_sources_are_found_by_the_modules_that_a_dkms_conf_names(
    folder: str, text: str, expected: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path, f"usr/src/{folder}/dkms.conf", text)
    assert {name: source.dkms for name, source in dkms_sources(tmp_path).items()} == expected


def test_the_running_kernels_enforcement_is_read(tmp_path: Path) -> None:
    assert enforcement(tmp_path) == (False, False)
    write(tmp_path, "sys/module/module/parameters/sig_enforce", "Y\n")
    write(tmp_path, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert enforcement(tmp_path) == (True, True)
    write(tmp_path, "sys/module/module/parameters/sig_enforce", "N\n")
    write(tmp_path, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    assert enforcement(tmp_path) == (False, False)


def test_hostile_names_of_loaded_modules_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "proc/modules", "good 1 0 - Live 0x0\n../bad 1 0\n\x1b[31m 1 0\n\n")
    assert loaded_modules(tmp_path) == ["good"]


def test_loaded_and_added_modules_are_looked_at_and_named_ones_in_their_place(tmp_path: Path) -> None:
    for path in ("kernel/a.ko", "updates/b.ko", "extra/c.ko.xz"):
        write(tmp_path, f"lib/modules/6.1.0-1/{path}")
    old = module_set(tmp_path / "lib/modules/6.1.0-1", "6.1.0-1")
    found = candidates([], ["a", "x"], old)
    assert {each.name: each.loaded for each in found} == {"a": True, "x": True, "b": False, "c": False}
    assert candidates(["a"], ["a"], old) == [Candidate("a", True)]
    file = tmp_path / "lib/modules/6.1.0-1/updates/b.ko"
    assert candidates([str(file)], [], old) == [Candidate("b", False, file)]
    with pytest.raises(UsageError, match="y: no module of that name is loaded, or installed in"):
        candidates(["y"], [], old)
