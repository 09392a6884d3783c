# SPDX-License-Identifier: GPL-2.0-only
"""Checks a module's type information: kernel/bpf/btf.c: btf_module_notify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.errnos import errno_number
from kbuildpy.loader import since
from kbuildpy.loader.btf.check_meta import check_all_metas
from kbuildpy.loader.btf.header import parse_header
from kbuildpy.loader.btf.invalid import BeyondTypes, InvalidBtf
from kbuildpy.loader.btf.modifiers import check_modifiers
from kbuildpy.loader.btf.relocate import relocate
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import TYPES
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.pointers import has_address
from kbuildpy.loader.verdict import Undefined

if TYPE_CHECKING:
    from kbuildpy.loader.btf.types import BtfTypes


def btf_module_notify(info: LoadInfo) -> None:
    """Check `.BTF`, if the module has one.

    Raises `Refusal` for invalid type information unless the kernel has MODULE_ALLOW_BTF_MISMATCH, which makes it log
    the error only. Raises `Undefined` where the kernel would read outside of the types.
    """
    number = info.find_any_sec(".BTF")
    if not number or not info.sechdrs[number].sh_size:
        return
    if info.kernel.config is None:
        info.not_checked("type information", Fact.CONFIG)
        return
    if info.machine.order != "<":
        info.not_checked("type information", reason="it is not read here in this byte order")
        return
    allowed = info.kernel.has("MODULE_ALLOW_BTF_MISMATCH")
    try:
        _parse_module(info, number)
        if info.mod_name == "vmlinux":
            # (the kernel's own types have that name)
            info.log("sysfs: cannot create duplicate filename '/kernel/btf/vmlinux'")
            info.log(f"failed to register module [{info.mod_name}] BTF in sysfs: -{errno_number('EEXIST')}")
    except BeyondTypes as error:
        raise Undefined(info.stage, f".BTF is damaged, and the kernel does not check it: {error}", TYPES) from error
    except InvalidBtf as invalid:
        once = bool(allowed) and info.kernel.version >= since.BTF_MISMATCH_ONCE
        for line in () if once and invalid.of_split else invalid.lines:
            info.log(line)
        line = f"failed to validate module [{info.mod_name}] BTF: -{errno_number(invalid.errno)}"
        if not allowed:
            raise info.refuse(
                invalid.errno,
                line,
                f".BTF is damaged, or made for another kernel: {invalid.reason}",
                TYPES,
            ) from invalid
        if once:
            line = "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules"
        info.log(line)


def _parse_module(info: LoadInfo, number: int) -> None:
    """Check `.BTF` in section `number`, and `.BTF.base` if there is one (btf_parse_module)."""
    version = info.kernel.version
    base_number = info.find_any_sec(".BTF.base")
    has_base = version >= since.BTF_BASE and (base_number or has_address(info, 0))
    base = parse_header(info.data(base_number), version, is_split=False) if has_base else None
    distilled = None
    if base is not None:
        distilled = check_all_metas(base, version)
        check_modifiers(distilled, version)
    parts = parse_header(info.data(number), version, is_split=True)
    kernel = _own_types(info)
    if distilled is None and kernel is None:
        return
    types = check_all_metas(parts, version, distilled or kernel)
    check_modifiers(types, version)
    if distilled is not None and kernel is not None:
        relocate(types, kernel)


def _own_types(info: LoadInfo) -> BtfTypes | None:
    """The kernel's own types. None if they are not known; the check is then noted as not made."""
    reason = "there is neither a vmlinux in its tree nor an image of it that has them"
    try:
        types = info.kernel.own_types() if info.kernel.own_types else None
    except KbuildError as error:
        types, reason = None, error.message
    if types is None:
        info.not_checked("whether .BTF fits", Fact.TYPES, reason)
    return types
