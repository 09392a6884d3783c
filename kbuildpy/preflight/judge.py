# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of each module in the other kernel."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import STB_WEAK
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.module_files import module_name, read_module
from kbuildpy.kernel.module_identity import own_name
from kbuildpy.kernel.stated import stated_needs
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.import_rights import import_rights
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.verdict import Verdict
from kbuildpy.preflight.findings import ModuleFinding, SettingFinding, Source
from kbuildpy.preflight.machine import Setting
from kbuildpy.preflight.subjects import Candidate, ModuleSet

_SIGNATURE = frozenset(("ENOKEY", "EKEYREJECTED", "EBADMSG", "ENOPKG"))
_CLOSED = {
    "gone": "not exported",
    "gpl-only": "for GPL-compatible modules only",
    "namespace": "in a namespace that it does not import",
}
"""Why a module cannot have an import."""


def judge_modules(
    candidates: Sequence[Candidate],
    kernel: LoaderKernel,
    old: ModuleSet,
    new: ModuleSet,
    sources: Mapping[str, Source],
) -> list[ModuleFinding]:
    """A finding for each of `candidates` in `kernel`, whose modules are `new`; those of the present one are `old`.

    The loader checks the files together, as they may need each other.
    """
    files = {candidate: _file_to_judge(candidate, old, new) for candidate in candidates}
    wanted = tuple(dict.fromkeys(file for file in files.values() if file is not None))
    verdicts: dict[Path, Verdict] = {}
    if wanted:
        verdicts = {file: row[0] for file, row in check_files(Check(wanted, (kernel,), {}), jobs=1)}
    exported, names = _exported(wanted), frozenset(module_name(file.name) for file in wanted)
    found = []
    for candidate in candidates:
        file = files[candidate]
        source = sources.get(candidate.name)
        if file is None:
            finding = _without_file(candidate, kernel, old, new, source)
        else:
            finding = _with_file(candidate, file, verdicts[file], kernel, new, source, exported, names)
        found.append(replace(finding, shadowed=_shadowed(candidate, new)))
    return sorted(found, key=lambda each: (not each.is_lost, not each.loaded, each.name))


def judge_settings(settings: Sequence[Setting], old: ModuleSet, new: ModuleSet) -> list[SettingFinding]:
    """The settings that name a module which the present kernel has and the other one does not."""
    return [
        SettingFinding(each.file, each.line, each.text, each.module, each.loads)
        for each in settings
        if old.has(each.module) and not new.has(each.module)
    ]


def _file_to_judge(candidate: Candidate, old: ModuleSet, new: ModuleSet) -> Path | None:
    """The file that decides: the one that was named; what was added to the new kernel; of a module that the new kernel
    does not have, what was added to the old one."""
    if candidate.given is not None:
        return candidate.given
    if new.has(candidate.name):
        return new.file(candidate.name) if new.is_added(candidate.name) else None
    return old.file(candidate.name) if old.is_added(candidate.name) else None


def _without_file(
    candidate: Candidate, kernel: LoaderKernel, old: ModuleSet, new: ModuleSet, source: Source | None
) -> ModuleFinding:
    name = candidate.name
    if new.has(name):
        file = new.file(name)
        return ModuleFinding(name, "built-in" if file is None else "shipped", candidate.loaded, str(file or ""))
    if source is not None:
        reason = f"{kernel.release} does not have it"
        return ModuleFinding(name, "rebuild", candidate.loaded, "", reason, _build_hint(source, kernel), source)
    if old.file(name):
        reason = f"the present kernel comes with it, {kernel.release} does not"
        hint = "is it called otherwise there, or was it dropped? its device or file system would not work"
    else:
        reason = f"it is loaded, and neither {kernel.release} nor this machine has a file of it"
        hint = "find out where it was loaded from: kbuildpy debug NAME"
    return ModuleFinding(name, "missing", candidate.loaded, str(old.file(name) or ""), reason, hint)


