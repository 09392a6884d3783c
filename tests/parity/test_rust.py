# SPDX-License-Identifier: GPL-2.0-only
"""Modules in Rust: make's bytes, what is made again, and what is refused, on a kernel that is built for it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kbuildpy.kernel.rust import METADATA
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, assert_equal, build_both, errors, kbuildpy, make
from tests.support.edits import edit
from tests.support.kernel_trees import usual_tree
from tests.support.no_namespaces import REFUSING
from tests.support.packages import newer_kernel, other_compiler
from tests.support.rust_kernels import rust_kernel, rust_programs
from tests.support.rust_sources import BINDINGS, MINIMAL, PAIR, lay_out
from tests.support.scons_project import HEAD, SConsProject

pytestmark = pytest.mark.parity

NO_RUST_WARNING = "warning: "


@pytest.fixture(scope="module")
def rust() -> Iterator[KernelTree]:
    """The tree of a kernel with Rust, while its rustc is found."""
    with rust_programs():
        yield rust_kernel()


def build(tree: KernelTree, place: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """A build that succeeds; returns what it printed on standard output."""
    done = kbuildpy("build", place, "-k", tree.objects, *words, env=env)
    assert done.returncode == 0, done.error_text
    return done.text


def ran(printed: str) -> list[str]:
    """The lines of commands that ran."""
    return [line.strip() for line in printed.splitlines() if line.startswith("  ")]


def refusal(tree: KernelTree, place: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """What a build says that is refused before anything is made."""
    done = kbuildpy("build", place, "-k", tree.objects, *words, env=env)
    assert done.returncode == 1
    assert "Traceback" not in done.error_text
    assert not list(place.glob("build/*/*.o"))
    return done.error_text


def test_a_kernel_without_rust_is_refused_as_make_fails(tmp_path: Path) -> None:
    tree = usual_tree()
    lay_out(MINIMAL, tmp_path / "m")
    assert make(tree, tmp_path / "m").returncode != 0
    shutil.rmtree(tmp_path / "m")
    lay_out(MINIMAL, tmp_path / "m")
    assert f"counting.rs: {tree.release} was built without Rust (CONFIG_RUST)" in refusal(tree, tmp_path / "m")


def test_headers_without_metadata_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    """Debian's headers of 7.3."""
    tree, _ = newer_kernel()
    lay_out(MINIMAL, tmp_path / "m")
    said = refusal(tree, tmp_path / "m", *other_compiler(tree))
    assert f"counting.rs: {tree.release} has CONFIG_RUST=y, but {tree.objects} lacks" in said
    assert "rust/libcore.rmeta, rust/libkernel.rmeta" in said
    assert "build the kernel's sources with this configuration" in said
    # (C is built for it as ever)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/Kbuild").write_text("obj-m := plain.o\n")
    (tmp_path / "c/plain.c").write_text('#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("c");\n')
    build(tree, tmp_path / "c", *other_compiler(tree))


@pytest.mark.sweep
@pytest.mark.parametrize("sources", [MINIMAL, PAIR, BINDINGS], ids=["alone", "with C", "with bindings"])
def test_make_builds_the_same_bytes(sources: dict[str, str], rust: KernelTree, tmp_path: Path) -> None:
    [(oracle, ours)] = build_both(rust, partial(lay_out, sources), tmp_path / "m")
    assert_equal(oracle, ours)
    assert NO_RUST_WARNING not in ours.output


@pytest.mark.sweep
@pytest.mark.parametrize(
    "variable", ["CONFIG_MODULE_SRCVERSION_ALL=y", "CONFIG_BASIC_MODVERSIONS=", "CONFIG_EXTENDED_MODVERSIONS=", "W=1"]
)
def test_under_other_settings_too(variable: str, rust: KernelTree, tmp_path: Path) -> None:
    """Without the extended table, names of Rust are too long: both refuse that alike."""
    [(oracle, ours)] = build_both(rust, partial(lay_out, PAIR), tmp_path / "m", steps=[("", [variable])])
    if variable.startswith("CONFIG_EXTENDED"):
        assert "too long symbol" in oracle.output
        assert errors(oracle.output) <= errors(ours.output)
        assert (oracle.status != 0, ours.status) == (True, 1)
        return
    assert_equal(oracle, ours)
    made = ours.files["pair.mod.c"]
    assert (b"srcversion" in made) == ("SRCVERSION" in variable)
    assert (b"modversion_info" in made) == ("BASIC" not in variable)
    assert b"____version_ext_names" in made


