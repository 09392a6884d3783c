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
from tests.vm.referee.sweep import sweep

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    pytest.mark.skipif(shutil.which(ARM64.qemu) is None, reason=f"{ARM64.qemu} is not installed"),
]

AT_RANDOM = 200


@pytest.mark.parametrize("line", LINES)
def test_we_say_what_a_kernel_for_arm64_says(line: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tree = tree_called(line)
    seed = int(request.config.option.referee_seed)
    found = sweep(tree, image_of(tree), tmp_path, seed=seed, at_random=AT_RANDOM)
    print(f"{tree.release}: {len(found.comparisons)} modules, {found.unchecked} not checked, {found.boots} boots")
    assert not found.differences, "\n".join(map(str, found.differences))
    assert len([item for item in found.comparisons if item.name.startswith("arm64/")]) >= 100
    assert found.at_random >= 100
    assert [item.name for item in found.comparisons if item.answer.died] == []
