# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy run --dyndbg-at`: the kernel's own list tells which messages are switched on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.bad_modules import build, source
from tests.support.builds import kbuildpy
from tests.support.guest_kernels import boots_x86_64, one_of, tree_called

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]

SOURCE = source(
    before='static noinline void helper(void)\n{\n\tpr_debug("helper\\n");\n}\n',
    init='pr_debug("first\\n");\n\tpr_debug("second\\n");\n\thelper();\n\treturn 0;',
    exit='pr_debug("last\\n");',
)
NAMES = ("by_line", "by_lines", "by_function", "by_file", "by_module", "silent")


def line_of(message: str) -> int:
    return next(number for number, text in enumerate(SOURCE.splitlines(), 1) if f'"{message}' in text)


@pytest.mark.parametrize("line", one_of("6.1", "6.12"))
@pytest.mark.sweep
def test_the_messages_at_a_place_are_switched_on_and_no_others(line: str, tmp_path: Path) -> None:
    files = build(tree_called(line), tmp_path / "m", dict.fromkeys(NAMES, SOURCE))
    places = [
        f"by_line.c:{line_of('second')}",
        f"by_lines.c:{line_of('first')}-{line_of('second')}",
        "by_function.c:helper()",
        "by_file.c",
        "by_module",
    ]
    words = [word for place in places for word in ("--dyndbg-at", place)]
    done = kbuildpy("run", *(files[name] for name in NAMES), *words, "--format", "json")
    assert done.returncode == 0, done.error_text
    results = {item["name"]: item for item in map(json.loads, done.text.splitlines())}
    listed = {name: [re.search(r'=(\w+) "(?:\w+: )?(\w+)', text) for text in results[name]["dyndbg"]] for name in NAMES}
    on = {name: {found[2] for found in rows if found and found[1] == "p"} for name, rows in listed.items()}
    assert all(len(rows) == 4 and all(rows) for rows in listed.values()), listed
    everything = {"first", "second", "helper", "last"}
    assert on == {
        "by_line": {"second"},
        "by_lines": {"first", "second"},
        "by_function": {"helper"},
        "by_file": everything,
        "by_module": everything,
        "silent": set(),
    }
    # (the last one comes when the module is removed)
    said = {name: set(re.findall(rf"{name}: (\w+)", "\n".join(results[name]["log"]))) & everything for name in NAMES}
    assert said == on


def test_a_place_without_a_message_is_a_wrong_call(tmp_path: Path) -> None:
    tree = tree_called(one_of("6.1", "6.12")[0])
    file = build(tree, tmp_path / "m", {"by_line": SOURCE})["by_line"]
    done = kbuildpy("run", file, "--dyndbg-at", "helpr")
    assert (done.returncode, done.text) == (2, "")
    assert "helpr: no dynamic debug message there" in done.error_text and "did you mean helper?" in done.error_text
    both = kbuildpy("run", file, "--dyndbg", "--dyndbg-at", "helper")
    assert (both.returncode, "remove one of the two" in both.error_text) == (2, True)
