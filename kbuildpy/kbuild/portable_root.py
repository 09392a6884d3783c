# SPDX-License-Identifier: GPL-2.0-only
"""Texts that are the same for every place of a checkout, where the user maps the place away.

With `KCFLAGS=-ffile-prefix-map=$PWD=.` the compiler writes none of the checkout's path into an object, so an object of
another checkout is the same. The paths in commands, `.cmd` files and symvers are replaced here, and put back.
"""

from __future__ import annotations

import re

from kbuildpy.kbuild.prefix_maps import records_macros

PLACE = "@kbuildpy-place@"
"""What stands for the path."""

# (as text: most builds need none of them, and compiling them takes a millisecond)
_FILE_MAP = r"(?<!\S)-ffile-prefix-map=([^\s=]+)=\S*"
# Any map, also in quotes and for the assembler: of a beginning of the root, it may be the one that counts.
_ANY_MAP = r"prefix-map=['\"\\]*([^\s=]*)="
# Debug information that is compressed would hide a path that is left in it.
_HIDES = r"(?<!\S)-gz(?:=\S*)?(?!\S)"
# Words in which a path does not get into the object by itself. KBUILD_MODFILE is used by what is built in only.
_HARMLESS = (
    r"['\"]*(?:-I|-iquote|-isystem|-include|-imacros|-o|-Wp,-MM?D,|-f(?:file|debug|macro|profile)-prefix-map="
    r"|-DKBUILD_MODFILE=['\"\\]*|@)?(?=/)"
)


def portable_root(command: str, directory: str) -> str:
    """The path that `command` maps away and that `directory` is in; "" if there is none, or if a part of the path is
    mapped as well: then another checkout's part of it may stay."""
    if "-ffile-prefix-map=/" not in command or records_macros(command) or re.search(_HIDES, command):
        return ""
    roots = [root.rstrip("/") for root in re.findall(_FILE_MAP, command)]
    found = [root for root in roots if root.startswith("/") and f"{directory}/".startswith(f"{root}/")]
    root = max(found, key=len, default="")
    others = (old.rstrip("/") for old in re.findall(_ANY_MAP, command))
    return "" if any(root.startswith(old) and old != root for old in others) else root


def without_root(text: str, root: str) -> str:
    """`text` with `PLACE` for the path `root`, "" for none."""
    return _pattern(root).sub(PLACE, text) if root else text


def with_root(text: str, root: str) -> str:
    """The inverse of `without_root`."""
    return text.replace(PLACE, root) if root else text


def command_without_root(command: str, root: str) -> str:
    """The same for a command, where the path counts only in words in which it does no harm: `-DPLACE="PATH"` stays."""
    if not root:
        return command
    return re.sub(r"\S+", lambda word: without_root(word[0], root) if _is_harmless(word[0], root) else word[0], command)


def _is_harmless(word: str, root: str) -> bool:
    found = re.match(_HARMLESS, word)
    return found is not None and word.startswith(root, found.end())


def _pattern(root: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?<![\w.-])|(?<=-I)){re.escape(root)}(?![\w.-])")
