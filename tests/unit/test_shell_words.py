# SPDX-License-Identifier: GPL-2.0-only
"""The words of a shell's command, as the shell finds them."""

from __future__ import annotations

import subprocess

import pytest

from kbuildpy.shell_words import is_operator, shell_words


@pytest.mark.parametrize(
    "command", ["a  b", "'a b' \"c d\"", "a\\ b 'c'\\''d'", "# no comment", "-DX='\"y\"' ''", "a#b", "-I../x,y=z"]
)
def test_finds_the_words_that_the_shell_finds(command: str) -> None:
    shell = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command.replace('#', chr(92) + '#')}"], stdout=subprocess.PIPE, check=True
    )
    assert list(shell_words(command)) == shell.stdout.decode().split("\0")[:-1]


def test_operators_stand_alone_where_no_space_is_around_them() -> None:
    words = list(shell_words("a;b&&c|d>e (f)"))
    assert words == ["a", ";", "b", "&&", "c", "|", "d", ">", "e", "(", "f", ")"]
    assert [word for word in words if is_operator(word)] == [";", "&&", "|", ">", "(", ")"]
    assert not is_operator("a;") and not is_operator("")


def test_gives_the_words_before_a_quote_that_is_not_closed() -> None:
    words = shell_words("a 'b")
    assert next(words) == "a"
    with pytest.raises(ValueError):
        next(words)
