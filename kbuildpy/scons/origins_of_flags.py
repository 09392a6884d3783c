# SPDX-License-Identifier: GPL-2.0-only
"""Where the flags of a group's objects come from, in words, for the reasons of a build (`reasons`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.directory_question import DirectoryQuestion
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.rules import COMPILE_RULES
from kbuildpy.origins.explain_object import ExplainedObject, explain_objects
from kbuildpy.origins.origin_words import origin_words
from kbuildpy.scons.group import Group


def origins_of_flags(group: Group, path: str) -> Sequence[tuple[str, str]]:
    """The flags of the object at `path`, each with its origin; none where that cannot be told. The group is locked."""
    name = next((name for name, (_, layout) in group.objects.items() if layout.actual(name) == path), "")
    plan = next((plan for plan, *_ in group.plans if any(item.target == name for item in plan.objects)), None)
    if plan is None:
        return ()
    if name not in group.explained:
        group.explained.update(_explain(group, plan))
    found = group.explained.get(name)
    declaration = group.declarations.get(name)
    names = {str(declaration[0].kbuild_file): declaration[1]} if declaration and declaration[1] else {}
    tree = group.project.tree
    return [(flag.text, origin_words(flag.origin, tree, names=names)) for flag in found.flags] if found else ()


def _explain(group: Group, plan: Plan) -> dict[str, ExplainedObject | None]:
    """The objects of a plan, all at once: make is asked only twice more."""
    answer, environ = group.project.answer, group.project.environ
    targets = [item.target for item in plan.objects if item.steps and item.steps[0].rule in COMPILE_RULES]
    found: dict[str, ExplainedObject | None] = dict.fromkeys(item.target for item in plan.objects)
    first = plan.objects[0].target
    question = DirectoryQuestion(answer, Path(plan.directory), environ)
    if first in group.declarations:
        question = group.declarations[first][0]
    # (the build goes on: what is wrong with the Kbuild file was said already)
    with suppress(KbuildError):
        found.update({each.target: each for each in explain_objects(question, plan, targets)})
    return found
