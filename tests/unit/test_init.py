# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy init`: what it understands of a directory, without a kernel tree. tests/parity/test_init.py asks Kbuild."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.run import run
from kbuildpy.scaffold.existing import Existing, Modules, read_existing
from kbuildpy.scaffold.init_files import init_changes, write_changes
from kbuildpy.scaffold.wrapper import kbuild_calls
from tests.support.command_line import Called, call

MODULE = "#include <linux/module.h>\nmodule_init(start);\n"


def init(*words: str | Path, cwd: Path) -> Called:
    return call("init", *words, cwd=cwd)


def write(place: Path, **files: str) -> Path:
    for name, text in files.items():
        path = place / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def ask_nobody(directory: Path, variables: Mapping[str, str]) -> Modules:
    raise AssertionError("there is no Kbuild file to ask about")


def understood(place: Path, asked: list[tuple[str, dict[str, str]]] | None = None, **variables: str) -> Existing:
    """What is found in `place`; each directory is answered to have a module of its own name."""

    def ask(directory: Path, given: Mapping[str, str]) -> Modules:
        if asked is not None:
            asked.append((directory.relative_to(place).as_posix(), dict(given)))
        return [(directory.name, (f"{directory.name}.c",))]

    return read_existing(place, ask, variables)


# --- Makefiles that call Kbuild.


@pytest.mark.parametrize(
    ("recipe", "below", "variables"),
    [
        ("$(MAKE) -C $(KDIR) M=$(PWD) modules", ".", {}),
        ("make -C /lib/modules/$(shell uname -r)/build M=$(shell pwd) modules", ".", {}),
        ("@+${MAKE} -C $(KDIR) M=`pwd` modules", ".", {}),
        ("make -C $(KDIR) M=$$PWD/src modules", "src", {}),
        ('$(MAKE) -C "$(KDIR)" SUBDIRS="$(CURDIR)/src" modules', "src", {}),
        ("$(MAKE) -C $(KDIR) \\\n\t\tM=$(CURDIR)/src \\\n\t\tmodules", "src", {}),
        ("cd src && $(MAKE) -C $(KDIR) M=$(CURDIR)/src A=1 modules", "src", {"A": "1"}),
        ("$(MAKE) -C $(KDIR) M=$(CURDIR) ARCH=x86 V=1 TOP=$(top) modules", ".", {"TOP": "the top"}),
        ("$(MAKE) --directory=$(KDIR) KBUILD_EXTMOD=$(CURDIR) INSTALL_MOD_PATH=/x", ".", {}),
        ("$(MAKE) -C $(KDIR) M=$(CURDIR) 'EXTRA=a b' modules", ".", {"EXTRA": "a b"}),
    ],
)
def test_a_call_of_kbuild_is_read(recipe: str, below: str, variables: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, Makefile=f"KDIR = /nowhere\ntop = the top\nall:\n\t{recipe}\n", src__Kbuild="obj-m += src.o\n")
    (call,) = kbuild_calls(tmp_path / "Makefile")
    assert call.directory == (tmp_path / below).resolve()
    assert dict(call.variables) == variables
    assert call.line == 4


@pytest.mark.parametrize(
    "recipe",
    [
        "$(MAKE) -C $(KDIR) M=$(PWD) clean",
        "$(MAKE) -C $(KDIR) M=$(PWD) modules_install",
        "$(MAKE) -C sub",
        "$(CC) -o tool tool.c",
        "echo make M=x",
    ],
)
def test_what_does_not_build_modules_is_no_call(recipe: str, tmp_path: Path) -> None:
    write(tmp_path, Makefile=f"KDIR = /nowhere\nall:\n\t{recipe}\n")
    assert kbuild_calls(tmp_path / "Makefile") == []


def test_reading_a_makefile_runs_no_recipe(tmp_path: Path) -> None:
    write(tmp_path, Makefile="all:\n\ttouch made; $(MAKE) -C /nowhere M=$(CURDIR) modules\nkbuildpy-nothing: all\n")
    kbuild_calls(tmp_path / "Makefile")
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


# --- What is in a directory.


