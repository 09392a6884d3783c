# SPDX-License-Identifier: GPL-2.0-only
"""The loader check says what kernels for i386, armhf, ppc64el and s390x say of what is the same for every machine:
damages to headers, sections, .modinfo, versions, symbols, memory, parameters and signatures, one boot for each kernel.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.machine import machine_for
from tests.support.foreign_trees import FOREIGN
from tests.support.guest_kernels import image_of, tree_called
from tests.vm.referee.sweep import sweep

pytestmark = [pytest.mark.vm, pytest.mark.sweep]


@pytest.mark.parametrize("line", FOREIGN)
def test_we_say_what_kernels_for_other_machines_say(line: str, tmp_path: Path) -> None:
    tree = tree_called(line)
    machine = machine_for(architecture_of(tree))
    if shutil.which(machine.qemu) is None:
        pytest.skip(f"{machine.qemu} is not installed")
    found = sweep(tree, image_of(tree), tmp_path, seed=1, at_random=0)
    print(f"{tree.release}: {len(found.comparisons)} modules, {found.unchecked} not checked, {found.boots} boots")
    assert not found.differences, "\n".join(map(str, found.differences))
    assert len(found.comparisons) >= 300
    assert [item.name for item in found.comparisons if item.answer.died] == []
