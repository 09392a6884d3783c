# SPDX-License-Identifier: GPL-2.0-only
"""The modules that a module needs before it, where some of them are not known."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.stages.requires import in_order
from tests.support.loader_info import load_info, sentences


def kernel_with(own_modules: OwnModules) -> LoaderKernel:
    return LoaderKernel("6.12", (6, 12), "x86_64", own_modules=own_modules)


def test_a_module_of_the_kernel_that_cannot_be_read_leaves_its_needs_unchecked() -> None:
    class OneIsUnreadable(OwnModules):
        def needs(self, name: str) -> tuple[str, ...]:
            if name == "bad":
                raise KbuildError("/lib/modules/bad.ko.xz: cut off")
            return ("base",)

    info = load_info(b"", kernel_with(OneIsUnreadable(Path())))
    info.requires = ["bad", "good"]
    assert in_order(info) == ("bad", "base", "good")
    assert sentences(info) == ["the modules that bad needs: /lib/modules/bad.ko.xz: cut off"]


def test_one_required_module_of_which_nothing_is_known_is_said_whatever_comes_after_it() -> None:
    class OnlyGoodIsKnown(OwnModules):
        def needs(self, name: str) -> tuple[str, ...] | None:
            return ("base",) if name == "good" else None

    info = load_info(b"", kernel_with(OnlyGoodIsKnown(Path())))
    info.requires = ["strange", "good"]
    assert in_order(info) == ("strange", "base", "good")
    assert sentences(info) == ["the modules that those it requires need: the kernel's own modules are not known"]


def test_a_required_module_that_was_not_given_is_not_said_twice() -> None:
    info = load_info(b"", kernel_with(OwnModules(Path("/nowhere"))))
    info.requires, info.absent = ["strange"], ["strange"]
    assert in_order(info) == ("strange",)
    assert sentences(info) == []


def test_loaded_modules_with_many_ways_to_each_other_are_walked_through_once() -> None:
    info = load_info(b"", kernel_with(OwnModules(Path("/nowhere"))))
    loaded = (Loaded(f"m{number}", uses=(f"m{number - 1}", f"m{number - 2}")) for number in range(2, 1200))
    info.modules = Modules((Loaded("m0"), Loaded("m1", uses=("m0",)), *loaded))
    info.requires = ["m1199"]
    assert in_order(info) == tuple(f"m{number}" for number in range(1200))


def test_the_needs_that_are_known_are_said_beside_those_that_are_not() -> None:
    class OneIsUnreadable(OwnModules):
        def needs(self, name: str) -> tuple[str, ...]:
            if name == "bad":
                raise KbuildError("/lib/modules/bad.ko.xz: cut off")
            return ()

    info = load_info(b"", kernel_with(OneIsUnreadable(Path())))
    info.modules = Modules((Loaded("user", uses=("good", "bad")),))
    info.requires = ["user"]
    assert in_order(info) == ("good", "bad", "user")
    assert sentences(info) == ["the modules that bad needs: /lib/modules/bad.ko.xz: cut off"]
