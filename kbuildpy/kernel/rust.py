# SPDX-License-Identifier: GPL-2.0-only
"""What modules in Rust need of a kernel tree: the metadata of the kernel's crates, and the rustc that wrote it.

rustc writes a crate's types to `lib*.rmeta`, and reads that of no other version than its own: so a module in Rust is
compiled by the very rustc that built the kernel. The surprise: Debian's headers packages of 7.3 say CONFIG_RUST=y and
have none of that metadata.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.printable import printable
from kbuildpy.program_packages import install_hint
from kbuildpy.run import run

METADATA = ("rust/libcore.rmeta", "rust/libkernel.rmeta", "include/generated/rustc_cfg")
"""The files of a tree without which no module in Rust can be compiled."""
_HEAD = 256
_MINIMUM = Path("scripts/min-tool-version.sh")
_VERSION = re.compile(r"\b(\d+)\.(\d+)\.(\d+)")


def has_rust(tree: KernelTree) -> bool:
    """Whether the kernel of `tree` was built with Rust."""
    return tree.config.get("CONFIG_RUST") == "y"


def metadata_version(tree: KernelTree) -> str:
    """The version text of the rustc that compiled the kernel (`rustc 1.85.0 (4d91de4e4 2025-02-17)`): from the
    metadata of its crates, else from the configuration; "" if neither tells."""
    try:
        with (tree.objects / METADATA[1]).open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        head = b""
    at = head.find(b"rustc ")
    if head.startswith(b"rust") and at > 0:
        # (a string of less than 128 bytes is its length, then itself)
        return printable(head[at : at + head[at - 1]].decode(errors="replace"))
    return tree.config.get("CONFIG_RUSTC_VERSION_TEXT", "")


def version_text(command: str, environ: Mapping[str, str]) -> str:
    """What a program says of its version: the first line of `COMMAND --version`; "" if it cannot be started."""
    try:
        done = run([*command.split(), "--version"], env=environ, check=False)
    except (CommandError, OSError):
        return ""
    lines = done.text.splitlines()
    return printable(lines[0].strip()) if lines and not done.returncode else ""


def refuse_old_tool(source: Path, tool: str, command: str, said: str, environ: Mapping[str, str]) -> None:
    """Raise `KbuildError` for a program that is not there, or that is older than the least version that the kernel
    sources in `source` take.

    `tool` is its name there (`rustc`, `bindgen`), `command` starts it, `said` is its version text. `environ` has the
    kernel's ARCH and SRCARCH, on which the least version may depend (scripts/min-tool-version.sh).
    """
    program = command.split()[-1] if command.split() else tool
    if shutil.which(program, path=environ.get("PATH")) is None:
        raise CommandError(f"{program}: not found; modules in Rust need it", hint=install_hint(tool))
    least = minimum_version(source, tool, environ)
    if said and least and _numbers(said) < _numbers(least):
        raise KbuildError(
            f"{said} is too old: this kernel needs {tool} {least} or newer",
            hint=f"{_MINIMUM} of the kernel says so: install a newer {tool}, and choose it with {tool.upper()}=",
        )


def minimum_version(source: Path, tool: str, environ: Mapping[str, str]) -> str:
    """The least version of `tool` that the kernel sources in `source` take; "" if they do not say."""
    script = source / _MINIMUM
    if not script.is_file():
        return ""
    done = run(["sh", script, tool], env=environ, check=False)
    return printable(done.text.strip()) if not done.returncode else ""


def refuse_rust(tree: KernelTree, *, rustc: str, said: str, environ: Mapping[str, str], source: str) -> None:
    """Raise `KbuildError` where `source`, a file in Rust, cannot be compiled for the kernel of `tree`: a kernel without
    Rust, a tree without the metadata, a rustc that is not there, too old, or another one than the kernel's.

    `rustc` is the command of the tree's rustc, `said` its version text.
    """
    if not has_rust(tree):
        raise KbuildError(
            f"{source}: {tree.release} was built without Rust (CONFIG_RUST), so no module in Rust can be built for it",
            hint="choose a tree of a kernel with CONFIG_RUST=y: -k, KDIR=",
        )
    missing = [name for name in METADATA if not (tree.objects / name).is_file()]
    if missing:
        raise KbuildError(
            f"{source}: {tree.release} has CONFIG_RUST=y, but {tree.objects} lacks what modules in Rust are compiled "
            f"against: {', '.join(missing)}",
            hint="headers packages leave it out: build the kernel's sources with this configuration, and name that "
            "tree with -k or KDIR=",
        )
    refuse_old_tool(tree.source, "rustc", rustc, said, environ)
    built_with = metadata_version(tree)
    if said and built_with and said != built_with:
        raise KbuildError(
            f"{source}: {tree.release} was built by {built_with}, and {rustc.split()[-1]} is {said}: "
            "rustc reads the metadata of no other version",
            hint=f"install {' '.join(built_with.split()[:2])}, and choose it with RUSTC= (with rustup: "
            f"RUSTUP_TOOLCHAIN={_number(built_with)}), or build the kernel again",
        )


def _numbers(text: str) -> tuple[int, ...]:
    match = _VERSION.search(text)
    return tuple(map(int, match.groups())) if match else ()


def _number(text: str) -> str:
    match = _VERSION.search(text)
    return match[0] if match else ""
