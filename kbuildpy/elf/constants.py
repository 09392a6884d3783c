# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of the ELF specification that modules use, by their names in `/usr/include/elf.h`.

One exception: SHN_LIVEPATCH, SHF_RELA_LIVEPATCH and SHF_RO_AFTER_INIT are the kernel's own (include/uapi/linux/elf.h).
"""

from __future__ import annotations

ELFMAG = b"\x7fELF"
ELFCLASS32, ELFCLASS64 = 1, 2
ELFDATA2LSB, ELFDATA2MSB = 1, 2

ET_REL = 1

EM_SPARC, EM_386, EM_MIPS, EM_PARISC, EM_PPC, EM_PPC64, EM_S390, EM_ARM = 2, 3, 8, 15, 20, 21, 22, 40
EM_SPARCV9, EM_X86_64, EM_AARCH64, EM_RISCV, EM_LOONGARCH = 43, 62, 183, 243, 258

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA = 0, 1, 2, 3, 4
SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_SYMTAB_SHNDX = 7, 8, 9, 18

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHF_RELA_LIVEPATCH, SHF_RO_AFTER_INIT = 0x00100000, 0x00200000

SHN_UNDEF, SHN_LORESERVE, SHN_LIVEPATCH, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFF20, 0xFFF1, 0xFFF2, 0xFFFF

STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
STT_LOPROC = 13

MAX_NAME = 8192
"""The longest name that is read, in bytes: it bounds the work that a hostile string table can cause. The kernel's limit
(KSYM_NAME_LEN) is 512."""
