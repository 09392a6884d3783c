# SPDX-License-Identifier: GPL-2.0-only
"""What is installed stays below the root that was named; within it, it lies where make puts it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.install.beneath import check_index, check_places
from kbuildpy.install.modules import BuiltModule, modules_of_build
from kbuildpy.kernel.installing import InstallRules
from tests.support.builds import kbuildpy
from tests.support.installs import (
    Built,
    assert_same_tree,
    build_sample,
    install_with_kbuildpy,
    install_with_make,
    installed,
)
from tests.support.kernel_trees import usual_tree

pytestmark = pytest.mark.parity
RULES = InstallRules("6.1", "/lib/modules/6.1", "extra", ".xz", (), None, (), "", (), "", "/", {})
SOURCE = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("x");\n'


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A module, built."""
    return build_sample("hello", tmp_path_factory.mktemp("hello") / "modules")


def refused(hello: Built, root: Path, *words: str, status: int = 1) -> str:
    """What is complained of; nothing is installed."""
    before = installed(root)
    done = install_with_kbuildpy(hello, root, words, status=status)
    assert installed(root) == before
    assert "INSTALL" not in done.text
    return done.error_text


@pytest.mark.parametrize("folder", ["../../../../out", "extra/../../../../../../out", "../../.././../out"])
def test_a_directory_that_climbs_out_of_the_root_is_a_wrong_call(folder: str, hello: Built, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    said = refused(hello, tmp_path / "root", f"INSTALL_MOD_DIR={folder}", status=2)
    assert f"INSTALL_MOD_DIR={folder} leads out of {tmp_path}/root" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("link", ["lib", "lib/modules", "lib/modules/RELEASE", "lib/modules/RELEASE/extra", "file"])
@pytest.mark.parametrize("way", ["absolute", "climbing"])
def test_a_link_in_the_root_that_leads_out_is_not_followed(link: str, way: str, hello: Built, tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    out.mkdir()
    folder = f"lib/modules/{hello.tree.release}/extra"
    place = root / (f"{folder}/hello.ko" if link == "file" else link.replace("RELEASE", hello.tree.release))
    place.parent.mkdir(parents=True)
    target = out / "hello.ko" if link == "file" else out
    place.symlink_to(target if way == "absolute" else os.path.relpath(target, place.parent))
    said = refused(hello, root, "INSTALL_MOD_DIR=extra", "CONFIG_MODULE_COMPRESS_NONE=y", *_uncompressed(hello))
    assert f"is not below {root}" in said
    assert list(out.iterdir()) == []


def _uncompressed(built: Built) -> list[str]:
    return [f"CONFIG_MODULE_COMPRESS{word}=" for word in ("", "_ALL", "_XZ", "_GZIP", "_ZSTD")]


def test_links_within_the_root_lead_where_they_lead_make(hello: Built, tmp_path: Path) -> None:
    roots = [tmp_path / "make", tmp_path / "ours"]
    for root in roots:
        (root / "usr/lib/modules").mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        (root / "elsewhere").mkdir()
        (root / f"lib/modules/{hello.tree.release}").symlink_to("../../../elsewhere")
    install_with_make(hello, roots[0])
    install_with_kbuildpy(hello, roots[1])
    assert_same_tree(*roots)
    assert list((roots[1] / "elsewhere").rglob("hello.ko*"))


def test_a_module_beside_its_directory_is_installed_as_by_make_and_that_is_said(tmp_path: Path) -> None:
    place = tmp_path / "m"
    (tmp_path / "common").mkdir()
    place.mkdir()
    (place / "Kbuild").write_text("obj-m := ../common/a.o\n")
    (tmp_path / "common/a.c").write_text(SOURCE)
    tree = usual_tree()
    done = kbuildpy("build", place, "-k", str(tree.objects))
    assert done.returncode == 0, done.error_text
    built = Built(tree, place)
    shutil.copy(next(built.ours.rglob("a.ko")), tmp_path / "common/a.ko")
    (place / "modules.order").write_text(f"{place}/../common/a.{'ko' if tree.version < (6, 3) else 'o'}\n")
    install_with_make(built, tmp_path / "make")
    done = install_with_kbuildpy(built, tmp_path / "ours")
    assert_same_tree(tmp_path / "make", tmp_path / "ours")
    assert "warning: ../common/a.ko: it is installed as " in done.error_text
    assert "as by make" in done.error_text


@pytest.mark.parametrize("line", ["../../../../etc/x.ko", "a/../../../../x.ko", "../../../6.2/x.ko", "../../x.ko"])
def test_a_name_in_modules_order_leads_nowhere_else(line: str, tmp_path: Path) -> None:
    for rules, root in ((RULES, str(tmp_path)), (RULES, ""), (replace(RULES, folder="."), "")):
        with pytest.raises(KbuildError, match=r"outside of /lib/modules/6\.1") as error:
            check_places([line], rules, root)
        assert not isinstance(error.value, UsageError)
    # ... nor does it have another file read than one of the build.
    (tmp_path / "out").mkdir()
    (tmp_path / "out/modules.order").write_text(f"{line}\n")
    (tmp_path / "x.ko").touch()
    with pytest.raises(KbuildError, match="missing, but"):
        modules_of_build(tmp_path / "m", tmp_path / "out")


def test_a_name_beside_the_directory_is_looked_for_where_it_was_built(tmp_path: Path) -> None:
    (tmp_path / "_up/common").mkdir(parents=True)
    (tmp_path / "_up/common/a.ko").touch()
    (tmp_path / "modules.order").write_text("../common/a.o\n")
    assert modules_of_build(tmp_path / "m", tmp_path) == [BuiltModule(tmp_path / "_up/common/a.ko", "../common/a.ko")]
    [said] = check_places(["../common/a.ko", "b.ko"], RULES, "")
    assert said.endswith("/lib/modules/6.1/common/a.ko.xz, as by make")


def test_the_index_is_not_written_through_a_link_either(tmp_path: Path) -> None:
    (tmp_path / "lib/modules/6.1").mkdir(parents=True)
    check_index(RULES, str(tmp_path))
    (tmp_path / "lib/modules/6.1/modules.dep").symlink_to("/etc/passwd")
    with pytest.raises(KbuildError, match="is a link to /etc/passwd"):
        check_index(RULES, str(tmp_path))


def test_links_without_an_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lib").symlink_to("lib")
    with pytest.raises(KbuildError, match="is a link to lib"):
        check_places(["a.ko"], RULES, str(tmp_path))


def test_the_running_system_is_left_by_nothing() -> None:
    assert check_places(["a.ko"], replace(RULES, folder="../../../../x"), "") == []
