# SPDX-License-Identifier: GPL-2.0-only
"""Turns what make printed for `mk/directory.mk` into a `Plan`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.make_output import MAKEFILES
from kbuildpy.kbuild.modules_order import in_order, order_files
from kbuildpy.kbuild.overlay import Overlay, find_in
from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan, step_of
from kbuildpy.kbuild.rules import AFTER_COMPILE_RULES, COMPILE_RULES, LINK_RULES, NATIVE_RULES, SINGLE_RULES
from kbuildpy.kbuild.tree_answer import TreeAnswer

# Text of a Kbuild file that asks the shell or the file system, so that the plan can change while the text does not:
# functions, `!=`, an include of a file that may be missing, an include of a pattern.
_ASKS = re.compile(
    rb"\$[({]\s*(shell|wildcard|realpath|file)\b|!="
    rb"|(^|\$[({]\s*eval\b)\s*(-include|sinclude)\b|^\s*include\b[^\n]*[*?[]",
    re.MULTILINE,
)
_PRINTS_DOT = re.compile(r'print\("\./')  # scripts/Makefile.build: cmd_mod
_WORD_ENDS = re.compile(r"[\s'\";,=()<>|&`]+")


@dataclass(frozen=True)
class DirectoryOutput:
    """What make printed for `mk/directory.mk`, and where make ran."""

    directory: Path
    """The module directory."""
    cwd: str
    """The directory in which make ran."""
    obj: str
    """The directory as Kbuild names it there (scripts/Makefile.build: obj)."""
    records: Sequence[Mapping[str, str]]
    """The records that the makefiles wrote."""
    recipes: str
    """Other recipes that make would run (its standard output)."""
    warnings: str
    """The standard error of make."""
    overlay: Overlay | None
    """The overlay below which make ran: it holds the files that the Kbuild file wrote while make read it."""
    goals: tuple[str, ...] = ()
    """The single targets that make was asked for; empty for all modules."""

    def nominal(self, goal: str) -> str:
        """A goal as make names it."""
        return f"{self.directory}/{goal}" if self.obj.startswith("/") else goal

    @cached_property
    def by_target(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        """The records of commands by their targets."""
        found: dict[str, list[Mapping[str, str]]] = {}
        for record in self.records:
            if "rule" in record:
                found.setdefault(record["target"], []).append(record)
        return found

    def of(self, target: str, rules: Iterable[str]) -> list[Mapping[str, str]]:
        """The records of `rules` for one target."""
        return [record for record in self.by_target.get(target, ()) if record["rule"] in rules]


def parse_plan(answer: TreeAnswer, output: DirectoryOutput) -> Plan:
    """What Kbuild would do for the directory, from the `output` of make and the `answer` of the tree.

    Raises `KbuildError` for two modules of one name, `UsageError` for a single target that Kbuild cannot make.
    """
    directories = [record for record in output.records if "directory" in record]
    wanted = list(dict.fromkeys(name for record in directories for name in record["modules"].split()))
    files = {goal: _files_of(goal, output, wanted) for goal in output.goals}
    singles = tuple(_single(name, output) for name in _flat(files) if not name.endswith(".o"))
    if files:
        wanted = [name for name in wanted if name in _flat(files)]
    # make removes "./" from the name of a target
    top = "modules.order" if output.obj == "." else f"{output.obj}/modules.order"
    orders = order_files(output.by_target, top)
    modules = tuple(_module(target, output) for target in in_order(wanted, orders[0][1]))
    _refuse_two_of_one_name(modules, output.directory)
    names = [name for one in modules for name in one.objects]
    names += [name for name in _flat(files) if name.endswith(".o") and name not in wanted]
    objects = tuple(_object(name, output) for name in dict.fromkeys(names))
    makefiles = _own_makefiles(answer, output)
    recipes = _raw_recipes(output.recipes)
    foreign = _foreign_records(output, modules)
    folders = {str(output.directory)} | {
        str(Path(output.cwd, one.source).parent) for one in (*objects, *singles) if one.source
    }
    return Plan(
        directory=str(output.directory),
        modules=modules,
        objects=objects,
        orders=orders,
        extra_symbols=tuple(directories[0].get("extra-symbols", "").split()) if directories else (),
        makefiles=tuple(sorted(makefiles)),
        listed=tuple(sorted(folders)),
        warnings=output.warnings,
        custom=bool(recipes or foreign),
        needed=_needed(output, foreign, recipes),
        changeable=any(_asks(find_in(output.overlay, name)) for name in makefiles if _is_own(name, answer, output)),
        goals=tuple(files.items()),
        singles=singles,
    )


def _files_of(goal: str, output: DirectoryOutput, modules: Iterable[str]) -> tuple[str, ...]:
    """The files that the single target `goal` stands for. Raises `UsageError` for a directory without modules."""
    if not goal.endswith("/"):
        return (output.nominal(goal),)
    below = f"{os.path.normpath(Path(output.cwd, output.nominal(goal)))}/"
    found = tuple(name for name in modules if os.path.normpath(Path(output.cwd, name)).startswith(below))
    if not found:
        raise UsageError(f"{goal}: no modules there", hint="the Kbuild file descends to no module below it")
    return found


def _flat(files: Mapping[str, Iterable[str]]) -> dict[str, None]:
    return dict.fromkeys(name for names in files.values() for name in names)


def _single(target: str, output: DirectoryOutput) -> ObjectPlan:
    """The plan for `target`, another form of a source. Raises `UsageError` if no rule of Kbuild's makes it."""
    records = output.of(target, SINGLE_RULES)
    if not records:
        raise UsageError(
            f"{target}: no rule of Kbuild's makes it", hint="ask make: a rule of the Kbuild file's own may"
        )
    return ObjectPlan(target, records[0]["source"], tuple(map(step_of, records)))


