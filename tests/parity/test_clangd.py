# SPDX-License-Identifier: GPL-2.0-only
"""clangd reads every source by the commands of kbuildpy without an error, for kernels that GCC builds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.arm64 import CROSS, arm64_tree
from tests.support.builds import kbuildpy
from tests.support.clangd import clangd_errors
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import trees, usual_tree
from tests.support.packages import unpacked
from tests.support.preprocessed import without_markers
from tests.support.samples import SAMPLES
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

GENERATED = {
    "Kbuild": "obj-m := made.o\n$(obj)/sub/made.o $(obj)/made.o: $(obj)/table.h\n"
    "$(obj)/table.h: $(src)/made.c\n\techo 'static const int table_size = 7;' > $@\n",
    "made.c": '#include "made.h"\n' + module('#include "table.h"\nint made(void) { return MADE + table_size; }\n'),
    "made.h": "#define MADE 1\nint made(void);\n",
}
DATABASE = "compile_commands.json"
# Ten sources of packaged modules, which GCC compiles for 6.1; where it does not compile one, clangd may complain too.
CORPUS = [
    ("acpi-call-dkms", ".", ["acpi_call.c"]),
    ("bbswitch-dkms", ".", ["bbswitch.c"]),
    ("ddcci-dkms", "ddcci", ["ddcci.c"]),
    ("nat-rtsp-dkms", ".", ["nf_nat_rtsp.c", "nf_conntrack_rtsp.c"]),
    ("rapiddisk-dkms", ".", ["rapiddisk.c", "rapiddisk-cache.c"]),
    ("v4l2loopback-dkms", ".", ["v4l2loopback.c"]),
    ("vpoll-dkms", ".", ["vpoll.c"]),
    ("xtables-addons-dkms", "extensions", ["xt_geoip.c", "xt_quota2.c"]),
]


def database(place: Path, *words: str, status: int = 0) -> list[dict[str, Any]]:
    """The entries that `kbuildpy build --compile-commands` writes for `place`."""
    done = kbuildpy("build", place, "--compile-commands", *words)
    assert done.returncode == status, done.text + done.error_text
    found: list[dict[str, Any]] = json.loads((place / DATABASE).read_text())
    return found


def files(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(Path(entry["file"]).name for entry in entries)


@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
def test_clangd_finds_no_error_in_a_sample(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "composite"
    shutil.copytree(SAMPLES / "composite", place)
    (place / "wrong.c").write_text("int wrong(void) { return undeclared; }\n")
    with (place / "Kbuild").open("a") as file:
        file.write("composite-y += wrong.o\n")
    entries = database(place, "-k", str(tree.objects), "rotate.s")
    assert files(entries) == ["checksum.c", "main.c", "messages.c", "wrong.c"]
    assert all(Path(entry["file"]).parent == place for entry in entries)
    assert clangd_errors(place / "main.c") == []
    assert "undeclared" in str(clangd_errors(place / "wrong.c"))


def test_headers_that_a_rule_makes_are_found_and_sources_are_the_users(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources(GENERATED, place)
    [entry] = database(place, "-k", str(usual_tree().objects), "made.i")
    assert entry["file"] == str(place / "made.c")
    assert not (place / "table.h").exists()
    assert clangd_errors(place / "made.c") == []


def test_the_database_of_scons_is_read_without_an_error(tmp_path: Path) -> None:
    lines = "env.Tool('compilation_db')\nenv.CompilationDatabase()\nenv.Kbuild('drv')\n"
    project = SConsProject(tmp_path / "project", usual_tree().objects, PAIR | {"SConstruct": HEAD + lines})
    project.scons(DATABASE)
    assert clangd_errors(project.place / "drv/user.c") == []


def test_a_database_that_was_asked_for_once_is_kept_current(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources({"Kbuild": "obj-m := a.o\n", "a.c": module(), ".clangd": "# mine\n"}, place)
    file = place / DATABASE
    kernel = ["-k", str(usual_tree().objects)]

    def written() -> tuple[int, int]:
        return file.stat().st_mtime_ns, file.stat().st_ino

    assert kbuildpy("build", place, *kernel).returncode == 0
    assert not file.exists()
    entries = database(place, *kernel)
    before = written()
    done = kbuildpy("build", place, *kernel)
    assert "GEN" not in done.text
    assert written() == before
    (place / "Kbuild").write_text("obj-m := a.o b.o\nccflags-y := -DNEW=1\n")
    (place / "b.c").write_text("#error not now\n")
    assert "GEN     compile_commands.json" in kbuildpy("build", place, *kernel).text
    now = json.loads(file.read_text())
    assert files(now) == ["a.c", "b.c"]
    assert [word for word in now[0]["arguments"] if word not in entries[0]["arguments"]] == ["-DNEW=1"]
    before = written()
    for words in (["a.i"], ["-n"], *([["-k", str(tree.objects)] for tree in trees() if tree != usual_tree()][:1])):
        kbuildpy("build", place, *(words if "-k" in words else [*kernel, *words]))
        assert written() == before
    file.unlink()
    kbuildpy("build", place, *kernel)
    assert json.loads(file.read_text()) == now
    kbuildpy("build", place, *kernel, "-c")
    assert not file.exists()
    assert (place / ".clangd").read_text() == "# mine\n"
    kbuildpy("build", place, *kernel)
    assert not file.exists()


def test_commands_compile_what_kbuild_compiles(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources({"Kbuild": "obj-m := a.o\n", "a.c": module("int size = sizeof(__FILE__);\n")}, place)
    other = tmp_path / "other.json"
    done = kbuildpy("build", place, "-k", str(usual_tree().objects), f"--compile-commands={other}")
    assert done.returncode == 0
    [entry] = json.loads(other.read_text())
    words = [word for word in entry["arguments"] if word != "-c"]
    words[words.index("-o") + 1] = str(tmp_path / "a.i")
    run([*words, "-E"], cwd=entry["directory"])
    assert kbuildpy("build", place, "-k", str(usual_tree().objects), "a.i").returncode == 0
    [ours] = (place / "build").rglob("a.i")
    assert without_markers((tmp_path / "a.i").read_text()) == without_markers(ours.read_text())
    assert not (place / DATABASE).exists()


def test_a_database_that_cannot_be_written_is_an_error_once(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources({"Kbuild": "obj-m := a.o\n", "a.c": module()}, place)
    kernel = ["-k", str(usual_tree().objects)]
    other = tmp_path / "other" / "x.json"
    other.parent.mkdir()
    assert kbuildpy("build", place, *kernel, f"--compile-commands={other}").returncode == 0
    shutil.rmtree(other.parent)
    done = kbuildpy("build", place, *kernel)
    assert done.returncode == 0
    assert f"warning: compile commands are out of date: {other}: No such file or directory" in done.error_text


@pytest.mark.sweep
@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
def test_clangd_finds_no_error_in_any_sample(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "samples"
    shutil.copytree(SAMPLES, place)
    entries = database(place, "-k", str(tree.objects))
    sources = [path for path in place.rglob("*.c") if "build" not in path.parts]
    assert sorted(entry["file"] for entry in entries) == sorted(map(str, sources))
    assert {entry["file"]: errors for entry in entries if (errors := clangd_errors(Path(entry["file"])))} == {}


@pytest.mark.sweep
def test_clangd_finds_no_error_in_a_sample_for_arm64(tmp_path: Path) -> None:
    place = tmp_path / "composite"
    shutil.copytree(SAMPLES / "composite", place)
    entries = database(place, "-k", str(arm64_tree().objects), *CROSS)
    assert {entry["file"]: errors for entry in entries if (errors := clangd_errors(Path(entry["file"])))} == {}


@pytest.mark.sweep
@pytest.mark.parametrize(
    "tree", [tree for tree in trees() if tree.version in ((6, 1), (6, 12))], ids=lambda t: t.release
)
@pytest.mark.parametrize(("package", "below", "sources"), CORPUS, ids=[row[0] for row in CORPUS])
def test_clangd_agrees_with_gcc_about_packaged_modules(
    package: str, below: str, sources: list[str], tree: KernelTree, tmp_path: Path
) -> None:
    original = next((unpacked(package) / "usr/src").iterdir())
    root = tmp_path / original.name
    shutil.copytree(original, root)
    place = root / below
    variables = [f"XA_ABSTOPSRCDIR={root}", f"XA_TOPSRCDIR={root}"] if package.startswith("xtables") else []
    for name in sources:
        target = Path(name).with_suffix(".o").name
        words = ["build", str(place), "-k", str(tree.objects), target, "--compile-commands", *variables]
        compiled = kbuildpy(*words).returncode == 0
        assert compiled or tree.version != (6, 1)
        assert (clangd_errors(place / name) == []) == compiled
