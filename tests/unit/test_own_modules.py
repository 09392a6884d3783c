# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own modules as depmod's indexes tell them, and module files below a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kernel.depmod_indexes import Softdeps, exporting_modules, plain_name
from kbuildpy.kernel.module_files import module_name, walk_modules
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.own_modules import Meaning, OwnModules, own_modules_of_tree
from kbuildpy.kernel.release import release_of_vermagic
from tests.support.fake_trees import fake_tree


def test_indexes_are_read_as_modprobe_reads_them(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text("kernel/a-b.ko.xz: kernel/c.ko.xz kernel/d.ko.xz\nkernel/c.ko.xz:\n")
    (tmp_path / "modules.softdep").write_text(
        "# comment\nsoftdep a_b pre: hash post: e\nsoftdep a_b pre: c\nsoftdep none pre: c\n"
    )
    (tmp_path / "modules.alias").write_text("# comment\nalias hash c\nalias pci:v*d1* d\n")
    own = OwnModules(tmp_path)
    assert own.files()["a_b"] == tmp_path / "kernel/a-b.ko.xz"
    assert [own.needs(name) for name in ("a_b", "c", "nothing")] == [("d", "c"), (), None]
    assert own.softdeps("a-b") == Softdeps(("hash",), ("e",))
    assert own.meaning("a-b") == Meaning(("a_b",))
    assert own.meaning("hash") == Meaning(("c",))
    assert own.meaning("pci:v12d1x") == Meaning(("d",))
    assert own.meaning("nothing").names == ()


def test_indexes_are_read_again_once_depmod_has_run(tmp_path: Path) -> None:
    own = OwnModules(tmp_path)
    assert (own.files(), own.needs("a"), own.softdeps("a"), own.built_in()) == ({}, None, Softdeps(), None)
    (tmp_path / "modules.dep").write_text("kernel/a.ko: kernel/b.ko\n")
    (tmp_path / "modules.softdep").write_text("softdep a pre: c\n")
    (tmp_path / "modules.alias").write_text("alias x-[a-c]-* a\n")
    (tmp_path / "modules.builtin").write_text("kernel/d-e.ko\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"f.alias=g-h\0d_e.license=GPL\0")
    assert (own.needs("a"), own.softdeps("a")) == (("b",), Softdeps(("c",)))
    assert own.built_in() == frozenset({"d_e", "f"})
    # (kmod takes - for _, but not in brackets)
    assert (own.meaning("x_b_1"), own.meaning("x-b-1"), own.meaning("x--")) == (
        Meaning(("a",)),
        Meaning(("a",)),
        Meaning((), True),
    )
    assert (own.meaning("d-e"), own.meaning("g_h")) == (Meaning(("d_e",), True), Meaning(("f",), True))
    (tmp_path / "modules.dep").write_text("kernel/a.ko: kernel/longer.ko\nextra/z.ko:\n")
    assert own.needs("a") == ("longer",)
    assert [*own.files()] == ["a"]
    assert [*OwnModules(tmp_path, added=True).files()] == ["a", "z"]


@pytest.mark.parametrize("suffix", ["o", "ko"], ids=["from 6.3 on", "up to 6.2"])
def test_in_a_tree_they_are_where_they_were_built(tmp_path: Path, suffix: str) -> None:
    tree = open_tree(fake_tree(tmp_path, "6.12.9-mine"))
    assert own_modules_of_tree(tree) is None
    (tmp_path / "modules.order").write_text(f"drivers/a-b.{suffix}\nkernel/c.{suffix}\nfs/gone.{suffix}\n")
    (tmp_path / "modules.builtin").write_text("kernel/d-e.ko\n")
    (tmp_path / "modules.builtin.modinfo").write_bytes(b"f.alias=g-h\0")
    for name, needs in {"drivers/a-b.ko": "c", "kernel/c.ko": "", "kernel/not_listed.ko": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0license=GPL\0depends=" + needs.encode() + b"\0")
    own = own_modules_of_tree(tree)
    assert own is not None
    assert own.files() == {"a_b": tmp_path / "drivers/a-b.ko", "c": tmp_path / "kernel/c.ko"}
    assert [own.needs(name) for name in ("a-b", "c", "gone")] == [("c",), (), None]
    assert own.built_in() == frozenset({"d_e", "f"})


def test_without_depmod_modules_are_walked_through_and_state_their_needs(tmp_path: Path) -> None:
    for name, needs in {"a-b": "c-d", "c-d": "e", "e": ""}.items():
        path = tmp_path / "kernel/drivers" / f"{name}.ko"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0license=GPL\0depends=" + needs.encode() + b"\0")
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates/z.ko").touch()
    own = OwnModules(tmp_path)
    assert {*own.files()} == {"a_b", "c_d", "e"}
    assert (own.needs("a-b"), own.needs("z")) == (("e", "c_d"), None)
    assert own.contents("c_d") == own.contents("c-d") == (tmp_path / "kernel/drivers/c-d.ko").read_bytes()
    assert exporting_modules(tmp_path) is None


def test_modules_with_many_ways_to_each_other_are_walked_through_once(tmp_path: Path) -> None:
    """Without depmod's list: a chain in which each module needs the two before it, and the last is needed by them."""
    (tmp_path / "kernel").mkdir()
    for number in range(1200):
        needs = ",".join(f"m{below}" for below in (number - 1, number - 2) if below >= 0) or "m1199"
        (tmp_path / f"kernel/m{number}.ko").write_bytes(b"\0depends=" + needs.encode() + b"\0")
    assert OwnModules(tmp_path).needs("m1199") == tuple(f"m{number}" for number in range(1199))


def test_a_name_may_have_any_number_of_brackets() -> None:
    assert plain_name("a-[b-c]-" + "[-]-" * 3000 + "[-d") == "a_[b-c]_" + "[-]_" * 3000 + "[-d"


def test_a_directory_that_is_not_there_has_no_modules_and_none_is_passed_over(tmp_path: Path) -> None:
    assert [*walk_modules(tmp_path / "none")] == []
    for path in ("b/z.ko", "a.ko.zst", "b/build/m.ko.gz", "c.ko.lz4", "d.o"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    names = [path.removeprefix(f"{tmp_path}/") for path in walk_modules(tmp_path)]
    assert names == ["a.ko.zst", "b/z.ko", "b/build/m.ko.gz"]
    assert [*walk_modules(tmp_path, suffixes=(".ko",), without=("build",))] == [f"{tmp_path}/b/z.ko"]


@pytest.mark.parametrize(
    ("path", "name"), [("a/b-c.ko", "b_c"), ("b-c.ko.xz", "b_c"), ("b.c.ko.zst", "b.c"), ("b-c", "b_c"), ("a.o", "a.o")]
)
def test_a_module_is_called_by_its_file(path: str, name: str) -> None:
    assert module_name(path) == name


@pytest.mark.parametrize(
    ("vermagic", "release"),
    [
        ("6.1.0-56-amd64 SMP mod_unload ", "6.1.0-56-amd64"),
        ("6.1", "6.1"),
        ("../tree SMP", ""),
        ("", ""),
        ("all x", ""),
    ],
)
def test_a_vermagic_begins_with_a_release_or_names_none(vermagic: str, release: str) -> None:
    assert release_of_vermagic(vermagic) == release
