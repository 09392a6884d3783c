# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of an object before it is stored for others, and before a stored one stays: the compiler says what it
was made from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.kbuild.cmd_file import cmd_file_of, cmd_path_of, depfile_of, format_cmd_file
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.stamps import GRAIN_NS
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from kbuildpy.scons.object_recipe import object_recipe
from kbuildpy.scons.recipe import Recipe
from kbuildpy.shared.contents import tree_digest


class OneObject:
    """A source in `m`, a kernel tree in `k`, and what others have in `x`."""

    def __init__(self, place: Path, options: str = "", **files: str) -> None:
        self.place = place
        self.tree = KernelTree(place / "k", place / "k", "6.1")
        self.options = options.format(place)
        (place / "k").mkdir()
        for name, text in {"m/a.c": "int a;\n", **files}.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def recipe(self) -> Recipe:
        """The recipe, as a run has it that begins now."""
        folder = f"{self.place}/m"
        target = f"{folder}/a.o"
        self.command = f"gcc -Wp,-MMD,{folder}/.a.o.d {self.options} -c -o {target} {folder}/a.c"
        layout = Layout(folder, folder, folder, folder)
        self.job = Job(target, (BuildStep("cc_o_c", "CC", self.command),), layout, folder, {}, source=f"{folder}/a.c")
        project: Any = SimpleNamespace(
            tree=self.tree,
            answer=SimpleNamespace(compiler="gcc 12"),
            headers_digest=lambda: tree_digest(self.tree),
            program_digests=lambda commands: [],
            knows_programs=lambda commands: True,
            named_files=lambda commands, targets, **options: [],
            began_ns=time.time_ns(),
        )
        group: Any = SimpleNamespace(project=project, is_own=self._is_own)
        return object_recipe(group, self.job, facts=[], take=lambda made_from: None)

    def compile(self) -> None:
        """Compile it, and write the `.cmd` file."""
        run(["sh", "-c", self.command], cwd=self.place / "m")
        made_from = cmd_file_of(
            depfile_of(self.job.object_file), cwd=self.job.cwd, symbols_of=lambda path: (), is_own=self._is_own
        )
        text = format_cmd_file(made_from, target=self.job.target, command=self.command)
        cmd_path_of(self.job.object_file).write_text(text)

    def key(self, recipe: Recipe) -> str:
        return recipe.find_key([str(self.job.object_file)], [f"{self.place}/m/a.c"])

    def is_taken_after(self, changes: dict[str, str]) -> bool:
        """Whether an object that was stored is taken by a machine where files are otherwise."""
        recipe = self.recipe()
        key = self.key(recipe)
        self.compile()
        facts = recipe.facts()
        for name, text in changes.items():
            self.write(name, text)
        recipe = self.recipe()
        return self.key(recipe) == key and recipe.accepts(facts)

    def may_be_stored(self, *, meanwhile: Sequence[str] = ()) -> bool:
        """Whether it may be stored, when these files are written while it is compiled."""
        time.sleep(3 * GRAIN_NS / 1e9)
        recipe = self.recipe()
        recipe.began_ns = time.time_ns()
        time.sleep(2 * GRAIN_NS / 1e9)
        self.compile()
        for name in meanwhile:
            self.write(name, (self.place / name).read_text())
        return recipe.may_share()

    def _is_own(self, path: str) -> bool:
        return path.startswith(f"{self.place}/m/")


@pytest.mark.parametrize(
    "name",
    ["k/include/x.h", "k/tools/include/x.h", "k/samples/x.h", "k/drivers/x.c", "k/x.inc", "x/lib/gcc/x.h", "x/x.h"],
)
def test_another_content_of_whatever_was_read_is_another_object(name: str, tmp_path: Path) -> None:
    made = OneObject(tmp_path, **{"m/a.c": f'#include "../{name}"\n', name: "int x;\n"})
    assert made.is_taken_after({})
    assert not made.is_taken_after({name: "int y;\n"})


def test_an_object_with_more_headers_than_are_compared_is_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OneObject(tmp_path, **{"m/a.c": '#include "a.h"\n#include "b.h"\n', "m/a.h": "", "m/b.h": ""})
    assert made.may_be_stored() and made.is_taken_after({})
    monkeypatch.setattr("kbuildpy.scons.object_recipe._MOST_HEADERS", 1)
    assert not made.may_be_stored() and not made.is_taken_after({})


HEADERS = {"m/a.c": '#define NAME "hidden.h"\n#include NAME\n#include "seen.h"\n', "m/hidden.h": "", "m/seen.h": ""}


