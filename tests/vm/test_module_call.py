# SPDX-License-Identifier: GPL-2.0-only
"""The guest's program that loads modules is what its source says, for every machine whose assembler is here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kbuildpy.vm
from kbuildpy.elf.image import ModuleImage
from kbuildpy.run import run
from kbuildpy.vm.machine import MACHINES, Machine
from kbuildpy.vm.module_call import module_call

PADDING = (b"", b"\x07\x07")
"""What an assembler may put behind the code."""


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_code_is_the_sources(machine: Machine, tmp_path: Path) -> None:
    compiler = "gcc" if machine.native else machine.compiler
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = Path(kbuildpy.vm.__file__).with_name(f"module_call_{machine.name}.S")
    run([compiler, "-c", "-nostdlib", "-o", tmp_path / "call.o", source])
    image = ModuleImage.from_path(tmp_path / "call.o")
    text = image.section(".text")
    assert text is not None
    program, code = module_call(machine), image.section_data(text)
    assert any(program.endswith(code.removesuffix(end)) for end in PADDING)
    # (behind the headers there is nothing else)
    assert len(program) - len(code) <= 64 + 2 * 56


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_program_is_for_its_machine(machine: Machine) -> None:
    program, known = module_call(machine), machine.architecture
    order = "little" if known.order == "<" else "big"
    assert program[4:6] == bytes([known.bits // 32, 1 if order == "little" else 2])
    assert int.from_bytes(program[18:20], order) == known.elf_machine  # type: ignore[arg-type]
