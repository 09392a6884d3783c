"""What an SConstruct says in SCons' own ways is what make builds from the Kbuild file that says the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.parity.both import REPRODUCIBLE, make
from tests.parity.languages import module
from tests.parity.scons_project import HEAD, SConsProject, usual_tree

pytestmark = pytest.mark.parity

KBUILD = (
    "obj-m := one.o two.o three.o four.o five.o six.o seven.o eight.o nine.o\n"
    "five-y := five_a.o five_b.o\nseven-y := seven_a.o seven_b.o\n"
)
CALLS = """\
import pathlib
NAMES = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
env['NINE'] = 'nine'
kos = [
    env.KernelModule('one.c'),
    env.KernelModule(['two.c']),
    env.KernelModule(target='three', source=['three.c']),
    env.KernelModule(source='four.c'),
    env.KernelModule('five.ko', Glob('five_*.c')),
    env.KernelModule(env.File('six'), env.File('six.c')),
    env.KernelModule(['seven'], [['seven_a.c'], env.File('seven_b.c')]),
    env.KernelModule(pathlib.Path('eight.c')),
    env.KernelModule('$NINE', '${NINE}.c'),
]
assert [ko[0].name for ko in kos] == [f'{name}.ko' for name in NAMES]
"""
DIRECTORIES = """\
import pathlib
env.Kbuild(['a', env.Dir('b')])
env.Kbuild(source='c/Kbuild')
env.Kbuild(pathlib.Path('d'))
env.Kbuild(env.File('e/Makefile'))
"""


def made_by_make(project: SConsProject, kbuild: str, *variables: str) -> dict[str, bytes]:
    """The modules that make builds of the project's sources, at the same path, with `kbuild` as the Kbuild file."""
    aside = project.place.with_name("aside")
    shutil.copytree(project.place, aside)
    (project.place / "Kbuild").write_text(kbuild)
    done = make(usual_tree(), project.place, [*variables, REPRODUCIBLE])
    assert done.returncode == 0, done.error_text
    found = {path.name: path.read_bytes() for path in project.place.rglob("*.ko")}
    shutil.rmtree(project.place)
    aside.rename(project.place)
    return found


def made_by_scons(project: SConsProject) -> dict[str, bytes]:
    """The modules that are in the output."""
    return {Path(name).name: content for name, content in project.outputs().items() if name.endswith(".ko")}


def test_scons_calling_conventions_declare_what_the_kbuild_file_says(tmp_path: Path) -> None:
    names = ("one", "two", "three", "four", "five_a", "six", "seven_a", "eight", "nine")
    files = {f"{name}.c": module() for name in names} | {
        f"{name}_b.c": f"int {name}_b;\n" for name in ("five", "seven")
    }
    project = SConsProject(tmp_path / "project", usual_tree().objects, files | {"SConstruct": HEAD + CALLS})
    oracle = made_by_make(project, KBUILD)
    project.build()
    assert made_by_scons(project) == oracle


def test_kbuild_takes_directories_and_kbuild_files_in_every_form(tmp_path: Path) -> None:
    files = {f"{name}/Makefile" if name == "e" else f"{name}/Kbuild": f"obj-m := {name}.o\n" for name in "abcde"}
    files |= {f"{name}/{name}.c": module() for name in "abcde"} | {"SConstruct": HEAD + DIRECTORIES}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    assert sorted(made_by_scons(project)) == [f"{name}.ko" for name in "abcde"]
    assert sorted(str(path.parent.name) for path in project.place.glob("build/*/*/*.ko")) == list("abcde")
