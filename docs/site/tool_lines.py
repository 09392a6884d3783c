# SPDX-License-Identifier: GPL-2.0-only
"""What insmod and modprobe print for an errno of the kernel, and the page that leads from there to the reasons.

Both print the words of the C library, but for some errnos (kmod: `tools/insmod.c`, `tools/modprobe.c`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from docs.site.markdown import bullets, code, definition, docstring
from kbuildpy.kernel.errnos import errno_number

_INSMOD = {
    "ENOEXEC": "Invalid module format",
    "ENOENT": "Unknown symbol in module",
    "EINVAL": "Invalid parameters",
}
_MODPROBE = {
    "ENOENT": "Unknown symbol in module, or unknown parameter (see dmesg)",
    "EEXIST": "Module already in kernel",
}
"""(modprobe prints this for EEXIST with --first-time, and nothing without.)"""
_WORDLESS = {"ENOTSUPP": "Unknown error 524"}
"""Errnos of the kernel alone, which the C library does not know."""


class Meaning(NamedTuple):
    """What a kernel means with an errno when it refuses a module."""

    why: str
    to_do: str


_TYPES = "Build it with the headers of the kernel that runs, or without CONFIG_DEBUG_INFO_BTF_MODULES."
_LOG = "Read the line of the kernel's log (dmesg), and look for it here."
MEANINGS = {
    "E2BIG": Meaning("The module's types (.BTF) have a larger header than this kernel knows.", _TYPES),
    "EBADMSG": Meaning(
        "The signature behind the module is damaged, or is none.",
        "Sign the module again: `kbuildpy sign`. A module is stripped before it is signed, never after.",
    ),
    "EBUSY": Meaning(
        "A module of this name is being removed, or one whose symbols this one uses is still being loaded.",
        "Try again; where it stays so, the init or exit function of the other module does not end.",
    ),
    "EEXIST": Meaning(
        "A module of this name is loaded already, or two of its parameters or sections have one name.",
        "lsmod lists what is loaded. rmmod removes the old one before the new one is loaded.",
    ),
    "EINVAL": Meaning(
        "A symbol has another CRC than the kernel's, the module does not import the namespace of a symbol, a parameter "
        "does not take its value, or a table of the module is wrong. insmod's words name only the third.",
        f"{_LOG} `kbuildpy check FILE.ko -k RELEASE` says which symbols differ.",
    ),
    "EKEYREJECTED": Meaning(
        "The kernel takes signed modules only, and this one has no signature, or one by a key that it does not trust.",
        "`kbuildpy which KEY` tells which keys the kernel trusts; sign with one of them, or enrol yours.",
    ),
    "ELOOP": Meaning("The module's types (.BTF) lead in a circle.", _TYPES),
    "ENODEV": Meaning(
        "The loader never says this by itself: the module's init function returned it, mostly because its hardware is "
        "not there.",
        "See what the module logs, and the code of its init function.",
    ),
    "ENOENT": Meaning(
        "A symbol that the module uses is in no module that is loaded, nor in the kernel; or the kernel does not know "
        "a parameter.",
        "Load the module that has the symbol first (modprobe does so, insmod does not), and see dmesg for its name. "
        "`kbuildpy explain --symbol NAME -k all` says which kernels and modules have it, and since when it is gone.",
    ),
    "ENOEXEC": Meaning(
        "The module was built for another kernel (vermagic, layout of struct module), for another machine, or its "
        "file is damaged.",
        "Build it with the headers of the kernel that runs: `kbuildpy build -k $(uname -r)`. `kbuildpy check FILE.ko` "
        "compares it with a kernel.",
    ),
    "ENOMEM": Meaning("There is no room for the module, for its per-CPU variables, or for its parameters.", _LOG),
    "ENOSPC": Meaning("A string for a parameter is longer than the parameter takes.", "Give a shorter one."),
    "ENOTSUPP": Meaning("The module's types (.BTF) are of a form that this kernel does not know.", _TYPES),
    "EPERM": Meaning(
        "The kernel is locked down (Secure Boot) and the module has no signature that it trusts, takes no modules any "
        "more (kernel.modules_disabled), or was started with module_blacklist= and its name; the module imports a "
        "namespace that is for others; or insmod does not run as root.",
        f"{_LOG} Without a line in it, try as root.",
    ),
    "ERANGE": Meaning("A number for a parameter is larger or smaller than the parameter takes.", "Give another one."),
    "EROFS": Meaning("A parameter that can only be switched on was to be switched off.", "Leave it out."),
}


def words_of(errno: str, tool: str) -> str:
    """What `tool` (insmod or modprobe) prints behind `could not insert`."""
    own = _INSMOD if tool == "insmod" else _MODPROBE
    return own.get(errno) or _WORDLESS.get(errno) or os.strerror(errno_number(errno))


def all_words(errno: str) -> list[str]:
    """Both tools' words, insmod's first, each once."""
    return list(dict.fromkeys(words_of(errno, tool) for tool in ("insmod", "modprobe")))


def label_of(errno: str) -> str:
    """The anchor of the section of an errno."""
    return f"insmod-{errno.lower()}"


def title_of(errno: str) -> str:
    """The heading of the section of an errno."""
    return f"{', '.join(all_words(errno))} ({errno})"


def tool_page(messages: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The page; `messages` are, for each errno, the heading and the anchor of those that a kernel refuses with."""
    sections = "".join(_section(errno, messages.get(errno, ())) for errno in MEANINGS)
    return f"""# What insmod and modprobe print

The kernel gives insmod and modprobe a number, the errno, and they print words for it: `insmod: ERROR: could not insert
module FILE.ko: WORDS`, `modprobe: ERROR: could not insert 'NAME': WORDS`. Many reasons share a number. The reason
itself is in the kernel's log (`dmesg`), mostly in one line. Where there is none, `kbuildpy check FILE.ko -k RELEASE`
tells the reason.

A number may also come from the module: its init function returns it, and the kernel hands it on.

{sections}"""


def _section(errno: str, messages: Sequence[tuple[str, str]]) -> str:
    meaning = MEANINGS[errno]
    links = bullets(f"[{heading}](#{label})" for heading, label in messages)
    return (
        f"({label_of(errno)})=\n## {', '.join(map(code, all_words(errno)))} ({errno})\n\n"
        + definition("Why", docstring(meaning.why))
        + definition("What to do", docstring(meaning.to_do))
        + (f"Messages of the loader with this errno:\n\n{links}\n" if links else "")
    )
