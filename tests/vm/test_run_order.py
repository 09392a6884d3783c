# SPDX-License-Identifier: GPL-2.0-only
"""Which modules `kbuildpy run` loads, in which order, with which parameters, and in which kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.cli.run import _parameters
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.depmod_indexes import read_softdeps
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.vm.kernels import Kernel, find_kernels
from kbuildpy.vm.machine import X86_64
from kbuildpy.vm.trial import Trial, closure, needed_by, read_trial, with_dependencies
from tests.support.elf_objects import elf_object
from tests.support.guest_logs import trial

NONE = OwnModules(Path("/nowhere"), added=True)


def names(trials: list[Trial]) -> list[str]:
    return [item.name for item in trials]


def test_a_dependency_comes_first_and_the_rest_stays_in_order() -> None:
    given = [trial("c"), trial("b", needs=("a",)), trial("a")]
    assert names(with_dependencies(given, lambda: NONE)) == ["c", "a", "b"]


def test_the_kernels_own_modules_are_not_asked_for_where_nothing_needs_them() -> None:
    def fetch() -> OwnModules:
        raise AssertionError

    assert names(with_dependencies([trial("a"), trial("b", needs=("a",))], fetch)) == ["a", "b"]


def test_modules_that_need_each_other_and_two_of_one_name_are_refused() -> None:
    with pytest.raises(KbuildError, match="circle: a -> b -> a"):
        with_dependencies([trial("a", needs=("b",)), trial("b", needs=("a",))], lambda: NONE)
    with pytest.raises(UsageError, match="two files of a module called a"):
        with_dependencies([trial("a"), trial("a")], lambda: NONE)


def test_what_is_found_nowhere_is_left_to_the_kernel() -> None:
    (only,) = with_dependencies([trial("a", needs=("nowhere",))], lambda: NONE)
    assert only.needs == ("nowhere",)


def test_a_boot_for_some_has_what_they_need_and_no_more() -> None:
    all_ = [trial("a"), trial("b", needs=("a",)), trial("c"), trial("d", likes=("c",))]
    assert names(closure(all_, ["b"])) == ["a", "b"]
    assert names(closure(all_, ["d"])) == ["c", "d"]
    assert needed_by(all_, "b") == {"a", "b"}
    assert needed_by(all_, "d") == {"d"}


def test_modules_with_many_ways_to_each_other_are_walked_through_once() -> None:
    all_ = [trial(f"m{number}", needs=(f"m{number - 1}", f"m{number - 2}")) for number in range(2, 1200)]
    assert len(needed_by(all_, "m1199")) == 1200
    assert closure(all_, ["m1199"]) == all_


def test_soft_dependencies_that_come_before_are_told_from_those_after() -> None:
    assert read_softdeps("pre: a b post: c").pre == ("a", "b")
    assert read_softdeps("post: c pre: a").pre == ("a",)
    assert read_softdeps("").pre == ()


def test_the_first_of_several_soft_dependencies_counts_as_for_modprobe(tmp_path: Path) -> None:
    modinfo = b"softdep=post: x pre: a-b\0softdep=pre: c\0depends=d,e-f\0"
    (tmp_path / "soft.ko").write_bytes(elf_object([], [], modinfo=modinfo))
    read = read_trial(tmp_path / "soft.ko")
    assert (read.likes, read.needs) == (("a-b",), ("d", "e_f"))


def test_a_module_that_is_cut_off_is_named(tmp_path: Path) -> None:
    cut = tmp_path / "cut.ko.xz"
    cut.write_bytes(b"\xfd7zXZ\0\0\4")
    with pytest.raises(KbuildError, match=r"cut\.ko\.xz: the xz contents are cut off"):
        read_trial(cut)
    with pytest.raises(UsageError, match=r"none\.ko: no such file"):
        read_trial(tmp_path / "none.ko")


def test_parameters_go_to_the_module_that_is_named() -> None:
    files = [Path("out/a-b.ko"), Path("c.ko.xz")]
    assert _parameters(["a_b: x=1", 'c:y="p q" z=2', "a-b:w=3"], files) == {
        files[0]: "x=1 w=3",
        files[1]: 'y="p q" z=2',
    }
    assert _parameters(["x=a:b"], files[:1]) == {files[0]: "x=a:b"}


@pytest.mark.parametrize(("words", "said"), [("x=1", "of which module"), ("d: x=1", "no module d was named")])
def test_parameters_of_nobody_are_a_wrong_call(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _parameters([words], [Path("a.ko"), Path("c.ko")])


def test_all_kernels_are_also_those_that_have_an_image_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    image = tmp_path / "boot/vmlinuz-6.1-image"
    image.parent.mkdir()
    image.write_bytes(b"\x7fELF\x02\x01".ljust(18, b"\0") + b"\x3e\0" + b"Linux version 6.1-image (somebody)")
    for release in ("6.1-image", "6.1-removed"):
        (tmp_path / "lib/modules" / release / "kernel").mkdir(parents=True)
    assert find_kernels(["all"], {}, root=tmp_path) == [Kernel("6.1-image", image, X86_64)]
