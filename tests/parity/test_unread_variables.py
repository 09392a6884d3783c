# SPDX-License-Identifier: GPL-2.0-only
"""A variable that nothing reads is told, with what may have been meant; one that something reads is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.kbuild_sources import module, write_sources
from tests.support.kernel_trees import usual_tree
from tests.support.scons_project import HEAD, new_project

pytestmark = pytest.mark.parity

KBUILD = (
    "obj-m := good.o\nobj-$(CONFIG_OTHER) += other.o\nifdef HDAPS\nccflags-y += -DHDAPS\nendif\n"
    "ccflags-y += $(shell sh $(src)/conf.sh)\ninclude $(src)/more.mk\n"
)
SOURCES = {
    "Kbuild": KBUILD,
    "good.c": module(),
    "other.c": module(),
    "conf.sh": 'echo "-DCONF=${BY_SCRIPT:-0}"\n',
    "more.mk": "ccflags-y += $(BY_INCLUDED)\n",
}
READ = ["HDAPS=1", "BY_SCRIPT=1", "BY_INCLUDED=", "CONFIG_OTHER=m", "W=1", "KBUILD_VERBOSE=1", "CFLAGS_good.o=-DX"]


def warnings(output: str) -> list[str]:
    return [line.removeprefix("kbuildpy: warning: ") for line in output.splitlines() if "warning: " in line]


def test_the_command_line_warns_of_what_no_makefile_and_no_script_reads(tmp_path: Path) -> None:
    write_sources(SOURCES, tmp_path / "module")
    wrong = ["WW=1", "HDASP=1", "CONFIG_OTER=m", "M=there", "NOTHING_LIKE_IT=1"]
    done = kbuildpy("build", tmp_path / "module", "-n", "-k", usual_tree().objects, *READ, *wrong)
    assert done.returncode == 0, done.error_text
    assert sorted(warnings(done.error_text)) == [
        "CONFIG_OTER=m: nothing reads this variable; did you mean CONFIG_OTHER?",
        "HDASP=1: nothing reads this variable; did you mean HDAPS?",
        "M=there has no effect: directories are named in the call",
        "NOTHING_LIKE_IT=1: nothing reads this variable",
        "WW=1: nothing reads this variable; did you mean W?",
    ]


def test_scons_warns_of_keywords_and_of_what_no_declaration_has_read(tmp_path: Path) -> None:
    files = {f"drv/{name}": text for name, text in SOURCES.items()} | {
        "SConstruct": (
            f"{HEAD}ARGUMENTS.get('PREFIX')\nenv.Kbuild('drv', HDAPS=1)\n"
            "ko = env.KernelModule('alone', ['alone.c'], CFLAG=['-DX'], W=1)\n"
            "env.InstallModules('#root', ko, INSTALL_MOD_STRP=1, INSTALL_MOD_DIR='x')\n"
        ),
        "alone.c": module(),
    }
    project = new_project(tmp_path, files)
    words = ["-n", "PREFIX=/usr", "KDIRR=there", "CONFIG_OTHER=m", "CONFIG_OTER=m", "KBUILD_EXTRA_SYMBOL=x"]
    assert warnings(project.scons(*words).output) == [
        "SConstruct:7: CFLAG=['-DX']: nothing reads this variable; did you mean CFLAGS?",
        "SConstruct:8: INSTALL_MOD_STRP=1: nothing reads this variable; did you mean INSTALL_MOD_STRIP?",
        "CONFIG_OTER=m: nothing reads this variable",
        "KBUILD_EXTRA_SYMBOL=x: nothing reads this variable; did you mean KBUILD_EXTRA_SYMBOLS?",
        "KDIRR=there: nothing reads this variable; did you mean KDIR?",
    ]


SCRIPTS = {
    "SConstruct": f"{HEAD}ARGUMENTS.get('CONFIG_MINE'), ARGUMENTS.get('O')\n"
    "Variables(None, ARGUMENTS).Add('BY_VARIABLES', '', '')\n"
    "SConscript(['deep/lib.sconscript', '../beside/SConscript'], exports='env')\nenv.Kbuild('drv', BY_SCRIPT=1)\n",
    "deep/lib.sconscript": "ARGUMENTS.get('BY_SCONSCRIPT')\n",
    "../beside/SConscript": "ARGUMENTS.get('BY_NEIGHBOUR')\n",
    "drv/Kbuild": "obj-m := good.o\nccflags-y += $(shell sh $(src)/gen)\n",
    "drv/gen": 'echo "-DCONF=${BY_SCRIPT:-0}"\n',
    "drv/good.c": module(),
}


def test_what_a_script_or_a_makefile_reads_anywhere_is_no_reason_to_warn(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", SCRIPTS)
    (project.place / ".#gone.py").symlink_to("nobody@host.1")
    (project.place / "gone.py").symlink_to("nowhere")
    os.mkfifo(project.place / "pipe.py")
    os.mkfifo(project.place / "drv/pipe.sh")
    read = ["CONFIG_MINE=y", "O=x", "BY_VARIABLES=1", "BY_SCONSCRIPT=1", "BY_NEIGHBOUR=1", "EXTRA_CFLAGS=-DX"]
    assert warnings(project.scons("-n", *read, "EXTRA_LDFLAGS=-s", "NOBODYS=1", "M=x").output) == [
        "M=x has no effect: directories are named in the call",
        "NOBODYS=1: nothing reads this variable",
    ]
    for number in range(5100):
        (project.place / f"{number}.txt").touch()
    assert warnings(project.scons("-n", "NOBODYS=1").output) == []
