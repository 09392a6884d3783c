# SPDX-License-Identifier: GPL-2.0-only
"""The stage as a whole (scripts/mod/modpost.c: main): read everything, resolve, write.

An error never stops modpost at once; from 5.19 on it stops it from writing. Up to 6.3 a module is checked and written
before the next one is checked, so that the modules before an error have their `.mod.c`; later all are checked first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.symvers import format_symvers, read_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.diagnostics import Diagnostic, Fatal, Log, check_line
from kbuildpy.modpost.exports import KnownExports
from kbuildpy.modpost.known import KnownModules
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.modc import prepare_template, render_mod_c
from kbuildpy.modpost.named_exports import NamedExports
from kbuildpy.modpost.object_facts import ObjectFacts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.read_module import read_module
from kbuildpy.modpost.reading import Reading
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.resolve import MODULE_NAME_SIZE, ResolvedModule, Resolver
from kbuildpy.modpost.srcversion import SourceReader
from kbuildpy.modpost.versions import Dialect, dialect_of


@dataclass(frozen=True)
class ModpostResult:
    """What modpost would have written and said."""

    mod_c: dict[str, str]
    """The text of each `.mod.c` that it would write, by the module's nominal name; not those after an error."""
    symvers: str
    """The text for `-o`, "" also when it would write none."""
    diagnostics: tuple[Diagnostic, ...]
    failed: bool
    wrote_symvers: bool = True
    """It would write `-o`."""
    namespace_deps: str | None = None
    """The text for `-d`, None when there is nothing to write."""
    hints: tuple[str, ...] = ()
    """Ours: what to do about it."""


def modpost(
    modules: Sequence[ModuleObject],
    options: ModpostOptions,
    *,
    tree: KernelTree,
    cwd: Path,
    layouts: Callable[[], DeviceTableLayouts],
    known: KnownModules | None = None,
    find: Callable[[str], str] = str,
) -> ModpostResult:
    """Do what `tree`'s modpost would do with `modules`.

    `cwd` is where Kbuild runs it: the names in symvers options and in the objects' records are relative to
    that; `find` says where the source at a path really is. `layouts` is called when the first device table turns up, if
    any. What `known` says of a module is not read again; what is read is kept there. Raises `KbuildError` for input
    that is no module object, a record that is missing, or a malformed symvers file.
    """
    dialect = dialect_of(tree)
    log = Log(dialect.module_prefix, dialect.fatal_word, dialect.truncates_lines)
    exports = (
        NamedExports(log, external=options.external, retired=dialect.retired_exports)
        if dialect.one_export_per_name
        else KnownExports(log, external=options.external, owner_by_file=dialect.symvers_owner_by_file)
    )
    name_limit = MODULE_NAME_SIZE - (8 if tree.config.get("CONFIG_64BIT") == "y" else 4)
    resolver = Resolver(exports, options, dialect, log, name_limit)
    mod_c: dict[str, str] = {}
    symvers: str | None = None
    namespace_deps: str | None = None
    hints: list[str] = []

    def write(module: ResolvedModule) -> None:
        text = render_mod_c(module, options, dialect, name_limit, log)
        if not log.failed or dialect.writes_in_spite_of_errors:
            mod_c[module.facts.owner.name] = text

    try:
        for path in options.symvers:
            exports.load(read_symvers(cwd / path, any_license=dialect.one_export_per_name), str(path))
        reading = Reading(options, dialect, exports, SourceReader(cwd, find), layouts, log)
        read = [facts for facts in (_read(module, reading, known) for module in modules) if facts is not None]
        resolver.start()
        resolved = []
        for facts in reversed(read) if dialect.newest_first else read:
            resolved.append(resolver.resolve(facts))
            hints += _quoted_namespaces(resolved[-1])
            if not dialect.checks_before_writing:
                write(resolved[-1])
        if dialect.checks_before_writing:
            _keep_used(read, exports, options, cwd)
            for module in resolved:
                write(module)
        if options.namespace_deps is not None:
            deps = _namespace_deps(resolved)
            namespace_deps = deps if not log.failed or dialect.writes_in_spite_of_errors else None
        text = _symvers_text(read, exports, options, log)
        symvers = text if not log.failed or dialect.writes_in_spite_of_errors else None
        if reading.mismatches.count and options.mismatch_is_error:
            if dialect.mismatch_is_fatal:
                raise log.fatal(MISMATCHES)
            log.error(MISMATCHES)
        _report_static_exports(exports, dialect, log)
        resolver.finish()
    except Fatal:
        pass
    return ModpostResult(
        mod_c, symvers or "", tuple(log.diagnostics), log.failed, symvers is not None, namespace_deps, tuple(hints)
    )


