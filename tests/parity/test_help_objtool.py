# SPDX-License-Identifier: GPL-2.0-only
"""The help below the messages of objtool: lines against planted ones, the table against the messages in its sources."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kbuildpy.advice.objtool_table import CONSEQUENCES, consequence_of
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import build_both, complaints
from tests.support.kernel_trees import newest_tree_first, tree_of_release, usual_tree
from tests.support.packages import source_files
from tests.support.planted import build_planted, places_of, plant

pytestmark = pytest.mark.parity

FUNCTIONS = {
    "calls": 'asm volatile("call *%0" : : "r" (p));',
    "pushes": 'asm volatile("push %rax");',
    "stacs": 'asm volatile("stac");',
    "stds": 'asm volatile("std");',
    "rets": 'asm volatile("ret");',
}
# The kinds of what objtool says of these on every kernel, by words of the help.
SAID = {
    "calls": ("Spectre v2", "body"),
    "pushes": ("wrong address", "end"),
    "stacs": ("SMAP", "end"),
    "stds": ("direction flag", "end"),
    "rets": ("Retbleed", "body"),
}
ASSEMBLY = """.text
.globl asmf
.type asmf, @function
asmf:
	mov $1, %rax
	ret /* @asmf */
.size asmf, .-asmf
"""


def files() -> dict[str, str]:
    """A module of wrong functions, and one with assembly."""
    parts = [
        f"void {name}(void *p);\nvoid {name}(void *p)\n{{\n\t{body} /* @{name}_body */\n}} /* @{name}_end */\n"
        for name, body in FUNCTIONS.items()
    ]
    return {
        "Kbuild": "obj-m := wrong.o mixed.o\nmixed-y := main.o part.o\n",
        "wrong.c": f'#include <linux/module.h>\n{"".join(parts)}MODULE_LICENSE("GPL");\n',
        "main.c": (
            "#include <linux/module.h>\nextern void asmf(void);\nvoid (*called)(void) = asmf; /* @called */\n"
            'MODULE_LICENSE("GPL");\n'
        ),
        "part.S": ASSEMBLY,
    }


def has_objtool(tree: KernelTree) -> bool:
    """Whether the kernel's configuration has objtool check modules for these faults."""
    return tree.config.get("CONFIG_HAVE_OBJTOOL") == "y" or tree.config.get("CONFIG_STACK_VALIDATION") == "y"


@pytest.mark.parametrize("release", newest_tree_first())
def test_finds_the_planted_lines_and_says_what_they_end_in(release: str, tmp_path: Path) -> None:
    tree = tree_of_release(release)
    assert has_objtool(tree)
    marks = plant(tmp_path, files())
    found = build_planted(tree, tmp_path)
    assert found.status == 0, "objtool's messages are warnings here"
    for name, (words, place) in SAID.items():
        [help] = [help for help in found.help if help["subject"] == name and words in " ".join(help["text"])]
        assert help["files"] == ["wrong.o"]
        assert places_of(help) == [marks[f"{name}_{place}"]], name
    assert {tuple(places_of(help)) for help in found.help if help["subject"] == "asmf"} == {(marks["asmf"],)}
    for help in found.help:
        if help["subject"] == "called":  # (where the kernel has IBT)
            assert places_of(help) == [marks["called"]]
            assert "Missing ENDBR" in help["text"][1]
    assert any(help["subject"] == "called" for help in found.help) == ("CONFIG_X86_KERNEL_IBT" in tree.config)


def test_finds_the_functions_without_debug_information(tmp_path: Path) -> None:
    macro = (
        '#define MAKE(name) void ma##name(void); void ma##name(void) { asm volatile("std"); }\n'
        'MAKE(de)\nMODULE_LICENSE("GPL");\n'
    )
    marks = plant(tmp_path, files())
    source = tmp_path / "wrong.c"
    source.write_text(source.read_text().replace('MODULE_LICENSE("GPL");\n', macro))
    found = build_planted(usual_tree(), tmp_path, "KCFLAGS=-g0")
    [help] = [help for help in found.help if help["subject"] == "stacs"]
    body = marks["stacs_body"].rpartition(":")
    assert places_of(help) == [f"{body[0]}:{int(body[2]) - 2}"], "the line that begins the function"
    made = found.about("made")
    assert [place["file"] for place in made["places"]] == [None], "a macro makes it: no line of the text is its line"
    assert len(made["text"]) == 1


def test_says_the_same_words_as_make(tmp_path: Path) -> None:
    def lay_out(place: Path) -> None:
        plant(place, files())

    [(oracle, ours)] = build_both(usual_tree(), lay_out, tmp_path / "x")
    assert [line.partition("objtool: ")[2] for line in complaints(ours)] == [
        line.partition("objtool: ")[2] for line in complaints(oracle)
    ]
    assert any("objtool: " in line for line in complaints(oracle))
    assert ours.files.keys() == oracle.files.keys()


@pytest.mark.sweep
@pytest.mark.parametrize("version", ["6.1", "6.12", "7.3"])
def test_the_table_has_every_message_of_objtool(version: str) -> None:
    """Of the functions that print messages, the formats in objtool's sources."""
    said = messages_of(version)
    assert len(said) > 80
    assert [text for text in said if consequence_of(text) is None] == []


@pytest.mark.sweep
def test_each_row_of_the_table_is_for_a_message() -> None:
    said = {text for version in ("6.1", "6.12", "7.3") for text in messages_of(version)}
    rows = {consequence_of(text) for text in said}
    assert [row.pattern.pattern for row in CONSEQUENCES if row not in rows] == []
    patterns = {part for row in CONSEQUENCES for part in row.pattern.pattern.split("|")}
    unused = [part for part in patterns if not part.count("(") and not any(re.search(part, text) for text in said)]
    assert unused == []


def messages_of(version: str) -> list[str]:
    """The formats of the messages of a kernel's objtool, without what concerns its own work on the file."""
    place = source_files(version, "tools/objtool") / "tools/objtool"
    pattern = re.compile(r'\b(?:WARN|ERROR|CFI)\w*\((?:[^;"]*?)"((?:[^"\\]|\\.)*)"')
    files = [*(place / name for name in ("check.c", "orc_gen.c", "special.c")), *sorted(place.glob("arch/x86/*.c"))]
    found: dict[str, None] = {}
    for path in files:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        found.update(dict.fromkeys(match[1] for match in pattern.finditer(text)))
    return list(found)
