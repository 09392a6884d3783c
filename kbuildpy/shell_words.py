# SPDX-License-Identifier: GPL-2.0-only
"""The words of a shell's command, as POSIX's shell finds them (sh(1), token recognition), without expanding any."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

_OPERATORS = ";<>|&()"


def shell_words(command: str) -> Iterator[str]:
    """The words and operators (`is_operator`) of `command`, without quotes. Raises ValueError at a quote that is not
    closed."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    yield from lexer


def is_operator(word: str) -> bool:
    """Whether a word of `shell_words` is an operator such as `;`, `&&` or `>`."""
    return bool(word) and set(word) <= set(_OPERATORS)
