# SPDX-License-Identifier: GPL-2.0-only
"""The loader check says what real kernels say: hundreds of damaged modules are put before both, one boot each.

Nothing is recorded: the kernel is asked anew in each run.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.site.examples import read_examples
from kbuildpy.kernel.find_image import image_of_tree
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.loader.verdict import Verdict
from tests.support.documents import ROOT
from tests.support.guest_kernels import boots_x86_64, image_of, one_of, tree_called
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST
from tests.vm.referee.bases import build_bases
from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.checks import UNSEEN, messages_of, pattern
from tests.vm.referee.compare import EXCUSES, PLACES, Comparison, compare, defined, judged
from tests.vm.referee.damage import damages, second_damages
from tests.vm.referee.guest import Boot, ask
from tests.vm.referee.kernels import PARAMETERS, loader_kernel
from tests.vm.referee.mutations import mutations
from tests.vm.referee.silent import SILENT
from tests.vm.referee.sweep import DIFFERENT, sweep
from tests.vm.referee.write_examples import cases_with_examples, examples_of

BUILT_HERE = [Path(place) for place in os.environ.get("KBUILDPY_REFEREE_TREES", "").split(":") if place]
"""Trees of kernels that were built here, by gcc."""
LINES = ("6.1", "6.12", NEWEST)
AT_RANDOM = 200

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]


@dataclass(frozen=True)
class Match:
    """What came of one kernel: `unchecked` are the modules that it would not check, and was not asked of; `enforced`
    is a second, small boot, of a kernel that insists on signatures."""

    line: str
    bases: Bases
    boots: list[Boot]
    comparisons: list[Comparison]
    unchecked: list[tuple[Case, Verdict]]
    enforced: list[Comparison]

    def named(self, name: str) -> Comparison:
        """The comparison of a case."""
        return next(item for item in self.comparisons if item.name == name)


@pytest.fixture(scope="module", params=[*one_of("6.1", "6.12"), *swept(NEWEST)])
def match(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Match:
    line = str(request.param)
    tree = tree_called(line)
    image = image_of(tree)
    bases = build_bases(tree, tmp_path_factory.mktemp("referee"))
    kernel = loader_kernel(tree, image)
    seed = int(request.config.option.referee_seed)
    asked, unchecked = defined([*damages(bases), *mutations(bases, seed, AT_RANDOM)], kernel)
    boots = ask(image, asked, parameters=PARAMETERS)
    second, _ = defined(second_damages(bases), kernel)
    enforced = compare(ask(image, second, parameters=PARAMETERS), kernel)
    return Match(line, bases, boots, compare(boots, kernel), unchecked, enforced)


def test_at_least_four_hundred_modules_are_put_before_the_kernel(match: Match) -> None:
    assert len(match.comparisons) >= 400


def test_one_boot_is_enough(match: Match) -> None:
    died = [item.name for item in match.comparisons if item.answer.died]
    assert (died, len(match.boots)) == ([], 1)


def test_we_say_what_the_kernel_says(match: Match) -> None:
    differences = [item for item in match.comparisons if item.differences and item.name not in DIFFERENT]
    assert not differences, "\n".join(map(str, differences))


def test_we_say_what_a_kernel_says_that_insists_on_signatures(match: Match) -> None:
    differences = [item for item in match.enforced if item.differences]
    assert not differences, "\n".join(map(str, differences))
    assert any(item.answer.errno == errno.EKEYREJECTED for item in match.enforced)


def test_every_message_of_the_loader_is_provoked(match: Match) -> None:
    log = [line for item in (*match.comparisons, *match.enforced) for line in item.answer.log]
    messages = messages_of(match.line, versions=match.bases.has_versions)
    assert len(messages) > 50
    unheard = [message for message in messages if not any(map(pattern(message).fullmatch, log))]
    assert [message for message in unheard if message not in UNSEEN] == []


def test_the_examples_of_the_reference_are_what_is_said(match: Match) -> None:
    kernel = loader_kernel(match.bases.tree, image_of(match.bases.tree))
    examples = [example for example in read_examples(ROOT) if example.kernel == match.line]
    assert examples
    named = {example.case for example in examples}
    # (Two kernels may judge one damage: one of them insists on signatures.)
    said = {
        example
        for case in cases_with_examples(match.bases)
        if case.name in named
        for example in examples_of(match.line, case, judged(case, kernel))
    }
    wrong = [example for example in examples if example not in said]
    assert wrong == [], "python -m tests.vm.referee.write_examples"


@pytest.mark.parametrize("check", SILENT)
def test_what_refuses_without_a_word_is_provoked(match: Match, check: str) -> None:
    name, expected = SILENT[check]
    if match.bases.shipped is None and "of the distribution" in name:
        pytest.skip("the kernel came without modules of its own")
    item = match.named(name)
    assert item.answer.errno == expected
    assert not item.answer.log


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_known_to_differ_does(match: Match, name: str) -> None:
    assert match.named(name).differences


def test_what_is_excused_happens(match: Match) -> None:
    excused = {reason for item in (*match.comparisons, *match.enforced) for reason in item.excuses}
    assert excused >= {*EXCUSES.values()} - {PLACES}


def test_what_the_kernel_does_not_check_is_said_with_a_reason(match: Match) -> None:
    for _, verdict in match.unchecked:
        assert not verdict.accepted and verdict.errno is None
        assert verdict.stage and verdict.reason
    # (that of struct module every place is tried does not count)
    unchecked = [case for case, _ in match.unchecked if not case.name.startswith("relocations/init is at ")]
    assert len(unchecked) < len(match.comparisons) / 4


@pytest.mark.sweep
@pytest.mark.parametrize("line", LINES)
def test_we_say_what_the_kernel_says_of_thousands_damaged_at_random(
    line: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tree = tree_called(line)
    image = image_of(tree)
    bases, kernel = build_bases(tree, tmp_path), loader_kernel(tree, image)
    seed = int(request.config.option.referee_seed)
    differences = []
    for part in range(4):
        asked, _ = defined(mutations(bases, seed + 1 + part, 1000), kernel)
        boots = ask(image, asked, parameters=PARAMETERS, directly=part > 0)
        differences += [item for item in compare(boots, kernel) if item.differences]
    assert not differences, "\n".join(map(str, differences))


@pytest.mark.sweep
@pytest.mark.skipif(not BUILT_HERE, reason="KBUILDPY_REFEREE_TREES names no tree of a kernel that was built here")
@pytest.mark.parametrize("place", BUILT_HERE, ids=lambda place: place.name)
def test_we_say_what_a_kernel_says_that_was_built_here(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tree = open_tree(place)
    seed = int(request.config.option.referee_seed)
    found = sweep(tree, image_of_tree(tree), tmp_path, seed=seed, at_random=AT_RANDOM)
    assert found.named > 100 and found.at_random > 100
    assert not found.differences, "\n".join(map(str, found.differences))
