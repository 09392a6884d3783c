# SPDX-License-Identifier: GPL-2.0-only
"""`env.RunModule()`: a report beside each module, made by the alias `run` and never by default."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.bad_modules import SOURCES
from tests.support.guest_kernels import boots_x86_64, tree_called
from tests.support.kernel_trees import trees, usual_tree
from tests.support.scons_project import HEAD, SConsProject

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]

SCONSTRUCT = f"""{HEAD}
kos = [env.KernelModule(name, [name + '.c']) for name in ('good', 'parameters')]
env.RunModule(kos, params={{'parameters': 'count=3'}}, dyndbg=True)
"""


def new_project(place: Path, sconstruct: str, *names: str) -> SConsProject:
    files = {f"{name}.c": SOURCES[name] for name in names}
    return SConsProject(place / "project", usual_tree().objects, {"SConstruct": sconstruct, **files})


def logs(project: SConsProject) -> list[str]:
    return sorted(path.name for path in project.place.rglob("*.log"))


def test_the_alias_runs_what_a_build_does_not_and_does_so_once(tmp_path: Path) -> None:
    project = new_project(tmp_path, SCONSTRUCT, "good", "parameters")
    assert not [line for line in project.build().did if "RUN" in line]
    assert project.scons("-n", "run").did == ["RUN     good.ko", "RUN     parameters.ko"]
    assert logs(project) == []
    assert project.scons("run").did == ["RUN     good.ko", "RUN     parameters.ko"]
    assert logs(project) == ["good.run.log", "parameters.run.log"]
    out = project.place / "build" / usual_tree().release
    report = (out / "good.run.log").read_text()
    assert ": loaded and removed\n" in report
    assert "\ngood: here I am\n" in report and "\ngood: in detail\n" in report and "\ngood: gone\n" in report
    assert "\nparameters: count 3 text <(null)>\n" in (out / "parameters.run.log").read_text()
    assert "`run' is up to date" in project.scons("run").output
    # Another parameter is another run.
    project.edit("SConstruct", "count=3", "count=4")
    assert project.scons("run").did == ["RUN     good.ko", "RUN     parameters.ko"]
    assert "count 4" in (out / "parameters.run.log").read_text()
    project.scons("-c", "run")
    assert logs(project) == []


@pytest.mark.sweep
def test_a_module_that_goes_wrong_fails_the_build_every_time(tmp_path: Path) -> None:
    sconstruct = f"{HEAD}env.RunModule(env.KernelModule('no_device'))\n"
    project = new_project(tmp_path, sconstruct, "no_device")
    for _ in range(2):
        failed = project.scons("run", status=2)
        assert "  RUN     no_device.ko\n" in failed.output
        assert "its init function returned ENODEV (No such device)" in failed.output
        assert "Traceback" not in failed.output
        assert logs(project) == ["no_device.run-failed.log"]
    project.edit("no_device.c", "return -ENODEV;", "return 0;")
    project.scons("run")
    assert logs(project) == ["no_device.run.log"]


ELSEWHERE = f"""{HEAD}
folder = env.Kbuild('folder')
declared = SConscript('below/SConscript', exports='env')
env.Append(CCFLAGS=['-DLATER'])
env.RunModule([*folder, *declared], kernels=['OTHER', 'OTHER'], params={{'parameters': 'count=3'}})
"""
BELOW = """Import('env')
ko = env.KernelModule('parameters', CPPPATH=['include'], KCFLAGS='-DDECLARED')
Return('ko')
"""


def test_modules_are_built_for_other_kernels_only_to_be_run_there(tmp_path: Path) -> None:
    other = max(trees(), key=lambda tree: tree.version)
    if other == usual_tree():
        pytest.skip("one kernel tree here")
    project = new_project(tmp_path, ELSEWHERE.replace("OTHER", other.release), "parameters")
    (project.place / "folder").mkdir()
    (project.place / "folder/Kbuild").write_text("obj-m := good.o\n")
    (project.place / "folder/good.c").write_text(SOURCES["good"])
    (project.place / "below/include").mkdir(parents=True)
    (project.place / "below/SConscript").write_text(BELOW)
    (project.place / "below/include/own.h").write_text("")
    (project.place / "parameters.c").rename(project.place / "below/parameters.c")
    project.edit("below/parameters.c", "#include <linux/module.h>", '#include "own.h"\n#include <linux/module.h>')
    project.build()
    assert [path for path in project.place.rglob("*.ko") if other.release in path.parts] == []
    assert {"RUN     good.ko", "RUN     parameters.ko"} <= {*project.scons("run").did}
    out = project.place / "build" / other.release
    assert f"good.ko ({other.release}): loaded and removed\n" in (out / "folder/good.run.log").read_text()
    assert "\nparameters: count 3 text <(null)>\n" in (out / "below/parameters.run.log").read_text()
    command = (out / "below/.parameters.o.cmd").read_text()
    assert "-DDECLARED" in command and "-DLATER" not in command
    assert logs(project) == ["good.run.log", "parameters.run.log"]
    assert "`run' is up to date" in project.scons("run").output
    # A module that is declared for that kernel, too, is built by default; what is only run goes with `-c`.
    project.scons("-c")
    assert not out.exists()
    with (project.place / "SConstruct").open("a") as file:
        file.write("env.Kbuild('folder', KERNELRELEASE='" + other.release + "')\n")
    project.build()
    assert [path.name for path in out.rglob("*.ko")] == ["good.ko"]
    project.edit("SConstruct", "[*folder, *declared]", "env.File('parameters.ko')")
    assert "parameters.ko was not declared with KernelModule() or Kbuild()" in project.scons("run", status=2).output


TESTED = f"""{HEAD}
made = env.Command('made.sh', 'made.in', Copy('$TARGET', '$SOURCE'))
env.RunModule(env.KernelModule('good'), tests=['tests/first.c', made], files=['tests/beside.txt'], test_timeout=30)
env.RunModule(env.KernelModule('parameters'))
"""
# (what they are like is shown by the report; each has a place that an edit changes)
TEST_FILES = {
    "tests/first.c": '#include <stdio.h>\n#include "first.h"\nint main(void) { return puts(FIRST) < 0; }\n',
    "tests/first.h": '#define FIRST "by its header"\n',
    "tests/beside.txt": "beside\n",
    "made.in": "#!/bin/sh\ncat beside.txt\nexit 0\n",
}


def test_tests_run_again_when_something_of_theirs_changed(tmp_path: Path) -> None:
    project = new_project(tmp_path, TESTED, "good", "parameters")
    for name, text in TEST_FILES.items():
        (project.place / name).parent.mkdir(exist_ok=True)
        (project.place / name).write_text(text)
    assert "RUN     good.ko" in project.scons("test").did
    out = project.place / "build" / usual_tree().release
    assert logs(project) == ["good.run.log"]
    report = (out / "good.run.log").read_text()
    assert f"tests/first.c ({usual_tree().release}): passed\n" in report and "made.sh" in report
    assert "`test' is up to date" in project.scons("test").output
    # (-n makes nothing, so it does not see that a test would be made anew)
    for name in [name for name in TEST_FILES if name != "made.in"]:
        (project.place / name).write_text(f"{TEST_FILES[name]}\n")
        assert "RUN     good.ko" in project.scons("-n", "test").did, name
        (project.place / name).write_text(TEST_FILES[name])
    assert "`test' is up to date" in project.scons("test").output
    project.edit("made.in", "exit 0", "exit 9")
    failed = project.scons("test", status=2).output
    assert "made.sh" in failed and "failed: exit status 9" in failed and "  > beside\n" in failed
    assert "1 of 2 tests failed" in failed and "Traceback" not in failed
    assert logs(project) == ["good.run-failed.log"]


@pytest.mark.sweep
def test_modules_of_two_kernels_run_each_in_its_own(tmp_path: Path) -> None:
    trees = [tree_called(line) for line in ("6.1", "6.12")]
    places = [str(tree.objects) for tree in trees]
    sconstruct = f"""{HEAD}
