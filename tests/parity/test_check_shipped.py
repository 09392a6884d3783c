# SPDX-License-Identifier: GPL-2.0-only
"""Every module that a distribution ships is one that its own kernel loads, and that no other kernel does.

No false alarm: with the facts of the headers and with those of the image alone no stage complains, and nothing is left
unchecked that could be known. And no false comfort: for the other lines of kernels each is refused, with the reason
that these kernels give (tests/vm/test_foreign_modules.py asks them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kbuildpy.loader import since
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.verdict import Verdict
from tests.support.arm64 import LINES
from tests.support.kernel_trees import swept
from tests.support.shipped_kernels import NATIVE, ShippedKernel, others_of, shipped_kernel

pytestmark = pytest.mark.parity

SAMPLE = 300
ODD = ("libceph", "crc64-rocksoft")
"""Always in the sample: parameters that can only be read, by operations of their own without a setter."""
STAGING = "module is from the staging directory, the quality is unknown, you have been warned."
OF_CORE = "whether the kernel's own core has a /sys/module/core"
"""drivers/misc/c2port/core and files of the kernel itself are called alike, and only some of those have a directory."""

of_each_line = pytest.mark.parametrize("line", [*swept(NATIVE[0]), *NATIVE[1:]])


@of_each_line
def test_a_sample_of_shipped_modules_is_accepted(line: str) -> None:
    kernel = shipped_kernel(line)
    odd = [file for file in kernel.modules if file.name.partition(".")[0] in ODD]
    assert odd
    assert_accepted_by_its_own(kernel, [*kernel.sample(SAMPLE), *odd])


@of_each_line
def test_a_sample_of_shipped_modules_is_refused_for_the_other_kernels(line: str) -> None:
    kernel = shipped_kernel(line)
    assert_refused_by_the_others(line, kernel.sample(SAMPLE))


@pytest.mark.sweep
@of_each_line
def test_every_shipped_module_is_accepted(line: str) -> None:
    kernel = shipped_kernel(line)
    assert_accepted_by_its_own(kernel, kernel.modules)


@pytest.mark.sweep
@of_each_line
def test_every_shipped_module_is_refused_for_the_other_kernels(line: str) -> None:
    assert_refused_by_the_others(line, shipped_kernel(line).modules)


@pytest.mark.sweep
@pytest.mark.parametrize("line", LINES)
def test_every_shipped_module_for_arm64_is_accepted(line: str) -> None:
    kernel = shipped_kernel(line)
    assert_accepted_by_its_own(kernel, kernel.modules)


def assert_accepted_by_its_own(kernel: ShippedKernel, files: Sequence[Path]) -> None:
    """Check `files` with what the headers tell, and with what the image does."""
    wrong: dict[str, object] = {}
    for file, (by_tree, by_image) in verdicts(files, kernel.by_tree, kernel.by_image):
        lines = [line for line in by_tree.lines + by_image.lines if not line.endswith(STAGING)]
        if not (by_tree.accepted and by_image.accepted) or lines:
            wrong[file.name] = [(item.stage, item.errno, item.reason, item.lines) for item in (by_tree, by_image)]
        elif could_be_known(by_tree, kernel.by_tree) or could_be_known(by_image, kernel.by_image):
            wrong[file.name] = [item.unchecked for item in (by_tree, by_image)]
        elif kernel.by_image.exports is not None and by_tree != by_image:
            wrong[file.name] = [(item.size, item.requires, item.taints) for item in (by_tree, by_image)]
    print(f"{kernel.tree.release}: {len(files)} modules, {len(wrong)} wrong")
    assert len(files) >= SAMPLE
    assert wrong == {}


def could_be_known(verdict: Verdict, kernel: LoaderKernel) -> list[str]:
    """What was left unchecked, and need not have been."""
    # (an image of arm64 has no table of sections to find its exports by)
    unknown = {Fact.EXPORTS} if kernel.exports is None else set()
    return [item.sentence for item in verdict.unchecked if item.fact not in unknown and OF_CORE not in item.sentence]


def assert_refused_by_the_others(line: str, files: Sequence[Path]) -> None:
    """Check `files`, which are of kernel `line`, for the other kernels."""
    others = [kernel.by_tree for kernel in others_of(line)]
    if not others:
        pytest.skip("one kernel line only")
    counted: Counter[tuple[str, str | None, str | None, str]] = Counter()
    for _, found in verdicts(files, *others):
        counted.update((item.kernel, item.errno, item.stage, nameless(item)) for item in found)
    for what, count in counted.items():
        print(line, count, *what)
    assert len(files) >= SAMPLE
    of_its_own = shipped_kernel(line).by_tree
    assert set(counted) == {(other.release, "ENOEXEC", *why_refused(of_its_own, other)) for other in others}


def why_refused(own: LoaderKernel, other: LoaderKernel) -> tuple[str, str]:
    """The stage and the line that each module of kernel `own` ends with in `other`: where both have versions of
    symbols, these are compared before vermagic; the size of struct module comes before that, if it is looked at."""
    assert own.struct_module is not None and other.struct_module is not None
    if other.version >= since.EARLY_MOD_CHECK and own.struct_module.size != other.struct_module.size:
        line = "module NAME: .gnu.linkonce.this_module section size must match the kernel's built struct module size"
        return "elf_validity_cache_index_mod", f"{line} at run time"
    if own.has("MODVERSIONS") and other.has("MODVERSIONS"):
        return "check_modstruct_version", "NAME: disagrees about version of symbol module_layout"
    return "check_modinfo", f"NAME: version magic '{own.vermagic}' should be '{other.vermagic}'"


def nameless(verdict: Verdict) -> str:
    """The kernel's line, without the module's name."""
    return (verdict.log or "").replace(f"{verdict.name}: ", "NAME: ")


def verdicts(files: Sequence[Path], *kernels: LoaderKernel) -> Iterator[tuple[Path, Sequence[Verdict]]]:
    """What each kernel says of each file, which may need the others."""
    for file, result in check_files(Check(tuple(files), kernels, {})):
        assert all(verdict.readable for verdict in result), result[0].reason
        yield file, result
