# SPDX-License-Identifier: GPL-2.0-only
"""`./run` sets up what is missing, once, and says so when it cannot.

Each test gets a project of its own with the real script. Programs such as apt-get and pip are stand-ins, on a PATH
that has nothing but what the script itself calls; the virtual environments are real ones.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kbuildpy.program_packages import PACKAGES

RUN = Path(__file__).parents[2] / "run"
CALLED_BY_RUN = ("sh", "cat", "chmod", "flock", "ln", "mkdir", "readlink", "rm", "sha256sum")
# A build needs these, the tests those as well.
BUILD_PROGRAMS = ("gcc", "make")
TEST_PROGRAMS = tuple(dict.fromkeys(re.findall(r"^ +program (\S+) \S+$", RUN.read_text(), re.MULTILINE)))

# python3 whose virtual environments get a pip that only waits while the project has a file called `wait`, and of SCons
# the place for tools: installing the real ones would take most of the time of these tests.
PYTHON3 = """
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
{python} -m venv --without-pip "$3"
pip=$(echo "$3"/lib/python3*/site-packages)/pip
mkdir "$pip" "$pip/../SCons" "$pip/../SCons/Tool"
: >"$pip/__init__.py"
echo 'import os, time' >"$pip/__main__.py"
echo 'while os.path.exists("{root}/wait"): time.sleep(0.01)' >>"$pip/__main__.py"
"""


class Project:
    """A directory with `run` in it, and the directory of programs that it finds."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "project"
        self.programs = directory / "programs"
        self.root.mkdir()
        self.programs.mkdir()
        shutil.copy(RUN, self.root / "run")
        for requirements in ("requirements.txt", "requirements-dev.txt"):
            (self.root / requirements).touch()
        for name in CALLED_BY_RUN:
            self.provide(name, shutil.which(name) or name)
        self.script("python3", PYTHON3.format(python=Path(sys.base_exec_prefix) / "bin/python3", root=self.root))

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def provide(self, name: str, program: str = "/bin/true") -> None:
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).symlink_to(program)

    def script(self, name: str, text: str) -> None:
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / name).chmod(0o755)

    def start(self, *args: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name not in ("KDIR", "VIRTUAL_ENV")}
        return subprocess.Popen(
            [self.root / "run", *args],
            cwd=cwd or self.root,
            env={**environment, "PATH": str(self.programs), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, cwd=cwd, **variables)
        stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project where nothing is set up."""
    return Project(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose environment is set up."""
    project = Project(tmp_path_factory.mktemp("prepared"))
    made = project.run("python", "-c", "")
    assert made.returncode == 0, made.stderr
    return project


def test_without_a_command_it_explains_itself(project: Project) -> None:
    assert project.run().returncode == 2
    assert "./run scons" in project.run().stderr
    explained = project.run("--help")
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "./run test" in explained.stdout
    assert not project.venv.exists()


def test_without_root_it_names_the_missing_packages(project: Project) -> None:
    project.script("id", "echo 1000")
    project.script("apt-get", "echo apt-get was called; exit 100")
    refused = project.run("scons", KDIR="/nowhere")
    assert refused.returncode == 2
    assert "missing: gcc, make\n" in refused.stderr
    assert "apt-get install --no-install-recommends gcc make\n" in refused.stderr
    assert "apt-get was called" not in refused.stdout + refused.stderr


def test_without_apt_it_names_the_missing_programs(project: Project) -> None:
    project.provide("gcc")
    refused = project.run("scons", KDIR="/nowhere")
    assert refused.returncode == 2
    assert "missing: make\n" in refused.stderr


SYSTEMS = {
    "fedora": 'NAME="Fedora Linux"\nID=fedora\n',
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "arch": "ID=arch\n",
    "manjaro": "ID=manjaro\nID_LIKE=arch\n",
    "opensuse": 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n',
    "alpine": "NAME='Alpine Linux'\nID=alpine\n",
}


@pytest.mark.parametrize(
    ("system", "installs"),
    [
        ("fedora", "dnf install gcc make kernel-devel"),
        ("rocky", "dnf install gcc make kernel-devel"),
        ("arch", "pacman -S gcc make linux-headers"),
        ("manjaro", "pacman -S gcc make linux-headers"),
        ("opensuse", "zypper install gcc make kernel-default-devel"),
        ("alpine", "apk add gcc make linux-lts-dev"),
    ],
)
def test_without_apt_it_names_the_packages_of_the_system(
    project: Project, tmp_path: Path, system: str, installs: str
) -> None:
    (tmp_path / "os-release").write_text(SYSTEMS[system])
    # (whatever kernel headers this machine has)
    script = (project.root / "run").read_text().replace("/lib/modules/*/build", "/nowhere/*/build")
    (project.root / "run").write_text(script)
    refused = project.run("scons", RUN_OS_RELEASE=str(tmp_path / "os-release"))
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[1:] == [f"run: install them as root: {installs}"], refused.stderr


@pytest.mark.parametrize(
    ("system", "names", "unknown"),
    [
        ("fedora", "dwarves qemu-system-x86 softhsm xz", "libc6-dev-arm64-cross"),
        ("arch", "pahole qemu-system-x86 softhsm xz", "binutils-arm-linux-gnueabi"),
        ("opensuse", "dwarves qemu-x86 softhsm xz", ""),
        ("alpine", "pahole qemu-system-x86_64 softhsm xz", "gcc-aarch64-linux-gnu"),
    ],
)
def test_for_the_tests_it_says_what_the_system_has_no_package_of(
    project: Project, tmp_path: Path, system: str, names: str, unknown: str
) -> None:
    (tmp_path / "os-release").write_text(SYSTEMS[system])
    # (whatever C libraries this machine has)
    script = (project.root / "run").read_text().replace("any /usr/aarch64-linux-gnu", "any /nowhere")
    (project.root / "run").write_text(script)
    refused = project.run("test", KDIR="/nowhere", RUN_OS_RELEASE=str(tmp_path / "os-release"))
    assert refused.returncode == 2
    [line] = [line for line in refused.stderr.splitlines() if "as root: " in line]
    words = line.partition("as root: ")[2].split()
    assert set(names.split()) <= set(words)
    assert len(words) == len({*words})
    others = [line for line in refused.stderr.splitlines() if "no package is known" in line]
    assert bool(others) is bool(unknown) and unknown in "".join(others)


@pytest.mark.parametrize(("system", "named"), [("fedora", "gcc-plugin-devel"), ("unheard-of", "gcc-12-plugin-dev")])
def test_headers_for_plugins_are_those_of_this_gcc(project: Project, tmp_path: Path, system: str, named: str) -> None:
    (tmp_path / "os-release").write_text(f"ID={system}\n")
    script = (project.root / "run").read_text().replace("any /usr/lib*/gcc", "any /nowhere")
    (project.root / "run").write_text(script)
    project.script("gcc", "[ $1 = -dumpversion ] && echo 12.2.0")
    refused = project.run("configurations", KDIR="/nowhere", RUN_OS_RELEASE=str(tmp_path / "os-release"))
    assert refused.returncode == 2
    assert named in refused.stderr.split()
    project.provide("gcc", "/nowhere")
    refused = project.run("configurations", KDIR="/nowhere", RUN_OS_RELEASE=str(tmp_path / "os-release"))
    assert refused.returncode == 2 and "plugin" not in refused.stderr


def test_on_an_unknown_system_it_names_debians_packages(project: Project, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=unheard-of\n")
    for place in (tmp_path / "os-release", tmp_path / "nowhere"):
        refused = project.run("scons", KDIR="/nowhere", RUN_OS_RELEASE=str(place))
        assert (refused.returncode, refused.stderr) == (
            2,
            "run: missing: gcc, make\nrun: on Debian these are the packages gcc make\n",
        )


def test_on_ubuntu_the_headers_are_ubuntus(project: Project, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('ID=ubuntu\nID_LIKE="debian"\n')
    script = (project.root / "run").read_text().replace("/lib/modules/*/build", "/nowhere/*/build")
    (project.root / "run").write_text(script)
    project.script("id", "echo 1000")
    project.script("apt-get", "exit 100")
    refused = project.run("scons", RUN_OS_RELEASE=str(tmp_path / "os-release"))
    assert refused.stderr.endswith("apt-get install --no-install-recommends gcc make linux-headers-generic\n")


def test_its_names_are_those_of_the_programs_table() -> None:
    text = RUN.read_text().split("NAMES='\n")[1].split("\n'")[0]
    rows = {debian: names for debian, *names in (line.split() for line in text.splitlines())}
    for debian, names in rows.items():
        assert ["" if name == "-" else name.replace(",", " ") for name in names] == list(PACKAGES[debian])
    named = set(re.findall(r"^ +(?:.*\|\| )?(?:program \S+|lacks) ([a-z][\w.+-]+)", RUN.read_text(), re.MULTILINE))
    assert len(named) > 25
    assert named | {"linux-headers", "gcc-plugin-dev"} == rows.keys()


def test_as_root_it_installs_what_is_missing_and_looks_again(project: Project) -> None:
    project.script("id", "echo 0")
    log = project.root / "apt.log"
    project.script("apt-get", f'echo "$*" >>{log}\n[ "$1" != install ] || ln -s /bin/true {project.programs}/make')
    project.provide("gcc")
    project.provide("scons")
    done = project.run("scons", KDIR="/nowhere")
    assert done.returncode == 0, done.stderr
    update, install = log.read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install -y ")
    assert install.endswith(" make")


def test_a_package_that_does_not_help_is_an_error_not_a_loop(project: Project) -> None:
    project.script("id", "echo 0")
    project.provide("apt-get")
    project.provide("gcc")
    failed = project.run("scons", KDIR="/nowhere")
    assert failed.returncode == 1
    assert "still missing: make" in failed.stderr


def test_runs_a_command_in_the_environment_and_returns_its_status(prepared: Project, tmp_path: Path) -> None:
    code = "import os, sys, kbuildpy; print(sys.prefix, os.getcwd(), kbuildpy.__file__); sys.exit(7)"
    package = prepared.root / "kbuildpy"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    done = prepared.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 7
    assert done.stdout.split() == [str(prepared.venv), str(tmp_path), str(package / "__init__.py")]


def test_costs_little_when_nothing_is_to_be_set_up(prepared: Project) -> None:
    prepared.provide("true")
    durations = []
    for _ in range(15):
        start = time.perf_counter()
        done = prepared.run("true")
        durations.append(time.perf_counter() - start)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert min(durations) < 0.05


def test_changed_requirements_are_installed_over_what_is_there(prepared: Project) -> None:
    kept = prepared.venv / "kept"
    kept.touch()
    (prepared.root / "requirements.txt").write_text("# changed\n")
    done = prepared.run("python", "-c", "")
    assert "run: installing what requirements.txt pins\n" in done.stderr
    assert kept.exists()
    assert prepared.run("python", "-c", "").stderr == ""


def test_an_environment_whose_python_is_gone_is_made_anew(project: Project) -> None:
    assert project.run("python", "-c", "").returncode == 0
    (project.venv / "bin/python").unlink()
    (project.venv / "bin/python").symlink_to("/nowhere/python3")
    done = project.run("python", "-c", "print('works')")
    assert "making .venv" in done.stderr
    assert done.stdout == "works\n"


def test_scons_has_the_tool_of_this_checkout_wherever_it_is_started(prepared: Project, tmp_path: Path) -> None:
    tool = prepared.root / "site_scons/site_tools/kbuild.py"
    tool.parent.mkdir(parents=True)
    tool.write_text("print('the tool of the checkout')\n")
    done = prepared.run("python", "-c", "import SCons.Tool.kbuild", cwd=tmp_path)
    assert done.stdout == "the tool of the checkout\n", done.stderr


@pytest.mark.parametrize("was_set_up", [False, True], ids=["the first", "a later one"])
def test_an_interrupted_set_up_is_begun_afresh(project: Project, was_set_up: bool) -> None:
    if was_set_up:
        assert project.run("python", "-c", "").returncode == 0
        (project.root / "requirements.txt").write_text("# changed\n")
    (project.root / "wait").touch()
    interrupted = project.start("python", "-c", "")
    assert interrupted.stderr
    while "installing" not in interrupted.stderr.readline():
        assert interrupted.poll() is None
    os.killpg(interrupted.pid, signal.SIGKILL)
    interrupted.communicate()
    (project.root / "wait").unlink()
    debris = project.venv / "debris"
    debris.touch()
    done = project.run("python", "-c", "print('works')")
    assert "making .venv" in done.stderr
    assert done.stdout == "works\n"
    assert not debris.exists()


def test_two_at_a_time_set_up_once(project: Project) -> None:
    (project.root / "wait").touch()
    pair = [project.start("python", "-c", "print('works')") for _ in range(2)]
    while not (project.venv / "unfinished").exists():
        assert [process.poll() for process in pair] == [None, None]
    (project.root / "wait").unlink()
    printed = [process.communicate(timeout=120) for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert [stdout for stdout, _ in printed] == ["works\n", "works\n"]
    assert sum(stderr.count("making .venv") for _, stderr in printed) == 1


# Everything takes a worker for each processor; what is asked for is run as it is asked for.
AT_A_TIME = "'-n', 'auto', '--dist', 'loadfile'"


@pytest.fixture
def with_stand_in_tools(prepared: Project) -> Project:
    """`prepared`, with a ruff, a mypy and a pytest that only print how they were called."""
    for name in (*BUILD_PROGRAMS, *TEST_PROGRAMS, "ruff", "mypy"):
        prepared.script(name, f'echo {name} "$@"')
    (prepared.root / "pytest.py").write_text("import sys\nprint('pytest', sys.argv[1:])\n")
    return prepared


# (these two packages have no program that a stand-in could be for)
with_busybox = pytest.mark.skipif(
    not Path("/usr/share/doc/busybox-static").exists(), reason="busybox-static is not installed"
)
with_libelf = pytest.mark.skipif(not Path("/usr/include/libelf.h").exists(), reason="libelf-dev is not installed")


@with_busybox
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], ["ruff check", "ruff format --check", "mypy", f"pytest [{AT_A_TIME}]"]),
        (["tests/unit", "-k", "foo"], ["pytest ['tests/unit', '-k', 'foo']"]),
        pytest.param(
            ["--sweep"],
            ["ruff check", "ruff format --check", "mypy", f"pytest [{AT_A_TIME}, '-m', '']"],
            marks=with_libelf,
        ),
        pytest.param(["--sweep", "tests/parity"], ["pytest ['-m', '', 'tests/parity']"], marks=with_libelf),
    ],
)
def test_test_checks_everything_or_only_what_is_asked(
    with_stand_in_tools: Project, arguments: list[str], printed: list[str]
) -> None:
    done = with_stand_in_tools.run("test", *arguments, KDIR="/nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == printed


@with_busybox
def test_test_stops_at_the_first_tool_that_complains(with_stand_in_tools: Project) -> None:
    with_stand_in_tools.script("ruff", "echo bad style; exit 3")
    done = with_stand_in_tools.run("test", KDIR="/nowhere")
    assert (done.returncode, done.stdout) == (3, "bad style\n")