kos = [env.KernelModule('parameters', KDIR=kdir) for kdir in {places!r}]
env.RunModule(kos, params='count=3')
"""
    project = new_project(tmp_path, sconstruct, "parameters")
    assert project.scons("run").did.count("RUN     parameters.ko") == 2
    for tree in trees:
        report = (project.place / "build" / tree.release / "parameters.run.log").read_text()
        assert f"parameters.ko ({tree.release}): loaded and removed\n" in report
        assert "\nparameters: count 3 " in report
    assert "is up to date" in project.scons("run").output


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("env.RunModule([])", "no modules to run"),
        ("env.RunModule(kos, params='x=1')", "of which module"),
        ("env.RunModule(kos, tests=['nowhere.sh'])", "nowhere.sh"),
        ("env.RunModule(kos, test_timeout=0)", "test_timeout=0: seconds"),
        ("env.RunModule(kos, params={'other': 'x=1'})", "params of other, which is not among the modules"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(call: str, said: str, tmp_path: Path) -> None:
    kos = "kos = [env.KernelModule(name, [name + '.c']) for name in ('good', 'parameters')]"
    done = new_project(tmp_path, f"{HEAD}{kos}\n{call}\n", "good", "parameters").scons("run", status=2)
    assert said in done.output
    assert "Traceback" not in done.output


def test_an_interrupted_run_is_said_to_be_that_and_nothing_else(tmp_path: Path) -> None:
    project = new_project(tmp_path, SCONSTRUCT, "good", "parameters")
    project.build()
    process = project.start("run")
    while not any("qemu" in name for name in children(process.pid)):
        assert process.poll() is None
        time.sleep(0.05)
    # (QEMU has its handler by then)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Build interrupted." in said
    assert "memory" not in said and "did not start" not in said


def children(pid: int) -> list[str]:
    """The names of the programs that process `pid` runs, in any of its threads."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [Path(f"/proc/{child}/comm").read_text() for path in lists for child in path.read_text().split()]


def test_what_is_run_only_by_name_is_no_silent_success_of_an_alias(tmp_path: Path) -> None:
    sconstruct = f"{HEAD}env.Alias('ci', env.RunModule(env.KernelModule('good'), kernels=['--with lockdep']))\n"
    project = new_project(tmp_path, sconstruct, "good")
    project.build()
    failed = project.scons("ci", status=2).output
    assert "RunModule: kernels='--with lockdep' is built and run only if reports are asked for by name" in failed
    assert "Traceback" not in failed and "scons run" in failed
    assert not [line for line in project.scons("-n", "run").did if "RUN" in line]
