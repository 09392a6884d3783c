"""What comes after the module objects: modpost over a group, and the final link of each module.

The counterparts are scripts/Makefile.modpost and scripts/Makefile.modfinal; which options modpost gets and how the
linker is called comes from the tree's answer.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.command import run_command
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.run import how_it_failed
from kbuildpy.say import complain, say

if TYPE_CHECKING:
    from kbuildpy.modpost import ModpostOptions, ModpostResult
    from kbuildpy.scons.group import Group
    from kbuildpy.scons.session import Project

_DEPENDS = re.compile(r'^MODULE_INFO\(depends, "([^"]*)"\);', re.MULTILINE)


def run_modpost(group: Group, *, extra_symbols: Sequence[str]) -> ModpostResult:
    """modpost over the modules of `group`; prints its diagnostics.

    Raises `CommandError` when modpost finds errors, `KbuildError` for modules that need each other.
    """
    from kbuildpy.modpost import KnownModules, ModuleObject, ObjectRecord, modpost
    from kbuildpy.scons.layouts import device_table_layouts

    project, answer = group.project, group.project.answer
    objects = [
        ModuleObject(
            name=layout.nominal(module.name),
            path=Path(group.module_object(module, layout).get_abspath()),
            objects=tuple(
                ObjectRecord(name=listed, record=group.record_file(item))
                for listed, item in zip(module.listed_objects, module.objects, strict=True)
            ),
        )
        for module, layout in group.modules
    ]
    for _, line in re.findall(r"""echo >&2 (["'])(.*?)\1""", answer.modpost.command):
        complain(line, whose=group.whose)
    cwd = answer.working_directory(group.directory)
    known = KnownModules(Path(group.out) / ".kbuildpy/modpost.json", group.modpost_signature())
    result = modpost(
        objects,
        _options(project, _extra_symvers(group, extra_symbols, cwd=cwd)),
        tree=answer.tree,
        cwd=Path(cwd),
        layouts=functools.cache(lambda: device_table_layouts(project)),
        known=known,
        find=group.find,
    )
    known.save()
    said = "".join(diagnostic.text for diagnostic in result.diagnostics)
    if said:
        complain(said.removesuffix("\n"), whose=group.whose)
    if result.failed:
        raise CommandError("modpost found errors", hint="\n".join(result.hints))
    for hint in result.hints:
        complain(f"kbuildpy: {hint}", whose=group.whose)
    _refuse_cycle(result.mod_c)
    return result


def _extra_symvers(group: Group, names: Sequence[str], *, cwd: str) -> list[str]:
    """The files that KBUILD_EXTRA_SYMBOLS names, without those that say nothing new."""
    from kbuildpy.kbuild.extra_symvers import check_extra_symvers

    project = group.project
    near = (group.directory, project.environ.get("PWD", group.directory))
    found = []
    for name in names:
        path = find_symvers(project, name, cwd=cwd)
        remark = check_extra_symvers(name, Path(path), tree=project.tree, cwd=cwd, looked_for=near)
        if remark:
            complain(remark, whose=group.whose)
        else:
            found.append(path)
    return found


def find_symvers(project: Project, name: str, *, cwd: str) -> str:
    """The file that `name` in KBUILD_EXTRA_SYMBOLS means.

    Kbuild leaves a `Module.symvers` beside the sources; ours is in `build/RELEASE` there, or is about to be made.
    What was built for this very release is preferred.
    """
    path = os.path.normpath(os.path.join(cwd, name))  # noqa: PTH118
    folder, base = os.path.split(path)
    if base != "Module.symvers":
        return path
    session = getattr(project.env.fs, "kbuildpy_session", None)
    for group in session.groups.values() if session else ():
        if group.project.tree == project.tree and folder in (group.directory, group.out):
            return f"{group.out}/Module.symvers"
    ours = Path(folder, "build", project.tree.release, base)
    return str(ours) if ours.is_file() else path


def _options(project: Project, extra_symvers: Sequence[str]) -> ModpostOptions:
    """The options that the tree gives its modpost, with files where they really are."""
    from kbuildpy.modpost import ModpostOptions

    answer = project.answer
    words = shlex.split(answer.modpost.command)
    start = max((n for n, word in enumerate(words) if word.endswith("scripts/mod/modpost")), default=-1)
    options = ModpostOptions.parse(words[start + 1 :])
    base = answer.working_directory(answer.placeholder)
    given = [Path(os.path.normpath(os.path.join(base, name))) for name in options.symvers]  # noqa: PTH118
    # KBUILD_EXTRA_SYMBOLS from the command line is in either answer: the directory's has the Kbuild file's, too.
    own = [path for path in given if path == answer.tree.symvers]
    return replace(options, symvers=(*own, *map(Path, extra_symvers)))


def link_module(
    steps: Sequence[BuildStep],
    *,
    out: str,
    directory: str,
    below: str,
    module_object: str,
    cwd: str,
    env: Mapping[str, str],
    in_directory: bool,
    verbose: bool,
    whose: str,
    display: str,
) -> None:
    """Make `out`/`below`.ko by `steps`, whose commands name files in `directory`; on failure there is none.

    `display` is what the line that announces BTF calls the module, empty for silence.
    """
    ko = Path(f"{out}/{below}.ko")
    nominal = f"{below}.o" if in_directory else f"{directory}/{below}.o"
    try:
        for step in steps:
            text = re.sub(rf"(?<!\S){re.escape(nominal)}(?!\S)", lambda _: module_object, step.command)
            if not in_directory:
                text = re.sub(rf"(?<![^\s='\"]){re.escape(directory)}/(?!\S*\.lds)", lambda _: f"{out}/", text)
                text = text.replace(f"{out}/{os.path.relpath(module_object, directory)}", module_object)
            if step.rule == "btf_ko" and display and _has_vmlinux(text, cwd):
                say(f"  BTF [M] {display}")
            status = run_command(text, cwd=cwd, env=env, verbose=verbose, whose=whose)
            if status:
                raise CommandError(f"{below}.ko: Kbuild's {step.rule} {how_it_failed(status)}", returncode=status)
    except BaseException:
        ko.unlink(missing_ok=True)
        raise


def _has_vmlinux(command: str, cwd: str) -> bool:
    found = re.search(r"\[ (?:! )?-f (\S+) \]", command)
    return found is not None and Path(cwd, found.group(1)).exists()


def _refuse_cycle(mod_c: Mapping[str, str]) -> None:
    """Modules that need each other build, but none of them can be loaded first (kmod, depmod.c: cycle check)."""
    needs = {}
    for name, text in mod_c.items():
        found = _DEPENDS.search(text)
        needs[Path(name).name] = [item for item in found.group(1).split(",") if item] if found else []
    by_fixed = {name.replace("-", "_"): name for name in needs}
    graph = {name: [by_fixed[item] for item in items if item in by_fixed] for name, items in needs.items()}
    done: set[str] = set()
    for start in graph:
        path: list[str] = []

        def visit(name: str, path: list[str] = path) -> None:
            if name in path:
                cycle = " -> ".join([*path[path.index(name) :], name])
                raise KbuildError(
                    f"modules need each other: {cycle}",
                    hint="none of them can be loaded before the others: move what they share into a module of its own",
                )
            if name not in done:
                path.append(name)
                for item in graph[name]:
                    visit(item)
                path.pop()
                done.add(name)

        visit(start)
