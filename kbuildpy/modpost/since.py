# SPDX-License-Identifier: GPL-2.0-only
"""The kernel versions that changed the behaviour of modpost, where no file of a kernel tree shows it.

A change that was backported to stable lines names the first release of each line, too (`kernel.release.has_change`).
docs/kernel-versions.md says what is known of each version, and where from.
"""

from __future__ import annotations

LICENSE_REQUIRED = (5, 11)
"""A missing licence, the use of a GPL-only symbol, a static export and, with -E, section mismatches are errors; before,
two of them were fatal, and two only warnings."""

UNDEFINED_ALWAYS = (5, 13)
"""Undefined symbols are reported always; before, only if a symvers file has symbols of vmlinux."""

PROTOTYPE_HINT = (5, 14)
"""The message about a missing CRC has a second line, about <asm/asm-prototypes.h>."""

SOFTIRQENTRY_TEXT = (5, 15)
"""`.softirqentry.text` is code that an exception table may name."""

RISCV_DIFFERENCES = (5, 17)
"""riscv: R_RISCV_SUB32 in `__ex_table` is no reference."""

S390_THUNKS = (5, 18)
"""s390: undefined `__s390_indirect_jump_r*` are ignored."""

SHORT_MISMATCHES = (6, 0)
"""The message about a section mismatch has one line, and the header of a relocation section decides the section that it
applies to, not its name. `.cranges` needs SHF_ALLOC."""

TEST_FLAG = (6, 0)
"""The `.mod.c` of a module below tools/testing has MODULE_INFO(test)."""

LOONGARCH_DIFFERENCES = (6, 2)
"""loongarch: R_LARCH_SUB32 in `__ex_table` is no reference."""

TEXT_SECTIONS = ((6, 2), (6, 1, 79), (5, 15, 174))
"""Every section `.text.*` is code like `.text`; before, only `.text.unlikely`."""

ORC_HEADER = (6, 4)
"""A `.mod.c` with a vermagic has ORC_HEADER, too."""

CDX_OVERRIDES = (6, 5)
"""CDX aliases may be those of a VFIO driver, and numbers may be open; before, they have eight digits."""

DESCRIPTION_EXTRA = (6, 5)
"""With -W, a missing MODULE_DESCRIPTION() is reported."""

EXTABLE_ERROR = ((6, 5), (6, 4, 4), (6, 3, 13), (6, 1, 39), (5, 15, 121))
"""An exception table that names data is an error; before, fatal, with an explanation."""

LOCATED_MISMATCHES = (6, 5)
"""The message about a section mismatch has offsets, and exports of init and exit symbols have a message of their own.
One search finds the symbols of all sections. Addends of SHT_REL are decoded."""

DRIVERS_EXCUSED = ((6, 6), (6, 1, 79))
"""`*driver` variables may refer to exit sections only without -W; before, always."""

LLVM_CALL_GRAPH = (6, 6)
"""The section `.llvm.call-graph-profile` needs no SHF_ALLOC."""

MODULES_OPTION = (6, 6)
"""modpost looks for exports in `.export_symbol` only with -M; before, always."""

FEWER_NAMES = (6, 7)
"""Only `*_ops`, `*_probe` and `*_console` may refer to init and exit sections."""

FIRST_SYMBOL = (6, 7)
"""Of several symbols at one address, messages name the first (scripts/mod/symsearch.c)."""

SYMBOL_AND_ADDEND = (6, 7)
"""A relocation of SHT_RELA refers to its symbol's value plus its addend; before, to its addend."""

ERROR_IS_FATAL = (6, 8)
"""A fatal error begins with ERROR; before, with FATAL."""

LARGE_TEXT = ((6, 8), (6, 7, 6), (6, 6, 18), (6, 1, 79))
"""`.ltext` and `.ltext.*` are code."""

LOONGARCH_RELAX = (6, 8)
"""loongarch: R_LARCH_RELAX and R_LARCH_ALIGN are no references."""

