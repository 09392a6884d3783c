# SPDX-License-Identifier: GPL-2.0-only
"""What the help below errors reads out of headers, against the preprocessor, the compiler and its DWARF."""

from __future__ import annotations

import math
import os
import random
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.advice.conditions import conditions_at, holds, symbols_in, unmet
from kbuildpy.advice.header_search import find_declarations
from kbuildpy.advice.visible import VisibleText
from kbuildpy.elf import ModuleImage
from kbuildpy.kbuild.cmd_file import cmd_path_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import each_tree, newest_tree_first, tree_of_release
from tests.support.planted import plant

pytestmark = pytest.mark.parity

_DIRECTIVE = re.compile(
    r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL
)


def skeleton(text: str) -> str:
    """The conditionals of a header, with a mark in each line between them."""
    kept: set[int] = set()
    for match in _DIRECTIVE.finditer(text):
        first = text.count("\n", 0, match.start())
        kept.update(range(first, first + match[0].count("\n") + 1))
    lines = text.split("\n")
    return "\n".join(line if number in kept else f"MARK{number + 1}" for number, line in enumerate(lines))


def first_lines(source: str) -> list[int]:
    """The first line behind each of the conditionals of a skeleton."""
    marks = [line.startswith("MARK") for line in source.split("\n")]
    return [number + 1 for number in range(1, len(marks)) if marks[number] and not marks[number - 1]]


@each_tree
def test_conditions_are_those_of_the_preprocessor(tree: KernelTree, tmp_path: Path) -> None:
    """Of the lines of 60 headers: one that is said to be left out is not there after the preprocessor, and one whose
    conditions all hold is."""
    headers = sorted((tree.source / "include/linux").glob("*.h"))
    picked = random.Random(7).sample([path for path in headers if b"CONFIG_" in path.read_bytes()], 60)
    include = [f"-I{tree.source}/include", f"-I{tree.objects}/include"]
    options = ["-D__KERNEL__", "-DMODULE", "-include", f"{tree.source}/include/linux/kconfig.h", *include]
    left_out = kept = 0
    for path in picked:
        text = path.read_text(errors="replace")
        source = skeleton(text)
        (tmp_path / "x.c").write_text(source)
        done = run(["gcc", "-E", "-P", "-w", *options, tmp_path / "x.c"], check=False)
        there = {int(number) for number in re.findall(r"\bMARK(\d+)\b", done.text)}
        for line in first_lines(source):
            conditions = conditions_at(text, line)
            found = unmet(conditions, tree.config)
            if found is not None:
                assert line not in there, f"{path}:{line}: {found}"
                left_out += symbols_in(found) != []
            elif conditions and all(holds(each.text, tree.config) for each in conditions):
                assert line in there, f"{path}:{line}: {conditions}"
                kept += 1
    assert left_out > 40
    assert kept > 5


@pytest.mark.parametrize("release", newest_tree_first())
def test_a_header_that_it_names_declares_the_function(release: str, tmp_path: Path) -> None:
    """Of 50 exported functions, and of the line that it names."""
    tree = tree_of_release(release)
    exported = [line.split("\t")[1] for line in tree.symvers.read_text().splitlines() if "\tvmlinux\t" in line]
    # (of functions with leading underscores, some have no declaration but in macros)
    picked = random.Random(11).sample([name for name in exported if name.isidentifier() and name[0] != "_"], 120)
    declared = find_declarations(tree, picked, deadline=math.inf)
    usable = {
        name: next(
            (
                item
                for item in items
                if item.included_as.startswith("linux/")
                and item.kind in ("function", "inline")
                and item.excluded_by(tree.config) is None
            ),
            None,
        )
        for name, items in declared.items()
    }
    chosen = {name: item for name, item in usable.items() if item is not None}
    chosen = dict(list(chosen.items())[:50])
    assert len(chosen) > 30
    for name, item in chosen.items():
        lines = (tree.source / item.file).read_text(errors="replace").splitlines()
        assert re.search(rf"\b{name}\b", lines[item.line - 1]), item
    headers = "".join(f"#include <{item.included_as}>\n" for item in chosen.values())
    uses = "".join(f"void *use_{name}(void);\nvoid *use_{name}(void) {{ return (void *){name}; }}\n" for name in chosen)
    plant(tmp_path, {"Kbuild": "obj-m := x.o\n", "x.c": f"#include <linux/module.h>\n{headers}{uses}"})
    done = kbuildpy("build", tmp_path, "x.o", "-k", str(tree.objects))
    assert "undeclared" not in done.error_text, done.error_text
    assert done.returncode == 0, done.error_text


STRUCTS = ("platform_driver", "device", "class", "sk_buff", "task_struct", "page", "net_device", "inode", "bio")
INCLUDES = ("platform_device", "skbuff", "sched", "mm_types", "netdevice", "fs", "blk_types")


@pytest.mark.parametrize("release", newest_tree_first())
def test_members_are_those_of_the_debug_information(release: str, tmp_path: Path) -> None:
    """Of structs with unions, bit fields, arrays, callbacks and macros in them, in their order."""
    tree = tree_of_release(release)
    headers = "".join(f"#include <linux/{name}.h>\n" for name in INCLUDES)
    uses = "".join(f"struct {tag} *use_{tag};\n" for tag in STRUCTS)
    plant(tmp_path, {"Kbuild": "obj-m := x.o\n", "x.c": f"#include <linux/module.h>\n{headers}{uses}"})
    assert kbuildpy("build", tmp_path, "x.o", "-k", str(tree.objects)).returncode == 0
    path = next(tmp_path.rglob("x.o"))
    visible = VisibleText(preprocessed_by(path, tree))
    described = members_in_dwarf(ModuleImage.from_path(path))
    for tag in STRUCTS:
        found = visible.members(tag)
        lines = [(member.name, member.line) for member in found]
        assert lines == described[tag], tag


def preprocessed_by(path: Path, tree: KernelTree) -> str:
    """The source of an object after the preprocessor, by the command that made it."""
    text = cmd_path_of(path).read_text()
    command = re.search(r"^(?:saved)?cmd_\S+ := (.*?)(?: ;|$)", text, re.MULTILINE)
    assert command
    words = shlex.split(command[1])
    place = words.index("-o")
    kept = [word for word in words[:place] + words[place + 2 :] if word != "-c" and not word.startswith("-Wp,-M")]
    return run([*kept, "-E", "-dD", "-w"], cwd=tree.objects, env=dict(os.environ)).text


def members_in_dwarf(image: ModuleImage) -> dict[str, list[tuple[str, int]]]:
    """The members of each struct with their lines, those of unnamed structs and unions in their places, as pyelftools
    reads them."""
    elf = image.elffile()
    found: dict[str, list[tuple[str, int]]] = {}
    for unit in elf.get_dwarf_info().iter_CUs():
        for entry in unit.iter_DIEs():
            name = entry.attributes.get("DW_AT_name")
            if entry.tag == "DW_TAG_structure_type" and name and name.value.decode() in STRUCTS and entry.has_children:
                found[name.value.decode()] = list(members_below(entry))
    return found


def members_below(entry: Any) -> Iterator[tuple[str, int]]:
    """The members of a struct's entry."""
    for child in entry.iter_children():
        if child.tag != "DW_TAG_member":
            continue
        if "DW_AT_name" in child.attributes:
            yield child.attributes["DW_AT_name"].value.decode(), child.attributes["DW_AT_decl_line"].value
        else:
            yield from members_below(child.get_DIE_from_attribute("DW_AT_type"))
