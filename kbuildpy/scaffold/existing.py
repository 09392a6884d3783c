# SPDX-License-Identifier: GPL-2.0-only
"""Reads an existing directory: the modules of its Kbuild file, or sources without a Kbuild file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.scaffold.licenses import MODULE_LICENSES
from kbuildpy.scaffold.wrapper import KbuildCall, kbuild_calls

Modules = Iterable[tuple[str, tuple[str, ...]]]
Ask = Callable[[Path, Mapping[str, str]], Modules]
"""Asks Kbuild for the modules of a directory under variables: names and sources, below the directory."""


@dataclass(frozen=True)
class FoundModule:
    """A module: its name as modpost has it, and its sources, below its build's directory."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class FoundBuild:
    """Modules that are built together."""

    # below the project, "." for itself
    below: str
    modules: tuple[FoundModule, ...]
    # what Kbuild is given on its command line
    variables: tuple[tuple[str, str], ...] = ()
    # how that is known, for people
    source: str = ""


@dataclass(frozen=True)
class Existing:
    """A directory that has modules."""

    directory: Path
    builds: tuple[FoundBuild, ...]
    # whether there is a Kbuild file already
    has_kbuild: bool
    # sources that belong to no module, where there is no Kbuild file
    left_out: tuple[str, ...] = ()
    # messages about files that were seen and ignored
    remarks: tuple[str, ...] = ()
    # from the macros of the sources; "" if they have none
    version: str = ""
    description: str = ""
    license: str = ""

    @property
    def name(self) -> str:
        """A name for the whole."""
        modules = [Path(module.name).name for build in self.builds for module in build.modules]
        return modules[0] if len(modules) == 1 else re.sub(r"[^A-Za-z0-9_.+-]", "-", self.directory.name)


# Directories below the project that are looked into for Kbuild files, and how many at most.
_DEPTH, _MANY = 4, 300
# A module's main source says one of these; the other sources of a module say neither.
_MAIN = re.compile(r"^\s*(?:module_init\s*\(|MODULE_LICENSE\s*\(|module_\w+_driver\s*\()", re.MULTILINE)
_EXPORT = re.compile(r"\bEXPORT_SYMBOL\w*\s*\(\s*(\w+)")
_FACT = r"^\s*MODULE_%s\s*\(\s*\"((?:[^\"\\]|\\.)*)\"\s*\)"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def read_existing(directory: Path, ask_kbuild: Ask, variables: Mapping[str, str]) -> Existing:
    """What `directory` has, under `variables` for Kbuild.

    Raises `UsageError` where there is nothing of a module, `KbuildError` with make's words where a Kbuild file cannot
    be read.
    """

    def ask(place: Path, given: Mapping[str, str]) -> Modules:
        return ask_kbuild(place, {**given, **variables})

    remarks: list[str] = []
    builds = _builds(directory, ask, remarks)
    modules, left_out = _modules_of_sources(directory)
    if not builds and not modules:
        builds = _builds_below(directory, ask, remarks)
    if builds:
        builds = tuple(replace(build, variables=_merged(build.variables, variables)) for build in builds)
        sources = [directory / build.below / name for build in builds for one in build.modules for name in one.sources]
        return _with_facts(Existing(directory, builds, has_kbuild=True, remarks=tuple(remarks)), sources)
    if not modules:
        raise UsageError(
            f"{directory}: no Kbuild file that names modules, and no source of a module",
            hint="\n".join([*remarks, "kbuildpy new makes a project from a template; --list shows the templates"]),
        )
    build = FoundBuild(".", modules, source="sources that have module_init() or MODULE_LICENSE()")
    sources = [directory / name for module in modules for name in module.sources]
    return _with_facts(Existing(directory, (build,), has_kbuild=False, left_out=left_out), sources)


