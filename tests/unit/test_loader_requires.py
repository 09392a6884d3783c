"""The modules that a module needs before it, where some of them are not known."""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.stages.requires import in_order
from tests.loader_info import load_info, sentences


def test_a_module_of_the_kernel_that_cannot_be_read_leaves_its_needs_unchecked() -> None:
    def depends_of(name: str) -> tuple[str, ...]:
        if name == "bad":
            raise KbuildError("/lib/modules/bad.ko.xz: cut off")
        return ("base",)

    info = load_info(b"", LoaderKernel("6.12", (6, 12), "x86_64", depends_of=depends_of))
    info.requires = ["bad", "good"]
    assert in_order(info) == ("bad", "base", "good")
    assert sentences(info) == ["the modules that bad needs: /lib/modules/bad.ko.xz: cut off"]


def test_one_required_module_of_which_nothing_is_known_is_said_whatever_comes_after_it() -> None:
    def depends_of(name: str) -> tuple[str, ...] | None:
        return ("base",) if name == "good" else None

    info = load_info(b"", LoaderKernel("6.12", (6, 12), "x86_64", depends_of=depends_of))
    info.requires = ["strange", "good"]
    assert in_order(info) == ("strange", "base", "good")
    assert sentences(info) == ["the modules that those it requires need: the kernel's own modules are not known"]


def test_a_required_module_that_was_not_given_is_not_said_twice() -> None:
    info = load_info(b"", LoaderKernel("6.12", (6, 12), "x86_64", depends_of=lambda name: None))
    info.requires, info.absent = ["strange"], ["strange"]
    assert in_order(info) == ("strange",)
    assert sentences(info) == []