def test_the_calls_of_a_makefile_are_builds_with_their_variables(tmp_path: Path) -> None:
    makefile = (
        "all:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)/one modules\n"
        "\t$(MAKE) -C $(KDIR) M=$(CURDIR)/two KBUILD_EXTRA_SYMBOLS=$(CURDIR)/one/Module.symvers modules\n"
        "debug:\n\t$(MAKE) -C $(KDIR) M=$(CURDIR)/one D=1 modules\n"
    )
    write(tmp_path, Makefile=makefile, one__Kbuild="obj-m += one.o\n", two__Kbuild="obj-m += two.o\n")
    asked: list[tuple[str, dict[str, str]]] = []
    found = understood(tmp_path, asked)
    symvers = {"KBUILD_EXTRA_SYMBOLS": f"{tmp_path}/one/Module.symvers"}
    assert asked == [("one", {}), ("two", symvers)]
    assert [(build.below, dict(build.variables)) for build in found.builds] == [("one", {}), ("two", symvers)]
    assert found.remarks == ("Makefile:5 calls Kbuild for one again, with D=1: ignored",)
    write_changes(tmp_path, init_changes(found))
    text = (tmp_path / "SConstruct").read_text()
    assert 'modules += env.Kbuild("one")\n' in text
    assert """modules += env.Kbuild("two", KBUILD_EXTRA_SYMBOLS=here + '/one/Module.symvers')\n""" in text


def test_a_plain_kbuild_file_is_the_build(tmp_path: Path) -> None:
    write(tmp_path, Kbuild="obj-m += x.o\n", **{"x.c": 'MODULE_VERSION("1.2");\nMODULE_LICENSE("GPL");\n'})
    found = understood(tmp_path, W="1")
    assert [(build.below, dict(build.variables)) for build in found.builds] == [(".", {"W": "1"})]


def test_folders_are_looked_into_and_put_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__Kbuild="obj-m += a.o\n",
        z__deep__Kbuild="obj-m += deep.o\n",
        build__Kbuild="obj-m += not_me.o\n",
        **{
            "a/a.c": "int one(void); int two(void) { return one(); }\n",
            "z/deep/deep.c": "int one(void) { return 1; }\nEXPORT_SYMBOL_GPL(one);\n",
        },
    )
    found = understood(tmp_path)
    symvers = {"KBUILD_EXTRA_SYMBOLS": f"{tmp_path}/z/deep/Module.symvers"}
    assert [(build.below, dict(build.variables)) for build in found.builds] == [("z/deep", {}), ("a", symvers)]


def test_folders_that_use_each_other_do_not_wait_for_each_other(tmp_path: Path) -> None:
    sources = {
        f"{one}/{one}.c": f"int {other}(void);\nint {one}(void) {{ return {other}(); }}\nEXPORT_SYMBOL({one});\n"
        for one, other in (("a", "b"), ("b", "a"))
    }
    write(tmp_path, a__Kbuild="obj-m += a.o\n", b__Kbuild="obj-m += b.o\n", **sources)
    assert [bool(build.variables) for build in understood(tmp_path).builds] == [False, True]


def test_a_source_is_a_module(tmp_path: Path) -> None:
    write(tmp_path, **{"drv.c": f'// SPDX-License-Identifier: MIT\n{MODULE}MODULE_VERSION("3");\n'})
    found = read_existing(tmp_path, ask_nobody, {})
    assert [(one.name, one.sources) for one in found.builds[0].modules] == [("drv", ("drv.c",))]
    assert (found.name, found.version, found.license) == ("drv", "3", "MIT")
    write_changes(tmp_path, init_changes(found))
    assert "obj-m += drv.o\n" in (tmp_path / "Kbuild").read_text()
    assert "PACKAGE_VERSION=3\n" in (tmp_path / "dkms.conf").read_text()


def test_sources_of_which_one_is_a_modules_main_one_are_a_module(tmp_path: Path) -> None:
    project = write(
        tmp_path / "my-drv", **{"main.c": MODULE, "part.c": "int x;\n", "asm.S": "nop\n", "x.mod.c": MODULE}
    )
    found = read_existing(project, ask_nobody, {})
    assert [(one.name, one.sources) for one in found.builds[0].modules] == [("my_drv", ("main.c", "asm.S", "part.c"))]
    write_changes(project, init_changes(found))
    assert "my_drv-y := main.o asm.o part.o\n" in (project / "Kbuild").read_text()


def test_a_module_of_several_sources_gets_a_name_that_none_of_them_has(tmp_path: Path) -> None:
    project = write(tmp_path / "drv", **{"drv.c": MODULE, "part.c": "int x;\n"})
    assert read_existing(project, ask_nobody, {}).builds[0].modules[0].name == "drv_module"


