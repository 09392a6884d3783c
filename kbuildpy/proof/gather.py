# SPDX-License-Identifier: GPL-2.0-only
"""Gathers the record of a build from what it left: the note of its call, `.cmd` files, and the kernel tree's answer.

Nothing is written while a build runs, and nothing is believed of it that has changed since: the Kbuild file is
evaluated again, and each object must have been made by the command that comes out, from the contents that are there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_directory import ask_directory
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.call_note import BuildCall, read_call, recorded_environment
from kbuildpy.kbuild.cmd_file import CmdFile, cmd_path_of, own_contents, parse_cmd_file, saved_command
from kbuildpy.kbuild.evaluation import look_at
from kbuildpy.kbuild.freshness import Freshness
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.normal_path import normal_path
from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan
from kbuildpy.kbuild.rules import CHECK_RULES, COMPILE_RULES
from kbuildpy.kbuild.sources import walk_sources
from kbuildpy.kbuild.tree_answer import COMMON_OBJECT, TreeAnswer
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.proof.find_build import ModuleOfBuild
from kbuildpy.proof.places import BuildPlaces, symvers_file
from kbuildpy.proof.programs import packages_of, used_programs
from kbuildpy.proof.record import (
    FILE_OUTSIDE,
    GENERATED,
    HEADER,
    KERNEL_FILE,
    KERNEL_HEADER,
    MAKEFILE,
    OTHER,
    SOURCE,
    SYMVERS,
    BuildRecord,
    InputFile,
    MadeModule,
    MadeObject,
)
from kbuildpy.shared.contents import content_digest, program_digest

_AGAIN = "build it again, and then ask again"
# The files of a kernel tree that decide about modules, besides headers and makefiles.
_TREE_FILES = ("include/config/auto.conf", "include/generated/autoconf.h", "Module.symvers")
_MOST_FILES, _MOST_BYTES = 20_000, 1 << 30
# A source that reads files of which the compiler does not tell.
_READS_MORE = re.compile(rb"\.incbin\b|^[ \t]*#[ \t]*embed\b", re.MULTILINE)


def gather(modules: Sequence[ModuleOfBuild], *, present: Mapping[str, str], whole: bool) -> BuildRecord:
    """The record of the build that `modules`, of one output directory, come from; `present` is the environment. With
    `whole` the inputs of all modules of the build are in it, as a rebuild needs them, else those of `modules` alone.

    Raises `KbuildError` where the build has no note, or was made under FAST=1 or COVERAGE=1, and where something has
    changed since: a source, a header, a command, the configuration.
    """
    out = modules[0].out
    call = read_call(out)
    if call is None:
        raise KbuildError(f"{out}: the note of the build cannot be read", hint=f"remove the .ko, and {_AGAIN}")
    if call.other_bytes:
        raise KbuildError(
            f"{out}: built with {call.other_bytes}: these are not the bytes that make builds",
            hint=f"{_AGAIN}, without {call.other_bytes}",
        )
    return _Gathering(out, call, present, whole).record(modules)


def gather_all(modules: Sequence[ModuleOfBuild], *, present: Mapping[str, str]) -> list[BuildRecord]:
    """The whole records of all builds that `modules` come from. Raises as `gather`."""
    builds: dict[Path, list[ModuleOfBuild]] = {}
    for module in modules:
        builds.setdefault(module.out, []).append(module)
    return [gather(items, present=present, whole=True) for items in builds.values()]


@dataclass
class _Gathering:
    """A record that is being made."""

    out: Path
    call: BuildCall
    present: Mapping[str, str]
    whole: bool
    kinds: dict[str, str] = field(default_factory=dict)
    """The kind of each file (absolute path) that was read."""
    found_at: dict[str, str] = field(default_factory=dict)
    """The files that were read in place of others: below the overlay of the Kbuild file's own rules."""
    made: dict[str, MadeObject] = field(default_factory=dict)
    """The objects, by their nominal names."""

    def __post_init__(self) -> None:
        self.environ = recorded_environment(self.call.environment, self.present)
        tree = open_tree(self.call.objects)
        self.answer: TreeAnswer = ask_tree(tree, variables=self.call.variables, environ=self.environ)
        self.places = BuildPlaces(self.call.directory, str(tree.source), str(tree.objects))
        self.freshness = Freshness(
            self.out / ".kbuildpy/index.json",
            autoconf=tree.objects / "include/generated/autoconf.h",
            cwd=self.answer.working_directory(self.call.directory),
            is_own=self.is_own,
        )

    def record(self, modules: Sequence[ModuleOfBuild]) -> BuildRecord:
        wanted = {item.below: item for item in modules}
        done: dict[str, MadeModule] = {}
        for plan, layout in self.plans():
            known = {item.target: item for item in plan.objects}
            chosen = {layout.relative(item.name): item for item in plan.modules}
            for below, module in chosen.items():
                if below in wanted and below not in done:
                    done[below] = self.module(wanted[below], self.targets(module, below, known, layout))
                elif self.whole:
                    self.targets(module, below, known, layout)
            if self.whole or chosen.keys() & wanted.keys():
                self.note_makefiles(plan, layout)
        if missing := [name for name in wanted if name not in done]:
            raise KbuildError(
                f"{wanted[missing[0]].file}: the Kbuild file has no module {missing[0]} any more", hint=_AGAIN
            )
        commands = [text for item in self.made.values() for text in item.commands]
        commands += [text for item in done.values() for text in item.commands]
        self.note_tree(commands)
        tree = self.answer.tree
        owners = packages_of(str(path) for path in (tree.objects / "Makefile", tree.source / "Makefile"))
        packages = {package.name: package for package in owners.values()}
        files = [InputFile(self.places.name(path), kind, self.digest(path)) for path, kind in self.kinds.items()]
        return BuildRecord(
            directory=self.places.directory,
            source=self.places.source,
            objects=self.places.objects,
            release=tree.release,
            kernel_packages=tuple(packages[name] for name in sorted(packages)),
            variables=dict(sorted(self.call.variables.items())),
            environment=dict(sorted(self.call.environment.items())),
            declared=self.call.declared,
            kbuildpy=self.call.kbuildpy,
            files=tuple(sorted(files, key=lambda file: file.name)),
            programs=used_programs(self.answer, commands, self.environ),
            made=tuple(self.made.values()),
            modules=tuple(done[name] for name in wanted),
        )

    def plans(self) -> Iterator[tuple[Plan, Layout]]:
        """The plans of the directory, or of each module that an SConstruct declared, as they are now."""
        directory = Path(self.call.directory)
        if not directory.is_dir():
            raise KbuildError(f"{directory}: the sources are not there any more", hint="restore them")
        if not self.call.declared:
            found = look_at(self.answer, directory, self.out, environ=self.environ)
            yield found.plan, found.layout
            return
        layout = Layout(str(directory), str(directory), str(self.out), self.answer.working_directory(str(directory)))
        with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
            for item in self.call.declared:
                file = Path(scratch) / "Kbuild"
                file.write_text(item.text, errors="surrogateescape")
                plan = ask_directory(
                    self.answer,
                    directory,
                    environ=self.environ,
                    below=item.below,
                    kbuild_file=file,
                    coming_sources=item.coming,
                )
                yield plan, layout

    def targets(
        self, module: ModulePlan, below: str, known: Mapping[str, ObjectPlan], layout: Layout
    ) -> tuple[str, ...]:
        """Note the objects of a module; their targets, in the order of the link."""
        answer = self.answer
        targets = [self.object(known[name], layout) for name in module.objects]
        if module.parts:
            targets = [self.linked(module, targets, layout)]
        targets.append(self.ours(f"{below}.mod.o", f"{below}.mod.c", answer.compile_mod_c, below))
        if answer.common_object:
            source = os.path.normpath(os.path.join(self.cwd, answer.common_source))  # noqa: PTH118
            targets.append(self.ours(COMMON_OBJECT, source, answer.compile_common, ""))
        self.refuse_older(Path(f"{self.out}/{below}.ko"), targets)
        return tuple(targets)

    def module(self, built: ModuleOfBuild, targets: tuple[str, ...]) -> MadeModule:
        answer, below = self.answer, built.below
        steps = answer.steps_for(answer.link, directory=self.call.directory, module=below)
        return MadeModule(
            name=below,
            file=str(built.file),
            sha256=built.sha256,
            unsigned_sha256=built.unsigned_sha256,
            objects=targets,
            commands=tuple(self.places.text(step.command) for step in steps),
            modinfo=built.modinfo,
        )

    def object(self, item: ObjectPlan, layout: Layout) -> str:
        """Note the object of a source; its target."""
        target = layout.relative(item.target)
        if item.target in self.made:
            return target
        steps = [step for step in item.steps if step.rule not in CHECK_RULES]
        compiled = next((step for step in steps if step.rule in COMPILE_RULES), None)
        if compiled is None:
            # (an object that came with the sources, or that make made by the Kbuild file's own rules)
            source = layout.absolute(item.source or item.target)
            self.note(source, SOURCE, layout)
            self.made[item.target] = MadeObject(target, (self.places.name(source),), ())
            return target
        path = cmd_path_of(Path(layout.actual(item.target)))
        made_from, command = _read_cmd_file(path)
        self.refuse_other_command(target, command, compiled.command.strip())
        self.refuse_stale(target, layout.actual(item.target), path, made_from, layout)
        self.note_inputs(item.target, target, made_from, [step.command for step in steps], layout)
        return target

    def linked(self, module: ModulePlan, targets: Sequence[str], layout: Layout) -> str:
        """Note the object of a module that is linked from others; its target."""
        target = layout.relative(module.target)
        self.refuse_older(Path(layout.actual(module.target)), [item for item in targets if item in self._own_targets()])
        commands = tuple(self.places.text(step.command) for step in module.steps)
        self.made[module.target] = MadeObject(target, tuple(targets), commands)
        return target

    def ours(self, target: str, source: str, steps: tuple[BuildStep, ...], module: str) -> str:
        """Note an object whose source is among the output (`.mod.c`), or in the kernel tree (`.module-common.c`)."""
        if target in self.made:
            return target
        answer, directory = self.answer, self.call.directory
        path = cmd_path_of(self.out / target)
        made_from, _ = _read_cmd_file(path)
        layout = Layout(directory, str(self.out), str(self.out), str(self.out) if answer.in_directory else self.cwd)
        self.refuse_stale(target, str(self.out / target), path, made_from, layout)
        filled = answer.steps_for(steps, directory=directory, module=module)
        self.note_inputs(target, target, made_from, [step.command for step in filled], layout)
        return target

    def note_inputs(self, key: str, target: str, made_from: CmdFile, commands: Iterable[str], layout: Layout) -> None:
        names = []
        for name in (made_from.source, *made_from.headers):
            path = normal_path(layout.cwd, name)
            if path.startswith(f"{self.out}/") and self.is_output(path):
                names.append(os.path.relpath(path, self.out))
                continue
            self.note(path, SOURCE if name == made_from.source else HEADER, layout)
            names.append(self.places.name(path))
        texts = tuple(self.places.text(text) for text in commands)
        self.made[key] = MadeObject(target, tuple(dict.fromkeys(names)), texts)

    def note(self, path: str, kind: str, layout: Layout) -> None:
        """Note a file that was read."""
        real = layout.find(path)
        if real != path:
            self.found_at[path], kind = real, GENERATED
        elif not self.is_own(path):
            in_tree = self.places.name(path).startswith(("$(srctree)/", "$(objtree)/"))
            kind = (KERNEL_HEADER if path.endswith(".h") else KERNEL_FILE) if in_tree else FILE_OUTSIDE
        self.kinds.setdefault(path, kind)

    def note_makefiles(self, plan: Plan, layout: Layout) -> None:
        """Note the makefiles of `plan`, the symvers that it names, and what the Kbuild file's own rules may read."""
        if not self.call.declared:
            for path in plan.makefiles:
                self.note(path, MAKEFILE, layout)
        for name in plan.extra_symbols:
            path = normal_path(layout.cwd, name)
            real = symvers_file(path, self.answer.tree)
            # (modpost takes no notice of one that is not there)
            if Path(real).is_file():
                self.kinds[path], self.found_at[path] = SYMVERS, real
        if plan.custom or plan.changeable or self.reads_more():
            self.note_others(layout)

    def note_others(self, layout: Layout) -> None:
        total = number = 0
        for _, files in walk_sources(Path(self.call.directory)):
            for path in files:
                if path in self.kinds or not Path(path).is_file():
                    continue
                number, total = number + 1, total + Path(path).stat().st_size
                if number > _MOST_FILES or total > _MOST_BYTES:
                    raise KbuildError(
                        f"{self.call.directory}: the Kbuild file has rules of its own, which may read any file here, "
                        f"and there are more than {_MOST_FILES} of them, or more than {_MOST_BYTES >> 30} GiB",
                        hint="move the modules to a directory without other files",
                    )
                self.note(path, OTHER, layout)

    def note_tree(self, commands: Sequence[str]) -> None:
        """Note the files of the kernel tree besides headers."""
        tree = self.answer.tree
        found = [*self.answer.makefiles, *(str(tree.objects / name) for name in _TREE_FILES), *self.answer.link_needs]
        if any("btf_base" in text for text in commands):
            found.append(str(tree.objects / "vmlinux"))
        below = (f"{tree.source}/", f"{tree.objects}/")
        for path in map(os.path.normpath, found):
            if path.startswith(below) and Path(path).is_file():
                self.kinds.setdefault(path, KERNEL_FILE)

    def refuse_other_command(self, target: str, then: str, now: str) -> None:
        if then == now:
            return
        before, after = then.split(), now.split()
        lost = [word for word in before if word not in after]
        new = [word for word in after if word not in before]
        changes = [*(f"with {word}" for word in lost[:3]), *(f"without {word}" for word in new[:3])]
        raise KbuildError(
            f"{self.out}/{target}: Kbuild would make it by another command now: it was made "
            f"{', '.join(changes) or 'with the same words in another order'}",
            hint=f"the Kbuild file, the kernel tree or the compiler changed since: {_AGAIN}",
        )

    def refuse_stale(self, target: str, made: str, cmd_path: Path, made_from: CmdFile, layout: Layout) -> None:
        contents = own_contents(
            made_from.source, made_from.headers, cwd=layout.cwd, is_own=self.is_own, find=layout.find
        )
        if contents != made_from.contents:
            raise KbuildError(
                f"{self.out}/{target}: its source, or a header of the module, has changed since it was compiled "
                f"({self.places.name(normal_path(layout.cwd, made_from.source))})",
                hint=_AGAIN,
            )
        if self.freshness.is_stale(made, str(cmd_path)):
            changes = self.freshness.changes(made, name=self.places.name)
            what = changes[0] if changes else "the kernel's headers or its configuration are newer"
            raise KbuildError(f"{self.out}/{target}: stale: {what}", hint=_AGAIN)

    def refuse_older(self, made: Path, targets: Iterable[str]) -> None:
        """Refuse a linked file that is older than an object of it."""
        try:
            when = made.stat().st_mtime_ns
            newer = [name for name in targets if (self.out / name).stat().st_mtime_ns > when]
        except FileNotFoundError as error:
            raise KbuildError(f"{error.filename}: not there: the build is not complete", hint=_AGAIN) from error
        if newer:
            raise KbuildError(f"{made}: older than {newer[0]}, which it was linked from", hint=_AGAIN)

    def is_own(self, path: str) -> bool:
        places = self.places
        return path.startswith(f"{places.directory}/") and not path.startswith(
            (f"{places.source}/", f"{places.objects}/")
        )

    def is_output(self, path: str) -> bool:
        """Whether a file in the output directory is made by modpost or by a step of Kbuild's."""
        return path.endswith((".mod.c", ".o"))

    def reads_more(self) -> bool:
        sources = [path for path, kind in self.kinds.items() if kind == SOURCE and path.endswith((".S", ".c"))]
        return any(_READS_MORE.search(Path(path).read_bytes()) for path in sources)

    def digest(self, path: str) -> str:
        real = self.found_at.get(path, path)
        found = program_digest(real) if path.endswith("/vmlinux") else content_digest(real)
        if not found:
            raise KbuildError(f"{path}: a file that the build read is not there, or cannot be read", hint=_AGAIN)
        return found

    def _own_targets(self) -> set[str]:
        return {item.target for item in self.made.values() if item.commands}

    @property
    def cwd(self) -> str:
        return self.answer.working_directory(self.call.directory)


def _read_cmd_file(path: Path) -> tuple[CmdFile, str]:
    """What a `.cmd` file says, and the command in it."""
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}: the build is not complete", hint=_AGAIN) from error
    return parse_cmd_file(text), saved_command(text)
