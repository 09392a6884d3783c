# SPDX-License-Identifier: GPL-2.0-only
"""Single targets (`kbuildpy build DIR x.i`, `scons x.i`): the bytes that make gives them, and nothing else is made."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, kbuildpy, listing
from tests.support.kbuild_sources import exporting, module, write_sources
from tests.support.kernel_trees import newest_tree_first, private_tree, swept, tree_of_release, trees, usual_tree
from tests.support.no_namespaces import REFUSING
from tests.support.packages import early_tree, newer_kernel, other_compiler, unpacked
from tests.support.samples import SAMPLES
from tests.support.scons_project import HEAD, PAIR, SConsProject

pytestmark = pytest.mark.parity

# Every form of the parts of a module, and of one that the Kbuild file does not list.
FORMS = ["main.i", "main.s", "main.o", "main.symtypes", "rotate.s", "rotate.o", "alone.o", "alone.i", "alone.s"]
FORMS += ["composite.o"]
STAMPED = dict([REPRODUCIBLE.split("=")])
CORPUS = [
    ("acpi-call-dkms", ".", ["acpi_call"]),
    ("bbswitch-dkms", ".", ["bbswitch"]),
    ("ddcci-dkms", "ddcci", ["ddcci"]),
    ("jool-dkms", "src/mod/common", ["address", "address_xlat", "rfc7915/core", "rfc7915/4to6", "db/eam", "xlator"]),
    ("nat-rtsp-dkms", ".", ["nf_nat_rtsp", "nf_conntrack_rtsp"]),
    ("rapiddisk-dkms", ".", ["rapiddisk", "rapiddisk-cache"]),
    ("v4l2loopback-dkms", ".", ["v4l2loopback"]),
    ("vpoll-dkms", ".", ["vpoll"]),
    (
        "xtables-addons-dkms",
        "extensions",
        ["xt_geoip", "xt_quota2", "compat_xtables", "pknock/xt_pknock", "ACCOUNT/xt_ACCOUNT"],
    ),
]
VARIABLES = {"xtables-addons-dkms": ("XA_ABSTOPSRCDIR=@", "XA_TOPSRCDIR=@")}
ALONE = "int alone(int value);\nint alone(int value)\n{\n\treturn value + (int)sizeof(__FILE__);\n}\n"


def made_by_make(kdir: Path, place: Path, targets: Sequence[str]) -> dict[str, bytes]:
    """The bytes of `targets`, made at `place` in one call."""
    found = what_make_makes(kdir, place, targets)
    assert list(found) == list(targets)
    return found


def what_make_makes(kdir: Path, place: Path, targets: Sequence[str], *variables: str) -> dict[str, bytes]:
    """The same of those among `targets` that make can make."""
    argv = ["make", "-C", str(kdir), f"M={place}", "-j2", "-k", REPRODUCIBLE, *variables, *targets]
    run(argv, check=False, timeout=1800, cwd=place, env={**os.environ, "PWD": str(place)})
    return {target: (place / target).read_bytes() for target in targets if (place / target).is_file()}


def made_by_us(
    kdir: Path, place: Path, targets: Sequence[str], out: Path, *variables: str, asked: Sequence[str] = ()
) -> dict[str, bytes]:
    """The same of kbuildpy, which is `asked` for these or others in one call; nothing may be written among the
    sources."""
    before = listing(place)
    done = kbuildpy("build", place, "-k", str(kdir), "-o", out, *(asked or targets), *variables, env=STAMPED)
    assert done.returncode == 0, done.text + done.error_text
    assert listing(place) == before
    [release] = [path for path in out.iterdir() if path.name != ".kbuildpy"]
    return {target: (release / target).read_bytes() for target in targets}


def assert_same_targets(kdir: Path, sources: Path, place: Path, targets: Sequence[str]) -> None:
    """make and kbuildpy make the same of `targets`."""
    copy_to(sources, place)
    oracle = made_by_make(kdir, place, targets)
    copy_to(sources, place)
    ours = made_by_us(kdir, place, targets, place.with_name("out"))
    assert not [target for target in targets if ours[target] != oracle[target]]


def copy_to(sources: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sources, place)


@pytest.fixture
def composite(tmp_path: Path) -> Path:
    """The sample of several sources, and a source that its Kbuild file does not list."""
    shutil.copytree(SAMPLES / "composite", tmp_path / "sources")
    (tmp_path / "sources/alone.c").write_text(ALONE)
    return tmp_path / "sources"


@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.release)
def test_every_form_of_a_source_is_the_same_bytes_as_makes(tree: KernelTree, composite: Path, tmp_path: Path) -> None:
    assert_same_targets(tree.objects, composite, tmp_path / "m", FORMS)


@pytest.mark.parametrize("tree", [trees()[0], *swept(*trees()[1:])], ids=lambda tree: tree.release)
def test_a_listing_is_the_same_bytes_as_makes(tree: KernelTree, composite: Path, tmp_path: Path) -> None:
    # (make leaves an object in the kernel tree)
    kdir = private_tree(tree, tmp_path / "tree")
    assert_same_targets(kdir, composite, tmp_path / "m", ["main.lst"])
    assert not (kdir / "messages.o").exists()
    out = tmp_path / "out" / tree.release
    before = (out / "main.lst").read_bytes()
    assert kbuildpy("build", tmp_path / "m", "-k", str(kdir), "-o", tmp_path / "out", "messages.lst").returncode == 0
    assert (out / "messages.lst").exists()
    assert not (kdir / "messages.o").exists()
    assert (out / "main.lst").read_bytes() == before


@pytest.mark.parametrize("release", newest_tree_first())
def test_a_module_and_a_subdirectory_are_the_same_bytes_as_makes(release: str, tmp_path: Path) -> None:
    tree, sources, place = tree_of_release(release), tmp_path / "sources", tmp_path / "m"
    kbuild = {"Kbuild": "obj-m := one.o sub/ other/\none-y := a.o b.o\n", "a.c": module(), "b.c": "int b;\n"}
    kbuild |= {"sub/Kbuild": "obj-m := two.o\n", "sub/two.c": module(), "other/Kbuild": "obj-m := three.o\n"}
    write_sources(kbuild | {"other/three.c": module()}, sources)
    copy_to(sources, place)
    argv = ["make", "-C", str(tree.objects), f"M={place}", "-j2", REPRODUCIBLE, "one.ko", "sub/"]
    run(argv, cwd=place, env={**os.environ, "PWD": str(place)})
    names = ["one.ko", "one.mod.c", "sub/two.o"]
    oracle = {name: (place / name).read_bytes() for name in names}
    assert not (place / "sub/two.ko").exists()
    copy_to(sources, place)
    made = made_by_us(tree.objects, place, names, tmp_path / "out", asked=["one.ko", "one.mod.c", "sub/"])
    assert not [name for name in names if made[name] != oracle[name]]
    assert not list((tmp_path / "out").rglob("two.ko"))


def test_a_header_that_a_rule_makes_is_there_for_every_form(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources(
        {
            "Kbuild": "obj-m := a.o\n$(obj)/a.o: $(obj)/table.h\n$(obj)/table.h:\n\techo 'int table;' > $@\n",
            "a.c": module('#include "table.h"\n'),
        },
        place,
    )
    kdir, out = usual_tree().objects, tmp_path / "out"
    assert b"int table;" in made_by_us(kdir, place, ["a.i"], out)["a.i"]
    copy_to(place, tmp_path / "again")
    oracle = made_by_make(kdir, place, ["a.o", "a.i"])
    assert made_by_us(kdir, tmp_path / "again", ["a.i"], out)["a.i"] != oracle["a.i"], "the path is in it"
    for path in place.glob("*a.[io]*"):
        path.unlink()
    (place / "table.h").unlink()
    assert made_by_us(kdir, place, ["a.i"], out)["a.i"] == oracle["a.i"]


def test_what_is_broken_elsewhere_is_in_the_way_of_no_target(tmp_path: Path) -> None:
    place = tmp_path / "m"
    sources = {"Kbuild": "obj-m := good.o bad.o missing.o\n", "good.c": module(), "bad.c": "#error bad\n"}
    write_sources(sources, place)
    kdir = usual_tree().objects
    assert made_by_us(kdir, place, ["good.o"], tmp_path / "out") == made_by_make(kdir, place, ["good.o"])
    done = kbuildpy("build", place, "-k", str(kdir), "bad.i", "good.i", "-K", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "#error bad" in done.error_text
    assert list((tmp_path / "out").rglob("good.i"))
    assert not list((tmp_path / "out").rglob("bad.i"))


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("checksm.i", "did you mean checksum.i?"),
        ("rotate.i", "rotate.S is assembly"),
        ("sub/", "does not descend into sub/"),
        ("compsite.ko", "did you mean composite?"),
        ("../x.o", "a path below the module directory"),
    ],
)
def test_an_unknown_target_is_a_wrong_call(word: str, hint: str, tmp_path: Path) -> None:
    place = tmp_path / "m"
    copy_to(SAMPLES / "composite", place)
    done = kbuildpy("build", place, "-k", str(usual_tree().objects), word)
    assert done.returncode == 2
    assert hint in done.error_text
    assert not [path for path in (place / "build").rglob("*.[io]*") if ".kbuildpy" not in path.parts]


def test_a_target_is_made_again_when_what_it_reads_changed(tmp_path: Path) -> None:
    project = SConsProject(tmp_path / "project", usual_tree().objects, PAIR)
    assert project.scons("drv/user.i").did == ["CPP [M] user.i"]
    assert project.scons("drv/user.i").did == []
    project.edit("drv/pair.h", "PAIR 1", "PAIR 2")
    assert project.scons("drv/user.i", "drv/pair_b.i").did == ["CPP [M] pair_b.i", "CPP [M] user.i"]
    project.scons("-c", "drv/user.i")
    assert [Path(name).name for name in project.outputs() if name.endswith(".i")] == ["pair_b.i"]


def test_scons_makes_the_same_bytes_as_make_of_words_and_paths(tmp_path: Path) -> None:
    hello = "env.Kbuild('drv')\nenv.KernelModule('hello', ['sub/hello.c'])\n"
    files = PAIR | {"SConstruct": HEAD + hello, "sub/hello.c": module(), "drv/alone.c": ALONE}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    out = f"build/{usual_tree().release}"
    did = project.scons("drv/user.i", "pair_a.s", f"{out}/drv/alone.o", "hello.i", "drv/pair.o").did
    assert did == [
        "CC      alone.o",
        "CC [M]  pair_a.o",
        "CC [M]  pair_a.s",
        "CC [M]  pair_b.o",
        "CPP [M] sub/hello.i",
        "CPP [M] user.i",
        "LD [M]  pair.o",
    ]
    names = ["user.i", "pair_a.s", "alone.o", "pair.o"]
    ours = {name: (project.place / out / "drv" / name).read_bytes() for name in names}
    assert ours == made_by_make(project.kdir, project.place / "drv", names)
    assert "did you mean user.i?" in project.scons("drv/usr.i", status=2).output
    assert "Do not know how to make" in project.scons("nothing.i", status=2).output


def test_a_build_of_targets_leaves_what_a_killed_build_left_for_the_next_one(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources({"Kbuild": "obj-m := a.o\n", "a.c": module()}, place)
    kernel = ["-k", str(usual_tree().objects)]
    assert kbuildpy("build", place, *kernel).returncode == 0
    out = place / "build" / usual_tree().release
    whole = (out / "a.ko").read_bytes()
    (out / ".kbuildpy/unfinished").touch()
    (out / "a.ko").write_bytes(b"half")
    assert kbuildpy("build", place, *kernel, "a.i").returncode == 0
    assert kbuildpy("build", place, *kernel).returncode == 0
    assert (out / "a.ko").read_bytes() == whole
    assert not (out / ".kbuildpy/unfinished").exists()


def test_targets_for_several_kernels_and_in_json(tmp_path: Path) -> None:
    place = tmp_path / "m"
    write_sources({"Kbuild": "obj-m := a.o\n", "a.c": module()}, place)
    done = kbuildpy("build", place, "a.i", "-k", "all", "--format", "json")
    assert done.returncode == 0
    found = [json.loads(line) for line in done.text.splitlines()]
    assert [item["kernel"] for item in found] == [tree.release for tree in trees()]
    assert all(item["made"] and item["built"] and Path(item["file"]).name == "a.i" for item in found)


def test_targets_in_a_copy_name_the_users_directory(tmp_path: Path) -> None:
    place = tmp_path / "m"
    own_rule = {"Kbuild": "obj-m := a.o\n$(obj)/a.o: $(obj)/t.h\n$(obj)/t.h:\n\techo 'int t;' > $@\n"}
    write_sources(own_rule | {"a.c": module('#include "t.h"\n')}, place)
    names = ["a.i", "a.s", "a.o"]
    kernel = ["-k", str(usual_tree().objects)]
    done = run([*REFUSING, sys.executable, "-m", "kbuildpy", "build", str(place), *kernel, *names], check=False)
    assert done.returncode == 0, done.error_text
    assert "no overlay over" in done.error_text
    out = place / "build" / usual_tree().release
    ours = {name: (out / name).read_bytes() for name in names}
    oracle = made_by_make(usual_tree().objects, place, names[::-1])
    assert not [name for name in names if ours[name] != oracle[name]]


def _corpus() -> list[Any]:
    """Twenty sources of packaged modules (or what make can build of them), on every line: directories and sources."""
    found = []
    for tree in (tree for tree in trees() if tree.version in ((6, 1), (6, 12))):
        found += [pytest.param(tree, *case, id=f"{tree.release}-{case[0]}-{case[1]}") for case in CORPUS]
    return found


@pytest.mark.sweep
@pytest.mark.parametrize("line", ["5.10", "7.3"])
def test_other_lines_make_the_same_bytes_as_make(line: str, composite: Path, tmp_path: Path) -> None:
    tree = early_tree() if line == "5.10" else newer_kernel()[0]
    other, out, place = other_compiler(tree), tmp_path / "out", tmp_path / "m"
    write_sources(
        {"sub/Kbuild": "obj-m := two.o\n", "sub/two.c": exporting("int two;\nEXPORT_SYMBOL(two);\n")}, composite
    )
    with (composite / "Kbuild").open("a") as file:
        file.write("obj-m += sub/\n")
    # (where make makes a listing it leaves an object: from 6.13 on over the one of the module)
    listings, unlisted = ["main.lst"], ["alone.o", "alone.i", "alone.s"]
    targets = ["main.i", "main.s", "rotate.s", "rotate.o", "sub/two.i", "composite.ko"]
    # (up to 5.19 Kbuild makes nothing that it does not list; 7.3 is built with another program for types)
    targets += ["sub/two.symtypes"] if line == "5.10" else unlisted
    objects = {path.name for path in tree.objects.glob("*.o")}
    copy_to(composite, place)
    oracle = what_make_makes(tree.objects, place, targets, *other)
    oracle |= what_make_makes(tree.objects, place, listings, *other)
    for path in tree.objects.glob("*.o"):
        if path.name not in objects:
            path.unlink()
    assert list(oracle) == [*targets, *listings]
    copy_to(composite, place)
    ours = made_by_us(tree.objects, place, list(oracle), out, *other, asked=[*oracle, "sub/"])
    assert not [target for target in oracle if ours[target] != oracle[target]]
    assert list(out.rglob("two.o"))


@pytest.mark.sweep
@pytest.mark.parametrize(("tree", "package", "below", "stems"), _corpus())
def test_targets_of_packaged_modules_are_the_same_bytes_as_makes(
    tree: KernelTree, package: str, below: str, stems: Sequence[str], tmp_path: Path
) -> None:
    sources = next((unpacked(package) / "usr/src").iterdir())
    kdir = private_tree(tree, tmp_path / "tree")
    targets = [f"{stem}.{ending}" for stem in stems for ending in ("i", "s", "o", "symtypes")]
    # (make leaves the object of a listing in the kernel tree, and finds no folder there for one of a subdirectory)
    targets += [f"{stem}.lst" for stem in stems if "/" not in stem]
    place = tmp_path / sources.name
    shutil.copytree(sources, place)
    variables = [word.replace("@", str(place)) for word in VARIABLES.get(package, ())]
    oracle = what_make_makes(kdir, place / below, targets, *variables)
    assert len(oracle) >= len(stems), "make made next to nothing of them"
    shutil.rmtree(place)
    shutil.copytree(sources, place)
    ours = made_by_us(kdir, place / below, list(oracle), tmp_path / "out", *variables)
    assert not [target for target in oracle if ours[target] != oracle[target]]
