# SPDX-License-Identifier: GPL-2.0-only
"""Computes the value of each symbol, and resolves undefined symbols to exports of the kernel and of other modules.

Counterpart: kernel/module/main.c (simplify_symbols, resolve_symbol, verify_exported_symbols). The kernel continues
after a symbol that it cannot resolve, and returns the errno of the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kbuildpy.elf.constants import SHN_ABS, SHN_COMMON, SHN_LIVEPATCH, SHN_LORESERVE, SHN_UNDEF, STB_WEAK
from kbuildpy.kernel.errnos import errno_number
from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import DAMAGED, FLAGS
from kbuildpy.loader.load_info import LoadInfo, UndefinedSymbol
from kbuildpy.loader.stages.modinfo import modinfo_values, rebuild
from kbuildpy.loader.stages.own_exports import own_exports
from kbuildpy.loader.stages.taints import letters
from kbuildpy.loader.stages.versions import check_version
from kbuildpy.loader.verdict import Refusal, Undefined

_PERCPU = 0x20000
"""A plausible offset of the module's variables in the per-CPU area; only the running kernel knows the real one."""


class FoundSymbol(NamedTuple):
    """An export that a symbol is resolved to."""

    owner: str
    """The module that exports it; "" for the kernel itself."""
    crc: int | None
    """The CRC of its version; None without modversions."""
    gpl_only: bool
    """Whether only GPL-compatible modules may use it."""
    namespace: str
    """Its namespace, or ""."""
    proprietary: bool = False
    """Whether the owner has taint P."""
    state: str = "LIVE"
    """The state of the owner: LIVE, COMING or GOING."""


class Problems:
    """Errors about symbols: line, reason and hint of the `first`, and the errno of the `last`."""

    def __init__(self) -> None:
        self.first: tuple[str, str, str] | None = None
        self.last = ""

    def add(self, errno: str, line: str, reason: str, hint: str) -> None:
        """Add the error of one symbol; `errno` is a name."""
        self.first = self.first or (line, reason, hint)
        self.last = errno


def simplify_symbols(info: LoadInfo) -> None:
    """Set `info.values`, the value of each symbol.

    Raises `Refusal` with the errno of the last symbol in error and the line of the first, `Undefined` for a symbol 0 in
    a section that does not exist.
    """
    bases = [section.sh_addr for section in info.sechdrs]
    if info.index.pcpu:
        bases[info.index.pcpu] = _PERCPU
    sections, mask = len(bases), info.machine.mask
    values: list[int | None] = []
    problems = Problems()
    for number, (_, st_info, _, shndx, value, _) in enumerate(info.symbols):
        if 0 < shndx < sections:
            values.append((value + bases[shndx]) & mask)
        elif number == 0 and shndx < SHN_LORESERVE and shndx:
            raise Undefined(
                info.stage,
                f"symbol 0 is in section {shndx}, which does not exist, and the kernel reads its address all the same",
                DAMAGED,
            )
        elif number == 0 or shndx in (SHN_ABS, SHN_LIVEPATCH):
            values.append(value)
        elif shndx == SHN_UNDEF:
            symbol = UndefinedSymbol(info.symbol_name(number), value, st_info >> 4 == STB_WEAK)
            values.append(_undefined(info, symbol, problems))
        else:
            values.append(value)
            _odd(info, number, shndx, problems)
    info.values = values
    if problems.first is not None:
        raise Refusal(info.stage, problems.last, *problems.first)


def resolve_again(info: LoadInfo) -> None:
    """Resolve `info.undefined` without the rest of the symbol table. Raises `Refusal` as `simplify_symbols`, which it
    does not stand in for otherwise: `info.values` is not set."""
    problems = Problems()
    for symbol in info.undefined or ():
        _undefined(info, symbol, problems)
    if problems.first is not None:
        raise Refusal(info.stage, problems.last, *problems.first)


