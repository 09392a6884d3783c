# SPDX-License-Identifier: GPL-2.0-only
"""The options of a GCC command that clang's tools (clangd, clang-tidy, include-what-you-use) can read a source by.

To clang an option of GCC's that it does not know is an error, in every source, and each version knows others. But what
generates code, such as `-mindirect-branch=` or `-fconserve-stack`, decides nothing about how a source is read. So the
options of those families (-f, -m, -g, -p, -W with an argument for the assembler) are left out, but for the ones here:
they choose the language, or define macros. (`-mabi` is none of them: to clang the values have other names.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Families in which GCC has options that clang does not know.
_FAMILY = re.compile(r"-(?:[fmgp]|-param\b|Wa,|Wp,-M)")
_LANGUAGE = re.compile(
    r"-f(?:no-)?(?:short-wchar|short-enums|(?:un)?signed-(?:char|bitfields)|ms-extensions|gnu89-inline|builtin(?:-\w+)?"
    r"|freestanding|hosted|common|pic|PIC|pie|PIE|strict-aliasing|wrapv|strict-overflow|exceptions|openmp"
    r"|delete-null-pointer-checks)"
    r"|-fcf-protection(?:=.*)?"
    r"|-f(?:macro|debug|file)-prefix-map=.*"
    # (the sanitizers that headers ask for)
    r"|-fsanitize=(?:kernel-address|kernel-hwaddress|thread)"
    r"|-m(?:no-)?(?:sse\S*|ssse3|mmx|avx\S*|3dnow|80387|soft-float|strict-align|unaligned-access)"
    r"|-m(?:16|32|64|x32|thumb|arm|(?:big|little)-endian|general-regs-only)"
    r"|-m(?:cmodel|arch|cpu|fpu|float-abi|regparm)=.*"
)
# Two words.
_WITH_VALUE = frozenset({"--param"})


def options_for_clang(words: Sequence[str]) -> list[str]:
    """`words` of a GCC command, with those options alone that clang's tools take, and that say how to read the source.

    Warnings stay, but none is an error just because it is one (`-Werror`): clang has others. Those that it does not
    know are no complaint.
    """
    return [*_kept(words), "-Wno-unknown-warning-option"]


def _kept(words: Sequence[str]) -> Iterator[str]:
    skip = False
    for word in words:
        if skip or word == "-Werror":
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif not _FAMILY.match(word) or _LANGUAGE.fullmatch(word):
            yield word
