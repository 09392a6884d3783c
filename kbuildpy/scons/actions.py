# SPDX-License-Identifier: GPL-2.0-only
"""Actions for SCons that carry their own signature, and how to hang them on nodes.

SCons' own function actions are signed with the function's bytecode and with substituted variables; here the signature
is made of all that decides the bytes of the target: Kbuild's command, the compiler. Attaching an action without SCons'
Builder machinery keeps a no-op build over a thousand nodes quick.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import SCons.Action
import SCons.Builder
import SCons.Errors
import SCons.Executor

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.files import replacing
from kbuildpy.say import complain
from kbuildpy.scons.interrupts import INTERRUPTED, is_interruption
from kbuildpy.scons.recipe import Recipe


class KbuildAction(SCons.Action._ActionAction):  # type: ignore[misc]
    """Calls a function with its targets and sources, and prints a title before that."""

    function: Callable[[list[Any], list[Any]], None]
    """What makes the targets."""
    title: str
    """What is printed, "" for nothing."""
    signature: bytes
    """The action is up to date as long as it stays."""
    describe: Callable[[], str]
    """The parts of the signature as text, for --debug=explain."""
    whose: str
    """The kernel that errors are about, where there are several."""
    begin: Callable[[], None]
    """Called before a target is made, or taken out of a shared cache."""
    recipe: Recipe | None
    """How its targets get into a shared cache; None: not at all."""
    seconds: float
    """How long it has taken."""
    reason: Callable[[Any], str]
    """Why a target is made, for the line that is printed; empty for nothing."""
    why: Callable[[Any], str]
    """The same, for a trace; `reason` is empty where it is not to be printed."""
    headers: Callable[[], list[Any]]
    """The nodes that the targets depend on besides their sources; asked again whenever a source was made."""

    def __init__(self, function: Callable[[list[Any], list[Any]], None], *, title: str, signature: str) -> None:
        super().__init__()
        self.function = function
        self.title = title
        self.signature = signature.encode(errors="surrogateescape")
        self.describe = lambda: self.title.strip() or "write a file of Kbuild's"
        self.whose = ""
        self.begin = lambda: None
        self.recipe = None
        self.seconds = 0.0
        self.reason = self.why = lambda node: ""
        self.headers = list

    def __str__(self) -> str:
        return self.describe()

    def strfunction(self, target: Any, source: Any, env: Any, executor: Any = None) -> str:
        """What SCons prints before the action runs; nothing for an action without a title."""
        if executor is not None:
            target = executor.get_all_targets()
        reason = self.reason(target[0]) if self.title else ""
        return f"{self.title} - {reason}" if reason else self.title

    def execute(self, target: Any, source: Any, env: Any, executor: Any = None) -> Any:
        """Run the function; a `KbuildError` becomes the failure of this target, without a traceback."""
        if executor is not None:
            target, source = executor.get_all_targets(), executor.get_all_sources()
        try:
            self.begin()
            began = time.monotonic()
            self.function(target, source)
            self.seconds = time.monotonic() - began
        except KbuildError as error:
            if isinstance(error, CommandError) and is_interruption(error.returncode):
                return SCons.Errors.BuildError(node=target, status=error.status, errstr=INTERRUPTED)
            if not isinstance(error, CommandError) or error.hint:
                print_error(error, whose=self.whose)
            return SCons.Errors.BuildError(node=target, status=error.status, errstr=error.message.splitlines()[0])
        except OSError as error:
            failure = of_os_error(error, where=target[0])
            print_error(failure, whose=self.whose)
            return SCons.Errors.BuildError(node=target, status=failure.status, errstr=failure.message)
        return 0

    def get_presig(self, target: Any, source: Any, env: Any, executor: Any = None) -> bytes:
        """The action changed when this changes."""
        return self.signature

    def get_contents(self, target: Any, source: Any, env: Any, executor: Any = None) -> bytes:
        """The same; SCons asks for either."""
        return self.signature

    def get_varlist(self, target: Any, source: Any, env: Any, executor: Any = None) -> str:
        """No construction variable matters."""
        return ""

    def get_implicit_deps(self, target: Any, source: Any, env: Any, executor: Any = None) -> list[Any]:
        """The programs are part of the signature, not nodes."""
        return []


class ImplicitExecutor(SCons.Executor.Executor):  # type: ignore[misc]
    """Runs a `KbuildAction`, and asks it for the dependencies of its targets, where SCons would look into their
    sources.

    The dependencies of a target are known. Of a source that is made (`.mod.c`) SCons would ask whether it is up to
    date: a second or third job of `-c` may be removing just that, or what it is made from, and SCons takes the failure
    to read it for a target without sources, and leaves those behind.
    """

    def scan_sources(self, scanner: Any) -> None:
        """Called for a target whose dependencies are not known, or were forgotten since one of its sources was made
        (`SCons.Node.Node.built`)."""
        # (among the actions may be AddPreAction()'s and AddPostAction()'s)
        [ours] = (action for action in self.get_action_list() if isinstance(action, KbuildAction))
        set_implicit(self.get_all_targets(), ours.headers())


def set_implicit(targets: Sequence[Any], nodes: Sequence[Any]) -> None:
    """Let `targets` depend on `nodes` besides their sources, and on nothing else."""
    for target in targets:
        target.implicit = list(nodes)
        target.implicit_set = set(nodes)
        target._children_reset()


def bind(
    env: Any,
    targets: Sequence[Any],
    sources: Sequence[Any],
    action: KbuildAction,
    *,
    executor: Callable[..., Any] = SCons.Executor.Executor,
) -> None:
    """Let `action` make `targets` from `sources`, wherever they are, in the construction environment `env`.

    Raises `KbuildError` when something else makes one of them already.
    """
    for target in targets:
        if target.has_builder():
            raise KbuildError(
                f"{target}: two declarations would make this file",
                hint="declare a source once: in a KernelModule(), or in the directory given to Kbuild();\n  "
                "and a module in one CheckModule(), RunModule(), SignModule() or InstallModules() for a kernel",
            )
    runs = executor(action, env, [], list(targets), list(sources))
    for target in targets:
        target.builder_set(_BUILDER)
        target.env_set(env)
        target.add_source(list(sources))
        target.set_executor(runs)
        if len(targets) > 1:
            target.attributes.keep_targetinfo = 1
            target.target_peers = [peer for peer in targets if peer is not target]


def print_error(error: KbuildError, *, whose: str = "") -> None:
    """An error as the command line prints it: what was wrong, then what to do; `whose` is the kernel, where there are
    several."""
    sys.stdout.flush()
    about = f"{whose}: " if whose and whose not in error.message else ""
    lines = [f"kbuildpy: error: {about}{error.message}", *(f"  {line}" for line in error.hint.splitlines())]
    complain("\n".join(lines))


def of_os_error(error: OSError, *, where: object) -> KbuildError:
    """The same as an error that is printed: of the file that it names, else of `where`."""
    name = where if error.filename is None else os.fsdecode(error.filename)
    return KbuildError(f"{name}: {error.strerror or error}", hint=os_error_hint(error))


def os_error_hint(error: OSError) -> str:
    """What to do about an error of the operating system's, or nothing."""
    if error.errno == errno.ENOSPC:
        return "the disk is full: free some space and build again; incomplete files were removed"
    return "is the output directory writable?" if error.errno in (errno.EACCES, errno.EROFS) else ""


def write_text(node: Any, text: str) -> None:
    """Write a target that is text, whole or not at all."""
    path = Path(node.get_abspath())
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as slot:
        # (like what the compiler writes, it is made again after a power failure)
        slot.write(text.encode(errors="surrogateescape"), durable=False)


_BUILDER = SCons.Builder.BuilderBase(action=KbuildAction(lambda target, source: None, title="", signature=""))
