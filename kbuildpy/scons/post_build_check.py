# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's verdict in the build, after each link.

A module that the kernel would refuse fails the build, unless CHECK=0. It is checked against the kernel
tree's facts, and the exports of the modules of the group and of KBUILD_EXTRA_SYMBOLS. Signatures are not checked: a
module that was just linked has none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kbuild.stamps import Stamp, stamp
from kbuildpy.kernel.licenses import GPL_COMPATIBLE
from kbuildpy.kernel.module_files import module_name, packed_head, read_packed, unpacked
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.loader.kernel import Exports, KernelExport, LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports
from kbuildpy.loader.kernels.from_tree import kernel_from_tree
from kbuildpy.loader.kernels.keys import with_certificates
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.machines.machine import machine_named
from kbuildpy.loader.verdict import Verdict
from kbuildpy.say import complain
from kbuildpy.scons.group import Group
from kbuildpy.scons.project import KernelProject


def check_built(group: Group, module: Path, shown: str) -> None:
    """Check a module that was just linked. Raises `KbuildError` when the kernel would refuse it; the file is removed
    then."""
    kernel = group_kernel(group)
    # (it is signed later, if at all)
    verdict, _ = load_module(module.read_bytes(), replace(kernel, sees_signatures=False), file=shown)
    if verdict.accepted:
        return
    if group.project.warns_of_symbols and verdict.stage == "simplify_symbols":
        # (modpost's warning is easily overlooked, and also means symbols that another module will export)
        complain(f"kbuildpy: warning: {shown}: {verdict.kernel} would refuse it: {verdict.reason}")
        return
    module.unlink()
    raise refusal_of(verdict, hint="CHECK=0 builds it without this check")


def verdict_on(
    path: Path,
    shown: str,
    params: str,
    built_for: Group | KernelProject,
    certificates: Sequence[Path],
    started: Mapping[str, Any],
) -> Verdict:
    """The verdict on the module file `path`, loaded with `params`, by the kernel of a group or a project that was
    `started` so (attributes of a `LoaderKernel`), with these files of `certificates` enrolled."""
    kernel = group_kernel(built_for) if isinstance(built_for, Group) else project_kernel(built_for)
    kernel = with_certificates(replace(kernel, **started), certificates)
    packed = read_packed(path)
    verdict, _ = load_module(unpacked(packed, path), kernel, args=params, file=shown, packed=packed_head(packed))
    return verdict


def refusal_of(verdict: Any, *, hint: str = "") -> KbuildError:
    """A refusal as an error of the build."""
    what = f"refused with {verdict.errno}" if verdict.errno else "not safe to load"
    message = f"{verdict.file}: {what} by {verdict.kernel}: {verdict.reason}"
    log = f"kernel log: {verdict.log}" if verdict.log else ""
    return KbuildError(message, hint="\n".join(filter(None, (log, verdict.hint, hint))))


def prepare_check(project: KernelProject) -> None:
    """Ask for what `check_built` will need. Raises as `project_kernel`."""
    machine_named(project_kernel(project).machine)


def group_kernel(group: Group) -> LoaderKernel:
    """The kernel that `group` is built for, in which the modules of the group and of its extra symvers are known."""
    paths = [Path(node.get_abspath()) for node in (group.symvers, *group.extra_symvers)]
    return _group_kernel(group, tuple((path, stamp(path)) for path in paths if path.is_file()))


@functools.lru_cache(maxsize=8)
def _group_kernel(group: Group, symvers: tuple[tuple[Path, Stamp], ...]) -> LoaderKernel:
    """The same for the symvers files that are there, each in the state that it is in: one for all modules."""
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
    objects = {module_name(module.name): group.module_object(module, layout) for module, layout in group.modules}

    def is_proprietary(name: str) -> bool:
        licenses = ModuleImage.from_path(Path(objects[name].get_abspath())).modinfo_values("license")
        return not licenses or licenses[0] not in GPL_COMPATIBLE

    return functools.lru_cache(maxsize=None)(is_proprietary)


@functools.lru_cache(maxsize=8)
def project_kernel(project: KernelProject) -> LoaderKernel:
    """The kernel that `project` builds for, as far as its tree tells."""
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
        """The export of `symbol` by the first of them that has it."""
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