def prepare(*symvers: Path) -> None:
    """Do beforehand what every modpost needs: compile the template, read `symvers`.

    With the import of this file, that is 60 of the 70 ms that a small module's modpost takes. A thread can do it while
    a compiler runs. A file that cannot be read is left for modpost to complain about.
    """
    prepare_template()
    for path in symvers:
        with suppress(KbuildError):
            read_symvers(path)


def _read(module: ModuleObject, reading: Reading, known: KnownModules | None) -> ObjectFacts | None:
    if reading.dialect.one_export_per_name:
        known = None  # what one module exports may change what another one did
    facts = known.find(module, reading.exports) if known is not None else None
    if facts is None:
        said = len(reading.log.diagnostics)
        facts = read_module(module, reading)
        if known is not None and facts is not None and len(reading.log.diagnostics) == said:
            known.keep(module, facts)
    return facts


def _keep_used(read: Sequence[ObjectFacts], exports: KnownExports, options: ModpostOptions, cwd: Path) -> None:
    """Mark exports that -t must not drop: named in the -u file, or in a module's `.no_trim_symbol`."""
    names = [name for facts in read for name in facts.no_trim]
    if options.unused_exports_white_list is not None:
        try:
            names += (cwd / options.unused_exports_white_list).read_text(errors="surrogateescape").split("\n")
        except OSError as error:
            raise KbuildError(f"{options.unused_exports_white_list}: {error.strerror}") from error
    for name in names:
        export = exports.find(name)
        if export is not None:
            export.used = True


def _namespace_deps(modules: Sequence[ResolvedModule]) -> str:
    return "".join(
        f"{module.facts.owner.name}.ko: {' '.join(module.missing_namespaces)}\n"
        for module in modules
        if module.missing_namespaces
    )


def _quoted_namespaces(module: ResolvedModule) -> list[str]:
    """What to do about namespaces that are imported with quotes in a kernel that adds them itself (before 6.13)."""
    quoted = [name for name in module.missing_namespaces if f'"{name}"' in module.facts.imported_namespaces]
    return [
        f'{module.facts.owner.basename}: MODULE_IMPORT_NS("{name}"): before 6.13 write it without quotes: '
        f"MODULE_IMPORT_NS({name})"
        for name in quoted
    ]


def _report_static_exports(exports: KnownExports, dialect: Dialect, log: Log) -> None:
    if isinstance(exports, NamedExports):
        for symbol in exports.static_exports():
            error = dialect.static_exports == "error"
            log.module("static", symbol.owner.name, error=error, symbol=symbol.name, macro=symbol.macro)


def _symvers_text(read: Sequence[ObjectFacts], exports: KnownExports, options: ModpostOptions, log: Log) -> str:
    symbols = [export for facts in read for export in facts.exports]
    if isinstance(exports, NamedExports):
        owners = {facts.owner for facts in read}
        symbols = exports.in_order([export for export in symbols if export.owner in owners])
    lines = format_symvers(
        (export.crc or 0, export.name, export.owner.name, export.macro, export.namespace)
        for export in symbols
        if export.used or not options.trim_unused_exports
    )
    return "".join(check_line(log, line) for line in lines)


MISMATCHES = "Section mismatches detected.\nSet CONFIG_SECTION_MISMATCH_WARN_ONLY=y to allow them.\n"
