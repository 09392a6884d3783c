# SPDX-License-Identifier: GPL-2.0-only
"""`Group`: the modules that go through modpost together, as data.

A group is one output directory for one kernel tree. The files that declare its nodes stand above it: `object_nodes` (an
object and its `.cmd` file, from its source), `module_nodes` (`.mod.c`, `.mod.o`, the `.ko`), `group_nodes` (the group
itself with `Module.symvers` and `modules.order`, and the modules of a plan).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kbuildpy.kbuild.cmd_file import cmd_path_of
from kbuildpy.kbuild.freshness import Freshness
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.overlay import Overlay
from kbuildpy.kbuild.plan import ModulePlan, ObjectPlan, Plan
from kbuildpy.kbuild.portable_root import portable_root
from kbuildpy.scons.actions import KbuildAction, write_text
from kbuildpy.scons.contents import Contents
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.unfinished import Unfinished

if TYPE_CHECKING:
    from kbuildpy.advice.advice import Advice
    from kbuildpy.kbuild.call_note import DeclaredKbuild
    from kbuildpy.kbuild.directory_question import DirectoryQuestion
    from kbuildpy.kbuild.evaluation import Evaluation
    from kbuildpy.kbuild.tree_answer import TreeAnswer
    from kbuildpy.modpost.stage import ModpostResult
    from kbuildpy.origins.explain_object import ExplainedObject


class Question(NamedTuple):
    """How make is asked about a directory, or about a declared module, once more: for single targets, for checkers."""

    ask: Callable[[Sequence[str]], tuple[Plan, Layout]]
    """Answers with the plan for single targets (below the directory), and its layout."""
    stems: frozenset[str] | None = None
    """The sources (below the directory, without an ending) that it knows; None: all in the directory."""
    plan: Plan | None = None
    """The plan for all of its modules."""
    evaluate: Callable[[TreeAnswer, Path], Evaluation] | None = None
    """Makes the plan for another answer of the same kernel tree, with files in a folder of its own."""


class Group:
    """The modules of one output directory for one kernel tree."""

    project: KernelProject
    """The kernel tree and its variables."""
    directory: str
    """The module directory as `M=` would name it."""
    out: str
    """The directory of the output."""
    label: str
    """The prefix of the names of targets in messages: `RELEASE/` in a build for several kernels, else ""."""
    neighbours: Mapping[str, Group]
    """All groups of the run, by their output."""
    contents: Contents
    """The signatures of the files of the group's graph."""
    unfinished: Unfinished
    """The marker of a build that was killed."""
    freshness: Freshness
    """The states of kernel headers and CONFIG_ symbols that its objects were made from."""
    symvers: Any
    """The node of `Module.symvers`."""
    order: Any
    """The node of `modules.order`."""
    order_action: KbuildAction
    """The action that writes that."""
    plans: list[tuple[Plan, Layout, list[Any]]]
    """Each plan that was added, with its layout and its modules' nodes: a Kbuild file has one plan, declared modules
    have one each."""
    modules: list[tuple[ModulePlan, Layout]]
    """The modules of all plans."""
    names: dict[str, ModulePlan]
    """The same by their names: the kernel knows a module by its name alone."""
    objects: dict[str, tuple[ObjectPlan, Layout]]
    """The objects of all plans, by their nominal names."""
    questions: list[Question]
    """How make is asked once more: a question for a directory, or one for each declared module."""
    linked: set[str]
    """The nominal names of module objects that are linked from others, and of single targets that are another form of a
    source: those that have nodes."""
    asked: list[Any] | None
    """The nodes of the single targets that this run is for; None: it is for all modules."""
    targets: list[Any]
    """The nodes that a build makes unless others are asked for, beside those two."""
    mod_c: list[Any]
    """The nodes of the `.mod.c`."""
    extra_symbols: dict[str, None]
    """The words of KBUILD_EXTRA_SYMBOLS, of all plans."""
    extra_symvers: list[Any]
    """The nodes of those that are there, or that another group makes."""
    order_texts: list[str]
    """The text of `modules.order`, a piece of each plan."""
    overlays: dict[Overlay, None]
    """The overlays of the layouts."""
    header_nodes: dict[Overlay | None, dict[str, Any]]
    """The nodes of the module's own headers by path: objects share them, and each is looked up once."""
    cmd_nodes: dict[str, list[Any]]
    """The nodes that tell what a module's objects were made from (`object_nodes.cmd_nodes`), by its object."""
    declarations: dict[str, tuple[DirectoryQuestion, str]]
    """Of the objects of declared modules: how make is asked about them, and the place in the SConstruct."""
    declared: list[DeclaredKbuild]
    """The Kbuild files of declared modules."""
    explained: dict[str, ExplainedObject | None]
    """The objects whose flags' origins were asked for, for reasons; None: they are not known."""
    lock: threading.Lock
    """Held by a thread that runs modpost or changes `freshness`."""
    modpost_result: ModpostResult | None
    """What modpost found in this run."""
    modpost_printed: bool
    """modpost has printed something in this run."""
    advice: list[Advice]
    """What was told beside the messages of this run's programs."""
    is_noted: bool
    """What this run was called with is noted in the output (`note_call`)."""
    is_prepared: bool
    """modpost's preparations have begun (`group_modpost.prepare_modpost`)."""

    def __init__(
        self, project: KernelProject, directory: str, out: str, *, label: str, neighbours: Mapping[str, Group]
    ) -> None:
        private = Path(out) / ".kbuildpy"
        self.project = project
        self.directory = directory
        self.out = out
        self.label = label
        self.neighbours = neighbours
        self.contents = Contents(private / "contents.json")
        self.unfinished = Unfinished(out, top=project.top, read_only=project.read_only)
        self.freshness = Freshness(
            private / "index.json",
            autoconf=project.tree.objects / "include/generated/autoconf.h",
            cwd=project.answer.working_directory(directory),
            is_own=self.is_own,
        )
        self.symvers = self.file(f"{out}/Module.symvers")
        self.order = self.file(f"{out}/modules.order")
        self.order_action = KbuildAction(self._write_order, title="", signature="")
        self.plans = []
        self.modules = []
        self.names = {}
        self.objects = {}
        self.questions = []
        self.linked = set()
        self.asked = None
        self.targets = []
        self.mod_c = []
        self.extra_symbols = {}
        self.extra_symvers = []
        self.order_texts = []
        self.overlays = {}
        self.header_nodes = {}
        self.cmd_nodes = {}
        self.declarations = {}
        self.declared = []
        self.explained = {}
        self.lock = threading.Lock()
        self.modpost_result = None
        self.modpost_printed = False
        self.advice = []
        self.is_noted = False
        self.is_prepared = False

    @functools.cached_property
    def root(self) -> str:
        """The path that the user's compiler maps away from what it writes, with the directory in it; "" for none."""
        answer = self.project.answer
        steps = answer.steps_for(answer.compile_mod_c, directory=self.directory, module="x")
        root = portable_root(steps[0].command, self.directory) if steps else ""
        return root if f"{self.out}/".startswith(f"{root}/") else ""

    @property
    def whose(self) -> str:
        """The release in a build for several kernels: messages must tell which kernel they are about."""
        return self.label.rstrip("/")

    def default_targets(self) -> list[Any]:
        """Everything that `make modules` leaves: the modules, `Module.symvers`, each `modules.order`; or the single
        targets that were asked for."""
        if self.asked is not None:
            return self.asked
        return [*self.targets, self.symvers, self.order]

    def file(self, path: str) -> Any:
        """The node of a file, as `file_node`."""
        return file_node(self.project.env, path)

    def input(self, name: str) -> Any:
        """The node of an object of a module: made here, or one that came with the sources."""
        item, layout = self.objects[name]
        prebuilt = not item.steps and item.source
        return self.file(layout.find(layout.absolute(item.source)) if prebuilt else layout.actual(name))

    def module_object(self, module: ModulePlan, layout: Layout) -> Any:
        """The node of a module's object before modpost."""
        return self.file(layout.actual(module.target)) if module.parts else self.input(module.target)

    def cmd_path(self, name: str) -> Path:
        """The `.cmd` file of an object of a module: among the output, or among the sources when those bring the object
        (a package with an object has to have that, too: without it Kbuild's modpost fails as well)."""
        item, layout = self.objects[name]
        compiled = item.steps and item.steps[0].rule != "copy"
        if compiled:
            return cmd_path_of(Path(layout.actual(name)))
        return Path(layout.find(str(cmd_path_of(Path(layout.absolute(name))))))

    def find(self, path: str) -> str:
        """The file that commands of the group find at `path` (absolute)."""
        return next((found for found in (overlay.find(path) for overlay in self.overlays) if found != path), path)

    def is_own(self, path: str) -> bool:
        """Whether a file is the module's, and not the kernel tree's or the system's."""
        return self.project.is_own(path) or path.startswith(f"{self.directory}/")

    def _write_order(self, target: list[Any], source: list[Any]) -> None:
        write_text(target[0], "".join(self.order_texts))