@pytest.mark.sweep
def test_every_form_of_a_source_is_the_same_bytes_as_makes(rust: KernelTree, tmp_path: Path) -> None:
    forms = [f"main.{ending}" for ending in ("rsi", "s", "ll", "o")]
    lay_out(PAIR, tmp_path / "m")
    made = {}
    for form in forms:
        done = make(rust, tmp_path / "m", goal=form)
        assert done.returncode == 0, done.error_text
        made[form] = (tmp_path / "m" / form).read_bytes()
    shutil.rmtree(tmp_path / "m")
    lay_out(PAIR, tmp_path / "m")
    build(rust, tmp_path / "m", *forms)
    out = tmp_path / "m/build" / rust.release
    assert [form for form in forms if (out / form).read_bytes() != made[form]] == []
    assert ran(build(rust, tmp_path / "m", *forms)) == []


@pytest.mark.sweep
def test_only_what_must_is_made_again(rust: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "m"
    lay_out(PAIR, place)
    build(rust, place)
    assert ran(build(rust, place)) == []
    for name in ("main.rs", "sums.rs", "exported.c"):
        (place / name).touch()
    assert ran(build(rust, place)) == []
    edit(place / "user.rs", "2 and 3", "two and three")
    assert [line for line in ran(build(rust, place)) if "RUSTC" in line or "CC" in line] == ["RUSTC [M] user.o"]
    # (another file of the crate, which only rustc's depfile names)
    edit(place / "sums.rs", "a.wrapping_add(b)", "b.wrapping_add(a).wrapping_add(0)")
    assert [line for line in ran(build(rust, place)) if "RUSTC" in line] == ["RUSTC [M] main.o"]
    edit(place / "exported.c", "pair_add(a, a)", "pair_add(a, a) + 0")
    assert not [line for line in ran(build(rust, place)) if "RUSTC" in line]
    assert ran(build(rust, place)) == []


@pytest.mark.sweep
def test_a_rebuilt_kernel_and_a_changed_symbol_compile_again(rust: KernelTree, tmp_path: Path) -> None:
    """In a tree of links, whose configuration and metadata can be changed."""
    kernel, place = tmp_path / "kernel", tmp_path / "m"
    shutil.copytree(rust.objects, kernel, symlinks=True, copy_function=os.link)
    # (since 7.2 it names its own directory)
    text = (kernel / "Makefile").read_text()
    (kernel / "Makefile").unlink()
    (kernel / "Makefile").write_text(text.replace(str(rust.objects), str(kernel)))
    tree = KernelTree(kernel, kernel, rust.release)
    lay_out(PAIR, place)
    build(tree, place)
    assert ran(build(tree, place)) == []
    metadata = kernel / METADATA[1]
    shutil.copy(metadata, tmp_path / "metadata")
    metadata.unlink()
    shutil.copy(tmp_path / "metadata", metadata)
    assert {"RUSTC [M] main.o", "RUSTC [M] user.o"} <= set(ran(build(tree, place)))
    # main.rs asks for this one, user.rs does not
    for name in ("include/generated/autoconf.h", "include/generated/rustc_cfg", "include/config/auto.conf"):
        text = (kernel / name).read_text()
        (kernel / name).unlink()
        kept = [line for line in text.splitlines() if "CONFIG_DEBUG_KERNEL" not in line]
        (kernel / name).write_text("\n".join(kept) + "\n")
    assert [line for line in ran(build(tree, place)) if "RUSTC" in line] == ["RUSTC [M] main.o"]


@pytest.mark.sweep
def test_what_rustc_says_is_said_as_under_make(rust: KernelTree, tmp_path: Path) -> None:
    wrong = MINIMAL | {"counting.rs": MINIMAL["counting.rs"].replace("Ok(Self { counted })", "Ok(counted)")}
    [(oracle, ours)] = build_both(rust, partial(lay_out, wrong), tmp_path / "m")
    assert oracle.status != 0
    assert ours.status == 1
    message = [line for line in oracle.output.splitlines() if line.startswith(("error", " --> ", "  --> "))]
    assert message
    assert set(message) <= set(ours.output.splitlines())
    assert "counting.o: the compiler failed" in ours.output


@pytest.mark.sweep
def test_clippy_takes_the_place_of_rustc(rust: KernelTree, tmp_path: Path) -> None:
    text = MINIMAL["counting.rs"].replace("Ok(Self { counted })", "return Ok(Self { counted });")
    [(oracle, ours)] = build_both(
        rust, partial(lay_out, MINIMAL | {"counting.rs": text}), tmp_path / "m", steps=[("", ["CLIPPY=1"])]
    )
    assert_equal(oracle, ours)
    for said in (oracle.output, ours.output):
        assert "CLIPPY [M] counting.o" in said
        assert "clippy::needless_return" in said


@pytest.mark.sweep
def test_without_namespaces_the_bytes_are_the_same(rust: KernelTree, tmp_path: Path) -> None:
    """The source that bindgen writes is in a copy of the directory, and debug information does not tell."""
    place = tmp_path / "m"
    lay_out(BINDINGS, place)
    assert make(rust, place, [REPRODUCIBLE]).returncode == 0
    oracle = (place / "bound.ko").read_bytes()
    shutil.rmtree(place)
    lay_out(BINDINGS, place)
    call: list[str | Path] = [sys.executable, "-m", "kbuildpy", "build", place, "-k", rust.objects]
    done = run([*REFUSING, *call], check=False, timeout=600)
    assert done.returncode == 0, done.error_text
    assert (place / "build" / rust.release / "bound.ko").read_bytes() == oracle


@pytest.mark.sweep
def test_an_sconstruct_declares_a_module_in_rust(rust: KernelTree, tmp_path: Path) -> None:
    declared = f"{HEAD}env.KernelModule('pair', ['main.rs', 'exported.c'])\nenv.KernelModule('user', ['user.rs'])\n"
    sources = {name: text for name, text in PAIR.items() if name != "Kbuild"}
    project = SConsProject(tmp_path / "project", rust.objects, sources | {"SConstruct": declared})
    project.build()
    project.assert_nothing_to_do()
    ours = {Path(name).name: made for name, made in project.outputs().items() if name.endswith(".ko")}
    lay_out(PAIR, project.place)
    assert make(rust, project.place, [REPRODUCIBLE]).returncode == 0
    assert ours == {name: (project.place / name).read_bytes() for name in ("pair.ko", "user.ko")}


@pytest.mark.sweep
def test_other_commands_know_sources_in_rust(rust: KernelTree, tmp_path: Path) -> None:
    lay_out(MINIMAL | {"Kbuild": f"{MINIMAL['Kbuild']}RUSTFLAGS_counting.o := --cfg mine\n"}, tmp_path / "m")
    done = kbuildpy("explain", tmp_path / "m", "counting.rs", "-k", rust.objects, "KRUSTFLAGS=-Copt-level=1")
    assert done.returncode == 0, done.error_text
    assert re.search(r"^  -Copt-level=1 +command line: KRUSTFLAGS", done.text, re.MULTILINE)
    assert re.search(r"^  --cfg mine +\S*Kbuild:2 RUSTFLAGS_counting\.o", done.text, re.MULTILINE)
    assert re.search(r"^  -Cpanic=abort +Makefile:\d+ KBUILD_RUSTFLAGS", done.text, re.MULTILINE)
    assert "unknown" not in done.text
    done = kbuildpy("lint", tmp_path / "m", "-k", rust.objects)
    assert (done.returncode, "no source in C or assembly" in done.error_text) == (1, True)
    build(rust, tmp_path / "m")
    edit(tmp_path / "m/counting.rs", "counted to", "came to")
    shown = build(rust, tmp_path / "m", "-n", "--explain", "KRUSTFLAGS=--cfg=mine")
    assert "RUSTC [M] counting.o - counting.rs changed; flag --cfg=mine is new" in shown


def other_programs(place: Path, name: str, said: str) -> dict[str, str]:
    """An environment in which another program of that name comes first, of which only the version counts."""
    place.mkdir()
    (place / name).write_text(f"#!/bin/sh\necho '{said}'\n")
    (place / name).chmod(0o755)
    return {"PATH": f"{place}:{os.environ['PATH']}"}


@pytest.mark.sweep
def test_another_rustc_and_old_tools_are_refused(rust: KernelTree, tmp_path: Path) -> None:
    lay_out(MINIMAL, tmp_path / "m")
    lay_out(BINDINGS, tmp_path / "b")
    other = other_programs(tmp_path / "other", "rustc", "rustc 1.97.1 (abc 2026-07-01)")
    said = refusal(rust, tmp_path / "m", env=other)
    assert "was built by rustc 1.85.0" in said
    assert "and rustc is rustc 1.97.1 (abc 2026-07-01)" in said
    old = other_programs(tmp_path / "old", "rustc", "rustc 1.63.0")
    assert "rustc 1.63.0 is too old: this kernel needs rustc 1.85.0 or newer" in refusal(rust, tmp_path / "m", env=old)
    bindgen = other_programs(tmp_path / "bindgen", "bindgen", "bindgen 0.60.1")
    said = refusal(rust, tmp_path / "b", env=bindgen)
    assert "bindgen 0.60.1 is too old: this kernel needs bindgen 0.71.1 or newer" in said
    # (a module that calls no bindgen does without, and the right rustc builds it after all)
    build(rust, tmp_path / "m", env=bindgen)
    # once built, another rustc is still refused
    done = kbuildpy("build", tmp_path / "m", "-k", rust.objects, env=other)
    assert done.returncode == 1
    assert "was built by rustc 1.85.0" in done.error_text
