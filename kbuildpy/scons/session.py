"""What one run of SCons knows: the kernel trees it builds for, and one group of modules per output directory.

A `Project` is a kernel tree with the answer that it gave under certain variables. It is made when the first
module for it is declared, and shared by all that follow.
"""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.freshness import Freshness, HeaderSymbols
from kbuildpy.kbuild.precompiled import Precompiled
from kbuildpy.kbuild.stamps import Stamp, stamp
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kbuild.tree_programs import compiler_remark, named_programs
from kbuildpy.kernel.find import check_release, find_trees
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.pin import take_pin
from kbuildpy.say import complain, say
from kbuildpy.scons import interrupts
from kbuildpy.scons.cache import cache_class, tree_state
from kbuildpy.scons.cleaning import is_cleaning, remove_empty_folders, remove_empty_parents
from kbuildpy.scons.variables import KNOWN_NAMES, is_kbuild_name

if TYPE_CHECKING:
    from kbuildpy.scons.group import Group
    from kbuildpy.signing.signer import Signer

SConsEnvironment = Any


class Project:
    """One kernel tree under one set of variables: its answer, the environment of its commands, its header facts."""

    def __init__(
        self, env: SConsEnvironment, answer: TreeAnswer, environ: Mapping[str, str], top: Path, *, check: bool
    ) -> None:
        self.answer = answer
        self.check = check
        self.environ = environ
        self.top = top
        self.dry_run = is_dry_run(env)
        self.read_only = self.dry_run or bool(env.GetOption("clean"))
        self.env = env.Clone()
        self.env.Decider(self._decide)
        state = functools.cache(lambda: tree_state(answer.tree))
        self.env["CACHEDIR_CLASS"] = cache_class(self.env.validate_CacheDir_class(), state)
        self._programs = {name: stamp(path) for name, path in named_programs(answer, environ).items()}
        self.headers = HeaderSymbols(answer.tree.objects)
        self.precompiled = Precompiled(answer)
        self.freshness: dict[str, Freshness] = {}
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
    def warns_of_symbols(self) -> bool:
        """Whether symbols that nobody exports are nothing to fail over (KBUILD_MODPOST_WARN=1)."""
        return bool(dict(self.answer.variables).get("KBUILD_MODPOST_WARN") or self.environ.get("KBUILD_MODPOST_WARN"))

    def programs_in(self, commands: Sequence[str]) -> list[tuple[str, Stamp]]:
        """The programs that `commands` start, each in its present state."""
        return [item for item in self._programs.items() if any(item[0] in command for command in commands)]

    def is_own(self, path: str) -> bool:
        """Whether a file belongs to the project, and not to the kernel tree or the system."""
        tree = self.answer.tree
        return path.startswith(f"{self.top}/") and not path.startswith((f"{tree.source}/", f"{tree.objects}/"))

    def track(self, object_file: str, record_file: str, freshness: Freshness) -> None:
        """Let objects that `freshness` finds stale be made again."""
        for target in (object_file, record_file):
            self._tracked(target, object_file, record_file, freshness)

    def outdate(self, object_file: str) -> None:
        """Let an object that will be tracked be stale, whatever its record says."""
        self._stale[object_file] = True

    def _tracked(self, target: str, object_file: str, record_file: str, freshness: Freshness) -> None:
        if object_file not in self._stale:
            self._stale[object_file] = freshness.is_stale(object_file, record_file)
            if self._explains and self._stale[object_file] and os.path.exists(object_file):  # noqa: PTH110
                say(f"kbuildpy: {os.path.relpath(object_file, self.top)}: {freshness.why_stale(object_file)}")
        self._stale[target] = self._stale[object_file]

    def _decide(self, dependency: Any, target: Any, prev_ni: Any, repo_node: Any = None) -> bool:
        """SCons' question whether the file `dependency` changed for `target`; what is no node counts as the first
        source."""
        signature = target.attributes.kbuildpy_contents.signature(dependency)
        dependency.get_ninfo().csig = signature
        if signature != getattr(prev_ni, "csig", None):
            return True
        first = target.sources and dependency is target.sources[0]
        return bool(first) and self._stale.get(target.get_abspath(), False)


