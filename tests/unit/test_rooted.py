# SPDX-License-Identifier: GPL-2.0-only
"""Files below a root are found as in a chroot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbuildpy.kernel.boot_loads import boot_loads
from kbuildpy.kernel.command_line import kernel_arguments, last_value
from kbuildpy.kernel.rooted import Rooted, configuration_files


def test_links_lead_nowhere_out_of_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/here").write_text("inside")
    (root / "lib").symlink_to("/usr/lib")
    (root / "up").symlink_to("../../../usr/lib/here")
    (root / "out").symlink_to(f"{outside}/secret")
    (root / "circle").symlink_to("circle")
    system = Rooted(root)
    assert system.text("/lib/here") == system.text("/up") == system.text("/lib/../../../usr/lib/here") == "inside"
    assert system.text("/out") is None
    assert system.text("/circle") is None
    assert not system.exists("/circle") and not system.is_directory("/circle")
    assert system.named(system.real("/lib/here")) == "/usr/lib/here"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert Rooted(tmp_path).text("/pipe") is None


def test_of_two_files_of_one_name_the_first_folders_is_taken(tmp_path: Path) -> None:
    for path in ("a/m.conf", "b/m.conf", "b/a.conf", "b/.conf", "b/x.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "a/dir.conf").mkdir()
    (tmp_path / "a/gone.conf").symlink_to("/none")
    assert configuration_files(Rooted(tmp_path), ["/a", "/none", "/b"]) == ["/b/a.conf", "/a/m.conf"]


def test_lists_of_modules_to_load_are_read_once_each(tmp_path: Path) -> None:
    folder = tmp_path / "etc/modules-load.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc/modules").write_text("# nothing\n; nothing\nloop max=4\n\n")
    (folder / "modules.conf").symlink_to("../modules")
    (folder / "z.conf").write_text("  fuse  \n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("quiet modules_load=a,b-c rd.modules_load= -- modules_load=d\n")
    found = [(each.file, each.line, each.name) for each in boot_loads(Rooted(tmp_path))]
    assert found == [
        ("/etc/modules", 3, "loop"),
        ("/etc/modules-load.d/z.conf", 1, "fuse"),
        ("/proc/cmdline", 0, "a"),
        ("/proc/cmdline", 0, "b-c"),
    ]


@pytest.mark.parametrize("path", ["/", "/a/../.."])
def test_above_the_root_is_the_root(tmp_path: Path, path: str) -> None:
    assert Rooted(tmp_path).real(path) == tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1  b-c\td\n", [("a", "1"), ("b_c", None), ("d", None)]),
        ('x="1 2" "y=3 4" z=', [("x", "1 2"), ("y", "3 4"), ("z", "")]),
        ("a -- b", [("a", None)]),
        ('a="1 -- b', [("a", "1 -- b")]),
        ("", []),
    ],
)
def test_the_kernels_words_end_where_those_of_init_begin(text: str, expected: list[tuple[str, str | None]]) -> None:
    found = kernel_arguments(text)
    assert [tuple(each) for each in found] == expected
    assert last_value(found, "nothing") is None
    assert last_value(kernel_arguments("a=1 a=2 a"), "a") == ""