def undefined_symbols(info: LoadInfo) -> list[UndefinedSymbol] | None:
    """Return the undefined symbols in the order of the symbol table; None if one of the others, or symbol 0, is in
    error. Raises `Undefined` as `symbol_name`."""
    sections, found = len(info.sechdrs), []
    for number, (_, st_info, _, shndx, value, _) in enumerate(info.symbols):
        if number == 0 and sections <= shndx < SHN_LORESERVE:
            return None
        if number and shndx == SHN_UNDEF:
            found.append(UndefinedSymbol(info.symbol_name(number), value, st_info >> 4 == STB_WEAK))
        elif shndx >= sections and number and shndx not in (SHN_ABS, SHN_LIVEPATCH):
            return None
    return found


def _undefined(info: LoadInfo, symbol: UndefinedSymbol, problems: Problems) -> int | None:
    """The value of an undefined symbol; None for an export, whose address is not known. Adds an error to `problems`."""
    name = symbol.name
    before = len(info.journal.lines)
    missing = resolve_symbol(info, name)
    if missing is None:
        return None
    if missing.unknown and (symbol.is_weak or name in info.machine.undefined_ok):
        return symbol.value
    info.log(f"{info.mod_name}: Unknown symbol {name} (err -{errno_number(missing.errno)})")
    line = info.journal.lines[before] if before < len(info.journal.lines) else ""
    problems.add(missing.errno, line, missing.reason, missing.hint)
    return symbol.value


def _odd(info: LoadInfo, number: int, shndx: int, problems: Problems) -> None:
    name = info.symbol_name(number)
    if shndx == SHN_COMMON:
        if name.startswith("__gnu_lto"):
            return
        line = f"{info.mod_name}: please compile with -fno-common"
        reason = f"{name} is a common symbol, which has no place in a section until a program is linked"
        problems.add("ENOEXEC", line, reason, f"{FLAGS} (-fno-common)")
    elif not has_change(info.kernel.version, since.SYMBOL_SECTIONS):
        raise Undefined(
            info.stage,
            f"{name} is in section {shndx}, which does not exist, and the kernel reads its address all the same",
            DAMAGED,
        )
    else:
        count = info.hdr.e_shnum
        line = f"{info.mod_name}: Symbol {name} has an invalid section index {shndx} (max {count - 1})"
        problems.add("ENOEXEC", line, f"{name} is in a section that does not exist", DAMAGED)
    info.log(line)


class Unresolvable(NamedTuple):
    """Why a symbol cannot be resolved."""

    errno: str
    reason: str
    hint: str
    unknown: bool = False
    """Whether the kernel finds no usable export, which is no error for a weak symbol."""


def resolve_symbol(info: LoadInfo, name: str) -> Unresolvable | None:
    """Return None if `name` is exported and this module may use it, else the error. Adds the owner to `requires`."""
    if info.kernel.exports is None:
        info.not_checked("symbols", Fact.EXPORTS)
        return None
    found = find_symbol(info, name, gplok="P" not in info.taints.module, on_demand=info.on_demand)
    if found is None:
        if info.kernel.exports.find(name) is None and _absent(info) and info.on_demand:
            return None
        return Unresolvable("ENOENT", *_why_unknown(info, name), unknown=True)
    if found.gpl_only:
        info.using_gplonly_symbols = True
    if found.proprietary and not _inherit_taint(info, found.owner, name):
        return Unresolvable(
            "ENOENT",
            f"it uses GPL-only symbols and {name} of the proprietary {found.owner}",
            "remove one of the two: the GPL-only symbols, or this one",
            unknown=True,
        )
    wrong = check_version(info, name, found.crc)
    if wrong is not None:
        known = info.kernel.exports.find(name)
        hint = rebuild(info)
        if found.owner and (known is None or known.owner != found.owner):
            # The owner is an external module: the kernel tree's Module.symvers does not have the symbol.
            hint += f" KBUILD_EXTRA_SYMBOLS=DIR/Module.symvers, where {found.owner} was built in DIR"
        return Unresolvable("EINVAL", wrong.reason, hint)
    if not _namespace_is_imported(info, name, found.namespace):
        hint = f'import it: MODULE_IMPORT_NS({found.namespace}) (from 6.13 on with quotes: "{found.namespace}")'
        if _imports(info, f'"{found.namespace}"'):
            hint = f"its import has quotes: before 6.13 write MODULE_IMPORT_NS({found.namespace})"
        return Unresolvable(
            "EINVAL", f"{name} is in namespace {found.namespace}, which the module does not import", hint
        )
    if found.state == "GOING":
        return Unresolvable("ENOENT", f"{found.owner} is being unloaded", f"load {found.owner} again before")
    if found.state != "LIVE":
        line = f"{info.mod_name}: gave up waiting for init of module {found.owner}."
        info.log(line)
        return Unresolvable(
            "EBUSY",
            f"{found.owner} is still being loaded",
            f"load it again when {found.owner} is loaded; if that hangs, see what its init waits for",
        )
    if found.owner and found.owner not in info.requires:
        info.requires.append(found.owner)
    return None


