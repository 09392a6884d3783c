# SPDX-License-Identifier: GPL-2.0-only
"""Determines the modules to load, and their order: the modules to try, and those that they depend on.

A dependency (modinfo's `depends`) is taken from among the modules given, else from the kernel's own. Of soft
dependencies those that come before (`softdep: pre:`) are loaded where there are such modules, as modprobe does, and
may fail; those that come after are not.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.depmod_indexes import read_softdeps
from kbuildpy.kernel.module_files import is_module_name, read_module
from kbuildpy.kernel.module_identity import built_for, needed_modules, own_name
from kbuildpy.kernel.needs_first import needs_first
from kbuildpy.kernel.own_modules import OwnModules
from kbuildpy.similar import no_such_path


@dataclass(frozen=True)
class Trial:
    """A module to load."""

    name: str
    file: Path
    """Its file, as it was named."""
    image: ModuleImage
    """The module, decompressed."""
    parameters: str = ""
    """As insmod takes them."""
    needs: tuple[str, ...] = ()
    """The modules that must be loaded before it."""
    likes: tuple[str, ...] = ()
    """The modules that should be loaded before it (soft dependencies)."""
    debug_query: str = ""
    """The query of dynamic debug that it is loaded with; "" for none."""
    given: bool = True
    """It is one of the modules to try, not one that they need."""
    asked: bool = False
    """It is one of the kernel's own modules that `--module` names."""

    @property
    def release(self) -> str:
        """The release that it was built for; "" if its vermagic names none."""
        return built_for(self.image)

    @property
    def has_messages(self) -> bool:
        """Whether it has dynamic debug messages."""
        return self.image.section("__dyndbg") is not None


def read_trial(file: Path, parameters: str = "", *, given: bool = True) -> Trial:
    """The module in `file`, which may be compressed.

    Raises `UsageError` if it is none, `KbuildError` if it is damaged, or has a name that no module can have: the name
    becomes part of paths, here and in the guest, and a word of the guest's script.
    """
    try:
        contents = read_module(file)
    except KbuildError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise no_such_path(file) from error
        if isinstance(error.__cause__, OSError):
            raise UsageError(error.message, hint="name module files (.ko)") from error
        raise
    image = ModuleImage(contents, str(file))
    if image.section(".modinfo") is None:
        raise UsageError(f"{file}: not a kernel module (it has no .modinfo)", hint="name .ko files")
    if "\n" in parameters:
        raise UsageError(f"{file}: parameters are one line: {parameters!r}")
    name = own_name(image, file.name)
    if not is_module_name(name):
        raise KbuildError(
            f"{file}: no module can be called {name!r}",
            hint="build it again: Kbuild derives the name from the file's name",
        )
    # (of several, kmod takes the first)
    likes = [name for value in image.modinfo_values("softdep")[:1] for name in read_softdeps(value).pre]
    return Trial(
        name=name,
        file=file,
        image=image,
        parameters=parameters.strip(),
        needs=tuple(name.replace("-", "_") for name in needed_modules(image)),
        likes=tuple(likes),
        given=given,
    )


def with_dependencies(trials: Sequence[Trial], fetch: Callable[[], OwnModules]) -> list[Trial]:
    """`trials` and all that they need, each after what it needs, else in the order given.

    `fetch` gets the kernel's own modules, and is called only if one of them is needed. In the result `likes` has the
    names of modules that are loaded; `needs` stays (those that a module needs directly; all, of the kernel's own), also
    with a name that is found nowhere: the kernel decides what becomes of it. Raises `UsageError` for two modules of one
    name, `KbuildError` for a circle, and what `fetch` raises.
    """
    by_name: dict[str, Trial] = {}
    for trial in trials:
        if trial.name in by_name:
            raise UsageError(
                f"two files of a module called {trial.name}: {by_name[trial.name].file} and {trial.file}",
                hint="a kernel loads one module of a name: name one of them, or the folder build/RELEASE of one",
            )
        by_name[trial.name] = trial
    own = functools.cache(fetch)
    order: dict[str, Trial] = {}
    path: list[str] = []

    def found(name: str) -> Trial | None:
        return by_name.get(name) or (_own_module(own(), name))

    def visit(trial: Trial) -> None:
        if trial.name in path:
            raise KbuildError(f"modules depend on each other in a circle: {' -> '.join([*path, trial.name])}")
        if trial.name in order:
            return
        path.append(trial.name)
        likes = []
        for wanted in trial.likes:
            # (a kernel whose modules cannot be had has none to load before)
            with suppress(KbuildError):
                names = (wanted,) if wanted in by_name else _named(own(), wanted)
                likes += [name for name in names if name not in path and found(name)]
        for name in (*likes, *trial.needs):
            needed = found(name)
            if needed:
                visit(needed)
        path.pop()
        order[trial.name] = replace(trial, likes=tuple(likes))

    for trial in trials:
        visit(trial)
    return list(order.values())


def asked_modules(
    words: Sequence[str], trials: Sequence[Trial], own: Callable[[], OwnModules], release: str
) -> list[Trial]:
    """The kernel's own modules that `words` name, each a name or an alias and maybe parameters. What is built in, or
    among `trials`, takes nothing.

    One with ? before its name may be missing. Raises `UsageError` for another that kernel `release` does not have.
    """
    found: dict[str, Trial] = {}
    given = {trial.name for trial in trials}
    for word in words:
        name, _, parameters = word.lstrip("?").strip().partition(" ")
        if name.replace("-", "_") in given:
            continue
        modules = own()
        named = _named(modules, name)
        for module in named:
            if module in found and not parameters.strip():
                continue
            trial = _own_module(modules, module)
            assert trial
            found[module] = replace(trial, parameters=parameters.strip(), asked=True)
        if not named and name.replace("-", "_") not in (modules.built_in() or ()) and not word.startswith("?"):
            near = difflib.get_close_matches(name.replace("-", "_"), modules.files(), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "it may be built in under another name"
            raise UsageError(f"--module {name}: kernel {release} has no such module", hint=hint)
    return list(found.values())


def closure(trials: Sequence[Trial], wanted: Iterable[str]) -> list[Trial]:
    """Those of `trials` that are called one of `wanted`, and those that they need or like, in order."""
    below = {trial.name: (*trial.needs, *trial.likes) for trial in trials}
    names = {*needs_first(wanted, lambda module: below.get(module, ()))}
    return [trial for trial in trials if trial.name in names]


def needed_by(trials: Sequence[Trial], name: str) -> set[str]:
    """The modules that `name` cannot be loaded without, and itself."""
    needs = {trial.name: trial.needs for trial in trials}
    return {*needs_first([name], lambda module: needs.get(module, ()))}


def _named(own: OwnModules, name: str) -> tuple[str, ...]:
    """The modules that `name` means; none for what is built in."""
    meaning = own.meaning(name)
    return () if meaning.built_in else meaning.names


def _own_module(own: OwnModules, name: str) -> Trial | None:
    file = own.files().get(name)
    if file is None:
        return None
    trial = read_trial(file, given=False)
    likes = tuple(dict.fromkeys((*trial.likes, *own.softdeps(name).pre)))
    return replace(trial, needs=own.needs(name) or trial.needs, likes=likes)
