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
    arm64,
    elf_validity,
    layout,
    modinfo,
    parameters,
    partly,
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
_ELSEWHERE = re.compile(r"layout/.* of [23] GiB|symbol names/end with a letter")
"""The same on other machines than x86-64: what depends on the machine's memory, and a name that goes on in relocations,
which arm64 has sorted."""
_OUT_OF_REACH = ("overflow in relocation type", "module_emit_plt_entry")
"""What lines of arm64 say of a value that does not reach, or has no entry of the PLT."""
_OF_ALL_MACHINES = (elf_validity, sections, modinfo, versions, layout, symbols, parameters, signature)
_OF_MOST_MACHINES = (partly, *(stage for stage in _OF_ALL_MACHINES if stage is not parameters))
"""Those for machines of whose loader a part is known."""
_OWN = {"riscv": riscv, "arm64": arm64}
_FOR_X86 = ("retpoline",)
"""What names of cases say that are for x86-64 alone."""
_FOLLOWED = re.compile(
    r"permissions/\.(text|data) is (executable, and )?not allocated|special/__dyndbg is not allocated"
)
"""Cases in which a kernel of whose loader a part is known relocates by an address, or follows a pointer, to what is not
kept."""


@dataclass(frozen=True)
class Sweep:
    """What came of it. `unchecked` modules are those that the kernel would not check, and was not asked of."""

    machine: str
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
        if self.machine == "x86_64":
            return found
        return [item for item in found if not _ELSEWHERE.match(item.name) and not _depends_on_the_address(item)]


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
    boots = ask(
        image, asked, parameters=PARAMETERS, timeout=timeout, memory=1024 if kernel.machine == "x86_64" else 512
    )
    return Sweep(kernel.machine, compare(boots, kernel), len(unchecked), len(boots))


def named_cases(bases: Bases) -> Iterator[Case]:
    """The named damages for the machine of `bases`; of each stage those before the first one to a section that a
    smaller kernel's modules do not have."""
    architecture = architecture_of(bases.tree)
    is_x86_64 = is_native(architecture, "x86_64")
    if not _is_whole(bases.tree):
        yield from _partly(bases)
        return
    for stage in STAGES if is_x86_64 else (_OWN[architecture.srcarch], *_OF_ALL_MACHINES):
        with suppress(KeyError):
            for case in stage.cases(bases):
                if is_x86_64 or not any(map(case.name.count, _FOR_X86)):
                    yield case


def _depends_on_the_address(item: Comparison) -> bool:
    """Whether we say that we do not know whether relocations reach, and the kernel that one does not."""
    is_open = any(re.search("overflow|PLT entries", unchecked.check) for unchecked in item.verdict.unchecked)
    return is_open and any(words in line for words in _OUT_OF_REACH for line in item.answer.log)


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
