"""The modules that go through modpost together, as nodes.

For each object: the object and its record, from its source. For the group: `Module.symvers`, from all module
objects. For each module: `.mod.c`, from its object, what that was made from, and `Module.symvers`; then
`.mod.o` and the `.ko`. `Module.symvers` holds no more than exports, so that a change inside one module
leaves the others alone.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.compile import Job, compile_object, is_checked_source, link_object, record_path
from kbuildpy.kbuild.freshness import Freshness
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import ModulePlan, ObjectPlan, Plan, Step
from kbuildpy.kbuild.question import digest, stamp
from kbuildpy.kbuild.record import Record, parse_record
from kbuildpy.scons.actions import KbuildAction, attach
from kbuildpy.scons.headers import include_folders, own_headers, search_headers

if TYPE_CHECKING:
    from kbuildpy.modpost import ModpostResult
    from kbuildpy.scons.session import Project


class Group:
    """The modules of one output directory for one kernel tree.

    `directory` is the module directory as `M=` would name it. Plans are added one after the other (a Kbuild file has
    one, declared modules have one each); nodes are made at once, and modpost looks at all of them.
    """

    def __init__(self, project: Project, directory: str, out: str, *, label: str = "") -> None:
        self.project = project
        self.directory = directory
        self.out = out
        self.label = label
        self.modules: list[tuple[ModulePlan, Layout]] = []
        self.final: list[Any] = []
        self.checks: list[Any] = []
        self._lock = threading.Lock()
        self._result: ModpostResult | None = None
        self._order: list[str] = []
        self._extra_symbols: dict[str, None] = {}
        self._layouts: dict[str, tuple[ObjectPlan, Layout]] = {}
        self._own: dict[str, list[str]] = {}
        self._symvers_action: KbuildAction | None = None
        self._order_action: KbuildAction | None = None
        self.freshness = Freshness(
            Path(out) / ".kbuildpy" / "index.json",
            autoconf=project.tree.objects / "include/generated/autoconf.h",
            cwd=project.answer.working_directory(directory),
        )
        project.freshness[out] = self.freshness
        self.symvers = self._file(f"{out}/Module.symvers")
        self.order = self._file(f"{out}/modules.order")
        self._declare_common_object()

    def add(self, plan: Plan, layout: Layout, *, extra_symvers: Sequence[Any] = ()) -> list[Any]:
        """Nodes for every module of `plan`; the `.ko` nodes."""
        env = layout_environment(self.project, layout)
        for item in plan.objects:
            self._declare_object(item, layout, env)
        for module in plan.modules:
            self._refuse_second(module)
            if module.parts:
                self._declare_link(module, layout, env)
            self.modules.append((module, layout))
        self._order.append(layout.nominal(plan.orders[0][1]))
        for name, text in plan.orders[1:]:
            self._declare_order(layout.actual(name), layout.nominal(text))
        for name in plan.extra_symbols:
            self._extra_symbols[name] = None
        self._declare_modpost(plan, layout, extra_symvers)
        made = [node for module in plan.modules for node in self._declare_final(module, layout)]
        self.final += made
        return made

    def default_targets(self) -> list[Any]:
        """Everything that `make modules` leaves: the modules, `Module.symvers`, `modules.order`."""
        return [*self.final, self.symvers, self.order, *self.checks]

    # Objects

    def _declare_object(self, item: ObjectPlan, layout: Layout, env: dict[str, str]) -> None:
        if item.target in self._layouts:
            return
        self._layouts[item.target] = (item, layout)
        path = layout.actual(item.target)
        if not item.steps and item.source:
            return  # an object that came with the sources is used where it is
        if not item.source:
            raise KbuildError(
                f"{layout.relative(item.target)}: nothing says how to make it",
                hint=f"is {Path(layout.relative(item.target)).with_suffix('.c')} missing from {self.directory}?",
            )
        source = self._file(layout.absolute(item.source))
        if item.steps[0].rule == "copy":
            action = self._action(lambda target, source: _copy(source[0], target[0]), item.steps, layout, item.target)
            attach(self.project.env, [self._file(path)], [source], action)
            return
        job = Job(
            item.target,
            tuple(step for step in item.steps if step.rule != "force_checksrc"),
            layout,
            layout.cwd,
            env,
            extra=layout.prefix_map(),
            verbose=self.project.verbose,
        )
        targets = self._attach_compile(job, [source], title=item.steps[0].quiet)
        self._declare_own_headers(item, layout, targets)
        for step in item.steps:
            if step.rule == "force_checksrc":
                self._declare_check(step, job, source)

    def _attach_compile(self, job: Job, sources: list[Any], *, title: str) -> list[Any]:
        targets = [self._file(str(job.object_file)), self._file(str(job.record_file))]
        action = self._action(
            lambda target, source: self._compile(job, target), job.steps, job.layout, job.target, title, job.extra
        )
        attach(self.project.env, targets, sources, action)
        self.project.track(str(job.object_file), str(job.record_file), self.freshness)
        return targets

    def _compile(self, job: Job, targets: list[Any]) -> None:
        began = time.time_ns()
        record = compile_object(job, symbols_of=self.project.headers.of)
        with self._lock:
            self.freshness.note(str(job.object_file), str(job.record_file), record, began_ns=began)
            own = self._own_nodes(record, job.layout)
        # What the compiler said replaces what was guessed; SCons stores it with the target.
        for target in targets:
            target.implicit = list(own)
            target.implicit_set = set(own)
            target._children_reset()

    def _declare_own_headers(self, item: ObjectPlan, layout: Layout, targets: list[Any]) -> None:
        record_file = record_path(Path(layout.actual(item.target)))
        try:
            own = self._own_nodes(parse_record(record_file.read_text(errors="surrogateescape")), layout)
        except OSError:
            folders = include_folders(item.steps[0].command, cwd=layout.cwd, is_own=self._is_own)
            names = search_headers(layout.absolute(item.source), folders, exists=self._will_exist)
            own = [self._file(name) for name in names]
        for target in targets:
            target.implicit = list(own)
            target.implicit_set = set(own)

    def _own_nodes(self, record: Record, layout: Layout) -> list[Any]:
        names = own_headers(record.headers, cwd=layout.cwd, is_own=self._is_own)
        return [self._file(name) for name in names if self._will_exist(name)]

    def _is_own(self, path: str) -> bool:
        return self.project.is_own(path) or path.startswith(f"{self.directory}/")

    def _will_exist(self, path: str) -> bool:
        if not self._is_own(path):
            return False
        return os.path.isfile(path) or self._file(path).is_derived()  # noqa: PTH113

    def _declare_check(self, step: Step, job: Job, source: Any) -> None:
        node = self._file(f"{job.object_file}.checked")
        check = Job(job.target, (step,), job.layout, job.cwd, job.env, verbose=job.verbose)
        title = f"  {step.quiet}" if step.quiet else ""
        attach(
            self.project.env,
            [node],
            [source],
            KbuildAction(lambda target, source: link_object(check), title=title, signature=step.command),
        )
        node.set_always_build(True)
        node.set_pseudo(True)
        self.checks.append(node)

    def _declare_link(self, module: ModulePlan, layout: Layout, env: dict[str, str]) -> None:
        parts = [self._input(name, layout) for name in module.parts]
        listing = layout.actual(f"{module.name}.mod")
        job = Job(module.target, module.steps, layout, layout.cwd, env, outputs=module.parts, verbose=self.project.verbose)

        def link(target: list[Any], source: list[Any]) -> None:
            Path(listing).parent.mkdir(parents=True, exist_ok=True)
            Path(listing).write_text("".join(f"{node.get_abspath()}\n" for node in source[: len(parts)]))
            link_object(job)

        action = self._action(link, module.steps, layout, module.target, extra=module.parts)
        attach(self.project.env, [self._file(layout.actual(module.target))], parts, action)

    def _input(self, name: str, layout: Layout) -> Any:
        item, its_layout = self._layouts[name]
        if not item.steps and item.source:
            return self._file(its_layout.absolute(item.source))
        return self._file(its_layout.actual(name))

    # modpost

    def _declare_modpost(self, plan: Plan, layout: Layout, extra_symvers: Sequence[Any]) -> None:
        answer = self.project.answer
        inputs = [self._input_of(module, layout) for module in plan.modules]
        records = [node for module in plan.modules for node in self._records(module, layout)]
        if self._symvers_action is None:
            tree_symvers = stamp(answer.tree.symvers)
            signature = digest(answer.identity, answer.modpost.command.replace(answer.placeholder, ""), tree_symvers)
            title = f"  MODPOST {self._display('Module.symvers')}"
            self._symvers_action = KbuildAction(self._write_symvers, title=title, signature=signature)
            attach(self.project.env, [self.symvers], [*inputs, *records, *extra_symvers], self._symvers_action)
            self._order_action = KbuildAction(self._write_order, title="", signature="")
            attach(self.project.env, [self.order], [], self._order_action)
            self.project.env.Clean(self.symvers, f"{self.out}/.kbuildpy")
        else:
            self.symvers.add_source([*inputs, *records, *extra_symvers])
            executor = self.symvers.get_executor()
            executor.add_sources([*inputs, *records, *extra_symvers])
        assert self._order_action is not None
        self._order_action.signature = digest(self._order).encode()

    def _declare_order(self, path: str, text: str) -> None:
        node = self._file(path)

        def write(target: list[Any], source: list[Any]) -> None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, errors="surrogateescape")

        attach(self.project.env, [node], [], KbuildAction(write, title="", signature=text))
        self.final.append(node)

    def _input_of(self, module: ModulePlan, layout: Layout) -> Any:
        if module.target in self._layouts:
            return self._input(module.target, layout)
        return self._file(layout.actual(module.target))

    def _records(self, module: ModulePlan, layout: Layout) -> list[Any]:
        compiled = [self._layouts[name] for name in module.objects if self._layouts[name][0].steps]
        return [
            self._file(str(record_path(Path(its.actual(item.target)))))
            for item, its in compiled
            if item.steps[0].rule != "copy"
        ]

    def _write_symvers(self, target: list[Any], source: list[Any]) -> None:
        result = self._modpost(again=True)
        Path(target[0].get_abspath()).write_text(result.symvers, errors="surrogateescape")

    def _write_order(self, target: list[Any], source: list[Any]) -> None:
        Path(self.out).mkdir(parents=True, exist_ok=True)
        Path(target[0].get_abspath()).write_text("".join(self._order), errors="surrogateescape")

    def _write_mod_c(self, module: ModulePlan, layout: Layout, target: list[Any]) -> None:
        text = self._modpost(again=False).mod_c[layout.nominal(module.name)]
        Path(target[0].get_abspath()).write_text(text, errors="surrogateescape")

    def _modpost(self, *, again: bool) -> ModpostResult:
        """modpost over all modules of the group; its result is good for the rest of the run.

        Prints its diagnostics. Raises `CommandError` when it found errors.
        """
        from kbuildpy.scons.postprocess import run_modpost

        with self._lock:
            if self._result is None or again:
                self._result = run_modpost(
                    self.project,
                    directory=self.directory,
                    modules=[
                        (layout.nominal(module.name), self._input_of(module, layout).get_abspath(), module, layout)
                        for module, layout in self.modules
                    ],
                    extra_symbols=list(self._extra_symbols),
                    symvers_of=self.symvers_file,
                )
            return self._result

    def symvers_file(self, name: str) -> str:
        """The file that a name in KBUILD_EXTRA_SYMBOLS means (see `builders.find_symvers`)."""
        from kbuildpy.scons.builders import find_symvers

        return find_symvers(self.project, name, cwd=self.project.answer.working_directory(self.directory))

    # The final link

    def _declare_final(self, module: ModulePlan, layout: Layout) -> list[Any]:
        answer = self.project.answer
        below = layout.relative(module.name)
        mod_c = self._file(f"{self.out}/{below}.mod.c")
        looked_at = [self._file(layout.absolute(self._layouts[name][0].source)) for name in module.objects]
        sources = [self._input_of(module, layout), *self._records(module, layout), self.symvers, *looked_at]
        headers = list(
            dict.fromkeys(
                node
                for name in module.objects
                if self._layouts[name][0].steps
                for node in self._file(self._layouts[name][1].actual(name)).implicit or ()
            )
        )
        signature = digest(answer.identity, answer.modpost.command.replace(answer.placeholder, ""), self.directory)
        attach(
            self.project.env,
            [mod_c],
            list(dict.fromkeys(sources)),
            KbuildAction(
                lambda target, source: self._write_mod_c(module, layout, target), title="", signature=signature
            ),
        )
        mod_c.implicit = headers
        mod_c.implicit_set = set(headers)
        if dict(answer.variables).get("KBUILD_MODPOST_NOFINAL") == "1":
            return [mod_c]
        nominal = Layout(self.directory, self.directory, self.out, self._final_cwd())
        steps = answer.steps_for(answer.compile_mod_c, directory=self.directory, module=below)
        job = self._final_job(f"{below}.mod.o", steps, nominal)
        self._attach_compile(job, [mod_c], title=steps[0].quiet)
        return [self._declare_ko(module, layout, nominal, below)]

    def _declare_ko(self, module: ModulePlan, layout: Layout, nominal: Layout, below: str) -> Any:
        answer = self.project.answer
        ko = self._file(f"{self.out}/{below}.ko")
        steps = answer.steps_for(answer.link, directory=self.directory, module=below)
        common = [self._file(f"{self.out}/.module-common.o")] if answer.common_object else []
        module_object = self._input_of(module, layout)
        sources = [module_object, self._file(f"{self.out}/{below}.mod.o"), *common]
        vmlinux = str(answer.tree.objects / "vmlinux")
        has_btf = any(step.rule == "btf_ko" for step in steps)
        facts = [stamp(name) for name in answer.link_needs] + ([stamp(vmlinux)] if has_btf else [])
        env = self._final_environment()

        def link(target: list[Any], source: list[Any]) -> None:
            self._link_ko(steps, nominal, below, module_object.get_abspath(), env)

        quiet = steps[0].quiet
        name = f"{below}.ko" if answer.in_directory else f"{self.directory}/{below}.ko"
        action = self._action(link, steps, nominal, name, title=quiet, extra=[str(facts)])
        attach(self.project.env, [ko], sources, action)
        return ko

    def _link_ko(self, steps: tuple[Step, ...], layout: Layout, below: str, module_object: str, env: Any) -> None:
        from kbuildpy.scons.postprocess import link_module

        link_module(
            steps,
            out=self.out,
            directory=self.directory,
            below=below,
            module_object=module_object,
            cwd=layout.cwd,
            env=env,
            in_directory=self.project.answer.in_directory,
            verbose=self.project.verbose,
            display=self._display(f"{below}.ko"),
        )

    def _declare_common_object(self) -> None:
        answer = self.project.answer
        if not answer.common_object or dict(answer.variables).get("KBUILD_MODPOST_NOFINAL") == "1":
            return
        steps = answer.steps_for(answer.compile_common, directory=self.directory)
        layout = Layout(self.directory, self.directory, self.out, self._final_cwd())
        job = self._final_job(".module-common.o", steps, layout)
        source = self._file(os.path.normpath(os.path.join(layout.cwd, answer.common_source)))  # noqa: PTH118
        self._attach_compile(job, [source], title=steps[0].quiet)

    def _final_cwd(self) -> str:
        return self.out if self.project.answer.in_directory else self.project.answer.working_directory(self.directory)

    def _final_environment(self) -> dict[str, str]:
        env = self.project.answer.environment_for(self.project.environ, self.directory)
        env["PWD"] = self._final_cwd()
        return env

    def _final_job(self, below: str, steps: tuple[Step, ...], layout: Layout) -> Job:
        """A compilation of something that lies among the output itself."""
        in_directory = self.project.answer.in_directory
        target = below if in_directory else f"{self.directory}/{below}"
        # Where Kbuild runs in the module's directory, we run in the output's, and every name is right already.
        steps = tuple(
            step if in_directory else Step(step.rule, step.quiet, _move_prefix(step.command, self.directory, self.out))
            for step in steps
        )
        return Job(
            target,
            steps,
            Layout(self.directory, self.out if in_directory else self.directory, self.out, layout.cwd),
            layout.cwd,
            self._final_environment(),
            extra=layout.out_prefix_map(),
            verbose=self.project.verbose,
        )

    # Helpers

    def _action(
        self,
        function: Any,
        steps: Sequence[Step],
        layout: Layout,
        target: str,
        title: str | None = None,
        extra: Sequence[str] = (),
    ) -> KbuildAction:
        answer = self.project.answer
        commands = [step.command for step in steps if not is_checked_source(step.rule)]
        signature = digest(answer.compiler, answer.programs, commands, layout, list(extra))
        if title is None:
            title = steps[0].quiet if steps else ""
        shown = title.replace(target, self._display(layout.relative(target))) if title else ""
        return KbuildAction(function, title=f"  {shown}" if shown else "", signature=signature)

    def _display(self, below: str) -> str:
        return f"{self.label}{below}"

    def _file(self, path: str) -> Any:
        return self.project.env.fs.File(path)

    def _refuse_second(self, module: ModulePlan) -> None:
        name = Path(module.name).name
        for other, _ in self.modules:
            if Path(other.name).name == name:
                raise KbuildError(
                    f"two modules are called {name}: {other.name}.ko and {module.name}.ko",
                    hint="the kernel knows a module by its name alone: rename one of them",
                )


def layout_environment(project: Project, layout: Layout) -> dict[str, str]:
    """The environment of the commands for `layout`'s evaluated directory."""
    return project.answer.environment_for(project.environ, layout.evaluated)


def _move_prefix(command: str, directory: str, out: str) -> str:
    """`command` with files below `directory` found below `out` (their names are the same)."""
    return re.sub(rf"(?<![^\s,='\"]){re.escape(directory)}/(?=\S*\.(?:mod|module-common)\.)", lambda _: f"{out}/", command)


def _copy(source: Any, target: Any) -> None:
    import shutil

    path = Path(target.get_abspath())
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.get_abspath(), path)


def fail(message: str, *, hint: str = "") -> CommandError:
    """An error whose cause was printed already."""
    sys.stdout.flush()
    return CommandError(message, hint=hint)
