# SPDX-License-Identifier: GPL-2.0-only
"""Reads one module object (scripts/mod/modpost.c: read_symbols).

`ObjectFacts` has everything that the `.mod.c` says about the module itself. What depends on other modules is resolved
after all modules were read (`resolve`). The checks run in the order of modpost's messages.
"""

from __future__ import annotations

from kbuildpy.elf import ModuleImage
from kbuildpy.elf.constants import ET_REL, SHT_NOBITS
from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.modpost.diagnostics import Log
from kbuildpy.modpost.exports import ExportedSymbol, Owner
from kbuildpy.modpost.object_facts import ObjectFacts, Unresolved
from kbuildpy.modpost.read_symbols import read_symbols
from kbuildpy.modpost.reading import Reading
from kbuildpy.modpost.records import ModuleObject, recorded_crcs
from kbuildpy.modpost.sections import check_sections
from kbuildpy.modpost.srcversion import srcversion


def read_module(module: ModuleObject, reading: Reading) -> ObjectFacts | None:
    """Read `module`, and add its exports to the table; None for a missing file with -n.

    Raises `Fatal` where modpost ends, `KbuildError` for a damaged file or a missing `.cmd` file.
    """
    log, dialect, options = reading.log, reading.dialect, reading.options
    if options.ignore_missing_files and not module.path.exists():
        log.note(f"{module.name}.o: No such file or directory (ignored)\n")
        return None
    image = _open(module, log)
    owner = Owner(module.name)
    licenses = image.modinfo_values("license")
    if not licenses:
        log.module("license", module.name, error=not dialect.early_errors)
    namespaces = image.modinfo_values("import_ns")
    _check_namespaces(namespaces, module.name, reading)
    if _wants_description(reading) and not image.modinfo_values("description"):
        log.module("description", module.name, error=False)
    symbols = read_symbols(image, owner, reading)
    exports = [*symbols.exports, *check_sections(image, owner, reading)]
    wants_srcversion = options.all_srcversions or image.modinfo_values("version")
    with_headers = reading.dialect.srcversion_headers
    version = srcversion(module.objects, reading.sources, log, with_headers=with_headers) if wants_srcversion else ""
    unresolved = symbols.unresolved
    if options.modversions:
        # modpost adds this import: its CRC depends on the layout of `struct module`, which every module uses
        unresolved = [*unresolved, Unresolved("module_layout", weak=False)]
        if not dialect.crcs_in_objects:
            _set_crcs(module, exports)
    return ObjectFacts(
        owner=owner,
        exports=tuple(exports),
        unresolved=tuple(reversed(unresolved) if dialect.newest_first else unresolved),
        imported_namespaces=namespaces,
        gpl_compatible=all(license in GPL_COMPATIBLE for license in licenses),
        has_init=symbols.has_init,
        has_cleanup=symbols.has_cleanup,
        aliases=symbols.aliases,
        srcversion=version,
        no_trim=_no_trim_symbols(image),
    )


def _open(module: ModuleObject, log: Log) -> ModuleImage:
    image = ModuleImage.from_path(module.path)
    if image.header.e_type != ET_REL:
        raise log.fatal(f"{module.name}.o: not relocatable object.")
    modinfo = image.section(".modinfo")
    if modinfo is not None and modinfo.type == SHT_NOBITS:
        raise log.fatal(f"{module.name}.o has NOBITS .modinfo\n")
    if not image.has_symtab:
        raise log.fatal(f"{module.name}.o has no symtab?\n")
    return image


def _check_namespaces(namespaces: tuple[str, ...], module: str, reading: Reading) -> None:
    if reading.dialect.module_namespaces:
        for namespace in namespaces:
            if namespace.startswith("module:"):
                reading.log.module("module-namespace", module, namespace=namespace)


def _wants_description(reading: Reading) -> bool:
    wanted = reading.dialect.description
    return wanted == "always" or (wanted == "extra" and reading.options.extra_warnings)


def _set_crcs(module: ModuleObject, exports: list[ExportedSymbol]) -> None:
    """Set the CRCs of `exports` from the `.cmd` files of the module's objects (modpost.c: mod_set_crcs). Of two exports
    of one name the newer gets the CRC.

    Raises `KbuildError` for a missing `.cmd` file, also if the module has no exports.
    """
    by_name = {export.name: export for export in exports}
    for object in module.objects:
        if not object.name:
            break
        if not exports:
            object.require()
            continue
        for symbol, crc in recorded_crcs(object.read()):
            export = by_name.get(symbol)
            if export is not None:
                export.crc = crc


def _no_trim_symbols(image: ModuleImage) -> tuple[str, ...]:
    section = image.section(".no_trim_symbol")
    if section is None:
        return ()
    text = image.section_data(section).decode("utf-8", "surrogateescape")
    return tuple(name for name in text.split("\0") if name)
