# SPDX-License-Identifier: GPL-2.0-only
"""Runs the modpost stage (scripts/mod/modpost.c: main): reads all modules, resolves their imports, renders `.mod.c`.

After an error modpost goes on, but from 5.19 on it writes no more files. Up to 6.3 it checks and writes one module
after the other, so that the modules before the one with an error have a `.mod.c`; later it checks all modules first.
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
from kbuildpy.modpost.mismatch_rules import compile_patterns
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
    """What modpost would write and print."""

    mod_c: dict[str, str]
    """The text of each `.mod.c` that modpost would write, by the module's nominal name."""
    symvers: str
    """The text for `-o`; "" if modpost would not write the file."""
    diagnostics: tuple[Diagnostic, ...]
    """The messages, in order."""
    failed: bool
    """modpost would exit with an error."""
    wrote_symvers: bool = True
    """modpost would write the file of `-o`."""
    namespace_deps: str | None = None
    """The text for `-d`; None if modpost would not write the file."""
    hints: tuple[str, ...] = ()
    """Hints of kbuildpy on how to fix errors; modpost does not print them."""


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
    """Returns what the modpost of `tree` would write and print for `modules`; no file is written.

    `cwd` is the directory in which Kbuild runs modpost: names in `options` and in `.cmd` files are relative to it.
    `find` returns the file for the nominal path of a source. `layouts` is called for the first device table, if any.
    `known` has the facts of modules that need not be read again, and keeps those of the modules that are read. Raises
    `KbuildError` for a file that is not a module object, a missing `.cmd` file, or a malformed symvers file.
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


def prepare(tree: KernelTree, *symvers: Path) -> None:
    """Compile the template and the patterns for `tree`, and read the files `symvers`, which `modpost` then finds in
    memory.

    Together with the import of this file, this takes 60 of the 70 ms of modpost for a small module. A thread can do it
    while a compiler runs. A file that cannot be read is ignored here: `modpost` raises its error.
    """
    prepare_template()
    with suppress(KbuildError, OSError):
        dialect = dialect_of(tree)
        compile_patterns(dialect.section_rules, dialect.white_sections)
    for path in symvers:
        with suppress(KbuildError):
            read_symvers(path)


def _read(module: ModuleObject, reading: Reading, known: KnownModules | None) -> ObjectFacts | None:
    if reading.dialect.one_export_per_name:
        known = None  # an export of one module may change the entry of another module
    facts = known.find(module, reading.exports) if known is not None else None
    if facts is None:
        said = len(reading.log.diagnostics)
        facts = read_module(module, reading)
        if known is not None and facts is not None and len(reading.log.diagnostics) == said:
            known.keep(module, facts)
    return facts


def _keep_used(read: Sequence[ObjectFacts], exports: KnownExports, options: ModpostOptions, cwd: Path) -> None:
    """Mark the exports that -t must not drop: those named in the file of -u (handle_white_list_exports) or in the
    `.no_trim_symbol` of a module. Raises `KbuildError` if the file cannot be read."""
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
    """Hints for namespaces that a module imports with quotes, for kernels whose macro adds the quotes (before 6.13)."""
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
