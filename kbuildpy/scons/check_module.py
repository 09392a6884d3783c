# SPDX-License-Identifier: GPL-2.0-only
"""`env.CheckModule()`: the kernel's verdict as a node.

The target is the verdict, `NAME.ko.check` beside the module; it exists only when the kernel would load the module. A
refusal goes into `NAME.ko.check-failed`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kbuildpy import __version__
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import replacing
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.find_image import image_of_tree
from kbuildpy.kernel.module_files import module_name
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.known import KNOWN_LOADERS
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import modules_of_call, stop_on_error
from kbuildpy.scons.check_wanted import loader_is_known
from kbuildpy.scons.cleaning import clean_with
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.keywords import certificate_nodes, flag, parameters_by_module, texts


def check_module(
    env: Any,
    modules: Any = None,
    *,
    params: str | Mapping[str, str] = "",
    sig_enforce: bool = False,
    lockdown: bool = False,
    cert: Any = (),
    blacklist: str | Sequence[str] = (),
    source: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare that `modules` (nodes or names of `.ko` files) are checked; the nodes of the verdicts, `NAME.ko.check`
    beside the modules, one JSON object each. A refused module fails the build, and has its verdict in
    `NAME.ko.check-failed`.

    `params` are parameters as for insmod: of all modules, or of each by its name. The rest says how the kernel was
    started: `sig_enforce`, it takes signed modules only; `lockdown`, it is locked down (Secure Boot); `cert`, files of
    certificates that are enrolled there; `blacklist`, its `module_blacklist=`. Variables (KDIR, ARCH, ...) choose the
    kernel, as for KernelModule.
    """

    def declare() -> list[Any]:
        call = "CheckModule"
        nodes = modules_of_call(
            env, call, check_module, modules, source, variables, example="CheckModule(ko)", verb="check"
        )
        parameters = parameters_by_module(call, params, nodes)
        names = [name for item in texts(call, "blacklist", blacklist) for name in item.split(",")]
        started = {
            "sig_enforce": flag(call, "sig_enforce", sig_enforce),
            "lockdown": flag(call, "lockdown", lockdown),
            "blacklist": tuple(names),
        }
        certificates = certificate_nodes(env, call, cert)
        return [
            _declare(env, node, parameters[module_name(node.name)], started, certificates, variables) for node in nodes
        ]

    return stop_on_error(declare)


def _declare(
    env: Any,
    module: Any,
    params: str,
    started: Mapping[str, Any],
    certificates: Sequence[Any],
    variables: Mapping[str, Any],
) -> Any:
    """The verdict on `module` with `params`, by a kernel that was `started` so (attributes of a `LoaderKernel`)."""
    session = session_of(env)
    group = session.group_of(module.get_abspath()) if not variables else None
    project = group.project if group else find_project(env, variables)
    if not loader_is_known(project):
        raise UsageError(
            f"CheckModule: the loader of {project.tree.release} is not known",
            hint=KNOWN_LOADERS,
        )
    suffix = "check" if group else f"{project.tree.release}.check"
    node = file_node(env, f"{module.get_abspath()}.{suffix}")
    failed = Path(f"{node.get_abspath()}-failed")

    def check(targets: list[Any], sources: list[Any]) -> None:
        from kbuildpy.scons.post_build_check import refusal_of, verdict_on  # (not for a build with nothing to do)

        path, *files = (Path(source.get_abspath()) for source in sources)
        failed.unlink(missing_ok=True)
        verdict = verdict_on(path, str(sources[0]), params, group or project, files, started)
        with replacing(Path(targets[0].get_abspath()) if verdict.accepted else failed) as slot:
            slot.write(json.dumps(verdict.to_json()).encode() + b"\n")
        if not verdict.accepted:
            raise refusal_of(verdict, hint=f"the verdict is in {failed}")

    label = group.label if group else f"{project.tree.release} "
    facts = kernel_facts(project.tree)
    signature = digest(params, sorted(started.items()), project.answer.identity, facts, __version__)
    action = KbuildAction(check, title=f"  LOADCHK {label}{Path(module.get_abspath()).name}", signature=signature)
    bind(group.project.env if group else env, [node], [module, *certificates], action)
    if group:
        node.attributes.kbuildpy_contents = group.contents
    node.set_nocache()
    env.Clean(node, file_node(env, failed))
    clean_with(env, module, node, file_node(env, failed))
    return node


@functools.lru_cache(maxsize=8)
def kernel_facts(tree: KernelTree) -> list[object]:
    """The states of the files that decide a verdict: the tree's symvers, the image with its keys, the list of the
    kernel's own modules. (Asked for each module.)"""
    image: Path | None = None
    with suppress(KbuildError):
        image = image_of_tree(tree)
    modules = modules_directory(tree.release)
    places = (tree.symvers, image, modules and modules / "modules.dep")
    return [place and (str(place), stamp(place)) for place in places]
