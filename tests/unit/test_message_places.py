# SPDX-License-Identifier: GPL-2.0-only
"""Places of debug messages, and the queries for them. (What a kernel makes of the queries:
tests/vm/test_debug_messages.py.)"""

from __future__ import annotations

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.message_places import message_queries, read_place
from kbuildpy.info.tables import DebugMessage

MESSAGES = {
    "one": [
        DebugMessage("/home/me/drv/one.c", 12, "start", "starting"),
        DebugMessage("/home/me/drv/one.c", 20, "work", "working"),
        DebugMessage("/home/me/drv/sub/one.c", 12, "work", "working there"),
    ],
    "two": [DebugMessage("/home/me/drv/two.c", 7, "work", "working")],
    "silent": [],
}
ONE, BELOW, TWO = "/home/me/drv/one.c", "/home/me/drv/sub/one.c", "/home/me/drv/two.c"


@pytest.mark.parametrize(
    ("places", "one", "two"),
    [
        (["one"], "+p", ""),
        (["two.c"], "", f"file {TWO} +p"),
        (["one.c"], f"file {ONE} +p; file {BELOW} +p", ""),
        (["sub/one.c"], f"file {BELOW} +p", ""),
        (["./sub/one.c"], f"file {BELOW} +p", ""),
        ([ONE], f"file {ONE} +p", ""),
        (["one.c:20"], f"file {ONE} line 20-20 +p", ""),
        (["one.c:1-19"], f"file {ONE} line 1-19 +p; file {BELOW} line 1-19 +p", ""),
        (["work"], "func work +p", "func work +p"),
        (["work()"], "func work +p", "func work +p"),
        (["one.c:start()"], f"file {ONE} func start +p", ""),
        (["start", "start", "two"], "func start +p", "+p"),
    ],
)
def test_a_place_becomes_the_queries_of_the_modules_with_messages_there(places: list[str], one: str, two: str) -> None:
    assert message_queries([read_place(word) for word in places], MESSAGES) == {"one": one, "two": two, "silent": ""}


@pytest.mark.parametrize(
    ("place", "hint"),
    [
        ("wrok", "did you mean work?"),
        ("onee", "did you mean one?"),
        ("tow.c", "did you mean two.c?"),
        ("two.c:8", "the lines with one: 7 (work)"),
        ("two.c:start", "the lines with one: 7 (work)"),
        ("one.c:21-", "is no place"),
        ("one.c:20-12", "the last line comes before the first one"),
        ("a b", "is no place"),
        ("", "is no place"),
        ("silent", "messages are in: "),
        ("ne.c", "did you mean one.c?"),
    ],
)
def test_a_place_without_a_message_is_an_error_with_what_is_there(place: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        message_queries([read_place(place)], MESSAGES)
    assert hint in str(error.value)


def test_modules_without_messages_are_told_so() -> None:
    with pytest.raises(UsageError, match="silent: no dynamic debug messages"):
        message_queries([read_place("work")], {"silent": []})


@pytest.mark.parametrize("file", ["a b.c", 'a".c', "a;b.c", "a*.c"])
def test_a_file_name_that_a_query_cannot_have_is_refused(file: str) -> None:
    messages = {"one": [DebugMessage(file, 1, "start", "")]}
    with pytest.raises(KbuildError, match="cannot be told"):
        message_queries([read_place(file)], messages)
    assert message_queries([read_place("start")], messages) == {"one": "func start +p"}
