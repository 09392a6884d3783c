# SPDX-License-Identifier: GPL-2.0-only
"""A build for several kernels: each message says for which it is, and a table in the end what came of each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy, make
from tests.support.documents import json_keys
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees

pytestmark = pytest.mark.parity

# Whatever the kernels: the older one warns, the newer one fails, each in its compiler and in modpost.
SOURCES = {
    "Kbuild": "obj-m := drv.o good.o\n",
    "good.c": module(),
    "drv.c": module(
        "#ifdef LATER\nint broken( {\n#else\n#warning of the older one\n"
        "void nobody(void); void call(void); void call(void) { nobody(); }\n#endif\n",
        header="linux/module.h",
    ),
}


@pytest.fixture(scope="module")
def pair() -> tuple[KernelTree, KernelTree]:
    """Two kernel trees, the older one first."""
    found = sorted(trees(), key=lambda tree: tree.version)
    if len(found) < 2:
        pytest.skip("takes the headers of two kernels")
    return found[0], found[-1]


def rows(text: str) -> dict[str, str]:
    """The table's rows by release."""
    _, _, table = text.partition("  KERNEL ")
    return {line.split()[0]: " ".join(line.split()[1:]) for line in table.splitlines()[1:] if line.strip()}


def said_for(text: str) -> list[tuple[str, str]]:
    """The lines that have a kernel of their own, each with it."""
    found, whose = [], ""
    for line in text.splitlines():
        heading = re.fullmatch(r"For (\S+):", line)
        whose = heading[1] if heading else whose
        if not heading:
            found.append((whose, line))
    return found


@pytest.mark.parametrize("options", [["-K"], ["-K", "-s"]], ids=" ".join)
def test_each_message_says_for_which_kernel_it_is(
    options: list[str], pair: tuple[KernelTree, KernelTree], tmp_path: Path
) -> None:
    older, newer = pair
    place = tmp_path / "module"
    later = f"ccflags-$(if $(filter {newer.version[0]}.{newer.version[1]}.%,$(KERNELVERSION)),y) := -DLATER\n"
    write_sources({**SOURCES, "Kbuild": SOURCES["Kbuild"] + later}, place)
    done = kbuildpy("build", place, "-k", older.objects, "-k", newer.objects, *options)
    assert done.returncode == 1
    found = said_for(done.error_text)
    [warning] = [whose for whose, line in found if "warning: #warning of the older one" in line]
    [error] = [whose for whose, line in found if "error: expected" in line and "drv.c" in line]
    [undefined] = [whose for whose, line in found if "modpost" in line and "nobody" in line and "undefined!" in line]
    assert (warning, error, undefined) == (older.release, newer.release, older.release)
    # make says the same, and here nothing of it is missing.
    oracle = make(older, place)
    assert [line for line in oracle.error_text.splitlines() if "nobody" in line and "undefined!" in line]
    if "-s" in options:
        assert done.text == ""
    else:
        table = rows(done.text)
        assert table[older.release] == "0 of 2 failed: modpost found errors"
        assert table[newer.release] == "0 of 2 failed: drv.o: the compiler failed"


def test_json_is_an_object_for_each_module_and_kernel_and_nothing_else(
    pair: tuple[KernelTree, KernelTree], tmp_path: Path
) -> None:
    older, newer = pair
    place = tmp_path / "module"
    write_sources({**SOURCES, "good.c": module("int value;")}, place)
    kernels: list[str | Path] = ["-k", older.objects, "-k", newer.objects, "--format", "json"]
    done = kbuildpy("build", place, *kernels, "KBUILD_MODPOST_WARN=1")
    assert done.returncode == 0, done.error_text
    found = [json.loads(line) for line in done.text.splitlines()]
    assert [(item["kernel"], item["name"]) for item in found] == [
        (tree.release, name) for tree in pair for name in ("drv", "good")
    ]
    for item in found:
        assert (item["built"], item["made"], item["error"]) == (True, True, None)
        assert item.keys() == json_keys("kbuildpy build")
        assert Path(item["file"]).read_bytes().startswith(b"\x7fELF")
    assert "  CC [M]  " in done.error_text
    write_sources({"drv.c": "int broken( {\n"}, place)
    failed = kbuildpy("build", place, *kernels, "KBUILD_MODPOST_WARN=1", "-q")
    assert failed.returncode == 1
    errors = {(item["name"], item["built"], item["error"]) for item in map(json.loads, failed.text.splitlines())}
    assert ("drv", False, "drv.o: the compiler failed") in errors
    assert kbuildpy("build", place, *kernels, "-n").returncode == 2
    # The same for installing, from a directory that holds nothing but modules.
    write_sources({"drv.c": module()}, place)
    assert kbuildpy("build", place, "-k", older.objects, "-q").text == ""
    root = tmp_path / "root"
    done = kbuildpy("install", place / "build" / older.release, *kernels[:2], *kernels[-2:], "--root", root)
    assert done.returncode == 0, done.error_text
    installed = [json.loads(line) for line in done.text.splitlines()]
    assert {Path(item["file"]).name.partition(".")[0] for item in installed} == {"drv", "good"}
    for item in installed:
        assert item["kernel"] == older.release
        assert Path(item["file"]).is_relative_to(root)
        assert Path(item["file"]).is_file()
    assert "  DEPMOD  " in done.error_text


def test_the_table_tells_what_was_built(pair: tuple[KernelTree, KernelTree], tmp_path: Path) -> None:
    older, newer = pair
    place = tmp_path / "module"
    write_sources({"Kbuild": "obj-m := good.o\n", "good.c": module()}, place)
    kernels: list[str | Path] = ["-k", older.objects, "-k", newer.objects]
    assert kbuildpy("build", place, *kernels[:2]).returncode == 0
    done = kbuildpy("build", place, *kernels)
    assert rows(done.text) == {older.release: "1 of 1 up to date", newer.release: "1 of 1 built"}
    assert "  KERNEL" not in kbuildpy("build", place, *kernels[:2]).text
    # A kernel for which the Kbuild file cannot be read does not keep the others from being built.
    refusing = (
        f"ifeq ($(filter {older.version[0]}.{older.version[1]}.%,$(KERNELVERSION)),)\n$(error not for it)\nendif\n"
    )
    write_sources({"Kbuild": f"{refusing}obj-m := good.o\n", "good.c": module("int more;")}, place)
    done = kbuildpy("build", place, *kernels, "-K")
    assert done.returncode == 1
    assert f"kbuildpy: error: {newer.release}: " in done.error_text
    assert "not for it" in done.error_text
    table = rows(done.text)
    assert table[older.release] == "1 of 1 built"
    assert table[newer.release].startswith("0 of 0 failed: ")
