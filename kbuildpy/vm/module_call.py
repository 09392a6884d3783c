# SPDX-License-Identifier: GPL-2.0-only
"""The guest's program that loads and removes modules, as an ELF file made from a hundred bytes of machine code.

busybox's own insmod calls init_module(2) when finit_module(2) failed, so a module whose init function fails is
initialized twice, and it exits with the low eight bits of an errno: ENOTSUPP (524) comes out as ENOMEM. kmod's is not
linked statically. The code is what assembling module_call_ARCH.S makes.
"""

from __future__ import annotations

import struct

from kbuildpy.elf.headers import EHDR
from kbuildpy.vm.machine import ARM, ARM64, I386, POWERPC, RISCV, S390, X86_64, Machine

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
    I386.name: bytes.fromhex(
        "89e58b5d08837d0003751d31c9b805000000cd8085c0781c89c38b4d0c31d2b85e010000cd80eb0c"
        "b900080000b881000000cd80f7d88d4dffc6010abb0a00000031d2f7f380c23049881185c075f289"
        "ea29cabb01000000b804000000cd8031dbb801000000cd80"
    ),
    ARM.name: bytes.fromhex(
        "0d60a0e1005096e5080096e5030055e30a00001a0010a0e30570a0e3000000ef000050e3080000ba"
        "0c1096e50020a0e35e7fa0e3037087e2000000ef020000ea021ba0e38170a0e3000000ef000060e2"
        "011046e20a20a0e30020c1e50030a0e30a0050e3020000ba0a0040e2013083e2faffffea300080e2"
        "011041e20000c1e50300b0e1f4ffff1a012046e00100a0e30470a0e3000000ef0000a0e30170a0e3"
        "000000ef"
    ),
    POWERPC.name: bytes.fromhex(
        "780b3f7c0000bfe810007fe80300052c280082400000803805000038020000442400834118009fe8"
        "0000a038610100380200004410000048000880388100003802000044781b667cffff9f380a00e038"
        "0000e4980a0000399243267dd241497d5030ea7c3000e738ffffe49c794b267de8ff824050f8a47c"
        "010060380400003802000044000060380100003802000044"
    ),
    S390.name: bytes.fromhex(
        "b904008fe37080000004e32080100004a77f0003a7740013a73900000a05b9020022a744000fe330"
        "80180004a7490000a71901580a00a7f40005a73908000a81b9030052e3308fffff71920a3000a779"
        "000aa7490000b9870047a74b0030a73bffff42403000b9020055a774fff4b9040048b9090043a729"
        "00010a04a72900000a01"
    ),
}

_BASE = 0x400000
_ET_EXEC, _PT_LOAD, _PT_GNU_STACK, _PF_RX, _PF_RW = 2, 1, 0x6474E551, 5, 6
_ALIGNED = 0x10000
"""The largest page of a machine, in bytes."""
_FLAGS = {ARM.name: 0x5000000, POWERPC.name: 2}
"""e_flags: version 5 of arm's EABI; version 2 of powerpc's ABI, where a function's address is that of its code."""


def module_call(machine: Machine) -> bytes:
    """The program for `machine`: a header, a segment that is the whole file, one that says that the stack has no code,
    and the code."""
    code, known = _CODE[machine.name], machine.architecture
    is_64bit = known.bits == 64
    header = struct.Struct(f"{known.order}16s{EHDR[is_64bit]}")
    # Elf64_Phdr has its flags behind the type, Elf32_Phdr before the alignment.
    segment = struct.Struct(known.order + ("IIQQQQQQ" if is_64bit else "IIIIIIII"))
    start = header.size + 2 * segment.size
    size = start + len(code)
    ident = b"\x7fELF" + bytes([known.bits // 32, 1 if known.order == "<" else 2, 1])
    sizes = (header.size, segment.size, 2, 0, 0, 0)
    flags = _FLAGS.get(machine.name, 0)
    program = (_ET_EXEC, known.elf_machine, 1, _BASE + start, header.size, 0, flags)
    rows = ((_PT_LOAD, _PF_RX, (0, _BASE, _BASE, size, size)), (_PT_GNU_STACK, _PF_RW, (0, 0, 0, 0, 0)))
    segments = (
        segment.pack(kind, rights, *places, _ALIGNED) if is_64bit else segment.pack(kind, *places, rights, _ALIGNED)
        for kind, rights, places in rows
    )
    return header.pack(ident, *program, *sizes) + b"".join(segments) + code
