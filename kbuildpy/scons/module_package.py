# SPDX-License-Identifier: GPL-2.0-only
"""`env.ModulePackage()`: a package of modules as a node, by the alias `package`.

The target's name has the package's name and version, so these are known when the SConstruct is read. The work is that
of `kbuildpy package`: the modules are checked for the kernel, packed, and read back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy import __version__
from kbuildpy.errors import UsageError
from kbuildpy.kbuild.stamps import digest
from kbuildpy.kernel.architecture import architecture_of, known_architecture
from kbuildpy.kernel.module_files import module_name
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import modules_of_call, stop_on_error
from kbuildpy.scons.check_module import kernel_facts
from kbuildpy.scons.cleaning import clean_with, sources_unless_cleaning
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.help import describe_alias
from kbuildpy.scons.keywords import certificate_nodes, file_nodes, flag, key_path, text, texts

if TYPE_CHECKING:
    from kbuildpy.package.collect import PackageWish
    from kbuildpy.package.formats import FormatWish
    from kbuildpy.scons.project import KernelProject


def module_package(
    env: Any,
    format: Any = None,
    modules: Any = None,
    *,
    name: str = "",
    version: str = "",
    maintainer: str = "",
    summary: str = "",
    folder: str = "",
    depends: str | Sequence[str] = (),
    needs: Any = (),
    copyright: Any = None,
    require_signature: bool = False,
    cert: Any = (),
    compression: str = "",
    weak: bool = False,
    cp: Any = None,
    file_system: str = "",
    os_id: str = "",
    os_version: str = "",
    level: str = "",
    verity: bool = False,
    source: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare a package of `modules` (nodes or names of `.ko` files, for one kernel) in a `format` ("deb", "rpm",
    "sysext", "oci", "tar"); the nodes of its files, the package first, in `packages/` beside the first module.

    `version` is needed, and `name` for several modules. The other keywords are the options of `kbuildpy package`;
    `os_id` is --os. Variables (KDIR, ARCH, ...) choose the kernel, as for KernelModule. All packages are in the alias
    `package`.
    """

    def declare() -> list[Any]:
        from kbuildpy.package.collect import PackageWish  # (not for each run that declares modules)
        from kbuildpy.package.formats import MODULE_FORMATS, FormatWish, refuse_foreign_options
        from kbuildpy.package.sysext import SysextWish

        call = "ModulePackage"
        if format not in MODULE_FORMATS:
            what = "no format" if format is None else f"{str(format)!r} is not a format"
            raise UsageError(f"{call}: {what}", hint=f"formats are {', '.join(MODULE_FORMATS)}")
        example = f"{call}('{format}', ko, version='1.0')"
        nodes = modules_of_call(env, call, module_package, modules, source, variables, example=example, verb="package")
        if not version:
            raise UsageError(f"{call}: the package needs a version", hint=f"name it: {example}")
        given = {
            "maintainer": maintainer,
            "depends": depends,
            "copyright": copyright,
            "compression": compression,
            "weak": weak,
            "cp": cp,
            "file_system": file_system,
            "os": os_id,
            "os_version": os_version,
            "level": level,
            "verity": verity,
        }
        refuse_foreign_options(
            str(format), (each for each, value in given.items() if value), lambda each: f"{call}: {each}="
        )
        sysext = SysextWish(
            text(call, "file_system", file_system or "squashfs"),
            text(call, "os_id", os_id or "_any"),
            text(call, "os_version", os_version),
            text(call, "level", level),
            flag(call, "verity", verity),
        )
        copiers, texts_of = file_nodes(env, f"{call}: cp", cp), file_nodes(env, f"{call}: copyright", copyright)
        format_wish = FormatWish(
            text(call, "compression", compression or "zst"),
            flag(call, "weak", weak),
            sysext,
            Path(copiers[0].srcnode().get_abspath()) if copiers else None,
        )
        wish = PackageWish(
            text(call, "name", name),
            text(call, "version", version),
            text(call, "maintainer", maintainer),
            text(call, "summary", summary),
            text(call, "folder", folder or "updates"),
            texts(call, "depends", depends),
            key_path(env, call, "copyright", copyright),
        )
        declaration = _Declaration(env, str(format), nodes, wish, format_wish, variables)
        certificates = certificate_nodes(env, call, cert)
        needed = file_nodes(env, f"{call}: needs", needs)
        return declaration.declare(
            certificates,
            needed,
            [*copiers, *texts_of],
            require_signature=flag(call, "require_signature", require_signature),
        )

    return stop_on_error(declare)


