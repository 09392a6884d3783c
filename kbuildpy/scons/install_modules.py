# SPDX-License-Identifier: GPL-2.0-only
"""`env.InstallModules()`: modules_install as nodes.

An installed module is a node that is made from the built one, and `modules.dep` one that is made from all installed
modules of a directory lib/modules/RELEASE (`install_index`). `scons install` makes them, `scons -c install` takes the
modules away.
"""

from __future__ import annotations

import os
from collections import UserList
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SCons.Script import ARGUMENTS

from kbuildpy.errors import UsageError
from kbuildpy.install.beneath import check_places
from kbuildpy.install.depmod import depmod_runs, no_depmod_hint
from kbuildpy.install.module import install_module, target_of, titles
from kbuildpy.install.modules import BuiltModule, check_release
from kbuildpy.install.stage import check_signatures, stays_signed, unsigned_warning
from kbuildpy.kbuild.ask_install import ask_install
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import stop_on_error
from kbuildpy.scons.cleaning import sources_unless_cleaning
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.help import describe_alias
from kbuildpy.scons.install_index import declare_index
from kbuildpy.scons.keywords import (
    check_make_names,
    directory_path,
    file_nodes,
    given_modules,
    key_path,
    made_keys,
    text,
)
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.session import Session
from kbuildpy.scons.signers import signer_finder, tree_signer_finder
from kbuildpy.scons.unread import warn_of_unread_install
from kbuildpy.scons.variables import make_variables
from kbuildpy.signing.key_name import is_pkcs11_uri

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer


