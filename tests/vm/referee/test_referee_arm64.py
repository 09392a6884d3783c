# SPDX-License-Identifier: GPL-2.0-only
"""The loader check says what kernels for arm64 say: named damages to headers, symbols, versions, relocations, PLTs and
alternatives, and modules that are damaged at random, one boot for each kernel.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.vm.machine import ARM64
from tests.support.arm64 import LINES
from tests.support.guest_kernels import image_of, tree_called
from tests.vm.referee.bases import build_bases
from tests.vm.referee.compare import Comparison, compare, defined
from tests.vm.referee.damage import (
    arm64,
    elf_validity,
    layout,
    modinfo,
    parameters,
    sections,
    signature,
    symbols,
    versions,
)
from tests.vm.referee.guest import ask
from tests.vm.referee.kernels import PARAMETERS, loader_kernel
from tests.vm.referee.mutations import mutations

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which(ARM64.qemu) is None, reason=f"{ARM64.qemu} is not installed"),
]

STAGES = (arm64, elf_validity, sections, modinfo, versions, layout, symbols, parameters, signature)
AT_RANDOM = 200
FOR_OTHERS = ("retpoline",)
"""What names of cases say that are for x86-64 alone."""
DIFFERENT = ("name/of what is in the kernel", "layout/.bss of 2 GiB", "symbol names/end with a letter")
"""What no tree tells (see test_referee); what depends on the machine's memory; and a name that goes on in relocations,
which the kernel has sorted."""
OUT_OF_REACH = ("overflow in relocation type", "module_emit_plt_entry")
"""What lines say of a value that does not reach, or has no entry of the PLT."""


def depends_on_the_address(item: Comparison) -> bool:
    """Whether we say that we do not know whether relocations reach, and the kernel that one does not."""
    is_open = any("overflow" in unchecked.check for unchecked in item.verdict.unchecked)
    return is_open and any(words in line for words in OUT_OF_REACH for line in item.answer.log)


@pytest.mark.parametrize("line", LINES)
def test_we_say_what_a_kernel_for_arm64_says(line: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tree = tree_called(line)
    image = image_of(tree)
    bases, kernel = build_bases(tree, tmp_path), loader_kernel(tree, image)
    seed = int(request.config.option.referee_seed)
    named = [case for stage in STAGES for case in stage.cases(bases) if not any(map(case.name.count, FOR_OTHERS))]
    asked, unchecked = defined([*named, *mutations(bases, seed, AT_RANDOM)], kernel)
    boots = ask(image, asked, parameters=PARAMETERS, timeout=1500)
    found = compare(boots, kernel)
    print(f"{kernel.release}: {len(found)} modules, {len(unchecked)} not checked, {len(boots)} boots")
    differences = [
        item for item in found if item.differences and item.name not in DIFFERENT and not depends_on_the_address(item)
    ]
    assert not differences, "\n".join(map(str, differences))
    assert len([item for item in found if item.name.startswith("arm64/")]) >= 100
    assert len([item for item in found if item.name.startswith("random ")]) >= 100
    assert [item.name for item in found if item.answer.died] == []
