# SPDX-License-Identifier: GPL-2.0-only
"""The programs that a kernel tree's commands start: finds them, and reports a missing one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.compiler import package_of_compiler
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.program_packages import install_command
from kbuildpy.run import run

# Programs of the kernel tree whose output becomes part of an object or a module.
_TREE_PROGRAMS = (
    "scripts/gendwarfksyms/gendwarfksyms",
    "scripts/genksyms/genksyms",
    "scripts/gen-btf.sh",
    "scripts/recordmcount",
    "tools/bpf/resolve_btfids/resolve_btfids",
    "tools/objtool/objtool",
)
# The variables in the order in which `mk/tree.mk` prints their values.
_NAMES = ("CC", "LD", "NM", "OBJCOPY", "PAHOLE", "AR", "HOSTCC", "CHECK")
_RUST_NAMES = ("RUSTC", "RUSTC_OR_CLIPPY", "BINDGEN", "RUSTFMT")

# Programs that have other machines compile, and those that keep what a compiler made.
_ELSEWHERE = frozenset({"distcc", "icecc", "icerun"})
_CACHES = frozenset({"ccache", "sccache"})


def named_programs(answer: TreeAnswer, environ: Mapping[str, str]) -> dict[str, str]:
    """The programs that commands of this tree may start: the name that a command has for each, and its path."""
    found = {name: str(answer.tree.objects / name) for name in _TREE_PROGRAMS}
    found.update(_in_search_path(answer.programs, environ))
    return found


def hides_compiler(programs: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether one of `programs` (names and paths) is another program than its name says, which starts a compiler that
    is chosen elsewhere: links to ccache or distcc in a folder of the search path, or what CCACHE_PREFIX names."""
    if any(environ.get(name) for name in ("CCACHE_PREFIX", "CCACHE_PREFIX_CPP", "CCACHE_COMPILER")):
        return True
    for name, path in programs.items():
        real = os.path.basename(os.path.realpath(path))  # noqa: PTH119
        if real in _ELSEWHERE or (real in _CACHES and os.path.basename(name) != real):  # noqa: PTH119
            return True
    return False


def parts_of_compiler(answer: TreeAnswer, environ: Mapping[str, str]) -> dict[str, str]:
    """The programs that the tree's compiler starts itself (`as`, `cc1`), and their paths with links resolved; "" for
    one that it does not tell of."""
    found = {}
    for name in ("as", "cc1"):
        try:
            words = [*answer.programs.get("CC", "").split(), f"-print-prog-name={name}"]
            told = run(words, env=environ, check=False).text.strip()
        except CommandError:
            told = ""
        path = shutil.which(told, path=environ.get("PATH")) if told else None
        found[name] = os.path.realpath(path) if path else ""
    return found


def parse_programs(text: str, rust: str = "") -> dict[str, str]:
    """The commands of the tree's programs by their variables' names, from the `programs` and `rust-programs` of
    `mk/tree.mk`; those of Rust only where the kernel was built with it."""
    found = {name: value.strip() for name, value in zip(_NAMES, text.split("|"), strict=False)}
    return found | {name: value.strip() for name, value in zip(_RUST_NAMES, rust.split("|"), strict=False) if rust}


def program_files(programs: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """The files that the words of `programs` (commands by variable) lead to in the search path of `environ`, with links
    resolved."""
    found = [os.path.realpath(path) for _, path in _in_search_path(programs, environ)]
    if any(os.path.basename(path) == "rustup" for path in found):  # noqa: PTH119
        # (rustup's rustc starts the one that is chosen here)
        home = environ.get("RUSTUP_HOME") or f"{environ.get('HOME', '')}/.rustup"
        found.append(f"{home}/settings.toml")
    return found


def searched_for_programs(programs: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """The paths at which the search path of `environ` may have `programs`: a program that is installed at one of them
    may replace the one that is used now."""
    folders = os.get_exec_path(dict(environ))
    words = {word for command in programs.values() for word in command.split()}
    return [f"{folder}/{word}" for folder in folders for word in sorted(words) if "/" not in word]


def _in_search_path(programs: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for command in programs.values():
        for word in command.split():
            path = shutil.which(word, path=environ.get("PATH"))
            if path:
                yield word, path


def refuse_missing_compiler(
    tree: KernelTree, programs: Mapping[str, str], environ: Mapping[str, str], *, stderr: str
) -> None:
    """Raise `CommandError` for a compiler or linker (CC, LD) that is not installed; `stderr` is make's message."""
    words = {name: programs[name].split()[-1] for name in ("CC", "LD", "NM", "OBJCOPY", "AR") if programs.get(name)}
    lost = [word for word in words.values() if shutil.which(word, path=environ.get("PATH")) is None]
    if not {words.get("CC"), words.get("LD")}.intersection(lost):
        return
    choice = "CC=" if is_native(architecture_of(tree)) else "CC= or CROSS_COMPILE="
    # name the packages of all missing programs: with LLVM=1 they are several
    packages = [package_of_compiler(word) for word in lost]
    raise CommandError(
        f"{lost[0]}: not found; the kernel tree {tree.objects} builds with it",
        hint=f"{install_command(packages)}, or choose another one with {choice}",
        stderr=stderr,
    )


def compiler_remark(answer: TreeAnswer) -> str:
    """A remark for the user if the kernel was built by GCC and `answer` compiles with clang, or the reverse: each has
    options that the other does not know. "" if both are the same compiler."""
    config = answer.tree.config
    words = answer.programs.get("CC", "").split()
    if not words:
        return ""
    clang = "clang" in Path(words[-1]).name
    if config.get("CONFIG_CC_IS_CLANG") == "y" and not clang:
        return (
            f"kbuildpy: {answer.tree.release} was built by clang, and {words[-1]} does not know its options: use LLVM=1"
        )
    if config.get("CONFIG_CC_IS_GCC") == "y" and clang:
        return f"kbuildpy: {answer.tree.release} was built by gcc: if clang does not know an option, remove LLVM="
    return ""
