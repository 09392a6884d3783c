# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts that were kept are those of real kernels: 300 modules and kernels, drawn at random, in ten boots.

Half of the modules are a distribution's, of all its kernels (without init and exit, so that nothing of them runs), half
are damaged at random. Each verdict is one that was read from the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from kbuildpy.compression import decompress
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.stated import stated_needs
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kept.judge import Judge
from kbuildpy.loader.kept.store import VerdictStore
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.loaded import Modules
from kbuildpy.loader.verdict import Verdict
from kbuildpy.signing.trailer import without_signatures
from tests.support.fetched_kernels import facts_of, ten_kernels
from tests.support.guest_kernels import boots_x86_64, image_of
from tests.support.shipped_kernels import shipped_kernel
from tests.vm.referee.bases import build_bases
from tests.vm.referee.cases import THIS_MODULE, Case
from tests.vm.referee.compare import compare, defined
from tests.vm.referee.draft import Draft
from tests.vm.referee.guest import ask
from tests.vm.referee.kernels import BLACKLIST, PARAMETERS
from tests.vm.referee.mutations import mutations

pytestmark = [
    pytest.mark.vm,
    pytest.mark.sweep,
    boots_x86_64,
]

EACH = 30
"""Modules for each kernel."""


class KeptOnly:
    """Gives verdicts as they are read from a store on the disk."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.looked_up = 0

    def __call__(
        self,
        contents: bytes,
        kernel: LoaderKernel,
        modules: Modules,
        args: str,
        *,
        on_demand: bool,
        packed: bytes,
    ) -> tuple[Verdict, Modules]:
        assert not on_demand and not packed
        file = self._place / "m.ko"
        file.write_bytes(contents)
        for _ in range(2):
            judge = Judge([kernel], VerdictStore(self._place))
            module = judge.open(file)
            module.__dict__.pop("contents", None)
            found = judge.judge(module, 0, modules, args)
            judge.keep(module)
        self.looked_up += "contents" not in module.__dict__
        return found


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ChosenKernel]]:
    with ten_kernels(tmp_path_factory.mktemp("kernels")) as found:
        yield found


def test_real_kernels_give_300_verdicts_that_were_kept(
    kernels: Sequence[ChosenKernel], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = int(request.config.option.referee_seed)
    shipped = [*shipped_kernel("6.1").modules, *shipped_kernel("6.12").modules]
    judge = KeptOnly(tmp_path)
    differences, told = [], Counter[str]()
    for chosen in kernels:
        tree = chosen.the_tree()
        image = chosen.image or image_of(tree)
        kernel = replace(facts_of(replace(chosen, image=image)), blacklist=BLACKLIST)
        chance = Random(f"{seed} {tree.release}")
        cases = [*still(shipped, tree, chance), *damaged_for(tree, tmp_path, seed)]
        asked, _ = defined(cases, kernel)
        asked = [*asked[: EACH // 2], *asked[-(EACH // 2) :]]
        assert len(asked) == EACH
        boots = ask(image, asked, parameters=PARAMETERS)
        found = compare(boots, kernel, judge=judge)
        differences += [f"{tree.release}: {item}" for item in found if item.differences]
        told.update(f"{item.verdict.errno or 'accepted'} {item.verdict.stage or ''}" for item in found)
        print(tree.release, len(found), sum(boot.seconds for boot in boots))
    print(dict(told), f"{judge.looked_up} looked up")
    assert told.total() == len(kernels) * EACH >= 300
    assert not differences, "\n".join(differences)
    assert judge.looked_up > told.total() * 0.95
    assert len(told) >= 6 and told["accepted "] >= 30


def still(files: Sequence[Path], tree: KernelTree, chance: Random) -> list[Case]:
    """Modules that need no others, without init and exit; of the kernels' own line half of them."""
    line = "{}.{}.".format(*tree.version)
    cases: list[Case] = []
    of_line = 0
    for file in chance.sample(files, len(files)):
        contents = without_signatures(decompress(file.read_bytes()))
        is_of_line = f"\0vermagic={line}".encode() in contents
        if stated_needs(contents) or (not is_of_line and len(cases) - of_line >= EACH // 2):
            continue
        draft = Draft(contents)
        draft.set_relocations(THIS_MODULE, [])
        cases.append(Case(f"{file.name} of {file.parts[-4]}", draft.file()))
        of_line += is_of_line
        if len(cases) >= EACH:
            break
    chance.shuffle(cases)
    return cases


def damaged_for(tree: KernelTree, place: Path, seed: int) -> list[Case]:
    """Modules that were damaged at random, built for the kernel."""
    return mutations(build_bases(tree, place / "bases" / tree.release), seed, 3 * EACH)