class Session:
    """Everything that is declared in one run of SCons; `of` finds the run's own."""

    def __init__(self, env: SConsEnvironment) -> None:
        take_pin()
        self.top = Path(env.Dir("#").get_abspath()).resolve()
        self.default_environment = dict(env["ENV"])
        self.groups: dict[str, Group] = {}
        # What depmod writes below each lib/modules/RELEASE.
        self.indexes: dict[str, Any] = {}
        # Keys that SignModule() opens, each once.
        self.signers: dict[Any, Callable[[], Signer]] = {}
        # Where modules are installed, and the place in which folders are made for them.
        self.installed: dict[tuple[Path, Path], None] = {}
        self.removes = is_cleaning(env) and not is_dry_run(env)
        self.builds_for_several = False
        self._projects: dict[tuple[Any, ...], Project] = {}
        self._trees: dict[tuple[str, str], KernelTree] = {}
        self._told: set[str] = set()
        # Variables on the command line that reach make, and that nothing was found to read so far.
        self.unread_arguments = _unknown_arguments()
        interrupts.watch()
        atexit.register(self.save)

    @staticmethod
    def of(env: SConsEnvironment) -> Session:
        """The session that `env` belongs to: one per file system object, that is, per run of SCons."""
        session = getattr(env.fs, "kbuildpy_session", None)
        if session is None:
            session = env.fs.kbuildpy_session = Session(env)
        assert isinstance(session, Session)
        return session

    def find_tree(self, kdir: str, kernelrelease: str, *, quiet: bool) -> KernelTree:
        """The kernel tree to build for; says once which one was taken and why, when nobody named it.

        Raises `UsageError` for a `kdir` that is not the tree of `kernelrelease`, besides what `find_trees` raises.
        """
        key = (kdir, kernelrelease)
        if key not in self._trees:
            found = find_trees(kdir=kdir or None, kernelrelease=kernelrelease or None)[0]
            if kdir and kernelrelease:
                check_release(found.tree, kernelrelease)
            self._trees[key] = found.tree
            if not quiet and not kdir:
                say(f"kbuildpy: building for {found.tree.release}: {found.reason}")
        return self._trees[key]

    def use_tree(self, tree: KernelTree) -> None:
        """Take `tree` when its object part is named as KDIR: it was found already."""
        self._trees[(str(tree.objects), "")] = tree

    def project(
        self,
        env: SConsEnvironment,
        tree: KernelTree,
        variables: Mapping[str, str],
        environ: Mapping[str, str],
        *,
        check: bool = True,
        btf_threads: bool = False,
    ) -> Project:
        """The project for `tree` under `variables` (for make) and `environ`; `check`: what it builds is checked;
        `btf_threads`: pahole runs as under make."""
        key = (tree.objects, tuple(sorted(variables.items())), tuple(sorted(environ.items())), check, btf_threads)
        if key not in self._projects:
            answer = ask_tree(tree, variables=variables, environ=environ, btf_threads=btf_threads)
            whose = tree.release if self.builds_for_several else ""
            for text in (answer.warnings, compiler_remark(answer)):
                if text and self.say_once(f"{whose}\n{text}"):
                    complain(text, whose=whose)
            self._projects[key] = Project(env, answer, environ, self.top, check=check)
        return self._projects[key]

    def group_of(self, path: str) -> Group | None:
        """The group that makes the file `path`, by the place of its output."""
        found = [out for out in self.groups if path.startswith(f"{out}/")]
        return self.groups[max(found, key=len)] if found else None

    def save(self) -> None:
        """Write what this run learnt (at its end, however it ends), and say what of the command line had no effect."""
        from SCons.Script import ARGUMENTS

        if ARGUMENTS and self.groups and (self.unread_arguments or not KNOWN_NAMES.issuperset(ARGUMENTS)):
            from kbuildpy.scons.unread import warn_at_the_end

            warn_at_the_end(self, ARGUMENTS)
        interrupts.tell()
        for project in self._projects.values():
            if not project.read_only:
                project.headers.save()
                for freshness in project.freshness.values():
                    freshness.save()
        for group in self.groups.values():
            if not group.project.read_only:
                group.contents.save()
            group.unfinished.end()
        if self.removes:
            for out in self.groups:
                remove_empty_folders(Path(out), stop=self.top)
            for folder, stop in self.installed:
                remove_empty_parents(folder, stop=stop)

    def say_once(self, text: str) -> bool:
        """Whether `text` was not said before in this run."""
        new = text not in self._told
        self._told.add(text)
        return new


def _unknown_arguments() -> set[str]:
    from SCons.Script import ARGUMENTS

    return {name for name in ARGUMENTS if is_kbuild_name(name) and name not in KNOWN_NAMES}


def is_dry_run(env: SConsEnvironment) -> bool:
    """Whether nothing may be written (`-n`)."""
    return bool(env.GetOption("no_exec"))


def job_count(env: SConsEnvironment) -> int:
    """How many jobs make may run for a Kbuild file's own rules."""
    return max(int(env.GetOption("num_jobs")), 1) if env.GetOption("num_jobs") else os.cpu_count() or 1
