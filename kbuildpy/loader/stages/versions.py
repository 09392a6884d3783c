"""CRCs of the symbols that a module uses (kernel/module/version.c).

They are in `__versions`, one entry of 64 bytes each, or from 6.14 on, if so configured, in two sections of CRCs and
names. The first entry of a name counts.
"""

from __future__ import annotations

from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.taints import try_to_force_load

_ENTRY = 64


def check_modstruct_version(info: LoadInfo) -> None:
    """The CRC of `module_layout` stands for the layout of struct module and of what belongs to it."""
    exports = info.kernel.exports
    if exports is None:
        info.not_checked("versions of symbols", "the exported symbols")
        return
    found = exports.find("module_layout")
    if found is None:
        if info.kernel.has("MODVERSIONS"):
            info.not_checked("the version of module_layout: the kernel's symvers does not name it")
        return
    if not check_version(info, "module_layout", found.crc):
        raise info.refuse(
            "ENOEXEC",
            info.lines.pop() if info.lines and "module_layout" in info.lines[-1] else None,
            "it was built against other headers than this kernel's: struct module and its parts differ",
            f"build it for this kernel: kbuildpy build -k {info.kernel.release}",
        )


def check_version(info: LoadInfo, symbol: str, crc: int | None) -> bool:
    """Whether the module was built for this version of `symbol`; logs when not."""
    if crc is None or info.kernel.has("MODVERSIONS") is False:
        return True
    if info.index.vers_ext_crc:
        return _check_extended(info, symbol, crc)
    if info.index.vers == 0:
        return try_to_force_load(info, symbol)
    of_module = _versions(info).get(symbol)
    if of_module is None:
        info.log(f"{info.name}: no symbol version for {symbol}")
        return False
    if of_module != crc:
        info.log(f"{info.name}: disagrees about version of symbol {symbol}")
        return False
    return True


def _check_extended(info: LoadInfo, symbol: str, crc: int) -> bool:
    of_module = _extended(info).get(symbol)
    if of_module is None:
        # (said once per boot, of whatever module)
        info.log(f"{info.name}: no extended symbol version for {symbol}")
        return True
    if of_module != crc:
        info.log(f"{info.name}: disagrees about version of symbol {symbol}")
    return of_module == crc


def _versions(info: LoadInfo) -> dict[str, int]:
    if info.versions is None:
        info.versions = _decode(info.data_in_file(info.index.vers))
    return info.versions


def _decode(table: bytes) -> dict[str, int]:
    versions: dict[str, int] = {}
    for at in range(0, len(table) - _ENTRY + 1, _ENTRY):
        name = table[at + 8 : at + _ENTRY].partition(b"\0")[0].decode("utf-8", "surrogateescape")
        versions.setdefault(name, int.from_bytes(table[at : at + 8], "little"))
    return versions


def _extended(info: LoadInfo) -> dict[str, int]:
    if info.versions is None:
        crcs = info.data_in_file(info.index.vers_ext_crc)
        names = info.data_in_file(info.index.vers_ext_name).split(b"\0")
        info.versions = {}
        for number in range(len(crcs) // 4):
            name = names[number].decode("utf-8", "surrogateescape")
            info.versions.setdefault(name, int.from_bytes(crcs[4 * number : 4 * number + 4], "little"))
    return info.versions
