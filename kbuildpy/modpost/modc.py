# SPDX-License-Identifier: GPL-2.0-only
"""Renders the `.mod.c` of a module from a Jinja2 template (scripts/mod/modpost.c: write_mod_c_file).

Importing this module imports Jinja2: 20 ms in a process that has loaded SCons, which shares most of its imports.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import jinja2

from kbuildpy.modpost.aliases import alias_line
from kbuildpy.modpost.diagnostics import Log, check_line
from kbuildpy.modpost.exports import ExportedSymbol, Owner
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.resolve import ResolvedImport, ResolvedModule
from kbuildpy.modpost.versions import Dialect
from kbuildpy.template_path import template_path


def render_mod_c(module: ResolvedModule, options: ModpostOptions, dialect: Dialect, name_limit: int, log: Log) -> str:
    """The text of the `.mod.c` of `module`. Logs missing CRCs, and names of symbols that do not fit into `name_limit`
    bytes with a NUL byte. Raises `Fatal` for a line that is too long (`check_line`)."""
    facts = module.facts
    name = facts.owner.name
    exports = [export for export in facts.exports if export.used or not options.trim_unused_exports]
    ksymtab = [_ksymtab(export, dialect) for export in exports] if dialect.exports_by_section else None
    for lines in ksymtab or ():
        for line in lines:
            check_line(log, line)
    crcs = _export_crcs(exports, name, dialect, log) if options.modversions and not dialect.crcs_in_objects else None
    basic = options.basic_versions if dialect.separate_version_tables else options.modversions
    versions = _versions(module.imports, name, name_limit, options, dialect, log) if basic else None
    extended = _extended_versions(module.imports, name, log) if options.extended_versions else None
    aliases = [check_line(log, alias_line(alias)) for alias in facts.aliases]
    return _template().render(
        dialect=dialect,
        facts=facts,
        external=options.external,
        staging=name.startswith("drivers/staging"),
        test=dialect.test_flag and name.startswith("tools/testing"),
        ksymtab=ksymtab,
        crcs=crcs,
        versions=versions,
        extended=extended,
        depends=",".join(owner.basename for owner in depends(module.imports)),
        aliases=aliases,
    )


def depends(imports: Sequence[ResolvedImport]) -> list[Owner]:
    """The modules that export symbols to this one, in the order of its first import of each (modpost.c:
    add_depends)."""
    return [owner for owner in dict.fromkeys(entry.owner for entry in imports) if not owner.is_vmlinux]


def _ksymtab(export: ExportedSymbol, dialect: Dialect) -> tuple[str, ...]:
    macro = f"KSYMTAB_{'FUNC' if export.is_func else 'DATA'}"
    if dialect.symbol_flags:
        return (
            f'{macro}({export.name}, "{export.namespace}");\n',
            f"SYMBOL_FLAGS({export.name}, 0x{int(export.gpl_only):02x});\n",
        )
    return (f'{macro}({export.name}, "{"_gpl" if export.gpl_only else ""}", "{export.namespace}");\n',)


def _export_crcs(exports: Sequence[ExportedSymbol], module: str, dialect: Dialect, log: Log) -> list[str]:
    lines = []
    for export in exports:
        if export.crc is None:
            log.module("unversioned", module, error=False, symbol=export.name)
        section = "" if dialect.symbol_flags else f', "{"_gpl" if export.gpl_only else ""}"'
        lines.append(check_line(log, f"SYMBOL_CRC({export.name}, 0x{export.crc or 0:08x}{section});\n"))
    return lines


def _versions(
    imports: Sequence[ResolvedImport], module: str, name_limit: int, options: ModpostOptions, dialect: Dialect, log: Log
) -> list[str]:
    """The entries of `____versions` (modpost.c: add_versions), whose struct has room for names below `name_limit`."""
    lines = []
    for entry in imports:
        if entry.crc is None:
            log.module("no-crc", module, error=False, symbol=entry.name)
            continue
        if len(entry.name.encode("utf-8", "surrogateescape")) >= name_limit:
            if options.extended_versions:
                continue
            log.module("symbol-too-long", module, symbol=entry.name)
            break
        if dialect.separate_version_tables:
            crc = f"0x{entry.crc:08x}"
        else:
            # as printf's %#8x: the width includes the prefix 0x, and zero has no prefix
            crc = f"{entry.crc:#8x}" if entry.crc else f"{0:8x}"
        lines.append(check_line(log, f'\t{{ {crc}, "{entry.name}" }},\n'))
    return lines


def _extended_versions(imports: Sequence[ResolvedImport], module: str, log: Log) -> list[tuple[str, str]]:
    """The lines of `____version_ext_crcs` and `____version_ext_names`, as one pair per import."""
    lines = []
    for entry in imports:
        if entry.crc is None:
            log.module("no-crc", module, error=False, symbol=entry.name)
        else:
            name = check_line(log, f'\t"{entry.name}\\0"\n')
            lines.append((f"\t0x{entry.crc:08x},\n", name))
    return lines


def prepare_template() -> None:
    """Compile the template before it is needed."""
    _template()


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        undefined=jinja2.StrictUndefined,
    )
    return environment.from_string(template_path("modpost/mod.c.j2").read_text())
