"""The kernel's verdict in the build: after each link, and `env.CheckModule()`.

A module that the kernel would refuse fails the build, unless CHECK=0. What a build can know is checked: the kernel
tree's facts, what the modules of the group and those of KBUILD_EXTRA_SYMBOLS export. No signature is judged there: what
is linked has none yet.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy import __version__
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kbuild.question import Stamp, digest, stamp
from kbuildpy.loader import since
from kbuildpy.scons.actions import KbuildAction, bind

if TYPE_CHECKING:
    from kbuildpy.kernel.tree import KernelTree
    from kbuildpy.loader.exports import SymversExports
    from kbuildpy.loader.kernel import Exports, KernelExport, LoaderKernel
    from kbuildpy.scons.group import Group
    from kbuildpy.scons.session import Project


@functools.lru_cache(maxsize=8)
def is_wanted(project: Project) -> bool:
    """Whether what is built for `project` is checked: CHECK=0 is no, and so is a kernel whose loader is not known.

    Asked for each module also when there is nothing to do, and the tree's configuration is read for the answer.
    """
    return project.check and project.tree.version >= since.OLDEST and _machine_is_known(project)


def check_built(group: Group, module: Path, shown: str) -> None:
    """Ask what the kernel would say to a module that was linked. Raises `KbuildError` when it would refuse it; the
    file is removed then."""
    from kbuildpy.loader.load_module import load_module

    kernel = group_kernel(group)
    # (what is linked is signed later, if at all)
    verdict, _ = load_module(module.read_bytes(), replace(kernel, sees_signatures=False), file=shown)
    if verdict.accepted:
        return
    if group.project.warns_of_symbols and verdict.stage == "simplify_symbols":
        return
    module.unlink()
    raise refusal_of(verdict, hint="CHECK=0 builds it all the same")


def refusal_of(verdict: Any, *, hint: str = "") -> KbuildError:
    """A refusal as an error of the build."""
    what = f"refused with {verdict.errno}" if verdict.errno else "not safe to load"
    message = f"{verdict.file}: {what} by {verdict.kernel}: {verdict.reason}"
    log = f"kernel log: {verdict.log}" if verdict.log else ""
    return KbuildError(message, hint="\n".join(filter(None, (log, verdict.hint, hint))))


def group_kernel(group: Group) -> LoaderKernel:
    """The kernel that `group` is built for, in which the modules of the group and of its extra symvers are known."""
    paths = [Path(node.get_abspath()) for node in (group.symvers, *group.extra_symvers)]
    return _group_kernel(group, tuple((path, stamp(path)) for path in paths if path.is_file()))


@functools.lru_cache(maxsize=8)
def _group_kernel(group: Group, symvers: tuple[tuple[Path, Stamp], ...]) -> LoaderKernel:
    """The same for the symvers files that are there, each in the state that it is in: one for all modules."""
    from kbuildpy.kernel.symvers import read_symvers
    from kbuildpy.loader.exports import SymversExports

    kernel = project_kernel(group.project)
    if kernel.exports is None:
        return kernel
    modversions = group.project.tree.config.get("CONFIG_MODVERSIONS") == "y"
    own = group.symvers.get_abspath()
    exports = {str(path): SymversExports(read_symvers(path), modversions) for path, _ in symvers}
    others = [item for path, item in exports.items() if path != own]
    return replace(kernel, exports=_Exports(kernel.exports, exports.get(own), others, _licenses(group)))


def _licenses(group: Group) -> Callable[[str], bool]:
    """A function that tells whether the module of that name in `group` is proprietary."""
    from kbuildpy.kernel.own_modules import module_name

    objects = {module_name(module.name): group.module_object(module, layout) for module, layout in group.modules}

    def is_proprietary(name: str) -> bool:
        from kbuildpy.elf.image import ModuleImage
        from kbuildpy.loader.modinfo import GPL_COMPATIBLE

        licenses = ModuleImage.from_path(Path(objects[name].get_abspath())).modinfo_values("license")
        return not licenses or licenses[0] not in GPL_COMPATIBLE

    return functools.lru_cache(maxsize=None)(is_proprietary)


@functools.lru_cache(maxsize=8)
def project_kernel(project: Project) -> LoaderKernel:
    """What is known of the kernel that `project` builds for."""
    from kbuildpy.kbuild.module_facts import ask_module_facts
    from kbuildpy.loader.from_tree import kernel_from_tree

    ask = functools.partial(ask_module_facts, variables=dict(project.answer.variables), environ=project.environ)
    return kernel_from_tree(project.tree, ask)


class _Exports:
    """The kernel's exports, then those of modules that are built together, then those of other builds."""

    def __init__(
        self,
        kernel: Exports,
        own: SymversExports | None,
        others: Sequence[SymversExports],
        is_proprietary: Callable[[str], bool],
    ) -> None:
        self._kernel = kernel
        self._own = own
        self._others = others
        self._is_proprietary = is_proprietary

    def find(self, symbol: str) -> KernelExport | None:
        """What the first of them says of `symbol`."""
        found = self._kernel.find(symbol)
        if found is not None:
            return found
        found = self._own.find(symbol) if self._own else None
        if found is not None:
            return found._replace(proprietary=self._is_proprietary(found.owner))
        for exports in self._others:
            found = exports.find(symbol)
            if found is not None:
                return found._replace(proprietary=None)
        return None


