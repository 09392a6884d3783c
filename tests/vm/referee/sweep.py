# SPDX-License-Identifier: GPL-2.0-only
"""The named damages that the modules of a kernel can have, and some at random: the verdicts of the loader check and of
that kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.signing.signer import Signer, sign_module
from tests.vm.referee.bases import build_bases
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.compare import Comparison, compare, defined
from tests.vm.referee.damage import (
    STAGES,
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

DIFFERENT = {
    "name/of what is in the kernel": "which names code in the kernel itself has taken below /sys/module, no tree tells",
}
"""Cases in which we do not say what the kernel says, and why."""
_MEMORY = re.compile(r"layout/.* of [23] GiB")
"""Cases that depend on the machine's memory, where it has 32 bits."""
_OF_ALL_MACHINES = (elf_validity, sections, modinfo, versions, layout, symbols, parameters, signature)
_FOR_X86 = ("retpoline",)
"""What names of their cases say that are for x86-64 alone."""
_OF_MOST_MACHINES = tuple(stage for stage in _OF_ALL_MACHINES if stage is not parameters)
_FOLLOWED = re.compile(r"permissions/\.(text|data) is not allocated|special/__dyndbg is not allocated")
"""Cases in which a kernel of whose loader a part is known relocates by an address, or follows a pointer, to what is not
kept."""


@dataclass(frozen=True)
class Sweep:
    """What came of it. `unchecked` modules are those that the kernel would not check, and was not asked of."""

    comparisons: list[Comparison]
    unchecked: int
    boots: int

    @property
    def named(self) -> int:
        """How many of the modules that the kernel was asked of have a damage with a name."""
        return len(self.comparisons) - self.at_random

    @property
    def at_random(self) -> int:
        """How many of them were damaged at random."""
        return sum(item.name.startswith("random ") for item in self.comparisons)

    @property
    def differences(self) -> list[Comparison]:
        """Those of which we do not say what the kernel says."""
        found = [item for item in self.comparisons if item.differences and item.name not in DIFFERENT]
        return [item for item in found if not _MEMORY.match(item.name)]


def sweep(
    tree: KernelTree,
    image: Path,
    place: Path,
    *,
    seed: int,
    at_random: int,
    signer: Signer | None = None,
    timeout: float = 1500,
) -> Sweep:
    """Build the modules to damage for `tree` in the directory `place`, and compare what we and the kernel `image` say
    of them. Those without a signature are signed by `signer`, for a kernel that insists on one; a boot takes no more
    than `timeout` seconds. A kernel of whose loader only a part is known is asked of named damages alone."""
    bases, kernel = build_bases(tree, place), loader_kernel(tree, image)
    cases = [*named_cases(bases), *(mutations(bases, seed, at_random) if _is_whole(tree) else ())]
    if signer is not None:
        cases = [_signed_case(case, signer) for case in cases]
    asked, unchecked = defined(cases, kernel)
    boots = ask(image, asked, parameters=PARAMETERS, timeout=timeout, memory=1024)
    return Sweep(compare(boots, kernel), len(unchecked), len(boots))


def named_cases(bases: Bases) -> Iterator[Case]:
    """The named damages for the machine of `bases`; of each stage those before the first one to a section that a
    smaller kernel's modules do not have."""
    architecture = architecture_of(bases.tree)
    is_x86_64 = is_native(architecture, "x86_64")
    if not _is_whole(bases.tree):
        yield from _partly(bases)
        return
    others = ([riscv] if architecture.srcarch == "riscv" else []) + [*_OF_ALL_MACHINES]
    for stage in STAGES if is_x86_64 else others:
        with suppress(KeyError):
            for case in stage.cases(bases):
                if is_x86_64 or not any(map(case.name.count, _FOR_X86)):
                    yield case


def _is_whole(tree: KernelTree) -> bool:
    return machine_named(str(architecture_of(tree))).facts.is_whole


def _partly(bases: Bases) -> Iterator[Case]:
    """Damages that leave alone what pointers in tables lead to."""
    for stage in _OF_MOST_MACHINES:
        for case in stage.cases(bases):
            if not any(map(case.name.count, _FOR_X86)) and not _FOLLOWED.match(case.name):
                yield case
    for arguments in parameters.ARGUMENTS:
        yield Case(f"parameters/{arguments[:30]!r} ({len(arguments)})", bases.still, arguments)


def _signed_case(case: Case, signer: Signer) -> Case:
    """`case` with signatures, unless the signature is what is wrong with it."""
    if case.call == "packed" or case.name.startswith("signature/"):
        return case
    return replace(
        case, contents=_signed(case.contents, signer), needs=tuple(_signed(needed, signer) for needed in case.needs)
    )


def _signed(contents: bytes, signer: Signer) -> bytes:
    try:
        return sign_module(contents, signer) or contents
    except KbuildError:
        # (it has a signature)
        return contents