def test_sources_of_no_module_are_named(tmp_path: Path) -> None:
    write(tmp_path, **{"one.c": MODULE, "two.c": MODULE, "rest.c": "int x;\n", "old.c": f"/* {MODULE} */\n"})
    found = read_existing(tmp_path, ask_nobody, {})
    assert [one.name for one in found.builds[0].modules] == ["one", "two"]
    assert found.left_out == ("old.c", "rest.c")


def test_a_directory_without_modules_is_refused(tmp_path: Path) -> None:
    write(tmp_path, Makefile="all:\n\techo hello\n", **{"tool.c": "int main(void) { return 0; }\n"})
    with pytest.raises(UsageError, match="no Kbuild file that names modules, and no source of a module"):
        read_existing(tmp_path, ask_nobody, {})


# --- What is written.


def test_nothing_is_lost(tmp_path: Path) -> None:
    write(tmp_path, **{"drv.c": MODULE, "README.md": "# Mine", ".gitignore": "*.bak\n", "dkms.conf": "MINE=1\n"})
    done = init(cwd=tmp_path)
    assert done.returncode == 0, done.error_text
    assert (tmp_path / "README.md").read_text().startswith("# Mine\n\n## Building with kbuildpy\n")
    assert (tmp_path / ".gitignore").read_text() == "*.bak\n/build/\n/build-coverage/\n/coverage/\n.sconsign*\n"
    assert (tmp_path / "dkms.conf").read_text() == "MINE=1\n"
    assert "dkms.conf: left as it is" in done.text
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = init(cwd=tmp_path)
    assert again.returncode == 1 and "SConstruct: exists already" in again.error_text
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_kbuild_file_that_names_no_modules_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path, Kbuild="# to come\n", **{"drv.c": MODULE})
    with pytest.raises(KbuildError, match="exists already, but names no modules"):
        init_changes(read_existing(tmp_path, lambda *_: [], {}))
    assert (tmp_path / "Kbuild").read_text() == "# to come\n"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, **{"drv.c": MODULE})
    done = init("-n", cwd=tmp_path)
    assert done.returncode == 0 and "SConstruct: would be written" in done.text
    assert [path.name for path in tmp_path.iterdir()] == ["drv.c"]


def test_what_is_written_is_what_its_readers_take(tmp_path: Path) -> None:
    odd = {"A": 'it\'s "x" \\ $y', "PLACE": f"-I{tmp_path}/include"}
    write(tmp_path, Kbuild="obj-m += x.o\n", **{f"{tmp_path.name}.c": 'MODULE_VERSION("1 $(rm -rf x) \'2");\n'})
    write_changes(tmp_path, init_changes(understood(tmp_path, None, **odd)))
    code = (tmp_path / "SConstruct").read_text()
    calls: list[dict[str, str]] = []

    class Env:
        def Kbuild(self, directory: str, **variables: str) -> list[str]:
            calls.append({"directory": directory, **variables})
            return []

        InstallModules = RunModule = lambda *_: None

    class Directory:
        abspath = str(tmp_path)

        def srcnode(self) -> Directory:
            return self

    names = {"Environment": lambda **_: Env(), "DefaultEnvironment": lambda **_: None, "Dir": lambda _: Directory()}
    exec(compile(code, "SConstruct", "exec"), names)
    assert calls == [{"directory": ".", **odd}]
    version = run(["bash", "-c", '. ./dkms.conf; printf %s "$PACKAGE_VERSION"'], cwd=tmp_path).text
    assert version == "1 $(rm -rf x) '2"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nowhere"], "no such directory"),
        (["a", "b"], "one directory at a time"),
        (["file"], "not a directory"),
        (["-k", "1", "-k", "2"], "one kernel at a time, not 2"),
    ],
)
def test_a_wrong_call_is_refused(words: list[str], why: str, tmp_path: Path) -> None:
    write(tmp_path, file="")
    done = init(*words, cwd=tmp_path)
    assert done.returncode == 2 and why in done.error_text and "Traceback" not in done.error_text


def test_a_makefile_that_make_cannot_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, Makefile="all:\n\t$(MAKE) -C x M=y\nnonsense here\n")
    with pytest.raises(KbuildError, match=r"(?s)Makefile: make cannot read it: .*Makefile:3: .*missing separator"):
        understood(tmp_path)


def test_it_needs_no_scons(tmp_path: Path) -> None:
    write(tmp_path, **{"drv.c": MODULE})
    code = "import sys; from kbuildpy.cli import main; main(['init']); print(*sys.modules)"
    loaded = run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ}).text.split()
    assert not {"SCons", "cryptography"} & set(loaded)