def find_symbol(info: LoadInfo, name: str, *, gplok: bool, on_demand: bool) -> FoundSymbol | None:
    """Return the export of `name`, None if there is none (kernel/module/main.c: find_symbol).

    The order is: the kernel, the loaded modules, and with `on_demand` the kernel's own modules that are not loaded.
    Without `gplok`, GPL-only exports are ignored.
    """
    assert info.kernel.exports is not None
    known = info.kernel.exports.find(name)
    if known is not None and not known.owner and (gplok or not known.gpl_only):
        return FoundSymbol("", known.crc, known.gpl_only, known.namespace)
    for module in info.modules.loaded:
        export = module.exports.get(name) if module.state != "UNFORMED" else None
        if export is not None and (gplok or not export.gpl_only):
            return FoundSymbol(module.name, *export, proprietary="P" in module.taints, state=module.state)
    if on_demand and known is not None and known.owner and (gplok or not known.gpl_only):
        if known.proprietary is None:
            info.not_checked(f"whether {known.owner} is proprietary", reason="only its symvers is known")
        return FoundSymbol(known.owner, known.crc, known.gpl_only, known.namespace, bool(known.proprietary))
    return None


def verify_exported_symbols(info: LoadInfo) -> None:
    """Set `info.exports`. Raises `Refusal` (ENOEXEC) if the kernel or a loaded module exports one of them already."""
    if not info.find_sec("__ksymtab") and not info.find_sec("__ksymtab_gpl"):
        return
    info.exports = own_exports(info)
    if info.kernel.exports is None:
        info.not_checked("duplicate exports", Fact.EXPORTS)
        return
    for name in info.exports:
        # The kernel compares with loaded modules only.
        found = find_symbol(info, name, gplok=True, on_demand=False)
        if found is None:
            continue
        duplicate = f"{info.mod_name}: exports duplicate symbol {name}"
        if not found.owner:
            line = f"{duplicate} (owned by kernel)"
            reason = f"{name} is exported already, by the kernel itself"
            raise info.refuse("ENOEXEC", line, reason, "give the symbol another name")
        line = f"{duplicate} (owned by {found.owner})"
        reason = f"{name} is exported already, by {found.owner}"
        raise info.refuse("ENOEXEC", line, reason, f"give the symbol another name, or unload {found.owner}")


def _inherit_taint(info: LoadInfo, owner: str, name: str) -> bool:
    if info.using_gplonly_symbols:
        info.log(f"{info.mod_name}: module using GPL-only symbols uses symbols {name} from proprietary module {owner}.")
        return False
    if "P" not in info.taints.module:
        info.log(
            f"{info.mod_name}: module uses symbols {name} from proprietary module {owner}, inheriting taint.",
            taint=True,
        )
        # The kernel has taint P already, from the other module.
        info.taints.module.add("P")
    return True


