# SPDX-License-Identifier: GPL-2.0-only
"""Checks many module files for many kernels, in several processes; a module may need another one of the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError, unexpected
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.kernel.stated import stated_release
from kbuildpy.loader.kept.judge import Judge, ModuleOnDisk
from kbuildpy.loader.kept.store import VerdictStore, open_store
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import NO_MODULES
from kbuildpy.loader.loaded import Loaded, Modules
from kbuildpy.loader.verdict import Verdict
from kbuildpy.parallel import in_processes

Result = Sequence[Verdict]
"""A verdict for each kernel."""

_PER_PROCESS = 16
"""Files that are handed to a process at a time; fewer are not worth a second process."""

_OPEN = 16
"""Needed files that are open at a time."""


@dataclass(frozen=True)
class Check:
    """A request to check files."""

    files: tuple[Path, ...]
    """The module files, compressed or not."""
    kernels: tuple[LoaderKernel, ...]
    """The kernels that each file is checked for."""
    parameters: Mapping[str, str]
    """The argument string of init_module(2), by module name."""


def built_for(files: Sequence[Path]) -> tuple[dict[str, list[Path]], list[tuple[Path, Result]]]:
    """Return the `files` by the release in their vermagic, and a result for each file that names none."""
    found: dict[str, list[Path]] = {}
    silent: list[tuple[Path, Result]] = []
    for file in files:
        try:
            release = stated_release(read_module(file))
            if not release:
                raise KbuildError(
                    f"{file}: the module does not name the kernel that it was built for (no release in its vermagic)",
                    hint="name a kernel with -k",
                )
        except Exception as error:
            silent.append((file, [unreadable(file, "own", error)]))
        else:
            found.setdefault(release, []).append(file)
    return found, silent


def check_files(check: Check, *, jobs: int = 0, kept: bool = True) -> Iterator[tuple[Path, Result]]:
    """Yield a result for each file, in order; `jobs` at a time (0: one per processor).

    If a module uses a symbol that another one of the files exports, the exporting module counts as loaded, provided
    that the kernel would load it. If several files have that module's name, the one in the same directory counts. The
    work is done in processes, because threads share one interpreter lock; they are forked and have the kernels' facts.
    `kept`: verdicts are looked up among those that were kept in the user's cache, and kept there.
    """
    checker = Checker(check, open_store() if kept else None)
    results = in_processes(
        checker.check,
        check.files,
        jobs=jobs,
        per_process=_PER_PROCESS,
        doing="checks modules",
        hint="try fewer at a time: -j 1",
    )
    yield from zip(check.files, results, strict=True)


class Checker:
    """Checks files one after the other, and keeps the modules that are loaded after each for the files that need it."""

    def __init__(self, check: Check, store: VerdictStore | None = None) -> None:
        self._check = check
        self._judge = Judge(check.kernels, store)
        self._by_name: dict[str, list[Path]] = {}
        for file in check.files:
            self._by_name.setdefault(module_name(file.name), []).append(file)
        self._loaded: dict[tuple[Path, int], Modules] = {}
        self._pending: set[Path] = set()
        self._open: dict[Path, ModuleOnDisk] = {}

    def check(self, file: Path) -> Result:
        """Return the verdict of each kernel on `file`. Raises nothing: a failure becomes a verdict that says so."""
        try:
            module = self._open.get(file) or self._judge.open(file)
            row = [self._verdict(module, number) for number in range(len(self._check.kernels))]
            for judged in (module, *self._open.values()):
                self._judge.keep(judged)
            return row
        except Exception as error:
            return [unreadable(file, kernel.release, error) for kernel in self._check.kernels]

    def _verdict(self, module: ModuleOnDisk, number: int) -> Verdict:
        modules = self._before(module, number)
        name = module_name(module.path.name)
        verdict, after = self._judge.judge(module, number, modules, self._check.parameters.get(name, ""))
        self._loaded[module.path, number] = after if verdict.accepted else Modules(refused=(name,))
        return verdict

    def _before(self, module: ModuleOnDisk, number: int) -> Modules:
        """The modules that are loaded before `module`: those of the files that it needs, directly or indirectly."""
        if len(self._check.files) == 1:
            return NO_MODULES
        loaded: dict[str, Loaded] = {}
        refused: list[str] = []
        exported: set[str] = set()
        for needed in self._needed(module, number):
            before = self._loaded[needed, number]
            refused += before.refused
            for item in reversed(before.loaded):
                if item.name in loaded:
                    continue
                # If two modules export the same symbol, the kernel refuses the second one, and each that needs it.
                if exported.isdisjoint(item.exports) and not {*item.uses} & {*refused}:
                    loaded[item.name] = item
                    exported.update(item.exports)
                else:
                    refused.append(item.name)
        return Modules(tuple(reversed(loaded.values())), tuple(refused))

    def _needed(self, module: ModuleOnDisk, number: int) -> Iterator[Path]:
        """Check and yield the files that `module` needs; leaves out files that need `module` themselves (a cycle), and
        files that cannot be read."""
        file = module.path
        self._pending.add(file)
        try:
            for name in module.needs:
                needed = self._nearest(name, file)
                if needed is None or needed in self._pending:
                    continue
                if (needed, number) not in self._loaded:
                    try:
                        self._verdict(self._opened(needed), number)
                    except Exception:  # The result of the needed file reports this error.
                        continue
                yield needed
        finally:
            self._pending.discard(file)

    def _opened(self, file: Path) -> ModuleOnDisk:
        """The module in `file`, which another one needs. All kernels judge it, so it stays open for a while."""
        if file not in self._open:
            while len(self._open) >= _OPEN:
                oldest = next(iter(self._open))
                self._judge.keep(self._open.pop(oldest))
            self._open[file] = self._judge.open(file)
        return self._open[file]

    def _nearest(self, name: str, file: Path) -> Path | None:
        candidates = self._by_name.get(name, [])
        beside = [path for path in candidates if path.parent == file.parent]
        return next(iter(beside or candidates), None)


def unreadable(file: Path, kernel: str, failed: Exception) -> Verdict:
    """Return the verdict for a `file` that could not be judged, because `failed` was raised."""
    # An unexpected exception about one file must not end the check of the others.
    error = failed if isinstance(failed, KbuildError) else unexpected(file, failed)
    name = module_name(file.name)
    hint = error.hint or None
    return Verdict(str(file), kernel, name, accepted=False, reason=error.message, hint=hint, readable=False)
