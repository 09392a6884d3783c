# SPDX-License-Identifier: GPL-2.0-only
"""Where a source tree's options are defined, and what they depend on.

Kconfig's own programs write a configuration and drop, without a word, what cannot be had. This reads as much of the
language (Documentation/kbuild/kconfig-language.rst) as it takes to say why: `config`, `menuconfig`, `choice`, prompts,
`depends on`, `select`, and the conditions of enclosing `if` and `menu` blocks. What a macro or an inclusion under a
condition decides is not known here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel_build.sources import KernelSource

_NAMED = re.compile(r"(?:menu)?config\s+(\w+)\s*$")
_PROMPT = re.compile(r"(?:bool|tristate|string|int|hex|prompt)\s+\"")
_SELECT = re.compile(r"select\s+(\w+)(?:\s+if\s+(.+))?")
_DEPENDS = re.compile(r"depends\s+on\s+(.+)")
_SOURCE = re.compile(r"source\s+\"?([^\"]+)\"?")
_TOKEN = re.compile(r"\s*(&&|\|\||!=|=|!|\(|\)|\$\([^)]*(?:\([^)]*\)[^)]*)*\)|\"[^\"]*\"|[\w.\-/]+|\S)")


@dataclass
class KconfigOption:
    """An option, with all its definitions in one source tree taken together."""

    name: str
    files: list[str] = field(default_factory=list)
    """The Kconfig files that define it, as paths in the tree."""
    depends: list[list[str]] = field(default_factory=list)
    """The conditions of each of its definitions: expressions, which all have to be true."""
    has_prompt: bool = False
    """Whether a configuration can set it; otherwise others select it, or it has a default."""
    selects: list[str] = field(default_factory=list)
    """The options that it switches on."""


def read_kconfig(source: KernelSource, srcarch: str) -> dict[str, KconfigOption]:
    """The options that the Kconfig files of `source` define for the architecture `srcarch`. Read once for each state of
    the sources."""
    digest = hashlib.sha256(f"{source.identity} {srcarch}".encode()).hexdigest()[:20]
    kept = cache_directory() / "kconfig" / f"{digest}.json"
    rows = read_json(kept)
    if isinstance(rows, list):
        return {row[0]: KconfigOption(*row) for row in rows}
    options: dict[str, KconfigOption] = {}
    _read_file(source.path, "Kconfig", srcarch, options, [])
    write_json(
        kept, [[each.name, each.files, each.depends, each.has_prompt, each.selects] for each in options.values()]
    )
    return options


def unmet(option: KconfigOption, values: Mapping[str, str]) -> list[str]:
    """The conditions of `option` that are not true with `values` (symbol -> value), each as short as it can be: of
    `A && B` only what is false. Of several definitions, those of the one with the fewest. A macro is taken for true."""
    found = []
    for conditions in option.depends:
        parts = [part for condition in conditions for part in conjunction(condition)]
        found.append(list(dict.fromkeys(part for part in parts if not is_true(part, values))))
    return min(found, key=len, default=[])


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
    # (n, m and y are 0, 1 and 2: `!` of m is m)
    return result > 0 or bool(rest)


def symbols_in(expression: str) -> list[str]:
    """The symbols that `expression` has in it."""
    return [token for token in _tokens(expression) if re.fullmatch(r"[A-Z0-9_]*[A-Z_][A-Z0-9_]*", token)]


def _read_file(
    source: Path, name: str, srcarch: str, options: dict[str, KconfigOption], around: Sequence[Sequence[str]]
) -> None:
    """Read the Kconfig file `name` and those that it includes; `around` are the conditions of blocks around it."""
    try:
        text = (source / name).read_text(errors="replace").replace("\\\n", " ")
    except OSError:
        return
    blocks = [list(block) for block in around]
    current: KconfigOption | None = None
    for line in _without_help(text):
        words = line.strip()
        named = _NAMED.fullmatch(words)
        keyword = words.split()[0]
        included = _SOURCE.fullmatch(words)
        if named:
            current = options.setdefault(named[1], KconfigOption(named[1]))
            current.files.append(name)
            current.depends.append([condition for block in blocks for condition in block])
        elif included:
            current = None
            place = included[1].replace("$(SRCARCH)", srcarch).replace("$SRCARCH", srcarch)
            _read_file(source, place, srcarch, options, blocks)
        elif keyword == "if":
            blocks.append([words[2:].strip()])
            current = None
        elif keyword in {"menu", "choice"}:
            blocks.append([])
            current = None
        elif keyword in {"endif", "endmenu", "endchoice"}:
            if len(blocks) > len(around):
                blocks.pop()
            current = None
        elif keyword in {"comment", "mainmenu"}:
            # (a comment's `depends on` is its own)
            current = KconfigOption("", depends=[[]])
        elif current is not None:
            _read_attribute(words, current)
        elif (match := _DEPENDS.match(words)) and len(blocks) > len(around):
            blocks[-1].append(match[1])


def _without_help(text: str) -> Iterator[str]:
    """The lines of a Kconfig file without help texts, comments and empty ones. A help text ends with the first line
    that is indented less than its first one."""
    helped: int | None = None
    for line in text.splitlines():
        words = line.strip()
        indent = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if helped is not None:
            if not words:
                continue
            if helped < 0 and indent:
                helped = indent
            if indent >= helped > 0:
                continue
            helped = None
        if words in {"help", "---help---"}:
            helped = -1
        elif words and not words.startswith("#"):
            yield line


def _read_attribute(words: str, option: KconfigOption) -> None:
    if _PROMPT.match(words):
        option.has_prompt = True
    elif match := _SELECT.match(words):
        option.selects.append(match[1])
    elif match := _DEPENDS.match(words):
        option.depends[-1].append(match[1].split("#")[0].strip())


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


def _either(tokens: list[str], values: Mapping[str, str]) -> tuple[int, list[str]]:
    result, rest = _both(tokens, values)
    while rest and rest[0] == "||":
        other, rest = _both(rest[1:], values)
        result = max(result, other)
    return result, rest


def _both(tokens: list[str], values: Mapping[str, str]) -> tuple[int, list[str]]:
    result, rest = _single(tokens, values)
    while rest and rest[0] == "&&":
        other, rest = _single(rest[1:], values)
        result = min(result, other)
    return result, rest


def _single(tokens: list[str], values: Mapping[str, str]) -> tuple[int, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "!":
        result, rest = _single(rest, values)
        return 2 - result, rest
    if first == "(":
        result, rest = _either(rest, values)
        return result, rest[1:]
    if rest and rest[0] in {"=", "!="}:
        same = _value(first, values) == _value(rest[1], values)
        return 2 if same == (rest[0] == "=") else 0, rest[2:]
    if first.startswith("$("):
        return 2, rest
    return {"y": 2, "m": 1}.get(_value(first, values), 0), rest


def _value(token: str, values: Mapping[str, str]) -> str:
    if token in {"y", "m", "n"} or not re.search("[A-Z]", token) or token.startswith('"'):
        return token.strip('"')
    return values.get(token, "n").strip('"')
