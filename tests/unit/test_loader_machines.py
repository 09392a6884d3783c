# SPDX-License-Identifier: GPL-2.0-only
"""The machines of the loader check agree with the architectures that they are for."""

from __future__ import annotations

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import ARCHITECTURES
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.known import is_loader_known
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.machines import NAMES
from kbuildpy.loader.machines.machine import machine_named


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_has_the_name_and_the_number_of_its_architecture(name: str) -> None:
    facts = machine_named(name).facts
    known = {(item.name, item.elf_machine, item.bits, item.order) for item in ARCHITECTURES}
    assert (facts.name, facts.e_machine, facts.bits, facts.order) in known
    assert facts.name == name


@pytest.mark.parametrize("name", NAMES)
def test_the_types_of_pointers_are_applied_and_differ_from_each_other(name: str) -> None:
    facts = machine_named(name).facts
    kinds = facts.relocations
    pointers = [*kinds.absolute, *kinds.relative, *kinds.relative64]
    assert kinds.absolute and kinds.relative and bool(kinds.relative64) == facts.is_64bit
    assert kinds.applied.issuperset(pointers)
    assert len({*pointers}) == len(pointers)


def test_a_machine_whose_loader_is_not_known_is_a_clear_error() -> None:
    assert not is_loader_known((6, 12), "loongarch")
    assert not is_loader_known((5, 10), "arm64")
    assert is_loader_known((6, 1), "arm64")
    with pytest.raises(KbuildError, match="is not supported") as caught:
        load_module(b"", LoaderKernel("6.12", (6, 12), "loongarch"))
    assert caught.value.hint == "known are kernels from 6.1 on, for x86_64, arm64, riscv, i386, arm, powerpc and s390"
