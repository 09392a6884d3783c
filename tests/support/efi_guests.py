# SPDX-License-Identifier: GPL-2.0-only
"""A guest with firmware of EFI under Secure Boot, with variables of ours in it (OVMF)."""

from __future__ import annotations

import shutil
import struct
import uuid
from pathlib import Path

import pytest

from kbuildpy.run import run

_FIRMWARE = Path("/usr/share/OVMF")
_CODE, _VARIABLES = _FIRMWARE / "OVMF_CODE_4M.secboot.fd", _FIRMWARE / "OVMF_VARS_4M.ms.fd"
_RECORD = struct.Struct("<HBBIQ16sIII16s")  # EDK II, AUTHENTICATED_VARIABLE_HEADER
_STORE_HEADER = 28
_ADDED, _BEGIN = 0x3F, b"\xaa\x55"
_KEPT = 7


def add_variable(store: bytearray, name: str, vendor: str, contents: bytes) -> None:
    """Put a variable into the image `store` of a flash with variables."""
    assert store[40:44] == b"_FVH"
    begin = int.from_bytes(store[48:50], "little")
    end = begin + int.from_bytes(store[begin + 16 : begin + 20], "little")
    at = begin + _STORE_HEADER
    while store[at : at + 2] == _BEGIN:
        _, _, _, _, _, _, _, name_size, size, _ = _RECORD.unpack_from(store, at)
        at += _RECORD.size + name_size + size
        at += -at % 4
    encoded = f"{name}\0".encode("utf-16-le")
    fields = (0x55AA, _ADDED, 0, _KEPT, 0, bytes(16), 0, len(encoded), len(contents), uuid.UUID(vendor).bytes_le)
    record = _RECORD.pack(*fields) + encoded + contents
    assert at + len(record) < end
    store[at : at + len(record)] = record


def boot_securely(kernel: Path, initramfs: bytes, variables: dict[tuple[str, str], bytes], place: Path) -> list[str]:
    """The console of a guest that Secure Boot starts, with `variables` (name and vendor) beside those of the firmware;
    the test is skipped without OVMF."""
    if not _CODE.is_file() or not _VARIABLES.is_file() or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("OVMF is not installed (apt-get install ovmf)")
    store = bytearray(_VARIABLES.read_bytes())
    for (name, vendor), contents in variables.items():
        add_variable(store, name, vendor, contents)
    flash, image = place / "variables.fd", place / "initramfs"
    flash.write_bytes(store)
    image.write_bytes(initramfs)
    argv: list[str | Path] = ["qemu-system-x86_64", "-machine", "q35,smm=on", "-m", "768", "-display", "none"]
    argv += ["-nodefaults", "-no-reboot", "-serial", "stdio"]
    argv += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={_CODE}"]
    argv += ["-drive", f"if=pflash,format=raw,unit=1,file={flash}"]
    argv += ["-kernel", kernel, "-initrd", image]
    argv += ["-append", "console=ttyS0 printk.devkmsg=on panic=-1"]
    return run(argv, timeout=900).stdout.decode(errors="replace").splitlines()