def install_modules(
    env: Any,
    root: Any = None,
    modules: Any = None,
    *,
    key: Any = "",
    cert: Any = "",
    hash: str = "",
    source: Any = None,
    target: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare that `modules` (nodes or names of `.ko` files) are installed below `root`; the nodes of the installed.

    `root` is INSTALL_MOD_PATH: a directory, or None for the command line's, and else the running system;
    `target` and `source` are SCons' words for the two.
    `key`, `cert` and `hash` sign in place of the kernel tree's own key. Keywords in upper case are variables for Kbuild
    (`INSTALL_MOD_DIR="extra"`, `INSTALL_MOD_STRIP=1`). All that is installed is in the alias `install`.
    """

    def declare() -> list[Any]:
        call = "InstallModules"
        check_make_names(call, install_modules, variables)
        given = given_modules(call, modules, source, example=f"{call}(None, ko), after the place")
        place = _root(env, target if root is None else root, variables)
        named = _Key(key_path(env, call, "key", key), key_path(env, call, "cert", cert), text(call, "hash", hash or ""))
        nodes = [_declare(env, node, place, named, variables) for node in file_nodes(env, call, given)]
        env.Alias("install", nodes)
        describe_alias(env, "install")
        return nodes

    return stop_on_error(declare)


@dataclass(frozen=True)
class _Key:
    """The key that a declaration names to sign with; `key` is "" where the tree's own is to."""

    key: str
    cert: str
    hash: str


@dataclass(frozen=True)
class _Installation:
    """One module that is to be installed."""

    name: str
    """Its file's path below the output, where Kbuild would have it below the module directory."""
    root: str
    """INSTALL_MOD_PATH, "" for the running system."""
    rules: InstallRules
    """How the tree installs modules."""
    signing: _Key
    """The key of the declaration."""

    @property
    def target(self) -> Path:
        """The installed file."""
        return target_of(self.name, self.rules, self.root)

    @property
    def signs(self) -> bool:
        """Whether a signature will be made, as far as is known before the key is opened."""
        own = self.rules.signature.key if self.rules.signature else ""
        return bool(self.signing.key) or is_pkcs11_uri(own) or (bool(own) and Path(own).is_file())

    @property
    def key_files(self) -> list[str]:
        """The names of the key and the certificate that sign."""
        own = self.rules.signature
        if self.signing.key:
            return [self.signing.key, self.signing.cert]
        return [own.key, own.certificate] if own else []


def _declare(env: Any, module: Any, root: str, signing: _Key, variables: Mapping[str, Any]) -> Any:
    """The node of `module` as it is installed below `root`."""
    session = session_of(env)
    built = getattr(module.attributes, "kbuildpy_built", module.get_abspath())
    group = session.group_of(built)
    project = group.project if group else find_project(env, variables)
    warn_of_unread_install(session, project, variables)
    rules = _rules(session, project, {**dict(project.answer.variables), **make_variables({}, variables)})
    name = os.path.relpath(built, group.out) if group else module.name
    one = _Installation(name, root, rules, signing)
    keys = made_keys(env, (signing.key, signing.cert))
    node = file_node(env, one.target)
    bind(
        group.project.env if group else env,
        [node],
        sources_unless_cleaning(env, [module, *keys]),
        _action(one, session, project, made={key.get_abspath() for key in keys}),
    )
    if group:
        node.attributes.kbuildpy_contents = group.contents
    session.installed[one.target.parent, Path(f"{root}{rules.modlib}")] = None
    # SCons would remove the module before another one takes its place.
    node.set_precious()
    node.set_nocache()
    declare_index(env, session, project, rules, root, node)
    return node


def _rules(session: Session, project: KernelProject, variables: Mapping[str, str]) -> InstallRules:
    """How the tree installs modules under `variables`; asked once for all modules."""
    key = (project, tuple(sorted(variables.items())))
    if key not in session.install_rules:
        session.install_rules[key] = ask_install(project.tree, variables=variables, environ=project.environ)
    return session.install_rules[key]


def _action(one: _Installation, session: Session, project: KernelProject, *, made: set[str]) -> KbuildAction:
    """The action that installs the module; of its key files, the build makes those in `made`."""
    find_signer = _signer_finder(one, session, project)
    rules, signing = one.rules, one.signing
    return KbuildAction(
        lambda targets, sources: _install(one, Path(sources[0].get_abspath()), session, project, find_signer),
        title="\n".join(titles(one.target, rules, signs=one.signs)),
        signature=digest(
            rules.strip,
            rules.compress,
            rules.signature,
            (signing.key, signing.cert, signing.hash),
            [stamp(name) for name in one.key_files if name not in made],
        ),
    )


def _install(
    one: _Installation,
    source: Path,
    session: Session,
    project: KernelProject,
    find_signer: Callable[[], tuple[Signer | None, str]],
) -> None:
    """Install the file `source`. Raises `KbuildError`."""
    rules, module, warn = one.rules, BuiltModule(source, one.name), session.complain_once
    check_release(source, project.tree.release)
    for said in check_places([one.name], rules, one.root):
        warn(f"kbuildpy: warning: {said}")
    signer, lack = find_signer()
    if lack and not stays_signed(module, rules):
        warn(unsigned_warning(lack))
    check_signatures([module], rules, signer if one.signing.key else None, warn)
    install_module(source, one.target, rules, env=rules.environment_for(project.environ, one.root), signer=signer)
    if not one.root:
        session.newly_installed.append((project.tree.release, one.target))
    if rules.depmod and not depmod_runs(rules, one.root):
        warning = "Warning: modules_install: missing 'System.map' file. Skipping depmod."
        warn(f"{warning}\n{no_depmod_hint(rules, one.root)}")


def _signer_finder(
    one: _Installation, session: Session, project: KernelProject
) -> Callable[[], tuple[Signer | None, str]]:
    """A function that finds the signer; or None and the reason, where the module should be signed and cannot be."""
    named = one.signing
    if not named.key:
        return tree_signer_finder(session, one.rules.signature)
    find = signer_finder(session, project.tree, named.key, named.cert, named.hash)
    return lambda: (find(), "")


def _root(env: Any, root: Any, variables: Mapping[str, Any]) -> str:
    """INSTALL_MOD_PATH as the call, the command line, `env` or the environment has it, "" where none does."""
    name, call = "INSTALL_MOD_PATH", "InstallModules"
    if isinstance(root, (list, tuple, UserList)):
        if len(root) != 1:
            raise UsageError(f"{call}: {len(root)} places", hint="the first argument is the place, the second modules")
        (root,) = root
    for value, typed in (
        (root or variables.get(name), False),
        (ARGUMENTS.get(name), True),
        (env.get(name), False),
        (os.environ.get(name), True),
    ):
        if value:
            return directory_path(env, value, typed=typed, call=call).rstrip("/")
    return ""
