# SPDX-License-Identifier: GPL-2.0-only
"""The programs that a build ran, with their versions and packages; the packages that files came in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kbuildpy.distribution import distribution_id
from kbuildpy.errors import CommandError
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kbuild.tree_programs import named_programs, parts_of_compiler
from kbuildpy.proof.record import PackageVersion, UsedProgram
from kbuildpy.run import run
from kbuildpy.shared.contents import program_digest

_ROLES = {"LD": "linker", "OBJCOPY": "objcopy", "PAHOLE": "pahole", "RUSTC_OR_CLIPPY": "compiler of Rust"}
"""What the programs of a tree do, by their variables; the compiler is told of apart."""
_OF_TYPES = ("pahole", "resolve_btfids", "gen-btf.sh")
"""Those that make type information (BTF)."""
_OWNED = re.compile(r"^([a-z0-9][a-z0-9.+-]+)(?::\w+)?(?:, [^:]+)?: (/.*)$", re.MULTILINE)


def used_programs(answer: TreeAnswer, commands: Sequence[str], environ: Mapping[str, str]) -> tuple[UsedProgram, ...]:
    """The programs that `commands` start, with what the compiler starts itself, and make."""
    told = {name: command for name, command in answer.programs.items() if command}
    compiler = told.get("CC", "")
    found = [("compiler", compiler, _which(compiler, environ), answer.compiler)]
    for name, path in parts_of_compiler(answer, environ).items():
        if path:
            role = {"as": "assembler", "cc1": "compiler proper"}[name]
            found.append((role, name, path, _version(path, environ) if name == "as" else ""))
    for name, role in _ROLES.items():
        command = told.get(name, "")
        if command and any(_starts(command, text) for text in commands):
            found.append((role, command, _which(command, environ), _version(command, environ)))
    for command, path in named_programs(answer, environ).items():
        if "/" in command and any(_starts(command, text) for text in commands):
            found.append((command.rpartition("/")[2], command, path, ""))
    found.append(("make", "make", _which("make", environ), _version("make", environ)))
    if not (answer.tree.objects / "vmlinux").is_file():
        # (without the kernel's types modules get none)
        found = [item for item in found if item[0] not in _OF_TYPES]
    existing = [item for item in found if item[2] and Path(item[2]).is_file()]
    real = [(role, command, os.path.realpath(path), version) for role, command, path, version in existing]
    packages = packages_of([path for _, _, path, _ in real])
    return tuple(
        UsedProgram(role, command, version, program_digest(path), packages.get(path))
        for role, command, path, version in real
    )


def packages_of(paths: Iterable[str]) -> dict[str, PackageVersion]:
    """The packages that files (with links resolved) came in; nothing for those of no package, and on a system without
    dpkg and rpm."""
    wanted = list(dict.fromkeys(paths))
    try:
        if shutil.which("dpkg-query"):
            return _of_dpkg(wanted)
        if shutil.which("rpm"):
            return _of_rpm(wanted)
    except CommandError:
        pass
    return {}


def _of_dpkg(paths: Sequence[str]) -> dict[str, PackageVersion]:
    # (before /usr was merged, packages put files into /lib and /bin, and dpkg knows them by these names)
    names = {name: path for path in paths for name in (path.removeprefix("/usr"), path)}
    told = run(["dpkg-query", "--search", *names], check=False, env={**os.environ, "LC_ALL": "C"}).text
    owners = {names[path]: package for package, path in _OWNED.findall(told) if path in names}
    if not owners:
        return {}
    form = "${Package} ${Version} ${Architecture}\\n"
    rows = run(["dpkg-query", "--show", "--showformat", form, *sorted({*owners.values()})], check=False).text
    words = [[*row.split(), "", "", ""][:3] for row in rows.splitlines()]
    versions = {name: (name, version, architecture) for name, version, architecture in words if architecture}
    return {
        path: PackageVersion(*versions[package], "deb", distribution_id())
        for path, package in owners.items()
        if package in versions
    }


def _of_rpm(paths: Sequence[str]) -> dict[str, PackageVersion]:
    found = {}
    for path in paths:
        told = run(["rpm", "-qf", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE} %{ARCH}\n", path], check=False)
        words = told.text.split()
        if told.returncode == 0 and len(words) >= 3:
            found[path] = PackageVersion(words[0], words[1], words[2], "rpm", distribution_id())
    return found


def _starts(command: str, text: str) -> bool:
    """Whether the shell text `text` has the words of `command`, as words."""
    name = re.escape(command.removeprefix("./"))
    return re.search(rf"(?<![\w./-])(?:\./|\$\((?:src|obj)tree\)/)?{name}(?![\w.-])", text) is not None


def _which(command: str, environ: Mapping[str, str]) -> str:
    """The file that the last word of `command` leads to (the first may be ccache); "" for none."""
    words = command.split()
    return (shutil.which(words[-1], path=environ.get("PATH")) or "") if words else ""


def _version(command: str, environ: Mapping[str, str]) -> str:
    try:
        told = run([*command.split(), "--version"], env=environ, check=False, timeout=60)
    except CommandError:
        return ""
    return (told.text.splitlines() or [""])[0].strip()
