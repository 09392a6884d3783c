# SPDX-License-Identifier: GPL-2.0-only
"""A program that cannot be started: what is told of it, where execve(2) and the shell refuse it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.command import run_command
from kbuildpy.not_started import not_started_in, package_with
from kbuildpy.run import run, run_attached

# What `uname -m` calls machines, and e_machine of their programs.
FOREIGN = ("aarch64", 183) if os.uname().machine != "aarch64" else ("x86_64", 62)


def refused(command: str, tree: Path) -> CommandError:
    """The error for a command of Kbuild's, run in `tree`."""
    with pytest.raises(CommandError) as error:
        run_command(command, cwd=str(tree), env=dict(os.environ))
    return error.value


@pytest.mark.parametrize(
    "command",
    [
        "{}",
        "true; {}",
        "echo x | {} -d",
        "if [ ! -f gone ]; then {} -b; fi",
        "true && A=1 {} 2>&1",
        "! true || {} `ls`",
    ],
)
def test_a_program_of_the_trees_that_is_missing_is_named_with_the_package_that_has_it(
    command: str, tmp_path: Path
) -> None:
    kbuild = tmp_path / "lib/linux-kbuild-9.9"
    (kbuild / "tools/objtool").mkdir(parents=True)
    tree = tmp_path / "src/linux-headers-9.9"
    tree.mkdir(parents=True)
    (tree / "tools").symlink_to("../../lib/linux-kbuild-9.9/tools")
    error = refused(command.format("./tools/objtool/objtool"), tree)
    assert error.message == f"{kbuild}/tools/objtool/objtool: program not found"
    assert "linux-kbuild-9.9" in error.hint
    assert "install objtool" not in error.hint


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("umask 022; . ./none; command -v x; type x; ulimit -c 0; kill 0; readonly a; nope-none", "nope-none"),
        ("nope-none; case x in a) true;; esac", "nope-none"),
        ("case x in a) true;; *) nope-none;; esac", ""),
        ("f() { nope-none; return 1; }; f", ""),
        ("nope-none && f ( ) { true; }; f", "nope-none"),
        ("if [[ -f x ]]; then (nope-none); fi", "nope-none"),
        ("nope-none 'open", "nope-none"),
    ],
)
def test_words_of_the_shells_are_no_programs(command: str, named: str, tmp_path: Path) -> None:
    error = not_started_in(command, 127, cwd=str(tmp_path), env=dict(os.environ))
    assert (error.message if error else "") == (f"{named}: program not found" if named else "")


def test_the_package_of_a_file_is_the_one_that_the_system_knows(tmp_path: Path) -> None:
    if not shutil.which("dpkg-query"):
        pytest.skip("dpkg-query is Debian's")
    kbuild = sorted(Path("/usr/lib").glob("linux-kbuild-*/tools/objtool/objtool"))
    if not kbuild:
        pytest.skip("takes Debian's headers packages")
    assert package_with(kbuild[0]).partition(":")[0] == kbuild[0].parts[3]
    # (a file that is gone is found as well: its package still lists it)
    lost = [path for path in run(["dpkg-query", "--listfiles", "dpkg"]).text.split("\n") if not os.path.lexists(path)]
    assert {package_with(Path(path)) for path in lost if path.startswith("/")} <= {"dpkg"}
    assert package_with(tmp_path / "nobody's") == ""


def test_a_package_database_that_does_not_answer_has_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = tmp_path / "dpkg-query"
    query.write_text("not a program")
    query.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert package_with(tmp_path / "x") == ""


def test_a_program_of_a_tree_of_ones_own_is_made_there(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    error = refused("true | scripts/genksyms/genksyms", tmp_path)
    assert error.message == f"{tmp_path}/scripts/genksyms/genksyms: program not found"
    assert error.hint == f"make -C {tmp_path} modules_prepare"


@pytest.mark.parametrize("command", ["tools/host", "true | tools/host"])
def test_a_program_for_another_machine_is_told_from_one_that_is_damaged(command: str, tmp_path: Path) -> None:
    name, machine = FOREIGN
    path = tmp_path / "tools/host"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0" + machine.to_bytes(2, "little") + bytes(44))
    path.chmod(0o755)
    error = refused(command, tmp_path)
    assert error.message == f"{path}: a program for {name}, but this machine is {os.uname().machine}"
    assert error.hint.startswith(f"build it anew (make -C {tmp_path} modules_prepare)")
    assert "this machine's" in error.hint


def test_a_program_that_is_empty_or_may_not_be_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "host"
    path.touch(mode=0o755)
    with pytest.raises(CommandError, match="host: not a program") as error:
        run([path])
    path.chmod(0o644)
    with pytest.raises(CommandError, match="host: permission denied") as error:
        run_attached([str(path)], cwd=str(tmp_path), env={})
    assert error.value.hint == f"chmod a+x {path}"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(CommandError, match="the interpreter or dynamic loader that it names is missing"):
        run([path])


def test_a_program_that_may_only_be_run_is_not_the_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host").write_text("#!/bin/sh\n")
    (tmp_path / "host").chmod(0o711)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # (root may read it)
    error = not_started_in("./host; nope-none", 127, cwd=str(tmp_path), env=dict(os.environ))
    assert error is not None and error.message == "nope-none: program not found"


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    error = not_started_in("./", 126, cwd=str(tmp_path), env=dict(os.environ))
    assert error is not None and "not a program" in error.message


def test_a_program_in_the_search_path_is_named_with_its_package(tmp_path: Path) -> None:
    assert refused("pahole-none -J x", tmp_path).hint == "apt-get install pahole-none"
    assert refused("echo a | sparse-none", tmp_path).message == "sparse-none: program not found"
    assert run_command("echo a | sh -c 'exit 3'", cwd=str(tmp_path), env=dict(os.environ)) == 3