SRCVERSION_HEADERS = ((6, 8), (6, 7, 6), (6, 6, 18), (6, 1, 79), (5, 15, 149), (5, 10, 210))
"""The srcversion covers the headers that `.cmd` files list behind spaces; before, only the sources."""

MITIGATION_RETPOLINE = (6, 9)
"""CONFIG_RETPOLINE is called CONFIG_MITIGATION_RETPOLINE."""

NEAREST_OR_OWN = (6, 9)
"""If no symbol is near, the message about a section mismatch has the name of the relocation's symbol, often ""."""

S390_THUNKS_UNTIL = (6, 10)
"""Before this version: see `S390_THUNKS`."""

DRIVERS_EXCUSED_UNTIL = (6, 11)
"""Before this version: see `DRIVERS_EXCUSED`."""

NAMES_BY_ADDRESS = (6, 12)
"""If no symbol is near, the message about a section mismatch has the address."""

INPUT_LAST_BIT = ((6, 13), (6, 12, 9), (6, 6, 70), (6, 1, 124), (5, 15, 176), (5, 10, 233))
"""Input aliases have the last bit of each bitmap, too."""

IRQENTRY_TEXT = ((6, 13), (6, 12, 5), (6, 6, 66), (6, 1, 120), (5, 15, 174), (5, 10, 231))
"""`.irqentry.text` is code that an exception table may name."""

SYMVERS_BY_FILE = (6, 13)
"""Owners of the same name in two symvers files are two modules."""

SEPARATE_VERSION_TABLES = (6, 14)
"""-b and -x choose the tables of CRCs; before, -m asks for the basic one. CRCs have eight digits."""

TYPEC_WITHOUT_MODE = (6, 14)
"""Type-C aliases have no mode."""

DESCRIPTION_ALWAYS = (6, 15)
"""A missing MODULE_DESCRIPTION() is reported always."""

MODULE_NAMESPACES = (6, 16)
"""A namespace `module:a,b*` names the modules that may use a symbol."""

SECTION_BOUNDS = (6, 19)
"""Undefined __start_SECTION and __stop_SECTION are ignored."""

PPC64_SMALL = ((7, 0), (6, 19, 6), (6, 18, 16), (6, 12, 75), (6, 6, 128), (6, 1, 165), (5, 15, 202), (5, 10, 252))
"""ppc64: undefined _restgpr1_*, _savegpr1_*, _restfpr_* and _savefpr_* are ignored."""

PROBES_CHECKED = (7, 0)
"""`*_probe` variables may no longer refer to init and exit sections."""

ALIAS_BUFFERS = (7, 1)
"""Input and DMI aliases that do not fit into 256 bytes are fatal errors."""

LLVM_COVERAGE = (7, 2)
"""The sections `__llvm_covfun`, `__llvm_covmap` and `.klp.symid` need no SHF_ALLOC."""

LLVM_OPS = (7, 2)
"""`*_ops.llvm.*` variables may refer to init and exit sections."""

LONG_LINES_FATAL = ((7, 2), (6, 12, 111), (6, 1, 189))
"""A line of the `.mod.c` that is too long is a fatal error; before, it is truncated, and what follows is undefined."""

WMI_CHECKED = (7, 2)
"""The characters of a WMI GUID are checked, and converted to upper case."""

MODULE_PREFIX = (7, 3)
"""Messages start with the module's name."""

TABLES = {
    "auxiliary": (5, 11),
    "dfl": (5, 12),
    "ssam": (5, 12),
    "ishtp": (5, 16),
    "mhi_ep": (5, 19),
    "cdx": (6, 4),
    "vchiq": (6, 7),
    "coreboot": (6, 9),
    "slim": (6, 12),
    "mcb": (6, 19),
}
"""Kinds of device tables that aliases are made for only from a version on, although some structs are older."""
