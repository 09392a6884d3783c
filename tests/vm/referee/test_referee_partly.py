# SPDX-License-Identifier: GPL-2.0-only
"""The loader check says what kernels for i386, armhf, ppc64el and s390x say of what is the same for every machine:
damages to headers, sections, .modinfo, versions, symbols, memory, parameters and signatures, one boot for each kernel.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.vm.machine import machine_for
from tests.support.foreign_trees import FOREIGN
from tests.support.guest_kernels import image_of, tree_called
from tests.vm.referee.bases import build_bases
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.compare import compare, defined
from tests.vm.referee.damage import (
    elf_validity,
    layout,
    modinfo,
    parameters,
    partly,
    sections,
    signature,
    symbols,
    versions,
)
from tests.vm.referee.guest import ask
from tests.vm.referee.kernels import PARAMETERS, loader_kernel

pytestmark = [pytest.mark.vm, pytest.mark.sweep]

STAGES = (partly, elf_validity, sections, modinfo, versions, layout, symbols, signature)
FOR_OTHERS = re.compile("retpoline")
"""What names of cases say that are for x86-64 alone."""
NOT_CHECKED = re.compile(
    r"permissions/\.(text|data) is (executable, and )?not allocated|special/__dyndbg is not allocated"
)
"""Where the kernel relocates by an address, or follows a pointer, to what is not kept."""
DIFFERENT = re.compile(r"name/of what is in the kernel|layout/.* of [23] GiB")
"""What no tree tells (see test_referee), and what depends on the machine's memory."""


def cases(bases: Bases) -> Iterator[Case]:
    """Those that leave alone what pointers in tables lead to."""
    for stage in STAGES:
        yield from stage.cases(bases)
    for arguments in parameters.ARGUMENTS:
        yield Case(f"parameters/{arguments[:30]!r} ({len(arguments)})", bases.still, arguments)


@pytest.mark.parametrize("line", FOREIGN)
def test_we_say_what_kernels_for_other_machines_say(line: str, tmp_path: Path) -> None:
    tree = tree_called(line)
    machine = machine_for(architecture_of(tree))
    if shutil.which(machine.qemu) is None:
        pytest.skip(f"{machine.qemu} is not installed")
    image = image_of(tree)
    bases, kernel = build_bases(tree, tmp_path), loader_kernel(tree, image)
    named = [case for case in cases(bases) if not (FOR_OTHERS.search(case.name) or NOT_CHECKED.search(case.name))]
    asked, unchecked = defined(named, kernel)
    boots = ask(image, asked, parameters=PARAMETERS, timeout=1500)
    found = compare(boots, kernel)
    print(f"{kernel.release}: {len(found)} modules, {len(unchecked)} not checked, {len(boots)} boots")
    differences = [item for item in found if item.differences and not DIFFERENT.search(item.name)]
    assert not differences, "\n".join(map(str, differences))
    assert len(found) >= 300
    assert [item.name for item in found if item.answer.died] == []
