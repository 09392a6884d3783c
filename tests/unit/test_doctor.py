# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy doctor`: what it looks for is what the code starts, and its packages are those that apt knows."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kbuildpy.cli import COMMANDS
from kbuildpy.distribution import ALPINE, ARCH, DEBIAN, FEDORA, OPENSUSE, SYSTEMS, System, this_system
from kbuildpy.doctor.diagnosis import LookedFor, diagnose, package_names
from kbuildpy.doctor.look import FACTS, LookResult, ThisMachine
from kbuildpy.doctor.need import FACT, PROGRAM, PYTHON, MachineNeed
from kbuildpy.doctor.needs_of_commands import LIBRARIES, PARTS, PKCS11, SERVERS
from kbuildpy.program_packages import PACKAGES, install_command, install_hint, names_of, package_of
from tests.support.command_line import call
from tests.support.documents import ROOT, json_keys

NEEDS = {need for parts in PARTS.values() for part in parts for need in part.needs}
PROGRAMS = {need.name for need in NEEDS if need.kind == PROGRAM}
PYTHONS = {need for need in NEEDS if need.kind == PYTHON}

STARTERS = ("run", "which", "execute", "_run", "_which", "execute_begun", "execute_limited", "install_hint")
IN_EVERY_SYSTEM = {"cat", "cp", "env", "sh", "true"}
NOT_NEEDED = {
    "rpm": "asked only for the packages of a system that has it",
    "awk": "asked only whether it is gawk, which is looked for",
    "ocamlopt": "asked only whether spatch runs scripts in OCaml here",
}


COMMAND_OF_ROOM = {
    "dkms": ("dkms",),
    "fleet": ("matrix",),
    "install": ("install",),
    "kernel_build": ("kernel",),
    "package": ("package",),
    "preflight": ("preflight",),
    "scaffold": ("new", "init"),
    "vm": ("run",),
    "which": ("which",),
}
"""Rooms that serve one command or two, which need all of their programs."""