def _module(target: str, output: DirectoryOutput) -> ModulePlan:
    links = output.of(target, LINK_RULES)
    # The names of targets have no "./" (make removes it), those in the .mod file may have it.
    lists = output.by_target.get(f"{target.removesuffix('.o')}.mod", ())
    prefix = "./" if any(_PRINTS_DOT.search(record["command"]) for record in lists) else ""
    if not links:
        return ModulePlan(target, (), (), prefix)
    parts = tuple(word for word in links[0]["needs"].split() if not word.endswith(".mod"))
    return ModulePlan(target, parts, tuple(map(step_of, output.of(target, LINK_RULES | AFTER_COMPILE_RULES))), prefix)


def _object(target: str, output: DirectoryOutput) -> ObjectPlan:
    compiled = output.of(target, COMPILE_RULES | {"copy"})
    if compiled:
        after = output.of(target, AFTER_COMPILE_RULES)
        return ObjectPlan(target, compiled[0]["source"], tuple(map(step_of, [compiled[0], *after])))
    path = os.path.normpath(Path(output.cwd, target))
    if Path(find_in(output.overlay, f"{path}_shipped")).is_file():
        return ObjectPlan(target, f"{target}_shipped", (BuildStep("copy", f"COPY    {target}", ""),))
    if Path(find_in(output.overlay, path)).is_file():
        return ObjectPlan(target, target, ())  # an object that came with the sources
    return ObjectPlan(target, "", ())  # a rule of the Kbuild file's own may make it


def _refuse_two_of_one_name(modules: tuple[ModulePlan, ...], directory: Path) -> None:
    """Refuse two modules of one name (`KbuildError`): the kernel cannot load both. The counterpart is
    scripts/modules-check.sh."""
    by_name: dict[str, list[str]] = {}
    for module in modules:
        by_name.setdefault(Path(module.name).name, []).append(f"{module.name}.ko")
    for name, found in by_name.items():
        if len(found) > 1:
            raise KbuildError(
                "the following would cause module name conflict:\n  " + "\n  ".join(found),
                hint=f"rename one of the modules called {name} in {directory}",
            )


def _own_makefiles(answer: TreeAnswer, output: DirectoryOutput) -> set[str]:
    """The makefiles that make read (absolute), without those of the tree's answer, of the tree's scripts/ and `mk/`."""
    found = {
        os.path.normpath(Path(output.cwd, name))
        for record in output.records
        for name in record.get("makefiles", "").split()
    }
    known = {os.path.normpath(Path(output.cwd, name)) for name in answer.makefiles}
    scripts = tuple(f"{part}/scripts/" for part in (answer.tree.source, answer.tree.objects))
    return {name for name in found - known if not name.startswith((f"{MAKEFILES}/", *scripts))}


def _is_own(makefile: str, answer: TreeAnswer, output: DirectoryOutput) -> bool:
    """Whether a makefile is the module's and not the kernel tree's. The module directory may lie in the tree, whose own
    makefiles must not count: they all ask the shell."""
    tree = (f"{answer.tree.source}/", f"{answer.tree.objects}/")
    return makefile.startswith(f"{output.directory}/") or not makefile.startswith(tree)


def _asks(makefile: str) -> bool:
    try:
        return _ASKS.search(Path(makefile).read_bytes()) is not None
    except OSError:
        return True


def _raw_recipes(text: str) -> list[str]:
    """The commands that make printed, without those of `mk/` (`:`) and those that descend into a subdirectory."""
    descending = False
    found = []
    for line in map(str.strip, text.splitlines()):
        if descending or ("directory.mk obj=" in line and line.startswith(("make", "/", "gmake"))):
            descending = line.endswith("\\")
        elif line not in ("", ":", "@:") and not line.startswith(("make: ", "make[")):
            found.append(line)
    return found


def _foreign_records(output: DirectoryOutput, modules: Iterable[ModulePlan]) -> list[Mapping[str, str]]:
    """The records of rules that only make can carry out."""
    copied = {target for module in modules for target in (module.target, *module.objects)}
    return [
        record
        for record in output.records
        if "rule" in record
        and record["rule"] not in NATIVE_RULES
        and not (record["rule"] == "copy" and record["target"] in copied)
    ]


def _needed(output: DirectoryOutput, foreign: Iterable[Mapping[str, str]], recipes: Iterable[str]) -> tuple[str, ...]:
    """The targets of Kbuild's rules that make must make, because the Kbuild file's own rules read them."""
    waiting = [word for record in foreign for word in record["needs"].split()]
    waiting += [word for recipe in recipes for word in _WORD_ENDS.split(recipe)]
    found: dict[str, None] = {}
    while waiting:
        word = waiting.pop()
        records = output.by_target.get(word, ())
        if word not in found and any(record["rule"] in NATIVE_RULES for record in records):
            found[word] = None
            waiting += [need for record in records for need in record["needs"].split()]
    return tuple(sorted(found))
