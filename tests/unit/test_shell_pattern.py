# SPDX-License-Identifier: GPL-2.0-only
"""Patterns are matched as the C library matches them, and in a bounded time."""

from __future__ import annotations

import ctypes
import random
import time

import pytest

from kbuildpy.kernel.shell_pattern import matches

LIBC = ctypes.CDLL(None)


def by_the_c_library(pattern: str, name: str) -> bool:
    return int(LIBC.fnmatch(pattern.encode("latin-1"), name.encode("latin-1"), 0)) == 0


def draw(source: random.Random, characters: str, most: int) -> str:
    return "".join(source.choice(characters) for _ in range(source.randint(0, most)))


def test_matches_what_the_c_library_matches() -> None:
    source = random.Random(5)
    matched = 0
    for _ in range(20_000):
        pattern = draw(source, "ab*?[]!^-\\:x", 8)
        name = draw(source, "ab]-\\!^:x*[", 5)
        found = matches(pattern, name)
        assert found == by_the_c_library(pattern, name), (pattern, name)
        matched += found
    assert matched > 300


@pytest.mark.parametrize("pattern", ["[[:digit:]]x", "[^[:alpha:]_]*", "a[[:xdigit:]-z]", "[[:nosuch:]]", "[[:upper:]"])
def test_knows_the_classes_of_the_c_library(pattern: str) -> None:
    for name in ("1x", "ax", "a1", "az", "A", "_", "a-", "[", "n]", ":]"):
        assert matches(pattern, name) == by_the_c_library(pattern, name), (pattern, name)


def test_many_stars_take_no_longer_than_the_names_length_allows() -> None:
    begin = time.monotonic()
    assert not matches("*a" * 200 + "b", "a" * 5000)
    assert time.monotonic() - begin < 5
