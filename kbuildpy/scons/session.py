# SPDX-License-Identifier: GPL-2.0-only
"""`Session`: one run of SCons, with the kernel trees that it builds for, and a group of modules for each output
directory.

`begin_session.session_of` finds the run's own, `end_session` saves its indexes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SCons.Node.FS

from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.early_compilers import EarlyCompilers
from kbuildpy.kbuild.tree_programs import compiler_remark
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.output_folder import output_folder
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.say import complain, say
from kbuildpy.scons.group import Group
from kbuildpy.scons.project import KernelProject

if TYPE_CHECKING:
    from kbuildpy.kernel.installing import InstallRules
    from kbuildpy.scons.trace_build import TraceInProgress

_FAST = "kbuildpy: FAST=1: objects are not byte for byte make's; leave it out of a release"


class Session:
    """Everything that is declared in one run of SCons."""

    top: Path
    """The directory of the SConstruct (physical)."""
    default_environment: Mapping[str, str]
    """`env['ENV']` as SCons makes it: a difference is the user's choice."""
    removes: bool
    """This run removes built files (`-c` without `-n`)."""
    is_silent: bool
    """Targets are not announced (`-s`)."""
    unread_arguments: set[str]
    """Variables on the command line that reach make, and that nothing was found to read so far."""
    builds_for_several: bool
    """There are several kernels, so that messages must name theirs."""
    groups: dict[str, Group]
    """The group of each output directory."""
    projects: dict[tuple[Any, ...], KernelProject]
    """The project of each kernel tree under each set of variables."""
    indexes: dict[str, Any]
    """The node of the index (`modules.dep`) below each lib/modules/RELEASE."""
    installed: dict[tuple[Path, Path], None]
    """The folders that modules are installed in, each with the place in which folders are made for them."""
    newly_installed: list[tuple[str, Path]]
    """The modules that were installed into the running system in this run, each with its kernel's release."""
    install_rules: dict[tuple[Any, ...], InstallRules]
    """How the tree of a project installs modules, for each set of variables (`install_modules`)."""
    signers: dict[Hashable, Callable[[], Any]]
    """Functions that open keys, each once (`signers`)."""

    early: EarlyCompilers | None
    """Compiles edited sources before SCons asks for them; None: nothing does."""
    probes: dict[KernelProject, Any]
    """The probes that were declared for a project (`probed.ProjectProbes`)."""
    instruments: dict[KernelProject, Any]
    """What instrumented modules of a project are built with (`instruments.Instruments`)."""
    trace: TraceInProgress | None
    """Notes what happens when; None: nothing does."""
    hidden: dict[str, list[Any]]
    """The nodes that are not built by default, by their output directory."""

    def __init__(
        self,
        *,
        top: Path,
        default_environment: Mapping[str, str],
        removes: bool,
        unread_arguments: set[str],
        is_silent: bool = False,
    ) -> None:
        self.top = top
        self.default_environment = default_environment
        self.removes = removes
        self.is_silent = is_silent
        self.unread_arguments = unread_arguments
        self.builds_for_several = False
        self.groups = {}
        self.hidden = {}
        self.projects = {}
        self.indexes = {}
        self.installed = {}
        self.newly_installed = []
        self.install_rules = {}
        self.signers = {}
        self.early = None
        self.trace = None
        self.probes = {}
        self.instruments = {}
        self._trees: dict[tuple[str, str], KernelTree] = {}
        self._holders: dict[Path, Path] = {}
        self._told: set[str] = set()

    def find_tree(self, kdir: str, kernelrelease: str, *, quiet: bool) -> KernelTree:
        """The kernel tree to build for; says once which one was taken and why, unless it was named.

        Raises `UsageError` for a `kdir` that is not the tree of `kernelrelease`, besides what `resolve` raises.
        """
        key = (kdir, kernelrelease)
        if key not in self._trees:
            [found] = resolve((), Need.TREE, variables={"KDIR": kdir, "KERNELRELEASE": kernelrelease})
            self._trees[key] = found.the_tree()
            if not quiet and not kdir:
                say(f"kbuildpy: building for {found.release}: {found.reason}")
        return self._trees[key]

    def use_tree(self, tree: KernelTree) -> None:
        """Take `tree` when its object part is named as KDIR: it was found already."""
        self._trees[(str(tree.objects), "")] = tree

    def output_folder(self, root: Path, tree: KernelTree) -> Path:
        """The folder below `root` for the output of `tree`: that of its release, for the first tree of that release
        which is declared there."""
        of_release = root / tree.release
        folder = output_folder(root, tree, holder=self._holders.get(of_release))
        if folder == of_release:
            self._holders[of_release] = tree.objects
        return folder

    def project(
        self,
        env: Any,
        tree: KernelTree,
        variables: Mapping[str, str],
        environ: Mapping[str, str],
        *,
        check: bool = True,
        btf_threads: bool = False,
        fast: bool = False,
        coverage: bool = False,
    ) -> KernelProject:
        """The project for `tree` under `variables` (for make) and `environ`; `check`: modules are checked after their
        link; `btf_threads`: pahole runs as under make; `fast`: sources are compiled behind precompiled headers;
        `coverage`: modules are instrumented."""
        settings = (check, btf_threads, fast, coverage)
        key = (tree.objects, tuple(sorted(variables.items())), tuple(sorted(environ.items())), *settings)
        if key not in self.projects:
            answer = ask_tree(tree, variables=variables, environ=environ, btf_threads=btf_threads)
            whose = tree.release if self.builds_for_several else ""
            for text in (answer.warnings, compiler_remark(answer)):
                self.complain_once(text, whose=whose)
            if fast:
                self.complain_once(_FAST, whose=whose)
            self.projects[key] = KernelProject(
                env, answer, environ, self.top, check=check, fast=fast, coverage=coverage, early=self.early
            )
        return self.projects[key]

    def group_of(self, path: str) -> Group | None:
        """The group that makes the file `path`, by the place of its output."""
        found = [out for out in self.groups if path.startswith(f"{out}/")]
        return self.groups[max(found, key=len)] if found else None

    def hide(self, folder: Any) -> None:
        """Let nothing be built by default in the output directory of the node `folder`, until `show_by_default`."""
        hidden = self.hidden[folder.get_abspath()] = list(_built_below(folder, {*self.groups}))
        for node in hidden:
            node.dir.add_ignore([node])

    def show_by_default(self, path: str) -> None:
        """The user has declared the module `path`: what is in its output directory is built by default."""
        group = self.group_of(path)
        for node in self.hidden.pop(group.out, ()) if group else ():
            node.dir.ignore.remove(node)
            node.dir.ignore_set.discard(node)
            node.dir._children_reset()

    def complain_once(self, text: str, *, whose: str = "") -> None:
        """Print `text`, if there is any, on standard error, once in this run; `whose` is the kernel that it is about,
        where there are several."""
        key = f"{whose}\n{text}"
        if text and key not in self._told:
            self._told.add(key)
            complain(text, whose=whose)


def _built_below(folder: Any, others: Container[str]) -> Iterator[Any]:
    """The nodes of files that are built below the node of a directory, but for those below `others`."""
    for name, entry in [*folder.entries.items()]:
        if name in (".", ".."):
            continue
        if isinstance(entry, SCons.Node.FS.Dir):
            if entry.get_abspath() not in others:
                yield from _built_below(entry, others)
        elif entry.has_builder():
            yield entry
