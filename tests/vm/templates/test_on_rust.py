# SPDX-License-Identifier: GPL-2.0-only
"""The templates in Rust, on a small kernel that is built with it; and what such a kernel says of damaged versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, kbuildpy
from tests.support.guest_kernels import boots_x86_64
from tests.support.rust_kernels import rust_kernel, rust_programs
from tests.support.rust_sources import PAIR, lay_out
from tests.vm.templates.projects import (
    BROKEN,
    DEFAULT,
    FLIPPED,
    Together,
    build_by_make,
    build_together,
    project_of,
    run_together,
    templates,
)

pytestmark = [pytest.mark.vm, pytest.mark.sweep, boots_x86_64]

NAMES = ("rust", "rust-device")
TESTS = ("t_rust.sh", "t_rust_device_test.c")


@pytest.fixture(scope="module")
def tree() -> Iterator[KernelTree]:
    """The tree of a kernel with Rust, while its rustc is found."""
    with rust_programs():
        yield rust_kernel()


def built(tree: KernelTree, variant: str, place: Path) -> Together:
    chosen = [project_of(templates()[name], variant, tree.version) for name in NAMES]
    return build_together(tree, place.resolve() / "projects", variant, chosen=chosen)


@pytest.mark.parametrize("variant", [DEFAULT, FLIPPED])
def test_they_are_make_s_bytes_and_pass_their_tests(variant: str, tree: KernelTree, tmp_path: Path) -> None:
    together = built(tree, variant, tmp_path)
    for project in together.projects.values():
        assert together.remarks_on(project) == []
    assert_equal(build_by_make(together), together.ours)
    results = run_together(together)
    for name in TESTS:
        assert results[name]["passed"] and not results[name]["skipped"], results[name]
    for name in ("t_rust", "t_rust_device"):
        assert results[name]["removed"] and results[name]["complaints"] == []


def test_their_tests_fail_when_the_module_is_broken(tree: KernelTree, tmp_path: Path) -> None:
    results = run_together(built(tree, BROKEN, tmp_path))
    for name in TESTS:
        assert not results[name]["passed"], results[name]
        assert any(point["result"] == "not ok" for point in results[name]["points"])


def test_c_and_rust_in_one_module_call_each_other(tree: KernelTree, tmp_path: Path) -> None:
    lay_out(PAIR, tmp_path / "m")
    assert kbuildpy("build", tmp_path / "m", "-k", tree.objects).returncode == 0
    out = tmp_path / "m/build" / tree.release
    done = kbuildpy("run", out / "pair.ko", out / "user.ko", "-k", tree.objects, "--format", "json")
    results = [json.loads(line) for line in done.text.splitlines()]
    assert [(each["name"], each["passed"], each["complaints"]) for each in results] == [
        ("pair", True, []),
        ("user", True, []),
    ]
    assert "pair: twice 21 is 42, with debug true" in done.error_text
    assert "user: 2 and 3 are 5" in done.error_text


def test_a_wrong_version_in_the_extended_table_is_refused_as_the_kernel_refuses_it(
    tree: KernelTree, tmp_path: Path
) -> None:
    """The names of Rust are too long for the other table, so that only this one has them."""
    lay_out(PAIR, tmp_path / "m")
    assert kbuildpy("build", tmp_path / "m", "-k", tree.objects).returncode == 0
    whole = tmp_path / "m/build" / tree.release / "pair.ko"
    image = ModuleImage.from_path(whole)
    crcs, names = image.section("__version_ext_crcs"), image.section("__version_ext_names")
    assert crcs and names
    symbol = bytes(image.section_data(names)).split(b"\0")[0].decode()
    assert len(symbol) >= 56
    contents = bytearray(whole.read_bytes())
    contents[crcs.offset] ^= 1
    place = tmp_path / "damaged"
    place.mkdir()
    damaged = place / "pair.ko"
    damaged.write_bytes(contents)
    line = f"pair: disagrees about version of symbol {symbol}"
    checked = kbuildpy("check", damaged, "-k", tree.objects, "--format", "json")
    verdict = json.loads(checked.text.splitlines()[0])
    assert (verdict["accepted"], verdict["errno"]) == (False, "EINVAL")
    assert line in checked.text
    done = kbuildpy("run", damaged, "-k", tree.objects, "--format", "json")
    result = json.loads(done.text.splitlines()[0])
    assert not result["loaded"]
    assert line in done.error_text