def check_module(
    env: Any, modules: Any, *, params: str | Mapping[str, str] = "", sig_enforce: bool = False, **variables: Any
) -> list[Any]:
    """Declare that `modules` (nodes or names of `.ko` files) are checked; the nodes of the verdicts, `NAME.ko.check`
    beside the modules, one JSON object each. A refused module fails the build.

    `params` are parameters as for insmod: of all modules, or of each by its name; `sig_enforce`: the kernel takes
    signed modules only. Variables (KDIR, ARCH, ...) choose the kernel, as for KernelModule.
    """
    from kbuildpy.kernel.own_modules import module_name
    from kbuildpy.scons.builders import stop_on_error
    from kbuildpy.scons.keywords import check_names, file_nodes, flag, parameters_by_module

    def declare() -> list[Any]:
        call = "CheckModule"
        check_names(call, check_module, variables)
        nodes = file_nodes(env, call, modules)
        if not nodes:
            raise UsageError(f"{call}: no modules to check", hint=f"name one: {call}(ko)")
        parameters = parameters_by_module(call, params, nodes)
        enforced = flag(call, "sig_enforce", sig_enforce)
        return [
            _declare(env, node, parameters[module_name(node.name)], sig_enforce=enforced, variables=variables)
            for node in nodes
        ]

    return stop_on_error(declare)


def _declare(env: Any, module: Any, params: str, *, sig_enforce: bool, variables: Mapping[str, Any]) -> Any:
    from kbuildpy.scons.builders import find_project
    from kbuildpy.scons.session import Session

    session = Session.of(env)
    group = session.group_of(module.get_abspath()) if not variables else None
    project = group.project if group else find_project(env, variables)
    if project.tree.version < since.OLDEST or not _machine_is_known(project):
        raise UsageError(
            f"CheckModule: the loader of {project.tree.release} is not known",
            hint=f"kernels from {'.'.join(map(str, since.OLDEST))} on, for x86_64 and arm64",
        )
    suffix = "check" if group else f"{project.tree.release}.check"
    node = env.fs.File(f"{module.get_abspath()}.{suffix}")

    def check(targets: list[Any], sources: list[Any]) -> None:
        from kbuildpy.files import replacing
        from kbuildpy.kernel.own_modules import read_module
        from kbuildpy.loader.load_module import load_module

        kernel = replace(group_kernel(group) if group else project_kernel(project), sig_enforce=sig_enforce)
        path = Path(sources[0].get_abspath())
        verdict, _ = load_module(read_module(path), kernel, args=params, file=str(sources[0]))
        if not verdict.accepted:
            raise refusal_of(verdict)
        with replacing(Path(targets[0].get_abspath())) as slot:
            slot.write(json.dumps(verdict.to_json()).encode() + b"\n")

    label = group.label if group else f"{project.tree.release} "
    signature = digest(params, sig_enforce, project.answer.identity, _facts(project.tree), __version__)
    action = KbuildAction(check, title=f"  CHECK   {label}{Path(module.get_abspath()).name}", signature=signature)
    bind(group.project.env if group else env, [node], [module], action)
    if group:
        node.attributes.kbuildpy_contents = group.contents
    node.set_nocache()
    return node


def _facts(tree: KernelTree) -> list[object]:
    """The states of the files that a verdict hangs on: the tree's symvers, the image with its keys, the list of the
    kernel's own modules."""
    from kbuildpy.kernel.image import image_of_tree
    from kbuildpy.kernel.own_modules import modules_directory

    image: Path | None = None
    with suppress(KbuildError):
        image = image_of_tree(tree)
    modules = modules_directory(tree.release)
    places = (tree.symvers, image, modules and modules / "modules.dep")
    return [place and (str(place), stamp(place)) for place in places]


def _machine_is_known(project: Project) -> bool:
    from kbuildpy.kernel.architecture import architecture_of

    return str(architecture_of(project.tree)) in ("x86_64", "arm64")
