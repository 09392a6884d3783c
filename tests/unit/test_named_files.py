# SPDX-License-Identifier: GPL-2.0-only
"""The words of a command are those of the shell's rules, which shlex has."""

from __future__ import annotations

import random
import shlex

import pytest

from kbuildpy.scons.named_files import command_words

_PARTS = ("a", "b=", " ", "  ", "\t", "\r", "\n", "'", "'", '"', '"', "\\", "-D", "#", "\x0b", "\u00a0", "$(x)", "''")


@pytest.mark.parametrize("seed", range(5))
def test_words_are_shlexs(seed: int) -> None:
    chosen = random.Random(seed)
    for _ in range(3000):
        command = "".join(chosen.choices(_PARTS, k=chosen.randrange(9)))
        try:
            expected = shlex.split(command)
        except ValueError:
            with pytest.raises(ValueError):
                command_words(command)
        else:
            assert command_words(command) == expected, command
