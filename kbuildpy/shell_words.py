"""The words of a shell's command, as POSIX's shell finds them (sh(1), token recognition), without expanding any."""

from __future__ import annotations

import shlex

_OPERATORS = ";<>|&()"


def shell_words(command: str) -> list[str]:
    """The words and operators (`is_operator`) of `command`, without quotes. Raises ValueError for a quote that is
    open at the end."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def is_operator(word: str) -> bool:
    """Whether a word of `shell_words` is an operator such as `;`, `&&` or `>`."""
    return set(word) <= set(_OPERATORS)
