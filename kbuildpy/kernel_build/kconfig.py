# SPDX-License-Identifier: GPL-2.0-only
"""Where a source tree's options are defined, and what they depend on.

Kconfig's own programs write a configuration and drop, without a word, what cannot be had. This reads as much of the
language (Documentation/kbuild/kconfig-language.rst) as it takes to say why: `config`, `menuconfig`, `choice`, prompts,
`depends on`, `select`, and the conditions of enclosing `if` and `menu` blocks. What a macro or an inclusion under a
condition decides is not known here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NAMED = re.compile(r"(?:menu)?config\s+(\w+)\s*$")
_PROMPT = re.compile(r"(?:bool|tristate|string|int|hex|prompt)\s+\"")
_SELECT = re.compile(r"select\s+(\w+)(?:\s+if\s+(.+))?")
_DEPENDS = re.compile(r"depends\s+on\s+(.+)")
_TOKEN = re.compile(r"\s*(&&|\|\||!=|=|!|\(|\)|\$\([^)]*(?:\([^)]*\)[^)]*)*\)|\"[^\"]*\"|[\w.\-/]+|\S)")


@dataclass
class KconfigOption:
    """An option, with all its definitions in one source tree taken together."""

    name: str
    files: list[str] = field(default_factory=list)
    """The Kconfig files that define it, as paths in the tree."""
    depends: list[str] = field(default_factory=list)
    """The conditions that hold for it, of its first definition: expressions, which all have to be true."""
    has_prompt: bool = False
    """Whether a configuration can set it; otherwise others select it, or it has a default."""
    selects: list[str] = field(default_factory=list)
    """The options that it switches on."""


def read_kconfig(source: Path, srcarch: str) -> dict[str, KconfigOption]:
    """The options that the Kconfig files of `source` define, but those of other architectures than `srcarch`."""
    options: dict[str, KconfigOption] = {}
    for path in _kconfig_files(source, srcarch):
        _read_file(path, str(path.relative_to(source)), options)
    return options


def unmet(option: KconfigOption, values: Mapping[str, str]) -> list[str]:
    """The conditions of `option` that are not true with `values` (symbol -> value), each as short as it can be: of
    `A && B` only what is false. One that has a macro in it is taken for true."""
    parts = [part for condition in option.depends for part in conjunction(condition)]
    return list(dict.fromkeys(part for part in parts if not is_true(part, values)))


def conjunction(expression: str) -> list[str]:
    """The parts of `expression` that all have to be true."""
    parts, depth, part = [], 0, ""
    for token in _tokens(expression):
        depth += (token == "(") - (token == ")")
        if token == "&&" and not depth:
            parts.append(part)
            part = ""
        else:
            part += f" {token}" if part and token not in {")", "="} and part[-1] not in "(!=" else token
    parts.append(part)
    if len(parts) == 1 and _is_enclosed(part):
        return conjunction(part[1:-1])
    if any(_or_outside(each) for each in parts) and len(parts) > 1:
        # (&& binds closer than ||)
        return [expression]
    return [inner for each in parts for inner in ([each] if len(parts) == 1 else conjunction(each))]


def is_true(expression: str, values: Mapping[str, str]) -> bool:
    """Whether `expression` holds with `values`, where symbols that are not in there are not set."""
    tokens = _tokens(expression)
    try:
        result, rest = _either(tokens, values)
    except IndexError:
        return True
    return result or bool(rest)


def symbols_in(expression: str) -> list[str]:
    """The symbols that `expression` has in it."""
    return [token for token in _tokens(expression) if re.fullmatch(r"[A-Z0-9_]*[A-Z_][A-Z0-9_]*", token)]


def _kconfig_files(source: Path, srcarch: str) -> Iterable[Path]:
    for top in ("", "arch"):
        for path in sorted((source / top).glob("Kconfig*")):
            if path.is_file():
                yield path
    # (a walk over all of the tree's directories takes longer than all the reading)
    skipped = {"Documentation", "tools", "samples", "arch", "scripts", ".git"}
    roots = [source / "arch" / srcarch, source / "arch/Kconfig"]
    roots += [path for path in sorted(source.iterdir()) if path.is_dir() and path.name not in skipped]
    for root in roots:
        for directory, _, files in os.walk(root):
            for name in sorted(files):
                if name.startswith("Kconfig"):
                    yield Path(directory, name)


def _read_file(path: Path, shown: str, options: dict[str, KconfigOption]) -> None:
    text = path.read_text(errors="replace").replace("\\\n", " ")
    blocks: list[list[str]] = []
    current: KconfigOption | None = None
    first = False
    helped: int | None = None
    for line in text.splitlines():
        words = line.strip()
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if helped is not None:
            # (a help text ends with the first line that is indented less than its first one)
            if not words:
                continue
            if helped < 0 and indent:
                helped = indent
            if indent >= helped > 0:
                continue
            helped = None
        if words in {"help", "---help---"}:
            helped = -1
            continue
        if not words or words.startswith("#"):
            continue
        named = _NAMED.fullmatch(words)
        keyword = words.split()[0]
        if named:
            first = named[1] not in options
            current = options.setdefault(named[1], KconfigOption(named[1]))
            current.files.append(shown)
            if first:
                current.depends += [condition for block in blocks for condition in block]
        elif keyword == "if":
            blocks.append([words[2:].strip()])
            current = None
        elif keyword in {"menu", "choice"}:
            blocks.append([])
            current = None
        elif keyword in {"endif", "endmenu", "endchoice"}:
            if blocks:
                blocks.pop()
            current = None
        elif keyword in {"source", "comment", "mainmenu"}:
            # (a comment's `depends on` is its own)
            current, first = (KconfigOption(""), True) if keyword == "comment" else (None, False)
        elif current is not None:
            _read_attribute(words, current, first=first)
        elif (match := _DEPENDS.match(words)) and blocks:
            blocks[-1].append(match[1])


def _read_attribute(words: str, option: KconfigOption, *, first: bool) -> None:
    if _PROMPT.match(words):
        option.has_prompt = True
    elif match := _SELECT.match(words):
        option.selects.append(match[1])
    elif first and (match := _DEPENDS.match(words)):
        option.depends.append(match[1].split("#")[0].strip())


def _tokens(expression: str) -> list[str]:
    return [token for token in _TOKEN.findall(expression) if token.strip()]


def _is_enclosed(text: str) -> bool:
    """Whether the first parenthesis of `text` is closed by its last character."""
    if not text.startswith("("):
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return position == len(text) - 1
    return False


def _or_outside(text: str) -> bool:
    depth = 0
    for token in _tokens(text):
        depth += (token == "(") - (token == ")")
        if token == "||" and not depth:
            return True
    return False


def _either(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    result, rest = _both(tokens, values)
    while rest and rest[0] == "||":
        other, rest = _both(rest[1:], values)
        result = result or other
    return result, rest


def _both(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    result, rest = _single(tokens, values)
    while rest and rest[0] == "&&":
        other, rest = _single(rest[1:], values)
        result = result and other
    return result, rest


def _single(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        result, rest = _single(rest, values)
        return not result, rest
    if first == "(":
        result, rest = _either(rest, values)
        return result, rest[1:]
    if rest and rest[0] in {"=", "!="}:
        same = _value(first, values) == _value(rest[1], values)
        return same == (rest[0] == "="), rest[2:]
    return first.startswith("$(") or _value(first, values) in {"y", "m"}, rest


def _value(token: str, values: Mapping[str, str]) -> str:
    if token in {"y", "m", "n"} or not re.search("[A-Z]", token) or token.startswith('"'):
        return token.strip('"')
    return values.get(token, "n").strip('"')
