# SPDX-License-Identifier: GPL-2.0-only
"""CRCs of the symbols that a module uses (kernel/module/version.c).

Section `__versions` has an entry of 64 bytes for each. From 6.14 on, a kernel may be configured to use two sections
instead, of CRCs and of names. If a name has several entries, the first one counts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.modinfo import other_headers, rebuild
from kbuildpy.loader.stages.taints import try_to_force_load
from kbuildpy.loader.verdict import Refusal

_ENTRY = 64
_NO_VERSION = "no symbol version for"
_NO_EXTENDED_VERSION = "no extended symbol version for"


def check_modstruct_version(info: LoadInfo) -> None:
    """Raise `Refusal` (ENOEXEC) if the module has another CRC of `module_layout` than the kernel; that CRC covers
    struct module and the types of its members."""
    exports = info.kernel.exports
    if exports is None:
        info.not_checked("versions of symbols", Fact.EXPORTS)
        return
    found = exports.find("module_layout")
    if found is None:
        if info.kernel.has("MODVERSIONS"):
            info.not_checked("the version of module_layout", reason="the kernel's symvers does not name it")
        return
    wrong = check_version(info, "module_layout", found.crc)
    if wrong is not None:
        reason = f"{other_headers(info)}: struct module and its parts differ" if wrong.differs else wrong.reason
        # (the line is logged already)
        raise Refusal(info.stage, "ENOEXEC", wrong.line, reason, rebuild(info))


class Wrong(NamedTuple):
    """Why the kernel does not accept the module's version of a symbol."""

    reason: str
    """The reason, for people."""
    line: str | None
    """The line of the log about it, which is logged already; None for none."""
    differs: bool
    """Whether the module has another CRC; False if it has none."""


def check_version(info: LoadInfo, symbol: str, crc: int | None) -> Wrong | None:
    """Return None if the module has the CRC `crc` for `symbol`, or the kernel does not compare it; else log and return
    the error. Debian's kernels refuse a module that has versions, but none of `symbol`; the kernel's authors let it
    pass, and log only the first one after a boot."""
    if crc is None or info.kernel.has("MODVERSIONS") is False:
        return None
    if info.index.vers_ext_crc:
        return _check_extended(info, symbol, crc)
    if info.index.vers == 0:
        forced = try_to_force_load(info, symbol)
        return (
            None if forced else Wrong("it has no versions of symbols, which this kernel asks for", None, differs=False)
        )
    of_module = _versions(info).get(symbol)
    if of_module is None:
        if info.kernel.wants_every_version:
            line = info.log(f"{info.name}: {_NO_VERSION} {symbol}")
            return Wrong(
                f"it has no version of {symbol}, which had none or was not exported where it was built",
                line,
                differs=False,
            )
        _log_first(info, _NO_VERSION, symbol)
        if info.kernel.wants_every_version is None:
            info.not_checked(
                "whether a symbol without a version is accepted",
                reason="Debian's kernels refuse it, others do not, and it is not known which this one is",
            )
        return None
    return None if of_module == crc else _disagreement(info, symbol)


def module_versions(info: LoadInfo) -> dict[str, int]:
    """Return the CRCs in the module, by symbol; {} if it has none."""
    if info.index.vers_ext_crc:
        return _extended(info)
    return _versions(info) if info.index.vers else {}


def _check_extended(info: LoadInfo, symbol: str, crc: int) -> Wrong | None:
    of_module = _extended(info).get(symbol)
    if of_module is None:
        _log_first(info, _NO_EXTENDED_VERSION, symbol)
        return None
    return None if of_module == crc else _disagreement(info, symbol)


def _log_first(info: LoadInfo, text: str, symbol: str) -> None:
    """Log the line that the kernel logs once a boot, for the first module and its first symbol concerned."""
    if text not in info.journal.once:
        info.journal.once.add(text)
        info.log(f"{info.name}: {text} {symbol}")


def _disagreement(info: LoadInfo, symbol: str) -> Wrong:
    line = info.log(f"{info.name}: disagrees about version of symbol {symbol}")
    return Wrong(f"it was built for another version of {symbol}", line, differs=True)


def _versions(info: LoadInfo) -> dict[str, int]:
    if info.versions is None:
        facts = info.machine
        table = info.data_in_file(info.index.vers)
        info.versions = decode_versions(table, word=facts.word, byteorder=facts.byteorder)
    return info.versions


def decode_versions(table: bytes, *, word: int = 8, byteorder: Literal["little", "big"] = "little") -> dict[str, int]:
    """Return the CRCs in the contents of section `__versions`, by symbol. Each is a long of `word` bytes."""
    versions: dict[str, int] = {}
    for at in range(0, len(table) - _ENTRY + 1, _ENTRY):
        name = table[at + word : at + _ENTRY].partition(b"\0")[0].decode("utf-8", "surrogateescape")
        versions.setdefault(name, int.from_bytes(table[at : at + word], byteorder))
    return versions


def _extended(info: LoadInfo) -> dict[str, int]:
    if info.versions is None:
        crcs = info.data_in_file(info.index.vers_ext_crc)
        names = info.data_in_file(info.index.vers_ext_name).split(b"\0")
        info.versions = {}
        for number in range(len(crcs) // 4):
            name = names[number].decode("utf-8", "surrogateescape")
            crc = int.from_bytes(crcs[4 * number : 4 * number + 4], info.machine.byteorder)
            info.versions.setdefault(name, crc)
    return info.versions
