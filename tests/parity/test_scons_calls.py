# SPDX-License-Identifier: GPL-2.0-only
"""What an SConstruct says in SCons' own ways is what make builds from the Kbuild file that says the same."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.builds import REPRODUCIBLE, kbuildpy, make
from tests.support.kbuild_sources import module
from tests.support.kernel_trees import usual_tree
from tests.support.scons_project import HEAD, SConsProject

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


def test_sources_may_have_names_that_a_shell_would_quote(tmp_path: Path) -> None:
    project = SConsProject(
        tmp_path / "project",
        usual_tree().objects,
        {"SConstruct": f"{HEAD}env.KernelModule('named', ['é.c', 'a~b.c', 'c@d.c'])\n", "é.c": module()}
        | {"a~b.c": "int ab;\n", "c@d.c": "int cd;\n"},
    )
    oracle = made_by_make(project, "obj-m := named.o\nnamed-y := é.o a~b.o c@d.o\n")
    project.build()
    assert made_by_scons(project) == oracle


def test_modules_and_folders_may_be_called_like_files_that_the_build_keeps(tmp_path: Path) -> None:
    names = ["lock", "notes", "unfinished", "Kbuild", "declared"]
    declared = "".join(f"env.KernelModule('{name}', ['{name}.c'])\n" for name in names)
    project = SConsProject(
        tmp_path / "project",
        usual_tree().objects,
        {"SConstruct": f"{HEAD}{declared}SConscript('lock/SConscript', 'env')\n"}
        | {"lock/SConscript": "Import('env')\nenv.KernelModule('plan')\n", "lock/Kbuild": "obj-m := plan.o\n"}
        | {f"{name}.c": module() for name in (*names, "lock/plan")},
    )
    oracle = made_by_make(project, f"obj-m := {' '.join(f'{name}.o' for name in names)} lock/\n")
    project.build()
    assert made_by_scons(project) == oracle


def test_kbuild_takes_directories_and_kbuild_files_in_every_form(tmp_path: Path) -> None:
    files = {f"{name}/Makefile" if name == "e" else f"{name}/Kbuild": f"obj-m := {name}.o\n" for name in "abcde"}
    files |= {f"{name}/{name}.c": module() for name in "abcde"} | {"SConstruct": HEAD + DIRECTORIES}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    project.build()
    assert sorted(made_by_scons(project)) == [f"{name}.ko" for name in "abcde"]
    assert sorted(str(path.parent.name) for path in project.place.glob("build/*/*/*.ko")) == list("abcde")


# A compiler that writes down how it was called.
WRITING = """\
#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps([os.getcwd(), sys.argv[1:]]) + "\\n")
os.execvp("gcc", ["gcc", *sys.argv[1:]])
"""
FLAGS = """\
env = Environment(tools=["default", generate], CC={compiler!r}, CCFLAGS=["-DA=1"], LINKFLAGS=["--no-warn-mismatch"])
env.Append(CCFLAGS="-DB -DC", CFLAGS=["-DD"], CPPFLAGS="-DG=$WORD", WORD="word", ASFLAGS="-DASM")
env.Append(CPPDEFINES=[("E", '\\\\"e f\\\\"'), "F", ("N", 1)], CPPPATH=["inc", "#other"])
env = env.Clone()
env.AppendUnique(CPPDEFINES={{"CLONED": 3}})
more = dict(CCFLAGS="$CCFLAGS -DH", CPPDEFINES={{"I": "2"}}, CPPPATH="inc:other")
for call, given in (("one", {{}}), ("two", more)):
    env.Object(f"plain_{{call}}.o", f"{{call}}_a.c", **given)
    env.Object(f"plain_{{call}}_s.o", f"{{call}}_s.S", **given)
    env.KernelModule(call, [f"{{call}}_a.c", f"{{call}}_s.S"], **given)
"""


def calls_by_source(log: Path) -> dict[tuple[str, bool], list[str]]:
    """The words that the compiler was given for each source, with folders in full, and whether by Kbuild's command."""
    found = {}
    for line in log.read_text().splitlines():
        cwd, words = json.loads(line)
        if "-c" in words and words[-1].endswith(("_a.c", "_s.S")):
            in_full = [f"-I{Path(cwd, word[2:])}" if word.startswith("-I") else word for word in words]
            found[Path(words[-1]).name, "-D__KERNEL__" in words] = in_full
    return found


