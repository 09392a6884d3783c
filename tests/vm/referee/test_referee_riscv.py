# SPDX-License-Identifier: GPL-2.0-only
"""The loader check says what a kernel for riscv64 says: named damages to headers, symbols, versions, relocations and
alternatives, and modules that are damaged at random, one boot each.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.vm.machine import RISCV
from tests.support.guest_kernels import image_of, tree_called
from tests.support.riscv64 import RISCV64_LINES
from tests.vm.referee.bases import build_bases
from tests.vm.referee.compare import compare, defined
from tests.vm.referee.damage import (
    elf_validity,
    layout,
    modinfo,
    parameters,
    riscv,
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
    pytest.mark.skipif(shutil.which(RISCV.qemu) is None, reason=f"{RISCV.qemu} is not installed"),
]

STAGES = (riscv, elf_validity, sections, modinfo, versions, layout, symbols, parameters, signature)
AT_RANDOM = 200
FOR_OTHERS = ("retpoline",)
"""What names of cases say that are for x86-64 alone."""


DIFFERENT = ("name/of what is in the kernel",)
"""What no tree tells (see test_referee)."""


@pytest.mark.parametrize("line", RISCV64_LINES)
def test_we_say_what_a_kernel_for_riscv64_says(line: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tree = tree_called(line)
    image = image_of(tree)
    bases, kernel = build_bases(tree, tmp_path), loader_kernel(tree, image)
    seed = int(request.config.option.referee_seed)
    named = [case for stage in STAGES for case in stage.cases(bases) if not any(map(case.name.count, FOR_OTHERS))]
    asked, unchecked = defined([*named, *mutations(bases, seed, AT_RANDOM)], kernel)
    boots = ask(image, asked, parameters=PARAMETERS, timeout=1500)
    found = compare(boots, kernel)
    print(f"{kernel.release}: {len(found)} modules, {len(unchecked)} not checked, {len(boots)} boots")
    differences = [item for item in found if item.differences and item.name not in DIFFERENT]
    assert not differences, "\n".join(map(str, differences))
    assert len([item for item in found if item.name.startswith("riscv/")]) >= 100
    assert len([item for item in found if item.name.startswith("random ")]) >= 100
    assert [item.name for item in found if item.answer.died] == []
