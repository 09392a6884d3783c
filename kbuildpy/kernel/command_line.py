# SPDX-License-Identifier: GPL-2.0-only
"""The kernel command line, as the kernel and as kmod read it.

Counterparts: lib/cmdline.c (next_arg), kernel/params.c (parse_args); kmod (libkmod/libkmod-config.c:
kmod_config_parse_kcmdline). They differ: the kernel leaves what follows `--` to init, and takes quotes anywhere; kmod
looks for `MODULE.PARAMETER` everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kbuildpy.kernel.shell_pattern import with_underscores

_SPACES = " \n\t\v\f\r"


class ModprobeWord(NamedTuple):
    """What a word says to modprobe."""

    kind: str
    """`options` or `blacklist`."""
    key: str
    """The module."""
    value: str
    """Its parameter, as modprobe hands it over; nothing of a blacklist."""


class KernelArgument(NamedTuple):
    """A word that the kernel looks at."""

    name: str
    """With _ for -, as the kernel compares it."""
    value: str | None
    """What is behind the =; None without one."""


def modprobe_settings(text: str) -> Iterator[ModprobeWord]:
    """The options (`MODULE.PARAMETER=VALUE`) and blacklists (`modprobe.blacklist=A,B`) in a command line."""
    for module, parameter in _module_parameters(text):
        if module == "modprobe" and parameter.startswith("blacklist="):
            for name in parameter.partition("=")[2].split(","):
                yield ModprobeWord("blacklist", name, "")
        elif (plain := with_underscores(module)) is not None:
            yield ModprobeWord("options", plain, parameter.replace("\t", " "))


def kernel_arguments(text: str) -> list[KernelArgument]:
    """The words of a command line up to `--`, without quotes around a value or a word."""
    found: list[KernelArgument] = []
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACES:
            at += 1
        begin = at
        is_quoted = False
        while at < len(text) and (is_quoted or text[at] not in _SPACES):
            is_quoted ^= text[at] == '"'
            at += 1
        word = text[begin:at]
        if not word or word == "--":
            return found
        if word.startswith('"'):
            word = word[1:].removesuffix('"')
        name, equals, value = word.partition("=")
        if value.startswith('"'):
            value = value[1:].removesuffix('"')
        found.append(KernelArgument(name.replace("-", "_"), value if equals else None))


def last_value(arguments: list[KernelArgument], name: str) -> str | None:
    """The value of the last argument called `name`; None if there is none, "" for one without a value."""
    return next((each.value or "" for each in reversed(arguments) if each.name == name), None)


def _module_parameters(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of a module's name and `PARAMETER` or `PARAMETER=VALUE`."""
    module, parameter, state = "", "", "module"
    is_quoted = has_opening = False
    # (a boot loader may have moved the quotes of a value in front of the word: they are put back)
    for character in text.partition("\0")[0] + "\n":
        if character == '"':
            is_quoted = not is_quoted
            if is_quoted and state == "module" and not module and not has_opening:
                has_opening = True
                continue
            if state != "value":
                state = "ignore"
        elif character in _SPACES:
            if not (is_quoted and state == "value"):
                if is_quoted:
                    state = "ignore"
                    continue
                if state in ("parameter", "value"):
                    name, equals, value = parameter.partition("=")
                    yield module, f'{name}="{value}' if has_opening and equals else parameter
                module, parameter, state, has_opening = "", "", "module", False
                continue
        elif character == "." and state in ("module", "parameter"):
            state = "parameter" if state == "module" else "ignore"
            continue
        elif character == "=":
            if state == "parameter":
                state = "value"
            elif state == "module":
                state = "ignore"
        if state == "module":
            module += character
        elif state in ("parameter", "value"):
            parameter += character