def test_flags_of_an_environment_reach_the_compiler_as_from_scons_own_builder(tmp_path: Path) -> None:
    place, log, compiler = tmp_path / "project", tmp_path / "log", tmp_path / "compiler"
    compiler.write_text(WRITING.format(python=sys.executable, log=str(log)))
    compiler.chmod(0o755)
    files = {f"{name}_a.c": module() for name in ("one", "two")} | {f"{name}_s.S": "\n" for name in ("one", "two")}
    sconstruct = HEAD + FLAGS.format(compiler=str(compiler))
    project = SConsProject(place, usual_tree().objects, files | {"SConstruct": sconstruct, "inc/x": "", "other/x": ""})
    built = project.build("V=1", f"build/{usual_tree().release}", ".")
    given = calls_by_source(log)
    for source in files:
        scons = [word for word in given[source, False] if word[:2] in ("-D", "-I")]
        assert len(scons) >= 5
        ours = [word for word in given[source, True] if word.startswith("-D") or word in scons]
        where = ours.index(scons[0])
        assert ours[where : where + len(scons)] == scons
    assert [line for line in built.output.splitlines() if "ld" in line and " --no-warn-mismatch " in line]


SUBJECTS = {
    "there/Kbuild": "obj-m := there.o\nthere-y := ticker.o gone.o\n",
    "there/ticker.c": module(),
    "ticker.c": module(),
    "clock.crt": "",
}
MISTAKES = {
    "env.KernelModule('clock', ['tiker.c'])": "SConstruct:6: KernelModule: clock: there is no source tiker.c\n"
    "  did you mean ticker.c?",
    "env.KernelModule('a/b')": "SConstruct:6: KernelModule: 'a/b' is not the name of a module",
    "env.Kbuild('their')": "their: no such directory\n  did you mean there?",
    "env.SConscript('sub/SConscript', 'env')": "sub/SConscript:4: KernelModule: gone: there is no source sub/gone.c\n",
    "env.KernelModule('ticker', C=1, LDFLAGS_MODULE='x')\nenv.CheckModule('x.ko', cert='clok.crt')": (
        "SConstruct:7: CheckModule: cert='clok.crt': there is no such file\n  did you mean clock.crt?"
    ),
}
SUBDIRECTORY = {
    "sub/SConscript": "Import('env')\nmodule = 'gone'\n\nenv.KernelModule(\n    module,\n    [f'{module}.c'],\n)\n"
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_names_the_place_in_the_sconstruct_and_what_may_be_meant(mistake: str, tmp_path: Path) -> None:
    files = SUBJECTS | SUBDIRECTORY | {"SConstruct": f"{HEAD}\n{mistake}\n"}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    said = project.scons("-n", status=2).output
    assert MISTAKES[mistake] in said
    assert "Kbuild file" not in said


def test_a_source_that_a_kbuild_file_misspells_is_told_with_the_one_that_is_there(tmp_path: Path) -> None:
    files = SUBJECTS | {"SConstruct": f"{HEAD}env.Kbuild('there')\n", "there/gonne.c": ""}
    project = SConsProject(tmp_path / "project", usual_tree().objects, files)
    said = project.scons("-n", status=2).output
    assert "SConstruct:5: " in said
    assert "gone.c missing, or misspelled in the Kbuild file? did you mean gonne.c?" in said


NAMED_LIKE_OTHERS = """\
env.KernelModule("hello", ["hello.c"])
env.Program("hello", "main.c")
env.KernelModule("drv", ["drv/drv.c"])
env.Command("drv/made.txt", [], "echo made > $TARGET")
env.KernelModule("third", ["third.c"])
env.Alias("third", env.Command("other.txt", [], "echo other > $TARGET"))
"""


def test_a_word_of_the_command_line_is_a_module_only_where_nothing_else_has_the_name(tmp_path: Path) -> None:
    files = {"SConstruct": HEAD + NAMED_LIKE_OTHERS, "main.c": "int main(void) { return 0; }\n"}
    files |= {name: module() for name in ("hello.c", "drv/drv.c", "third.c")}
    project = SConsProject(tmp_path, usual_tree().objects, files)
    out = tmp_path / "build" / usual_tree().release
    project.scons("hello", "third")
    assert (tmp_path / "hello").is_file() and (tmp_path / "other.txt").is_file()
    assert not list(out.glob("*.ko"))
    project.scons("hello.ko", "drv")
    assert sorted(path.name for path in out.glob("*.ko")) == ["drv.ko", "hello.ko"]
    assert (tmp_path / "drv/made.txt").is_file()


SEARCHED = """\
env.Alias("include", env.Install("stage/include", Glob("include/*.h")))
env["INCS"], env["NOTHING"] = ["a", "b"], ""
PATHS = [["include"], ["drv"], "$INCS", ["$INCS"], ["$NOTHING", "a"], "", "include:", [Dir("a"), "#b"], None]
for number, path in enumerate(PATHS):
    env.Object(f"plain{number}.o", f"s{number}_a.c", CPPPATH=path)
    env.KernelModule(f"s{number}", [f"s{number}_a.c"], CPPPATH=path)
env.KernelModule("drv", Glob("drv/*.c"), CPPPATH=["drv"], CCFLAGS=["-include", File("forced.h")])
"""


def test_cpppath_is_searched_as_scons_searches_it(tmp_path: Path) -> None:
    log, compiler, place = tmp_path / "log", tmp_path / "compiler", tmp_path / "project"
    compiler.write_text(WRITING.format(python=sys.executable, log=str(log)))
    compiler.chmod(0o755)
    files = {
        "SConstruct": f"{HEAD}env.Replace(CC={str(compiler)!r})\n{SEARCHED}",
        "drv/drv.c": module("int *drv(void);\nint *drv(void) { return &forced; }\n"),
        "forced.h": "static int forced;\n",
        "include/one.h": "",
        **{f"s{number}_a.c": module() for number in range(9)},
        **{f"{name}/.keep": "" for name in "ab"},
    }
    project = SConsProject(place, usual_tree().objects, files)
    project.scons("drv", *(f"s{number}" for number in range(9)), *(f"plain{number}.o" for number in range(9)))
    assert (place / "build" / usual_tree().release / "drv.ko").is_file()
    calls = calls_by_source(log)
    for number in range(9):
        ours, plain = (calls[f"s{number}_a.c", kbuild] for kbuild in (True, False))
        own = [word for word in ours if word.startswith(f"-I{place}")]
        assert own == [word for word in plain if word.startswith("-I")], number


VALUES = """\
more = dict(KCFLAGS=["-DAAA", "-DBBB"], LD=None, TOP=Dir("#").abspath, KDIR="$TOP/tree")
env = Environment(tools=["default", generate], **more)
env.KernelModule("one", CHECK=0, KBUILD_OUT="elsewhere")
env.KernelModule("one", CHECK=0, KBUILD_OUT="elsewhere")
SConscript("sub/SConscript", exports="env")
"""
SUB = """\
Import("env")
ko = env.KernelModule("two", ["two.c"])
key = env.Command("gen.pem", "key.pem", Copy("$TARGET", "$SOURCE"))
env.InstallModules(None, env.SignModule(ko, key=key, cert=[File("key.crt")]))
"""


def test_values_of_every_kind_reach_kbuild_and_places_are_where_they_are_named(tmp_path: Path) -> None:
    files = {"SConstruct": HEAD + VALUES, "one.c": module(), "sub/SConscript": SUB, "sub/two.c": module()}
    project = SConsProject(tmp_path, usual_tree().objects, files)
    (tmp_path / "tree").symlink_to(usual_tree().objects)
    kbuildpy("keygen", tmp_path / "sub/key.pem", "-a", "p-256", "-q")
    words = ["V=1", "KDIR=tree", "INSTALL_MOD_PATH=stage"]
    printed = project.scons(*words, ".", "install").output
    assert "-DAAA -DBBB" in printed
    assert "LOADCHK one.ko" not in printed and "LOADCHK sub/two.ko" in printed
    release = usual_tree().release
    assert (tmp_path / "elsewhere" / release / "one.ko").is_file()
    [installed] = (tmp_path / "stage/lib/modules" / release).rglob("two.ko")
    assert b"~Module signature appended~" in installed.read_bytes()
    again = project.scons(*words, ".", "install").output
    assert "SIGN" not in again and "INSTALL" not in again