def programs_in(file: Path) -> Iterator[str]:
    """The programs that a file starts or looks for, where the call has the name, or a list of words begins with it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.List) and len(node.elts) > 1 and isinstance(node.elts[0], ast.Constant):
            yield from PROGRAMS & {node.elts[0].value}
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if isinstance(first, ast.List | ast.Tuple) and first.elts:
            first = first.elts[0]
        if name in STARTERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def test_every_command_has_a_row() -> None:
    assert PARTS.keys() == COMMANDS.keys()
    assert all(not parts[0].purpose and all(part.purpose for part in parts[1:]) for parts in PARTS.values())
    assert {need.name for need in NEEDS if need.kind == FACT} == FACTS.keys()


def test_every_program_that_the_code_starts_by_name_is_looked_for() -> None:
    files = [file for file in (ROOT / "kbuildpy").rglob("*.py") if file.parent.name not in ("doctor", "report")]
    started = {name for file in files for name in programs_in(file)}
    assert {"depmod", "veritysetup", "dpkg-deb", "busybox", "git"} <= started
    assert started - PROGRAMS - IN_EVERY_SYSTEM - NOT_NEEDED.keys() == set()


@pytest.mark.parametrize("room", COMMAND_OF_ROOM)
def test_a_command_needs_what_its_own_room_starts(room: str) -> None:
    parts = [part for command in COMMAND_OF_ROOM[room] for part in PARTS[command]]
    needed = {need.name for part in parts for need in part.needs}
    files = (ROOT / "kbuildpy" / room).rglob("*.py")
    started = {name for file in files for name in programs_in(file)} - IN_EVERY_SYSTEM - NOT_NEEDED.keys()
    assert started - needed == set()


def test_the_python_packages_are_those_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    known = dict(re.findall(r'"([a-z0-9-]+)>=([\d.]+)["[;]', text.split("[project.optional-dependencies]")[0]))
    known |= dict(
        re.findall(
            r'"([a-z0-9-]+)>=([\d.]+)"', re.findall(r"^pkcs11 = .*|^cache = .*|^dask = .*", text, re.M).__str__()
        )
    )
    known.pop("tomli", None)
    assert {need.name: need.least for need in (*LIBRARIES, *PKCS11, *SERVERS, *PYTHONS) if need.kind == PYTHON} == known


def test_hints_of_errors_and_doctor_name_the_same_package() -> None:
    for need in NEEDS:
        if need.kind == PROGRAM and need.package == package_of(need.name):
            for system in (DEBIAN, FEDORA, ARCH, OPENSUSE, ALPINE):
                names = " ".join(filter(None, (names_of(package, system) for package in need.package.split())))
                assert not names or names in install_hint(need.name, system=system)


def test_each_package_is_named_for_each_system_or_known_to_be_nowhere() -> None:
    packages = {word for need in NEEDS for word in need.package.split()}
    cross = {word for word in packages if re.fullmatch(r"(gcc|libc6-dev)-[\w-]+-(linux-gnu\w*|cross)", word)}
    assert packages - PACKAGES.keys() - cross == set()
    assert all(any(row) or package == "apt" for package, row in PACKAGES.items())


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="apt-cache is Debian's")
def test_apt_knows_the_packages_of_debian() -> None:
    if this_system() is not DEBIAN:
        pytest.skip("the names are Debian's")
    listed = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout.split()
    if "busybox-static" not in listed:
        pytest.skip("apt has no package lists (apt-get update)")
    named = {word for need in NEEDS for word in need.package.split()} | PACKAGES.keys()
    # (of a name that a package provides, apt tells which one)
    others = sorted(named - {*listed} - {"linux-headers", "gcc-plugin-dev", "smatch"})
    argv = ["apt-cache", "showpkg", *others]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout if others else ""
    provided = re.findall(r"^Package: (\S+)\n(?:(?!^Package: ).*\n)*?^Reverse Provides: *\n\S", told, re.MULTILINE)
    assert set(others) - {*provided} == set()


@pytest.mark.parametrize(
    ("system", "packages", "command"),
    [
        (DEBIAN, ["xz-utils", "qemu-system-riscv64 opensbi"], "apt-get install xz-utils qemu-system-riscv64 opensbi"),
        (FEDORA, ["pahole", "xz-utils"], "dnf install dwarves xz"),
        (ARCH, ["clangd", "clang-tidy"], "pacman -S clang"),
        (OPENSUSE, ["squashfs-tools"], "zypper install squashfs"),
        (ALPINE, ["libc6-dev"], "apk add musl-dev"),
        (ARCH, ["make", "gcc-99"], "pacman -S make; no package of Arch is known for what Debian has as gcc-99"),
        (ALPINE, ["apt"], "no package of Alpine is known for what Debian has as apt"),
    ],
)
def test_the_command_that_installs_is_the_systems_own(system: System, packages: list[str], command: str) -> None:
    assert install_command(packages, system=system) == command


@pytest.mark.parametrize(
    ("os_release", "system"),
    [
        ("ID=debian", "debian"),
        ("ID=ubuntu\nID_LIKE=debian", "ubuntu"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "ubuntu"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"', "fedora"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "opensuse"),
        ("ID=endeavouros\nID_LIKE=arch", "arch"),
        ("ID=alpine", "alpine"),
        ("ID=nixos", ""),
        ("", ""),
    ],
)
def test_a_system_is_known_by_its_own_word_or_that_of_an_ancestor(tmp_path: Path, os_release: str, system: str) -> None:
    (tmp_path / "os-release").write_text(os_release)
    assert this_system(tmp_path / "os-release") is (SYSTEMS[system] if system else None)


def bare_machine(tmp_path: Path, *programs: str) -> dict[str, str]:
    """The environment of a machine that has these programs in PATH, and no kernel tree but what KDIR names."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name in programs:
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "KBUILDPY_CACHE": str(tmp_path / "cache"), "KDIR": ""}


def test_a_missing_program_makes_a_command_unready_and_a_part_only_that_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # (kernels that were fetched or built are in the cache)
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    machine = ThisMachine(bare_machine(tmp_path, "make", "nm", "objcopy", "clang"), root=tmp_path)
    found = diagnose("build", machine)
    assert [each.name for each in found.missing] == ["ld", "gcc", "kernel tree"]
    assert [each.name for each in found.lacking_parts["LLVM=1, kernels that were built with clang"]] == [
        *("ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy")
    ]
    assert found.to_json(ALPINE)["install"] == ["apk add binutils gcc linux-lts-dev"]
    (tmp_path / "bin/ld").write_text("")
    (tmp_path / "bin/ld").chmod(0o755)
    again = ThisMachine(bare_machine(tmp_path, "gcc"), root=tmp_path)
    assert [each.name for each in diagnose("build", again).missing] == ["kernel tree"]


def test_the_exit_status_says_whether_what_was_asked_for_is_ready(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path)
    assert call("doctor", "info", "sbom", cwd=tmp_path, **environment).returncode == 0
    failed = call("doctor", "info", "run", "--system", "fedora", cwd=tmp_path, **environment)
    assert failed.returncode == 1
    assert re.search(r"^run +lacks qemu-system-\w+, busybox", failed.text, re.MULTILINE)
    assert re.search(r"^  dnf install qemu-system-\w+ .*busybox", failed.text, re.MULTILINE)
    quiet = call("doctor", "-q", "run", "--system", "arch", cwd=tmp_path, **environment)
    assert quiet.returncode == 1 and quiet.text.startswith("pacman -S qemu-system-")
    wrong = call("doctor", "biuld", cwd=tmp_path)
    assert wrong.returncode == 2 and "did you mean build?" in wrong.error_text