@pytest.mark.parametrize("name", ["m/a.c", "m/hidden.h", "m/seen.h"])
def test_an_object_whose_files_were_written_while_it_was_compiled_is_not_stored(name: str, tmp_path: Path) -> None:
    made = OneObject(tmp_path, **HEADERS)
    assert made.may_be_stored()
    assert not made.may_be_stored(meanwhile=[name])


def test_a_file_in_the_key_that_was_made_just_before_is_no_reason_not_to_store(tmp_path: Path) -> None:
    """`.mod.c` is one: the key before and after the compilation tells an edit in the grain of times."""
    made = OneObject(tmp_path, **HEADERS)
    for name, stored in {"m/seen.h": True, "m/a.c": True, "m/hidden.h": False}.items():
        time.sleep(3 * GRAIN_NS / 1e9)
        made.write(name, (tmp_path / name).read_text())
        recipe = made.recipe()
        recipe.began_ns = time.time_ns()
        made.compile()
        assert recipe.may_share() is stored, name


@pytest.mark.parametrize("text", ["__DATE__", '.INCBIN "x"', '\t.include "x"'])
def test_inputs_that_no_compiler_tells_are_looked_for_wherever_text_is_from(text: str, tmp_path: Path) -> None:
    """In sources, in headers outside, in sources of the kernel tree, and in the command; not in the tree's headers."""
    made = OneObject(tmp_path, **{"x/x.h": "", "k/x.c": "", "k/x.h": "", "m/x.h": ""})
    names = ["x/x.h", "k/x.c", "k/x.h", "m/x.h"]
    made.write("m/a.c", "".join(f'#include "{tmp_path / name}"\n' for name in names))
    assert made.may_be_stored()
    for name in names:
        made.write(name, f"/* {text} */\n")
        assert made.may_be_stored() is (name == "k/x.h"), name
        made.write(name, "")
    made.options = f"-DWHAT='{text}'"
    assert not made.may_be_stored()


@pytest.mark.parametrize(
    ("options", "include", "read", "new", "fits"),
    [
        # a folder before one of the kernel's, and behind it
        ("-I{0}/m/i -I{0}/k/i", "<l/x.h>", "k/i/l/x.h", "m/i/l/x.h", False),
        ("-I{0}/k/i -I{0}/x/i", "<l/x.h>", "k/i/l/x.h", "x/i/l/x.h", True),
        ("-isystem {0}/x/i -I{0}/k/i", "<l/x.h>", "k/i/l/x.h", "x/i/l/x.h", True),
        ("-I{0}/k/i -iquote {0}/m/i", '"l/x.h"', "k/i/l/x.h", "m/i/l/x.h", False),
        ("-idirafter {0}/k/i -I{0}/m/i", "<l/x.h>", "k/i/l/x.h", "m/i/l/x.h", False),
        # folders outside
        ("-I{0}/x/a -I{0}/x/b", "<x.h>", "x/b/x.h", "x/a/x.h", False),
        ("-I{0}/x/b -I{0}/x/a", "<x.h>", "x/b/x.h", "x/a/x.h", True),
        ("'-I{0}/x/a' -I{0}/x/b", "<x.h>", "x/b/x.h", "x/a/x.h", False),
        # beside the source
        ("-I{0}/x/b", '"x.h"', "x/b/x.h", "m/x.h", False),
        ("-I{0}/x/b", "MACRO", "x/b/x.h", "m/x.h", False),
        # what the digest of the tree leaves out
        ("-I{0}/k/tools/i -I{0}/k/i", "<x.h>", "k/i/x.h", "k/tools/i/x.h", False),
        ("-I{0}/k/a -I{0}/k/i", "<x.c>", "k/i/x.c", "k/a/x.c", False),
    ],
)
def test_a_header_that_would_be_found_before_one_that_was_read_is_another_object(
    options: str, include: str, read: str, new: str, fits: bool, tmp_path: Path
) -> None:
    made = OneObject(tmp_path, options, **{"m/a.c": f'#define MACRO "x.h"\n#include {include}\n', read: "int x;\n"})
    assert made.may_be_stored() and made.is_taken_after({})
    assert made.is_taken_after({new: "int y;\n"}) is fits
    # What GCC says of it: is the object another one?
    made.recipe()
    made.compile()
    assert (b"\0y\0" not in made.job.object_file.read_bytes()) is fits


def test_a_header_beside_the_source_that_the_compiler_left_aside_changes_nothing(tmp_path: Path) -> None:
    made = OneObject(tmp_path, "-I{0}/x", **{"m/a.c": "#include <x.h>\n", "x/x.h": "int x;\n", "m/x.h": "int y;\n"})
    assert made.may_be_stored() and made.is_taken_after({})
    assert not made.may_be_stored(meanwhile=["m/x.h"])