class _Declaration:
    """What one call has declared."""

    def __init__(
        self,
        env: Any,
        word: str,
        nodes: Sequence[Any],
        wish: PackageWish,
        format_wish: FormatWish,
        variables: Mapping[str, Any],
    ) -> None:
        self._env, self._word, self._nodes = env, word, nodes
        self._wish, self._format_wish = wish, format_wish
        group = session_of(env).group_of(getattr(nodes[0].attributes, "kbuildpy_built", nodes[0].get_abspath()))
        self._group = group if not variables else None
        self._project: KernelProject = self._group.project if self._group else find_project(env, variables)
        self._release = self._project.tree.release

    def declare(
        self, certificates: Sequence[Any], needed: Sequence[Any], others: Sequence[Any], *, require_signature: bool
    ) -> list[Any]:
        """The nodes of the files of the package."""
        env, modules = self._env, self._nodes
        folder = Path(modules[0].get_abspath()).parent
        # (a signed module is beside the built one, in signed/)
        top = Path(getattr(modules[0].attributes, "kbuildpy_built", modules[0].get_abspath())).parent
        folder = top if folder.is_relative_to(top) else folder
        names = self._names()
        targets = [file_node(env, folder / "packages" / name) for name in names]
        paths = [Path(node.get_abspath()) for node in modules]
        needs = [Path(node.get_abspath()) for node in needed]
        trusted = tuple(Path(node.get_abspath()) for node in certificates)

        def make(_: list[Any], __: list[Any]) -> None:
            self._make(paths, needs, trusted, targets, require_signature=require_signature)

        wishes = [self._word, astuple(self._wish), repr(self._format_wish), require_signature]
        date = os.environ.get("SOURCE_DATE_EPOCH", "")
        project = self._project
        facts = kernel_facts(project.tree)
        signature = digest(*map(repr, (wishes, date, project.answer.identity, facts, __version__)))
        title = f"  PACKAGE {self._group.label if self._group else ''}{names[0]}"
        action = KbuildAction(make, title=title, signature=signature)
        sources = [*modules, *needed, *certificates, *others]
        bind(self._group.project.env if self._group else env, targets, sources_unless_cleaning(env, sources), action)
        for target in targets:
            if self._group:
                target.attributes.kbuildpy_contents = self._group.contents
            target.set_nocache()
            # By default, SCons builds all targets in a directory.
            env.Ignore(target.dir, target)
        for module in modules:
            clean_with(env, module, *targets)
        env.Alias("package", targets)
        describe_alias(env, "package")
        return targets

    def _names(self) -> list[str]:
        """The names of the package's files, the package first."""
        from kbuildpy.package.format import names_of_files
        from kbuildpy.package.formats import format_of
        from kbuildpy.package.module_package import ModulePackage
        from kbuildpy.package.package_names import check_release, package_name, package_version

        machine = architecture_of(self._project.tree)
        known = known_architecture(machine.srcarch, machine.bits)
        if known is None:
            raise UsageError(f"ModulePackage: packages have no name for the architecture {machine}")
        name = package_name(self._wish.name, [module_name(node.name) for node in self._nodes])
        version = package_version(self._wish.version, ())
        package = ModulePackage(name, version, check_release(self._release), known, (), 0)
        return names_of_files(format_of(self._word, self._format_wish, None), package)

    def _make(
        self,
        paths: Sequence[Path],
        needed: Sequence[Path],
        certificates: tuple[Path, ...],
        targets: Sequence[Any],
        *,
        require_signature: bool,
    ) -> None:
        """Check, pack and write. Raises `KbuildError`."""
        from kbuildpy.package.admit import Policy, admit
        from kbuildpy.package.collect import make_package, modules_of_kernels, read_modules
        from kbuildpy.package.formats import format_of
        from kbuildpy.package.write_package import package_scratch, write_package
        from kbuildpy.scons.post_build_check import project_kernel

        kernel = project_kernel(self._project)
        wish = self._wish
        if wish.copyright:
            wish = replace(wish, copyright=Path(wish.copyright).read_text(errors="surrogateescape"))
        found = modules_of_kernels(read_modules(paths, [self._release], wish.folder), [self._release])
        package = make_package(found[self._release], self._release, wish, os.environ)
        format = format_of(self._word, self._format_wish, kernel.exports)
        format.check(package)
        policy = Policy(require_signature, certificates)
        with tempfile.TemporaryDirectory(prefix="kbuildpy-") as name:
            admit(package, kernel, policy, needed=needed, scratch=Path(name), jobs=1)
        output = Path(targets[0].get_abspath()).parent
        with package_scratch(output) as scratch:
            write_package(package, format, output, scratch, os.environ)