def test_a_command_that_is_named_has_what_it_lacks_first_with_the_packages(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path, "gdb", "gcc")
    done = call("doctor", "run", "--system", "fedora", cwd=tmp_path, **environment)
    _, state, *lines = [line.strip() for line in done.text.splitlines()]
    lacking = [number for number, line in enumerate(lines) if line.startswith("not for ")]
    there = [number for number, line in enumerate(lines) if line.startswith(("gdb: ", "gcc: "))]
    assert state.startswith("run ") and len(there) == 2 and lines[max(there)].endswith("/gdb (for --gdb)")
    assert 0 < max(lacking) < min(there)
    assert "not for --coverage: gcov (gcc)" in lines
    assert re.search(r"^  dnf install .*gcc", done.text.partition("For everything else")[2], re.MULTILINE)
    assert "For everything else" in call("doctor", "--system", "fedora", cwd=tmp_path, **environment).text


def test_a_command_that_is_named_has_what_is_in_no_package_too(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path)
    # (a Python without the optional packages)
    said = call("doctor", "cache", "lint", "--system", "arch", cwd=tmp_path, PYTHONNOUSERSITE="1", **environment).text
    _, _, advice = said.partition("For everything else:\n")
    assert "  no package is known for: " in advice and "smatch" in advice
    missing = [name for name in ("fsspec", "s3fs") if importlib.util.find_spec(name) is None]
    assert all(f"{name}>=" in advice for name in missing)
    assert "  pacman -S " in advice


def test_plugins_of_gcc_need_the_headers_of_its_version(tmp_path: Path) -> None:
    environment = bare_machine(tmp_path)

    def headers() -> tuple[str, list[str]]:
        look = ThisMachine(environment, root=tmp_path).gcc_plugins()
        return look.value, [install_command([look.package], system=system) for system in (DEBIAN, FEDORA)]

    assert ThisMachine(environment, root=tmp_path).gcc_plugins() == LookResult("", "")
    for version in ("9", "12"):
        (tmp_path / "usr/lib64/gcc/x86_64-linux-gnu" / version / "plugin/include").mkdir(parents=True)
    assert headers() == ("", ["apt-get install gcc-12-plugin-dev", "dnf install gcc-plugin-devel"])
    (tmp_path / "usr/lib64/gcc/x86_64-linux-gnu/9/plugin/include/plugin-version.h").touch()
    assert headers()[0] == ""
    bare_machine(tmp_path, "x86_64-linux-gnu-gcc-9")
    (tmp_path / "bin/gcc").symlink_to("x86_64-linux-gnu-gcc-9")
    found, commands = headers()
    assert found.endswith("/9/plugin/include/plugin-version.h") and "gcc-9-plugin-dev" in commands[0]


def test_tests_in_c_need_a_library_that_static_programs_are_linked_with(tmp_path: Path) -> None:
    def lacking() -> dict[str, LookedFor]:
        machine = ThisMachine(bare_machine(tmp_path), root=tmp_path)
        return {each.name: each for each in diagnose("run", machine).lacking_parts["tests in C"]}

    assert package_names(lacking()["static C library"], FEDORA) == "glibc-devel glibc-static"
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    (tmp_path / "usr/lib/x86_64-linux-gnu/libc.a").touch()
    assert "static C library" not in lacking()
    here = ThisMachine().static_c_library().value
    if here and shutil.which("dpkg"):
        owner = subprocess.run(["dpkg", "-S", here], capture_output=True, text=True, check=True).stdout
        assert owner.partition(":")[0] == need_called("static C library").package


def need_called(name: str) -> MachineNeed:
    return next(need for need in NEEDS if need.name == name)


def test_explains_each_key_of_doctor(tmp_path: Path) -> None:
    done = call("doctor", "--format", "json", cwd=tmp_path)
    objects = [json.loads(line) for line in done.text.splitlines()]
    assert [each["command"] for each in objects] == list(COMMANDS)
    assert done.returncode == (0 if all(each["ready"] for each in objects) else 1)
    keys = set(objects[0]) | {key for each in objects for need in each["needs"] for key in need}
    assert keys == json_keys("kbuildpy doctor")
    assert {word for each in objects for need in each["needs"] for word in need["packages"]} == SYSTEMS.keys()


def test_takes_less_than_half_a_second_and_starts_nothing(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = (
        "import subprocess, sys\n"
        "def refuse(*_, **__): raise AssertionError('it started a program')\n"
        "subprocess.Popen.__init__ = refuse\n"
        "from kbuildpy.cli import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    # (processor time: the machine may have other work)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
