# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the options of a GCC command that clang's tools (clangd, clang-tidy, include-what-you-use) understand.

clang reports an unknown option as an error in every source, and each version of clang knows other options of GCC. An
option for code generation, such as `-mindirect-branch=` or `-fconserve-stack`, does not change how a source is parsed.
So options of the families -f, -m, -g, -p, --param, -Wa, and -Wp,-M are left out, except those in `_LANGUAGE`, which
choose the language or define macros. `-mabi` is left out too: clang has other names for its values.
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
    # headers test whether these sanitizers are on
    r"|-fsanitize=(?:kernel-address|kernel-hwaddress|thread)"
    r"|-m(?:no-)?(?:sse\S*|ssse3|mmx|avx\S*|3dnow|80387|soft-float|strict-align|unaligned-access)"
    r"|-m(?:16|32|64|x32|thumb|arm|(?:big|little)-endian|general-regs-only)"
    r"|-m(?:cmodel|arch|cpu|fpu|float-abi|regparm)=.*"
)
# Options whose value is the next word.
_WITH_VALUE = frozenset({"--param"})


def options_for_clang(words: Sequence[str]) -> list[str]:
    """`words` of a GCC command without the options that clang may not know and that do not change parsing.

    Options for warnings stay; `-Werror` is removed, because clang has warnings that GCC does not have. The result ends
    with `-Wno-unknown-warning-option`, so that clang accepts warnings that only GCC has.
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
