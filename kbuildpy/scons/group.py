"""The modules that go through modpost together, as nodes.

For each object: the object and its record, from its source (`objects`). For the group: `Module.symvers`, from all
module objects. For each module: `.mod.c`, from its object, what that was made from, and `Module.symvers`; then
`.mod.o` and the `.ko` (`final`). `Module.symvers` holds no more than exports, so that a change inside one
module leaves the others alone.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.check_paths import check_encoding
from kbuildpy.kbuild.cmd_file import cmd_path_of
from kbuildpy.kbuild.freshness import Freshness
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.lock import lock_output
from kbuildpy.kbuild.overlay import Overlay
from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan
from kbuildpy.kbuild.rules import CHECK_RULES
from kbuildpy.kbuild.stamps import Stamp, digest, stamp
from kbuildpy.scons.actions import KbuildAction, attach
from kbuildpy.scons.cleaning import clean_with
from kbuildpy.scons.contents import Contents
from kbuildpy.scons.final import declare_common_object, declare_final
from kbuildpy.scons.objects import declare_link, declare_object, own_sources
from kbuildpy.scons.postprocess import find_symvers, run_modpost
from kbuildpy.scons.unfinished import Unfinished

if TYPE_CHECKING:
    from kbuildpy.modpost import ModpostResult
    from kbuildpy.scons.session import Project


class Group:
    """The modules of one output directory for one kernel tree.

    `directory` is the module directory as `M=` would name it. Plans are added one after the other (a Kbuild file
    has one, declared modules have one each); nodes are made at once, and modpost looks at all of them.
    `label` stands before the names of targets in what is printed.
    """

    def __init__(self, project: Project, directory: str, out: str, *, label: str = "") -> None:
        self.project = project
        self.directory = directory
        self.out = out
        self.label = label
        self.modules: list[tuple[ModulePlan, Layout]] = []
        self.objects: dict[str, tuple[ObjectPlan, Layout]] = {}
        # (objects share headers: each is looked up once, not for every object that includes it)
        self.headers: dict[Overlay | None, dict[str, Any]] = {}
        self._records: dict[str, list[Any]] = {}
        self._names: dict[str, ModulePlan] = {}
        self._overlays: dict[Overlay, None] = {}
        self.targets: list[Any] = []
        self._plans: list[tuple[Plan, Layout, list[Any]]] = []
        self.lock = threading.Lock()
        self._prepared = False
        if not project.dry_run:
            lock_output(Path(out), create=not project.read_only)
        self.contents = Contents(Path(out) / ".kbuildpy" / "contents.json")
        self.unfinished = Unfinished(out, top=project.top, read_only=project.read_only)
        self.freshness = Freshness(
            Path(out) / ".kbuildpy" / "index.json",
            autoconf=project.tree.objects / "include/generated/autoconf.h",
            cwd=project.answer.working_directory(directory),
            is_own=self.is_own,
        )
        project.freshness[out] = self.freshness
        self._result: ModpostResult | None = None
        self._order: list[str] = []
        self._extra_symbols: dict[str, None] = {}
        self.extra_symvers: list[Any] = []
        self.mod_c: list[Any] = []
        self.symvers = self.file(f"{out}/Module.symvers")
        self.order = self.file(f"{out}/modules.order")
        self._declare_lists()
        declare_common_object(self)

    @property
    def whose(self) -> str:
        """The release, where targets are shown with it: what is said must tell for which kernel it is."""
        return self.label.rstrip("/")

    def add(self, plan: Plan, layout: Layout) -> list[Any]:
        """Nodes for every module of `plan`; those of the `.ko`s. The same declaration may come twice, as with SCons'
        own builders. Raises `KbuildError` for another module of the same name."""
        for *same, nodes in self._plans:
            if same == [plan, layout]:
                return list(nodes)
        env = self.project.answer.environment_for(self.project.environ, layout.evaluated)
        for item in plan.objects:
            known = self.objects.get(item.target)
            if known is None:
                self.objects[item.target] = (item, layout)
                declare_object(self, item, layout, env)
            elif known[0] != item:
                raise KbuildError(
                    f"{layout.relative(item.target)} would be made in two ways, for two modules",
                    hint="an object knows the name of its module: give each module a source of its own",
                )
        if layout.overlay:
            self._overlays[layout.overlay] = None
        for module in plan.modules:
            self._refuse_second(module)
            if module.parts:
                declare_link(self, module, layout, env)
            self.modules.append((module, layout))
        self._extend_lists(plan, layout)
        self.find_extra_symvers()
        made = [declare_final(self, module, layout) for module in plan.modules]
        self.targets += made
        self._plans.append((plan, layout, made))
        self._name_targets(plan, made)
        return made

    def _name_targets(self, plan: Plan, made: Sequence[Any]) -> None:
        """Let `scons NAME.ko` and `scons NAME` build module NAME, and `scons -h` tell so."""
        from SCons.Script import COMMAND_LINE_TARGETS

        if not COMMAND_LINE_TARGETS and not self.project.env.GetOption("help"):
            return
        from kbuildpy.scons.help import describe_module
        from kbuildpy.scons.named import name_module

        for module, node in zip(plan.modules, made, strict=True):
            name = Path(module.name).name
            describe_module(self.project.env, name, node.get_internal_path())
            name_module(self.project.env, name, node)

    def find_extra_symvers(self) -> None:
        """Look for the files that KBUILD_EXTRA_SYMBOLS names; other groups may have come to make some of them.

        What one plan names counts for all modules of the group: modpost looks at all of them at once. A
        symvers that is not there says nothing (modpost's rule); as a node it would be an error.
        """
        cwd = self.project.answer.working_directory(self.directory)
        nodes = [self.file(find_symvers(self.project, name, cwd=cwd)) for name in self._extra_symbols]
        new = [node for node in nodes if node not in self.extra_symvers and (node.is_derived() or node.exists())]
        self.extra_symvers += new
        for node in (self.symvers, *self.mod_c) if new else ():
            _add_sources(node, new)

    def default_targets(self) -> list[Any]:
        """Everything that `make modules` leaves: the modules, `Module.symvers`, each `modules.order`."""
        return [*self.targets, self.symvers, self.order]

    def file(self, path: str) -> Any:
        """The node of a file; `KbuildError` if a directory is there, or a file where a directory must be, or the
        name is not UTF-8."""
        check_encoding(path)
        try:
            return self.project.env.fs.File(path)
        except TypeError as mismatch:
            raise KbuildError(str(mismatch).rstrip("."), hint="move it out of the way, and build again") from mismatch

    def input(self, name: str) -> Any:
        """The node of an object of a module: made here, or one that came with the sources."""
        item, layout = self.objects[name]
        prebuilt = not item.steps and item.source
        return self.file(layout.find(layout.absolute(item.source)) if prebuilt else layout.actual(name))

    def module_object(self, module: ModulePlan, layout: Layout) -> Any:
        """The node of a module's object before modpost."""
        return self.file(layout.actual(module.target)) if module.parts else self.input(module.target)

    def records(self, module: ModulePlan) -> list[Any]:
        """The nodes of the records of a module's compiled objects; of objects that make made for the Kbuild file's own
        rules, what they were made from."""
        if module.target not in self._records:
            self._records[module.target] = self._find_records(module)
        return self._records[module.target]

    def _find_records(self, module: ModulePlan) -> list[Any]:
        found = []
        for item, layout in (self.objects[name] for name in module.objects):
            if item.steps and item.steps[0].rule != "copy":
                found.append(self.file(str(cmd_path_of(Path(layout.actual(item.target))))))
            elif not item.steps and layout.overlay:
                found += own_sources(self, self.record_file(item.target), layout)
        return found

    def record_file(self, name: str) -> Path:
        """The record of an object of a module: among the output, or among the sources when those bring the object
        (whoever ships an object has to ship its record; without it Kbuild's modpost fails, too)."""
        item, layout = self.objects[name]
        compiled = item.steps and item.steps[0].rule != "copy"
        if compiled:
            return cmd_path_of(Path(layout.actual(name)))
        return Path(layout.find(str(cmd_path_of(Path(layout.absolute(name))))))

    def find(self, path: str) -> str:
        """The file that commands of the group find at `path` (absolute)."""
        return next((found for found in (overlay.find(path) for overlay in self._overlays) if found != path), path)

    def is_own(self, path: str) -> bool:
        """Whether a file is the module's, and not the kernel tree's or the system's."""
        return self.project.is_own(path) or path.startswith(f"{self.directory}/")

    def action(
        self,
        function: Any,
        steps: Sequence[BuildStep],
        layout: Layout,
        target: str,
        *,
        title: str = "",
        facts: Sequence[object] = (),
    ) -> KbuildAction:
        """An action signed with the commands of `steps`, the compiler and `facts`; `title` is Kbuild's words,
        in which `target` (nominal) is shown as the user knows it."""
        answer = self.project.answer
        commands = [step.command for step in steps if step.rule not in CHECK_RULES]
        programs = self.project.programs_in(commands)
        signature = digest(answer.compiler, programs, commands, layout, list(facts))
        shown = title.replace(target, f"{self.label}{layout.relative(target)}")
        action = KbuildAction(function, title=f"  {shown}" if shown else "", signature=signature)
        action.describe = lambda: "\n".join([*commands, f"by {answer.compiler}", *_described([*programs, *facts])])
        return action

    def prepare_modpost(self) -> None:
        """Do what modpost will need while the first compiler runs: half of a small module's modpost is that."""
        if not self._prepared:
            self._prepared = True
            threading.Thread(target=_prepare, args=(self.project,), daemon=True).start()

    def modpost(self, *, again: bool) -> ModpostResult:
        """modpost over all modules of the group; without `again` an earlier result of this run is good.

        Prints its diagnostics. Raises `CommandError` when it found errors.
        """
        with self.lock:
            if self._result is None or again:
                self._result = run_modpost(self, extra_symbols=list(self._extra_symbols))
            return self._result

    def _declare_lists(self) -> None:
        title = f"  MODPOST {self.label}Module.symvers"
        self._symvers_action = KbuildAction(self._write_symvers, title=title, signature=self.modpost_signature())
        self._symvers_action.describe = self.modpost_description
        attach(self, [self.symvers], [], self._symvers_action)
        self._order_action = KbuildAction(self._write_order, title="", signature="")
        attach(self, [self.order], [], self._order_action)
        self.project.env.Clean(self.symvers, f"{self.out}/.kbuildpy")
        clean_with(self.project.env, self.symvers, self.order)

    def modpost_signature(self) -> str:
        """What decides modpost's work beside its inputs that are nodes."""
        answer = self.project.answer
        command = answer.modpost.command.replace(answer.placeholder, "")
        return digest(__version__, answer.identity, command, stamp(answer.tree.symvers))

    def modpost_description(self) -> str:
        """The same in words."""
        answer = self.project.answer
        command = answer.modpost.command.replace(answer.placeholder, "")
        symvers = answer.tree.symvers
        return "\n".join(
            [f"modpost of kbuildpy {__version__} for: {command}", *_described([(str(symvers), stamp(symvers))])]
        )

    def _extend_lists(self, plan: Plan, layout: Layout) -> None:
        inputs = [self.module_object(module, layout) for module in plan.modules]
        records = [node for module in plan.modules for node in self.records(module)]
        _add_sources(self.symvers, [*inputs, *dict.fromkeys(records)])
        self._extra_symbols.update(dict.fromkeys(plan.extra_symbols))
        self._order.append(layout.nominal(plan.orders[0][1]))
        self._order_action.signature = digest(self._order).encode()
        for name, text in plan.orders[1:]:
            node = self.file(layout.actual(name))
            attach(self, [node], [], _writer(layout.nominal(text)))
            self.targets.append(node)

    def _write_symvers(self, target: list[Any], source: list[Any]) -> None:
        write_text(target[0], self.modpost(again=True).symvers)

    def _write_order(self, target: list[Any], source: list[Any]) -> None:
        write_text(target[0], "".join(self._order))

    def _refuse_second(self, module: ModulePlan) -> None:
        name = Path(module.name).name
        other = self._names.setdefault(name, module)
        if other is not module:
            raise KbuildError(
                f"two modules are called {name}: {other.name}.ko and {module.name}.ko",
                hint="the kernel knows a module by its name alone: rename one of them",
            )


def write_text(node: Any, text: str) -> None:
    """Write a target that is text, whole."""
    path = Path(node.get_abspath())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, errors="surrogateescape")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _described(facts: Iterable[object]) -> list[str]:
    """What beside commands decides about a target, a line each."""
    return [_described_file(*fact) if _is_stamped(fact) else f"with {fact}" for fact in facts]


def _is_stamped(fact: object) -> TypeGuard[tuple[str, Stamp]]:
    return isinstance(fact, tuple) and len(fact) == 2 and isinstance(fact[1], tuple)


@functools.lru_cache(maxsize=256)
def _described_file(name: str, seen: Stamp) -> str:
    """(SCons asks for this in every build, of all targets, and it is nearly always the same.)"""
    return f"with {name} of {datetime.fromtimestamp(seen[0] / 1e9).isoformat(' ')}, {seen[1]} bytes"


def _add_sources(node: Any, sources: Sequence[Any]) -> None:
    node.add_source(list(sources))
    node.get_executor().add_sources(list(sources))


def _writer(text: str) -> KbuildAction:
    return KbuildAction(lambda target, source: write_text(target[0], text), title="", signature=text)


def _prepare(project: Project) -> None:
    from kbuildpy.modpost.stage import prepare

    project.headers.load()
    prepare(project.tree.symvers)
