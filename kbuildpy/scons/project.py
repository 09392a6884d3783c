# SPDX-License-Identifier: GPL-2.0-only
"""`KernelProject`: one kernel tree under one set of variables, in one run of SCons.

It is made when the first module for it is declared, and shared by all that follow.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kbuild.freshness import Freshness, HeaderSymbols
from kbuildpy.kbuild.precompiled import SOURCES, Precompiled
from kbuildpy.kbuild.stamps import Stamp, stamp
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kbuild.tree_programs import hides_compiler, named_programs, parts_of_compiler
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.once import once
from kbuildpy.say import say
from kbuildpy.scons.cache import cache_class, find_cache_in_any_thread, shares
from kbuildpy.scons.named_files import named_files
from kbuildpy.scons.options import is_cleaning, is_dry_run
from kbuildpy.shared.contents import is_digested, program_digest, tree_digest


class KernelProject:
    """What all modules for one kernel share."""

    answer: TreeAnswer
    """The kernel tree's decisions for them."""
    environ: Mapping[str, str]
    """The environment that make and the compiler start from."""
    top: Path
    """The directory of the SConstruct: files below it are the project's own."""
    check: bool
    """Each module is checked after its link: would the kernel load it?"""
    env: Any
    """The construction environment of its nodes."""
    dry_run: bool
    """Nothing is made (`-n`)."""
    read_only: bool
    """Nothing is made, or built files are removed (`-c`)."""
    headers: HeaderSymbols
    """The CONFIG_ symbols that the tree's headers mention."""
    precompiled: Precompiled
    """The headers that every `.mod.c` begins with."""
    precompiled_sources: Precompiled | None
    """With FAST=1, the headers that sources begin with."""
    probes: str
    """The folder of the header with the answers to its probes; "" where there are none."""
    coverage: bool
    """Its modules are instrumented (COVERAGE=1)."""
    early: EarlyCompilers | None
    """Compiles edited sources before SCons asks for them; None: nothing does."""
    headers_digest: Callable[[], str]
    """A digest of the contents of the tree's headers."""
    began_ns: int
    """When this run began to look at files."""

    def __init__(
        self,
        env: Any,
        answer: TreeAnswer,
        environ: Mapping[str, str],
        top: Path,
        *,
        check: bool,
        fast: bool = False,
        coverage: bool = False,
        early: EarlyCompilers | None = None,
    ) -> None:
        self.answer = answer
        self.environ = environ
        self.top = top
        self.check = check
        self.coverage = coverage
        self.early = early
        self.began_ns = time.time_ns()
        self.probes = ""
        self.dry_run = is_dry_run(env)
        self.read_only = self.dry_run or is_cleaning(env)
        self.env = env.Clone()
        self.env.Decider(self._decide)
        self.env["CACHEDIR_CLASS"] = cache_class(self.env.validate_CacheDir_class())
        find_cache_in_any_thread(self.env)
        self.headers_digest = once(lambda: tree_digest(answer.tree))
        self._parts_of_compiler = once(self._digest_parts_of_compiler)
        self.headers = HeaderSymbols(answer.tree)
        self.precompiled = Precompiled(answer)
        self.precompiled_sources = Precompiled(answer, SOURCES) if fast else None
        self._below_top, self._below_tree = f"{top}/", (f"{answer.tree.source}/", f"{answer.tree.objects}/")
        self._program_paths = named_programs(answer, environ)
        self._programs = {name: stamp(path) for name, path in self._program_paths.items()}
        self._stale: dict[str, bool] = {}
        self._explains = bool(env.GetOption("debug_explain"))

    @property
    def tree(self) -> KernelTree:
        """The kernel tree."""
        return self.answer.tree

    @property
    def verbose(self) -> bool:
        """Whether commands are shown in full (V=1)."""
        return "1" in dict(self.answer.variables).get("V", "")

    @property
    def tells_reasons(self) -> bool:
        """Whether it is said of each target why it is made (V=2)."""
        return "2" in dict(self.answer.variables).get("V", "")

    @property
    def made_fast(self) -> Sequence[str]:
        """For the signatures of objects: how sources are compiled with FAST=1."""
        return ["precompiled headers (FAST=1)"] if self.precompiled_sources else []

    @property
    def warns_of_symbols(self) -> bool:
        """Whether symbols that nothing exports are only warned of (KBUILD_MODPOST_WARN=1)."""
        return bool(dict(self.answer.variables).get("KBUILD_MODPOST_WARN") or self.environ.get("KBUILD_MODPOST_WARN"))

    def programs_in(self, commands: Sequence[str]) -> list[tuple[str, Stamp]]:
        """The programs that `commands` start, each in its present state."""
        return [item for item in self._programs.items() if any(item[0] in command for command in commands)]

    @property
    def shares(self) -> bool:
        """Whether what is built is stored in a shared cache."""
        return shares(self.env)

    def program_digests(self, commands: Sequence[str]) -> list[str]:
        """The programs that `commands` start, each with a digest of its content."""
        used = self._used_programs(commands).items()
        return [*(f"{name} {program_digest(path)}" for name, path in used), *self._parts_of_compiler()]

    def knows_programs(self, commands: Sequence[str]) -> bool:
        """Whether the programs that `commands` start are those whose digests `program_digests` has."""
        return not hides_compiler(self._used_programs(commands), self.environ)

    def _used_programs(self, commands: Sequence[str]) -> dict[str, str]:
        named = self._program_paths.items()
        return {name: path for name, path in named if any(name in command for command in commands)}

    def _digest_parts_of_compiler(self) -> list[str]:
        """The programs that the compiler itself starts, each with a digest of its content."""
        found = parts_of_compiler(self.answer, self.environ).items()
        return [f"{name} {program_digest(path) if path else ''}" for name, path in found]

    def named_files(
        self, commands: Sequence[str], targets: Sequence[str], *, cwd: str, find: Callable[[str], str] = str
    ) -> list[str]:
        """The files that `commands` name in the directory `cwd`, besides programs and headers whose digests are known,
        and what they write with `targets`."""
        known = {*self._program_paths.values(), *targets}
        files = named_files(commands, cwd=cwd, targets=targets, find=find)
        return [path for path in files if path not in known and not is_digested(self.tree, path)]

    def is_own(self, path: str) -> bool:
        """Whether a file belongs to the project, and not to the kernel tree or the system."""
        return path.startswith(self._below_top) and not path.startswith(self._below_tree)

    def track(self, object_file: str, cmd_path: str, freshness: Freshness) -> None:
        """Let an object, and its `.cmd` file, be made again where `freshness` finds it stale."""
        if object_file not in self._stale:
            self._stale[object_file] = freshness.is_stale(object_file, cmd_path)
            if self._explains and self._stale[object_file] and os.path.exists(object_file):  # noqa: PTH110
                say(f"kbuildpy: {os.path.relpath(object_file, self.top)}: {freshness.why_stale(object_file)}")
        self._stale[cmd_path] = self._stale[object_file]

    def is_stale(self, path: str) -> bool:
        """Whether an object that is tracked is stale."""
        return self._stale.get(path, False)

    def outdate(self, object_file: str) -> None:
        """Let an object that will be tracked be stale, whatever its `.cmd` file says."""
        self._stale[object_file] = True

    def _decide(self, dependency: Any, target: Any, prev_ni: Any, repo_node: Any = None) -> bool:
        """SCons' question whether the file `dependency` changed for `target`: a stale object counts as if its first
        source had changed."""
        signature = target.attributes.kbuildpy_contents.signature(dependency)
        dependency.get_ninfo().csig = signature
        if signature != getattr(prev_ni, "csig", None):
            return True
        first = target.sources and dependency is target.sources[0]
        return bool(first) and self._stale.get(target.get_abspath(), False)