def _with_file(
    candidate: Candidate,
    file: Path,
    verdict: Verdict,
    kernel: LoaderKernel,
    new: ModuleSet,
    source: Source | None,
    exported: frozenset[str],
    names: frozenset[str],
) -> ModuleFinding:
    finding = ModuleFinding(
        candidate.name,
        "",
        candidate.loaded,
        str(file),
        verdict.reason or "",
        verdict.hint or "",
        source,
        verdict=verdict,
    )
    of_new = candidate.given is None and new.has(candidate.name)
    if not verdict.readable:
        return replace(finding, state="unreadable")
    needs = tuple(name for name in _needs(file) if not new.has(name) and name not in names)
    closed = _closed_symbols(file, kernel, exported)
    gone = closed.get("gone", ())
    if gone and needs:
        wanting = f"it needs {', '.join(needs)}, which {kernel.release} does not have ({', '.join(gone)})"
        return replace(
            finding, state="needs", reason=wanting, hint=f"install {' and '.join(needs)} there, too", symbols=gone
        )
    if verdict.accepted:
        if candidate.given is not None or of_new:
            return replace(finding, state="loads" if candidate.given is not None else "installed")
        hint = f"kbuildpy install {shlex.quote(str(file))} -k {shlex.quote(kernel.release)}"
        return replace(finding, state="copy", reason=f"it is not installed for {kernel.release}", hint=hint)
    if closed:
        words = [f"{', '.join(closed[reason])}: {meaning}" for reason, meaning in _CLOSED.items() if reason in closed]
        hint = "its sources have to be changed: is there a newer version of it?"
        if source and {*closed} == {"gone"}:
            hint += " If only a header used the symbol, they need not: --build tries"
        return replace(
            finding,
            state="impossible",
            reason=f"{kernel.release}: {'; '.join(words)}",
            hint=hint,
            symbols=tuple(name for reason in _CLOSED for name in closed.get(reason, ())),
        )
    if verdict.errno in _SIGNATURE:
        return replace(finding, state="signature")
    if of_new:
        return replace(finding, state="refused", hint=_build_hint(source, kernel) if source else finding.hint)
    hint = _build_hint(source, kernel) if source else f"no sources with a dkms.conf in /usr/src; {finding.hint}"
    return replace(finding, state="rebuild", hint=hint)


def _build_hint(source: Source, kernel: LoaderKernel) -> str:
    release = shlex.quote(kernel.release)
    return f"its sources are in {source.directory}: kbuildpy dkms install {shlex.quote(source.dkms)} -k {release}"


def _closed_symbols(file: Path, kernel: LoaderKernel, exported: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The imports of the module in `file` that `kernel` does not let it have, by the reason: `gone`, `gpl-only` or
    `namespace`. Other modules export `exported`."""
    found: dict[str, list[str]] = {}
    with suppress(KbuildError):
        image = ModuleImage(read_module(file), str(file))
        rights = import_rights(image, own_name(image, file.name))
        for symbol in image.undefined if kernel.exports else ():
            if not symbol.name or symbol.bind == STB_WEAK or symbol.name in exported:
                continue
            export = kernel.exports.find(symbol.name) if kernel.exports else None
            reason = next(iter(rights.against(export)), "") if export else "gone"
            if reason:
                found.setdefault(reason, []).append(symbol.name)
    return {reason: tuple(sorted(names)) for reason, names in found.items()}


def _needs(file: Path) -> tuple[str, ...]:
    """The modules that modpost found a module to need."""
    with suppress(KbuildError):
        return stated_needs(read_module(file))
    return ()


def _exported(files: Sequence[Path]) -> frozenset[str]:
    """The symbols that the modules in `files` export to each other."""
    found: set[str] = set()
    for file in files:
        with suppress(KbuildError):
            image = ModuleImage(read_module(file), str(file))
            found.update(
                name.removeprefix("__ksymtab_")
                for name in (symbol.name for symbol in image.symbols)
                if name.startswith("__ksymtab_")
            )
    return frozenset(found)


def _shadowed(candidate: Candidate, new: ModuleSet) -> tuple[str, ...]:
    module = new.modules.get(candidate.name)
    if module is None or len(module.paths) < 2 or candidate.given is not None:
        return ()
    return (module.file, *(path for path in module.paths if path != module.file))
