# SPDX-License-Identifier: GPL-2.0-only
"""What installing decides before it touches anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import replacing, umask
from kbuildpy.install.beneath import check_places
from kbuildpy.install.module import install_module, target_of
from kbuildpy.install.modules import BuiltModule, check_modules, modules_below, modules_of_build
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.program_packages import install_hint
from kbuildpy.run import with_sbin

RULES = InstallRules("6.1", "/lib/modules/6.1", "extra", "", (), None, (), "", (), "", "/", {})


@pytest.mark.parametrize(
    "line", ["{directory}/sub/drv.ko", "{directory}/sub/drv.o", "sub/drv.o"], ids=["up to 6.2", "up to 6.12", "later"]
)
def test_finds_modules_by_the_name_that_their_kernels_modules_order_has(line: str, tmp_path: Path) -> None:
    out = tmp_path / "build/release"
    (out / "sub").mkdir(parents=True)
    (out / "sub/drv.ko").touch()
    (out / "modules.order").write_text(line.format(directory=tmp_path) + "\n")
    assert modules_of_build(tmp_path, out) == [BuiltModule(out / "sub/drv.ko", "sub/drv.ko")]


def test_refuses_modules_of_another_directory(tmp_path: Path) -> None:
    (tmp_path / "drv.ko").touch()
    (tmp_path / "modules.order").write_text(f"{tmp_path}/drv.o\n")
    with pytest.raises(KbuildError, match="missing, but"):
        modules_of_build(tmp_path / "elsewhere", tmp_path)


@pytest.mark.parametrize("line", ["/", ".", "..", "{directory}/"])
def test_refuses_a_damaged_modules_order(line: str, tmp_path: Path) -> None:
    (tmp_path / "modules.order").write_text(line.format(directory=tmp_path) + "\n")
    with pytest.raises(KbuildError, match="missing, but"):
        modules_of_build(tmp_path, tmp_path)


def test_refuses_two_modules_for_one_place(tmp_path: Path) -> None:
    twice = [BuiltModule(tmp_path / name, "drv.ko") for name in ("a", "b")]
    with pytest.raises(UsageError, match=r"both be installed as drv\.ko"):
        check_modules(twice, "6.1")


def test_depmod_is_not_looked_for_in_the_current_directory() -> None:
    assert with_sbin({"PATH": "/bin", "A": "b"}) == {"PATH": "/bin:/usr/sbin:/sbin", "A": "b"}
    assert with_sbin({})["PATH"] == with_sbin({"PATH": ""})["PATH"] == "/usr/sbin:/sbin"


@pytest.mark.parametrize("place", ["lib", "lib/modules/6.1/extra"])
def test_a_file_in_the_way_is_an_error_with_a_name(place: str, tmp_path: Path) -> None:
    in_the_way, module = tmp_path / "root" / place, tmp_path / "a.ko"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    module.touch()
    root = str(tmp_path / "root")
    assert check_places(["a.ko", "b/c.ko"], RULES, root) == []
    with pytest.raises(KbuildError, match=f"^{tmp_path}/root/lib.*: (Not a directory|File exists)"):
        install_module(module, target_of("a.ko", RULES, root), RULES, env={}, signer=None)


def test_a_link_of_one_module_is_followed_from_where_the_others_lead(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/modules/6.1/extra/sub").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    link = tmp_path / "lib/modules/6.1/extra/sub/b.ko"
    link.symlink_to("../../../../../../x")
    names = ["a.ko", "sub/b.ko", "c.ko"]
    assert check_places(names, RULES, str(tmp_path)) == []
    link.unlink()
    link.symlink_to("../../../../../../../x")
    with pytest.raises(KbuildError, match=f"^{tmp_path}/usr/lib/modules/6.1/extra/sub/b.ko is not below {tmp_path}\n"):
        check_places(names, RULES, str(tmp_path))


def test_the_package_of_a_cross_strip_is_that_of_its_binutils() -> None:
    assert install_hint("/usr/bin/x86_64-linux-gnu-strip") == "apt-get install binutils-x86-64-linux-gnu"
    assert install_hint("xz") == "apt-get install xz-utils"


def test_a_new_file_has_the_mode_that_is_asked_for_and_the_old_ones_attributes_stay_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "drv.ko"
    with replacing(path) as replacement:
        replacement.write(b"1", mode=0o640)
    assert path.stat().st_mode & 0o777 == 0o640
    with replacing(path) as replacement:
        replacement.write(b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_umask_is_read_and_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", None)
        assert umask() == 0o027
    finally:
        monkeypatch.undo()
        os.umask(before)


def test_saying_what_installing_does_imports_neither_scons_nor_cryptography() -> None:
    script = "import sys; from kbuildpy.cli import install; print({'SCons', 'cryptography'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_folder_of_builds_gives_their_modules_without_the_folders_of_the_releases(tmp_path: Path) -> None:
    for name in (
        *("6.1/modules.order", "6.1/a.ko", "6.1/sub/b.ko.xz", "6.1/signed/a.ko", "6.1/.kbuildpy/sources/a.ko"),
        *("6.12/modules.order", "6.12/a.ko", "6.5/a.ko", "loose/c.ko"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def names(place: Path, *releases: str) -> list[str]:
        return [module.name for module in modules_below(place, releases, suffixes=(".ko", ".ko.xz"))]

    assert names(tmp_path, "6.1", "6.5") == ["a.ko", "sub/b.ko.xz", "6.12/a.ko", "6.5/a.ko", "loose/c.ko"]
    assert names(tmp_path, "6.1", "6.12") == ["a.ko", "sub/b.ko.xz", "a.ko", "6.5/a.ko", "loose/c.ko"]
    assert names(tmp_path / "6.1", "6.1") == ["a.ko", "sub/b.ko.xz"]
    assert names(tmp_path / "6.1/signed", "6.1") == ["a.ko"]
