"""What a module needs before it, where that is not known."""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.loaded import Modules
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.requires import in_order


def test_a_module_of_the_kernel_that_cannot_be_read_leaves_its_needs_unchecked() -> None:
    def depends_of(name: str) -> tuple[str, ...]:
        if name == "bad":
            raise KbuildError("/lib/modules/bad.ko.xz: cut off")
        return ("base",)

    info = LoadInfo(b"", LoaderKernel("6.12", (6, 12), "x86_64", depends_of=depends_of), Modules())
    info.requires = ["bad", "good"]
    assert in_order(info) == ("bad", "base", "good")
    assert info.unchecked == ["what bad needs itself: /lib/modules/bad.ko.xz: cut off"]
