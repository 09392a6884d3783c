"""What a module needs before it, where that is not known."""

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
