# SPDX-License-Identifier: GPL-2.0-only
"""Turns what make printed for `mk/tree.mk` into a `TreeAnswer`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.make_output import environment_difference
from kbuildpy.kbuild.plan import BuildStep, step_of
from kbuildpy.kbuild.stamps import digest, stamps
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kbuild.tree_programs import parse_programs, program_files
from kbuildpy.kernel.tree import KernelTree

# Up to 5.18 a separate rule warns of a missing symvers file; `make -n` prints its command.
_WARNING = re.compile(r"^echo >&2 '[^']*'$", re.MULTILINE)


@dataclass(frozen=True)
class TreeOutput:
    """What make printed for `mk/tree.mk`, and where make ran."""

    placeholder: str
    """The module directory that make was asked about."""
    in_directory: bool
    """make ran in the module directory, not in the tree's object part."""
    cwd: str
    """The directory in which make ran."""
    environment: Mapping[str, str]
    """The environment of make."""
    exported: bytes
    """The environment that make gives to recipes, as `env -0` prints it."""
    records: Sequence[Mapping[str, str]]
    """The records that the makefiles wrote."""
    stdout: str
    """Other recipes that make would run."""
    stderr: str
    """The warnings and errors of make."""

    @property
    def facts(self) -> Mapping[str, str]:
        """The record of the tree's programs, compiler and makefiles; empty if make failed before it."""
        return next((record for record in self.records if "programs" in record), {})

    @property
    def programs(self) -> dict[str, str]:
        """The commands of the tree's programs by their variables' names."""
        return parse_programs(self.facts.get("programs", ""), self.facts.get("rust-programs", ""))


def parse_tree_answer(
    tree: KernelTree, output: TreeOutput, *, variables: tuple[tuple[str, str], ...], repeats_headers: bool
) -> TreeAnswer:
    """The answer of `tree` under `variables`, from the `output` of make; `repeats_headers` is as in `TreeAnswer`.

    Raises `KbuildError` for a tree whose makefiles have no command for modpost, for a `.mod.c` or for a `.ko`.
    """
    rules = _rules(output.records)
    if not (rules["modpost"] and rules["mod.o"] and rules["ko"]):
        raise KbuildError(
            f"{tree.objects}: the tree's makefiles have no command that runs modpost or links a module",
            hint="is the tree prepared for external modules? (make modules_prepare)",
        )
    facts, common, modpost = output.facts, rules["common"], rules["modpost"][0]
    notices = _WARNING.findall(output.stdout)
    return TreeAnswer(
        tree=tree,
        placeholder=output.placeholder,
        environment=environment_difference(output.environment, output.exported),
        in_directory=output.in_directory,
        modpost=replace(modpost.step, command="; ".join([*notices, modpost.step.command])),
        compile_mod_c=tuple(rule.step for rule in rules["mod.o"]),
        common_object=common[0].target if common else "",
        common_source=common[0].source if common else "",
        compile_common=tuple(rule.step for rule in common),
        link=tuple(rule.step for rule in rules["ko"]),
        link_needs=_tree_files(rules["ko"][0].needs, output),
        compiler=facts.get("compiler", ""),
        programs=output.programs,
        makefiles=tuple(str(Path(output.cwd, name)) for name in facts["makefiles"].split()),
        variables=variables,
        # without the placeholder's path, which differs each time
        identity=digest(
            repr((facts, [sorted(record.items()) for record in output.records])).replace(output.placeholder, ""),
            stamps(program_files(output.programs, output.environment)),
        ),
        repeats_headers=repeats_headers,
        warnings=_warnings(output.stderr),
    )


@dataclass(frozen=True)
class _Rule:
    """A record of one command."""

    target: str
    source: str
    needs: tuple[str, ...]
    step: BuildStep


def _rules(records: Sequence[Mapping[str, str]]) -> dict[str, list[_Rule]]:
    """The commands after the module objects, by stage."""
    found: dict[str, list[_Rule]] = {"modpost": [], "mod.o": [], "common": [], "ko": []}
    for record in records:
        stage = _stage(record.get("rule", ""), record.get("target", ""))
        if stage:
            needs = tuple(record["needs"].split())
            found[stage].append(_Rule(record["target"], record["source"], needs, step_of(record)))
    return found


def _stage(rule: str, target: str) -> str:
    if rule == "modpost":
        return "modpost"
    suffixes = {".mod.o": "mod.o", ".module-common.o": "common", ".ko": "ko"}
    return next((stage for suffix, stage in suffixes.items() if target.endswith(suffix)), "")


def _tree_files(needs: Sequence[str], output: TreeOutput) -> tuple[str, ...]:
    paths = (str(Path(output.cwd, word)) for word in needs if not word.endswith(".o"))
    return tuple(path for path in paths if not path.startswith(f"{output.placeholder}/"))


def _warnings(stderr: str) -> str:
    # make's own warnings (such as that of clock skew) concern this run, not the tree.
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith(("make: ", "make["))]
    return "\n".join(lines)
