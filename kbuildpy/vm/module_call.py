# SPDX-License-Identifier: GPL-2.0-only
"""The guest's program that loads and removes modules, as an ELF file made from a hundred bytes of machine code.

busybox's own insmod calls init_module(2) when finit_module(2) failed, so a module whose init function fails is
initialized twice, and it exits with the low eight bits of an errno: ENOTSUPP (524) comes out as ENOMEM. kmod's is not
linked statically. The code is what assembling module_call_ARCH.S makes.
"""

from __future__ import annotations

import struct

from kbuildpy.vm.machine import ARM64, RISCV, X86_64, Machine

_CODE = {
    X86_64.name: bytes.fromhex(
        "488b7c2410833c2403751f31f6b8020000000f0585c0781e89c7488b74241831d2b8390100000f05"
        "eb0cbe00080000b8b00000000f05f7d8488d7424ffc6060ab90a00000031d2f7f180c23048ffce88"
        "1685c075f04889e24829f2bf01000000b8010000000f0531ffb83c0000000f05"
    ),
    ARM64.name: bytes.fromhex(
        "ea030091490140f9410940f93f0d00f161010054600c8092020080d2080780d2010000d44001f837"
        "410d40f9020080d2282280d2010000d405000014e00301aa010081d2480d80d2010000d4e003004b"
        "410500d14301805223000039440180520508c41aa380041b63c0001123fc1f38e003052a60ffff35"
        "420101cb200080d2080880d2010000d4000080d2a80b80d2010000d4"
    ),
    RISCV.name: bytes.fromhex(
        "13040100833204008335040113033000639662021305c0f913060000930880037300000063460502"
        "833584011306000093081011730000006f0080011385050093050040939515009308a00673000000"
        "3305a0409305f4ff9302a000238055001303a000b372650233556502938202039385f5ff23805500"
        "e31605fe3306b440130510009308000473000000130500009308d00573000000"
    ),
}

_HEADER, _SEGMENT = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_BASE = 0x400000
_ET_EXEC, _PT_LOAD, _PF_RX = 2, 1, 5


def module_call(machine: Machine) -> bytes:
    """The program for `machine`: a header, one segment that is the whole file, and the code."""
    code = _CODE[machine.name]
    start = _HEADER.size + _SEGMENT.size
    ident = b"\x7fELF" + bytes([2, 1, 1])  # 64 bits, little endian, version 1
    header = _HEADER.pack(
        ident,
        _ET_EXEC,
        machine.architecture.elf_machine,
        1,
        _BASE + start,
        _HEADER.size,
        0,
        0,
        _HEADER.size,
        _SEGMENT.size,
        1,
        0,
        0,
        0,
    )
    size = start + len(code)
    segment = _SEGMENT.pack(_PT_LOAD, _PF_RX, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + code