def _merged(own: tuple[tuple[str, str], ...], given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple({**dict(own), **given}.items())


def _builds(directory: Path, ask: Ask, remarks: list[str]) -> tuple[FoundBuild, ...]:
    makefile = next(
        (directory / name for name in ("Makefile", "makefile", "GNUmakefile") if (directory / name).is_file()), None
    )
    try:
        calls = kbuild_calls(makefile) if makefile else []
    except KbuildError:
        # (what is for Kbuild only, plain make may not be able to read)
        if not _sets_modules(directory):
            raise
        calls = []
    found: list[FoundBuild] = []
    for call in calls:
        below = _below(directory, call)
        assert makefile
        where = f"{makefile.name}:{call.line}"
        if below in {build.below for build in found}:
            given = " ".join(f"{name}={value}" for name, value in call.variables)
            remarks.append(f"{where} calls Kbuild for {below} again, with {given or 'nothing'}: ignored")
        elif below is not None and _sets_modules(call.directory):
            modules = _asked(ask, call.directory, dict(call.variables))
            found.append(FoundBuild(below, modules, call.variables, f"{where} calls Kbuild"))
    if not found and _sets_modules(directory):
        name = "Kbuild" if (directory / "Kbuild").is_file() else "Makefile"
        found.append(FoundBuild(".", _asked(ask, directory, {}), source=f"the Kbuild file {name}"))
    return tuple(build for build in found if build.modules)


def _builds_below(directory: Path, ask: Ask, remarks: list[str]) -> tuple[FoundBuild, ...]:
    """The builds of folders below `directory`, where that has none itself: the topmost Kbuild file on each way down.
    Each is told of the symbols of those whose exports its sources mention."""
    found: list[FoundBuild] = []
    folders = [directory]
    for _ in range(_DEPTH):
        below = [path for folder in folders for path in sorted(folder.iterdir()) if _is_looked_into(path)]
        folders = []
        for folder in below[:_MANY]:
            if not _sets_modules(folder):
                folders.append(folder)
                continue
            try:
                modules = _asked(ask, folder, {})
            except KbuildError as error:
                remarks.append(f"{folder.relative_to(directory)}: ignored: {error.message}")
                continue
            if modules:
                found.append(FoundBuild(folder.relative_to(directory).as_posix(), modules, (), "its Kbuild file"))
            else:
                folders.append(folder)
    return _in_order(directory, found)


def _in_order(directory: Path, builds: list[FoundBuild]) -> tuple[FoundBuild, ...]:
    """`builds`, each after those whose exports it uses, and told of their symvers."""
    texts = {
        build.below: "\n".join(_read(directory / build.below / name) for one in build.modules for name in one.sources)
        for build in builds
    }
    exports = {below: set(_EXPORT.findall(text)) for below, text in texts.items()}
    words = {below: set(re.findall(r"\w+", text)) for below, text in texts.items()}
    uses = {
        below: [other for other in texts if other != below and exports[other] & (words[below] - exports[below])]
        for below in texts
    }
    try:
        order = list(TopologicalSorter(uses).static_order())
    except CycleError:
        # (each is told of those before it only: a build cannot wait for one that waits for it)
        order = list(texts)
    by_name = {build.below: build for build in builds}
    found = []
    for number, below in enumerate(order):
        symvers = " ".join(f"{directory / other}/Module.symvers" for other in order[:number] if other in uses[below])
        found.append(replace(by_name[below], variables=(("KBUILD_EXTRA_SYMBOLS", symvers),) if symvers else ()))
    return tuple(found)


def _is_looked_into(path: Path) -> bool:
    return (
        path.is_dir()
        and not path.is_symlink()
        and path.name not in ("build", "build-coverage", "debian")
        and path.name[0] != "."
    )


def _below(directory: Path, call: KbuildCall) -> str | None:
    try:
        return call.directory.relative_to(directory.resolve()).as_posix()
    except ValueError:
        return None


def _asked(ask: Ask, directory: Path, variables: Mapping[str, str]) -> tuple[FoundModule, ...]:
    return tuple(FoundModule(name, sources) for name, sources in ask(directory, variables))


def _sets_modules(directory: Path) -> bool:
    """Whether there is a file for Kbuild, by its text: a Makefile may have nothing to do with the kernel."""
    kbuild = directory / "Kbuild"
    if kbuild.is_file():
        return True
    makefile = directory / "Makefile"
    if not makefile.is_file():
        return False
    text = makefile.read_text(errors="surrogateescape")
    return re.search(r"\bobj-|^\s*-?include\b", text, re.MULTILINE) is not None


def _modules_of_sources(directory: Path) -> tuple[tuple[FoundModule, ...], tuple[str, ...]]:
    sources = sorted(path.name for path in directory.glob("*.[cS]") if not path.name.endswith(".mod.c"))
    main = [name for name in sources if name.endswith(".c") and _MAIN.search(_read(directory / name))]
    rest = tuple(name for name in sources if name not in main)
    if len(main) == 1 and rest:
        # An object has the name of its source, so the module they are linked into needs another one.
        stems = {Path(name).stem for name in sources}
        name = re.sub(r"[^A-Za-z0-9_]", "_", directory.resolve().name)
        while name in stems:
            name += "_module"
        return (FoundModule(name, (main[0], *rest)),), ()
    return tuple(FoundModule(Path(name).stem, (name,)) for name in main), rest


def _with_facts(existing: Existing, sources: Iterable[Path]) -> Existing:
    texts = [_read(path) for path in sources if path.suffix == ".c"]

    def first(name: str) -> str:
        found = (re.search(_FACT % name, text, re.MULTILINE) for text in texts)
        return next((match[1] for match in found if match), "")

    spdx = next((match[1] for text in texts if (match := re.match(r"//\s*SPDX-License-Identifier:\s*(.+)", text))), "")
    declared = first("LICENSE")
    license = spdx.strip() or next((key for key, value in MODULE_LICENSES.items() if value == declared), "")
    return replace(existing, version=first("VERSION"), description=first("DESCRIPTION"), license=license)


def _read(path: Path) -> str:
    try:
        return _COMMENT.sub("", path.read_text(errors="surrogateescape"))
    except OSError:
        return ""