def _namespace_is_imported(info: LoadInfo, name: str, namespace: str) -> bool:
    if not namespace:
        return True
    if info.kernel.version >= since.MODULE_NAMESPACES and for_module(namespace, info.mod_name):
        return True
    if _imports(info, namespace):
        return True
    info.log(f"{info.mod_name}: module uses symbol ({name}) from namespace {namespace}, but does not import it.")
    return info.kernel.has("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS") is True


def _imports(info: LoadInfo, namespace: str) -> bool:
    """Whether an `import_ns=` names `namespace`. As in the kernel, entries after the match are not read: an error in
    them has no effect."""
    if info.namespaces is None:
        info.namespaces = set(), modinfo_values(info, "import_ns")
    known, rest = info.namespaces
    while namespace not in known:
        value = next(rest, None)
        if value is None:
            return False
        known.add(value)
    return True


def for_module(namespace: str, module: str) -> bool:
    """Return whether `namespace` is `module:` with a list of names or prefixes (`NAME*`) of which one matches `module`
    (verify_module_namespace)."""
    prefix, colon, patterns = namespace.partition(":")
    if prefix != "module" or not colon:
        return False
    name = module.replace("-", "_")
    for pattern in patterns.replace("-", "_").split(","):
        if pattern == name or (pattern.endswith("*") and name.startswith(pattern[:-1])):
            return True
    return False


def _absent(info: LoadInfo) -> list[str]:
    """The modules in `depends=` whose exports are not known: one of them may export a symbol that is not found.

    With `on_demand` they are required, and their symbols are noted as unchecked.
    """
    if info.absent is None:
        exports = info.kernel.exports
        assert exports is not None
        symbols: Iterable[str] = (
            (
                info.symbol_name(number)
                for number, (_, _, _, st_shndx, _, _) in enumerate(info.symbols)
                if number and st_shndx == SHN_UNDEF
            )
            if info.undefined is None
            else (symbol.name for symbol in info.undefined)
        )
        owners = {found.owner for found in map(exports.find, symbols) if found is not None}
        known = {*owners, *info.modules.refused, *(module.name for module in info.modules.loaded)}
        info.absent = [name for name in dict.fromkeys(_depends(info)) if name not in known]
        if info.absent and info.on_demand:
            info.not_checked(
                f"symbols of {', '.join(info.absent)}",
                reason="it was not given, and is none of the kernel's own modules",
            )
            required = {*info.requires}
            info.requires += [name for name in info.absent if name not in required]
    return info.absent


def _refused(info: LoadInfo) -> str:
    """The first module in `depends=` that was refused itself; "" for none."""
    if info.refused is None:
        info.refused = next((name for name in _depends(info) if name in info.modules.refused), "")
    return info.refused


def _depends(info: LoadInfo) -> Sequence[str]:
    return info.depends if info.depends is not None else stated_depends(info)


def stated_depends(info: LoadInfo) -> list[str]:
    """Return the names in `depends=`. Raises `Undefined` as `modinfo_values`."""
    return [word for value in modinfo_values(info, "depends") for word in value.split(",") if word]


def _why_unknown(info: LoadInfo, name: str) -> tuple[str, str]:
    """Reason and hint for a symbol that is not exported to this module."""
    known = info.kernel.exports.find(name) if info.kernel.exports else None
    loaded = [module.exports[name] for module in info.modules.loaded if name in module.exports]
    if "P" in info.taints.module and any(export.gpl_only for export in (known, *loaded) if export is not None):
        reason = f"{name} is for GPL-compatible modules, and this one is not (taints: {letters(info.taints.module)})"
        return reason, "MODULE_LICENSE() decides; otherwise remove the use of the symbol"
    if known is not None and known.owner:
        return f"{name} is exported by {known.owner}, which is not loaded", f"load {known.owner} first: modprobe does"
    refused = _refused(info)
    if refused:
        return (
            f"{name} is not exported: {refused}, which the module depends on, is refused itself",
            f"see what is wrong with {refused}",
        )
    return (
        f"{name} is not exported by the kernel or a loaded module",
        "the kernel does not have it, or not for modules; a module that exports it must be built and loaded before",
    )
