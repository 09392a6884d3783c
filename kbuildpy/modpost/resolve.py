# SPDX-License-Identifier: GPL-2.0-only
"""Finds the exports for the undefined symbols of a module (scripts/mod/modpost.c: check_exports)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.modpost.diagnostics import DiagnosticTopic, Log
from kbuildpy.modpost.exports import ExportedSymbol, KnownExports, Owner
from kbuildpy.modpost.named_exports import NamedExports
from kbuildpy.modpost.object_facts import ObjectFacts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.versions import Dialect

# modpost reports only so many undefined symbols: if there are more, the tree's Module.symvers is probably missing.
MAX_UNRESOLVED_REPORTS = 10
MODULE_NAME_SIZE = 64


@dataclass(frozen=True)
class ResolvedImport:
    """An undefined symbol of a module, and the export that was found for it."""

    name: str
    owner: Owner
    """The module that exports the symbol."""
    crc: int | None
    """The CRC of the export; None if it has none."""


@dataclass(frozen=True)
class ResolvedModule:
    """A module and its imports."""

    facts: ObjectFacts
    imports: tuple[ResolvedImport, ...]
    """The imports, in the order of `facts.unresolved`."""
    missing_namespaces: tuple[str, ...]
    """The namespaces of imports that the module does not import."""


@dataclass
class Resolver:
    """Resolves one module after the other."""

    exports: KnownExports
    options: ModpostOptions
    dialect: Dialect
    log: Log
    name_limit: int
    """The size in bytes of a module's name with its NUL byte, which a name must not exceed."""
    unresolved: int = 0
    """The number of undefined symbols so far for which there is no export."""

    def resolve(self, facts: ObjectFacts) -> ResolvedModule:
        """Find the export for each undefined symbol of `facts`. Logs missing exports, missing namespaces, and GPL-only
        symbols in a module of another licence; for the latter, raises `Fatal` up to 5.10 (check_exports,
        check_modname_len)."""
        module, log = facts.owner.name, self.log
        if len(facts.owner.basename.encode("utf-8", "surrogateescape")) >= self.name_limit:
            log.module("name-too-long", module)
        imports = []
        missing: dict[str, None] = {}
        for name, weak in facts.unresolved:
            export = self.exports.find(name)
            if export is None or (export.owner is facts.owner and self.dialect.newest_first):
                if not weak and self._reports_undefined:
                    self.unresolved += 1
                    if self.unresolved <= MAX_UNRESOLVED_REPORTS or self.dialect.needs_vmlinux:
                        log.module("undefined", module, error=not self.options.warn_unresolved, symbol=name)
                continue
            if export.owner is facts.owner:
                log.module("no-definition", module, symbol=name)
                continue
            export.used = True
            imports.append(ResolvedImport(name, export.owner, export.crc))
            self._check_allowed(facts, export, missing)
        namespaces = reversed(missing) if self.dialect.newest_first else missing
        return ResolvedModule(facts, tuple(imports), tuple(namespaces))

    def start(self) -> None:
        """Log a warning if undefined symbols will not be reported, because no symvers file has symbols of vmlinux."""
        if not self._reports_undefined:
            self.log.warn("Symbol info of vmlinux is missing. Unresolved symbol check will be entirely skipped.\n")

    def finish(self) -> None:
        """Log the number of undefined symbols that were not reported, if there are any."""
        if self.unresolved > MAX_UNRESOLVED_REPORTS and not self.dialect.needs_vmlinux:
            self.log.warn(
                f"suppressed {self.unresolved - MAX_UNRESOLVED_REPORTS} unresolved symbol warnings "
                "because there were too many)\n"
            )

    @property
    def _reports_undefined(self) -> bool:
        return (
            not self.dialect.needs_vmlinux or not isinstance(self.exports, NamedExports) or self.exports.knows_vmlinux
        )

    def _check_allowed(self, facts: ObjectFacts, export: ExportedSymbol, missing: dict[str, None]) -> None:
        module, namespace = facts.owner.name, export.namespace
        if (
            namespace
            and namespace not in facts.imported_namespaces
            and not (self.dialect.module_namespaces and _is_meant(namespace, facts.owner.basename))
        ):
            self.log.module(
                "namespace",
                module,
                error=not self.options.allow_missing_namespaces,
                symbol=export.name,
                namespace=namespace,
            )
            missing[namespace] = None
        if not facts.gpl_compatible:
            self._check_license(module, export)
        if "UNUSED" in export.macro:
            self.log.module("unused", module, error=False, symbol=export.name)

    def _check_license(self, module: str, export: ExportedSymbol) -> None:
        if export.macro == "EXPORT_SYMBOL_GPL_FUTURE":
            self.log.module("gpl-future", module, error=False, symbol=export.name)
        elif export.macro.endswith("_GPL"):
            kind = "gpl-only-unused" if "UNUSED" in export.macro else "gpl-only"
            if self.dialect.early_errors:
                text = self.log.text(kind, module, symbol=export.name)
                raise self.log.fatal(text, topic=DiagnosticTopic(kind, module, export.name))
            self.log.module(kind, module, symbol=export.name)


def _is_meant(namespace: str, module: str) -> bool:
    """Whether a namespace `module:NAME,PREFIX*` names `module` (verify_module_namespace)."""
    if not namespace.startswith("module:"):
        return False
    return any(
        module.startswith(pattern[:-1]) if pattern.endswith("*") else module == pattern
        for pattern in namespace[len("module:") :].split(",")
    )
