# SPDX-License-Identifier: GPL-2.0-only
"""The conditions that a line of a header stands under, and whether a kernel's configuration meets them.

Only what the configuration decides is decided: an include guard, a version of the compiler or another macro leaves the
answer open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_DIRECTIVE = re.compile(
    r"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b((?:[^\n\\]|\\.)*)", re.MULTILINE | re.DOTALL
)
_TOKEN = re.compile(r"\s*(?:(&&|\|\||!|\(|\))|(\w+)|(.))")
_SYMBOL = re.compile(r"CONFIG_\w+")
_ASKING = {"IS_ENABLED": "ym", "IS_REACHABLE": "ym", "IS_BUILTIN": "y", "IS_MODULE": "m"}


class HeaderCondition(NamedTuple):
    """A condition around a line."""

    line: int
    """The line of the `#if`, `#elif` or `#else`."""
    text: str
    """What must hold: `defined(CONFIG_X)`, `!(...)` for an `#else`."""


def conditions_at(text: str, line: int) -> list[HeaderCondition]:
    """The conditions of `text` around `line` (from 1), the outermost first."""
    open_: list[list[HeaderCondition]] = []
    for number, word, rest in _directives(text):
        if number >= line:
            break
        if word == "endif":
            if open_:
                open_.pop()
        elif word in ("else", "elif"):
            if open_:
                before = [HeaderCondition(number, f"!({last.text})") for last in open_[-1][-1:]]
                open_[-1] = [*open_[-1][:-1], *before]
                if word == "elif":
                    open_[-1].append(HeaderCondition(number, rest))
        else:
            name = rest.split()[0] if rest.split() else ""
            said = {"ifdef": f"defined({name})", "ifndef": f"!defined({name})"}.get(word, rest)
            open_.append([HeaderCondition(number, said)])
    return [condition for group in open_ for condition in group]


def unmet(conditions: Sequence[HeaderCondition], config: Mapping[str, str]) -> HeaderCondition | None:
    """The first of `conditions` that `config` does not meet, None if there is none."""
    return next((each for each in conditions if holds(each.text, config) is False), None)


def symbols_in(condition: HeaderCondition) -> list[str]:
    """The CONFIG_ symbols that a condition names."""
    return list(dict.fromkeys(name.removesuffix("_MODULE") for name in _SYMBOL.findall(condition.text)))


def setting(symbol: str, config: Mapping[str, str]) -> str:
    """What `config` says of a symbol, as Kconfig writes it."""
    value = config.get(symbol)
    return f"{symbol} is not set" if value is None else f"{symbol}={value}"


def only_where(condition: HeaderCondition, config: Mapping[str, str]) -> str:
    """What a condition asks of the configuration, and what `config` has of it."""
    values = ", ".join(setting(symbol, config) for symbol in symbols_in(condition))
    return f"only where {condition.text} holds: {values}"


def holds(text: str, config: Mapping[str, str]) -> bool | None:
    """Whether a condition holds for a module; None where more than the configuration decides."""
    words = [match[1] or match[2] or match[3] for match in _TOKEN.finditer(text) if match[0].strip()]
    reader = _Reader(words, config)
    try:
        value = reader.either()
    except RecursionError:  # (a thousand brackets)
        return None
    return value if reader.at == len(words) else None


def _directives(text: str) -> Iterator[tuple[int, str, str]]:
    line, seen = 1, 0
    for match in _DIRECTIVE.finditer(text):
        line += text.count("\n", seen, match.start())
        seen = match.start()
        rest = re.sub(r"/\*.*?\*/|//.*", " ", match[2].replace("\\\n", " "), flags=re.DOTALL)
        yield line, match[1], " ".join(rest.split())


class _Reader:
    """Reads an expression of `#if`."""

    def __init__(self, words: Sequence[str], config: Mapping[str, str]) -> None:
        self.words = words
        self.config = config
        self.at = 0

    def either(self) -> bool | None:
        """`a || b`"""
        value = self.both()
        while self._take("||"):
            other = self.both()
            value = True if value is True or other is True else None if value is None or other is None else False
        return value

    def both(self) -> bool | None:
        """`a && b`"""
        value = self.one()
        while self._take("&&"):
            other = self.one()
            value = False if value is False or other is False else None if value is None or other is None else True
        return value

    def one(self) -> bool | None:
        """A term."""
        if self._take("!"):
            value = self.one()
            return None if value is None else not value
        if self._take("("):
            value = self.either()
            return value if self._take(")") else self._lost()
        word = self.words[self.at] if self.at < len(self.words) else ""
        self.at += 1
        if word == "defined":
            bracket = self._take("(")
            name = self.words[self.at] if self.at < len(self.words) else ""
            self.at += 1
            if bracket and not self._take(")"):
                return self._lost()
            return self._defined(name)
        if word in _ASKING and self._take("("):
            name = self.words[self.at] if self.at < len(self.words) else ""
            self.at += 1
            if not self._take(")"):
                return self._lost()
            return self.config.get(name, "n") in _ASKING[word]
        if word.isdigit():
            return word != "0"
        if word.startswith("CONFIG_"):
            value = self._defined(word)
            return None if value and self.config.get(word) not in ("y", "m") else value
        return None

    def _defined(self, name: str) -> bool | None:
        """Whether include/generated/autoconf.h defines `name`."""
        if name.startswith("CONFIG_"):
            module = self.config.get(name.removesuffix("_MODULE")) == "m" and name.endswith("_MODULE")
            return module or self.config.get(name, "m") != "m"
        return {"MODULE": True, "__KERNEL__": True, "__ASSEMBLY__": False, "__ASSEMBLER__": False}.get(name)

    def _take(self, word: str) -> bool:
        if self.at < len(self.words) and self.words[self.at] == word:
            self.at += 1
            return True
        return False

    def _lost(self) -> bool | None:
        """Give up: the expression is none that is read here."""
        self.at = len(self.words) + 1
        return None
