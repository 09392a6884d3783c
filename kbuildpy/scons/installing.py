"""`env.InstallModules()`: modules_install as nodes.

An installed module is a node that is made from the built one, and `modules.dep` one that is made from all installed
modules of a directory lib/modules/RELEASE. `scons install` makes them, `scons -c install` takes the modules away.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import UserList
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbuildpy.errors import UsageError
from kbuildpy.install.beneath import check_index, check_places
from kbuildpy.install.depmod import depmod_runs, depmod_title, run_depmod
from kbuildpy.install.module import install_module, target_of, titles
from kbuildpy.install.modules import BuiltModule, check_release
from kbuildpy.install.signer import tree_signer
from kbuildpy.install.stage import check_signatures, no_depmod_hint, stays_signed, unsigned_warning
from kbuildpy.kbuild.ask_install import ask_install
from kbuildpy.kbuild.check_paths import check_encoding
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.say import complain
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.builders import find_project, stop_on_error
from kbuildpy.scons.cleaning import sources_unless_cleaning
from kbuildpy.scons.keywords import (
    check_make_names,
    directory_path,
    file_nodes,
    given_modules,
    key_path,
    made_keys,
    text,
)
from kbuildpy.scons.session import Project, Session
from kbuildpy.scons.variables import KNOWN_NAMES, make_variables
from kbuildpy.signing.open import open_signer
from kbuildpy.signing.pkcs11_uri import is_pkcs11_uri

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

    `root` is INSTALL_MOD_PATH: a directory, or None for what the command line says, and else the running system;
    `target` and `source` are SCons' words for the two.
    `key`, `cert` and `hash` sign in place of the kernel tree's own key. What is in upper case is a variable for Kbuild
    (`INSTALL_MOD_DIR="extra"`, `INSTALL_MOD_STRIP=1`). All that is installed is in the alias `install`.
    """

    def declare() -> list[Any]:
        from kbuildpy.scons.help import describe_alias

        call = "InstallModules"
        check_make_names(call, install_modules, variables)
        given = given_modules(call, modules, source, example=f"{call}(None, ko), after the place")
        place = _root(env, target if root is None else root, variables)
        signing = key_path(env, call, "key", key), key_path(env, call, "cert", cert), text(call, "hash", hash or "")
        nodes = [_declare_module(env, node, place, signing, variables) for node in file_nodes(env, call, given)]
        env.Alias("install", nodes)
        describe_alias(env, "install")
        return nodes

    return stop_on_error(declare)


def _declare_module(
    env: Any, module: Any, root: str, signing: tuple[str, str, str], variables: Mapping[str, Any]
) -> Any:
    session = Session.of(env)
    built = getattr(module.attributes, "kbuildpy_built", module.get_abspath())
    group = session.group_of(built)
    project = group.project if group else find_project(env, variables)
    # Below the output lies what Kbuild would have below the module directory.
    name = os.path.relpath(built, group.out) if group else module.name
    if not KNOWN_NAMES.issuperset(variables):
        from kbuildpy.scons.unread import warn_of_unread_install

        warn_of_unread_install(session, project, variables)
    given = {**dict(project.answer.variables), **make_variables({}, variables)}
    rules = ask_install(project.tree, variables=given, environ=project.environ)
    target = target_of(name, rules, root)
    check_encoding(str(target))
    own = rules.signature.key if rules.signature else ""
    signs = bool(signing[0]) or is_pkcs11_uri(own) or (bool(own) and Path(own).is_file())
    find_signer = _signer_finder(session, project, rules, signing)

    def install(targets: list[Any], sources: list[Any]) -> None:
        source = Path(sources[0].get_abspath())
        run_env = rules.environment_for(project.environ, root)
        check_release(source, project.tree.release)
        for said in check_places([name], rules, root):
            _warn(session)(f"kbuildpy: warning: {said}")
        signer, lack = find_signer()
        if lack and not stays_signed(BuiltModule(source, name), rules):
            _warn(session)(unsigned_warning(lack))
        check_signatures([BuiltModule(source, name)], rules, signer if signing[0] else None, _warn(session))
        install_module(source, target, rules, env=run_env, signer=signer)
        if rules.depmod and not depmod_runs(rules, root):
            warning = "Warning: modules_install: missing 'System.map' file. Skipping depmod."
            _warn(session)(f"{warning}\n{no_depmod_hint(rules, root)}")

    title = "\n".join(titles(target, rules, signs=signs))
    keys = made_keys(env, signing[:2])
    made = {key.get_abspath() for key in keys}
    node = env.fs.File(str(target))
    bind(
        group.project.env if group else env,
        [node],
        sources_unless_cleaning(env, [module, *keys]),
        KbuildAction(
            install,
            title=title,
            signature=digest(
                rules.strip,
                rules.compress,
                rules.signature,
                signing,
                [stamp(name) for name in _key_files(rules, signing) if name not in made],
            ),
        ),
    )
    if group:
        node.attributes.kbuildpy_contents = group.contents
    session.installed[target.parent, Path(f"{root}{rules.modlib}")] = None
    # SCons would remove the module before another one takes its place.
    node.set_precious()
    node.set_nocache()
    _declare_index(env, session, project, rules, root, node)
    return node


def _declare_index(
    env: Any, session: Session, project: Project, rules: InstallRules, root: str, installed: Any
) -> None:
    """Let depmod run when a module was installed, and after the last one."""
    if not depmod_runs(rules, root):
        return
    place = f"{root}{rules.modlib}"
    index = session.indexes.get(place)
    if index is not None:
        index.add_source([installed])
        index.get_executor().add_sources([installed])
        return

    def run(targets: list[Any], sources: list[Any]) -> None:
        check_index(rules, root)
        said = run_depmod(rules, root, rules.environment_for(project.environ, root))
        if said:
            complain(said)

    index = session.indexes[place] = env.fs.File(f"{place}/modules.dep")
    signature = digest(rules.depmod, stamp(rules.system_map))
    bind(env, [index], [installed], KbuildAction(run, title=depmod_title(rules, root), signature=signature))
    # It tells of other modules as well.
    index.set_precious()
    index.set_noclean()
    index.set_nocache()
    env.Alias("install", index)


def _signer_finder(
    session: Session, project: Project, rules: InstallRules, signing: tuple[str, str, str]
) -> Callable[[], tuple[Signer | None, str]]:
    """A function that opens the key when the first module needs it, and says what is lacking where there is none that
    should be; a passphrase comes from KBUILD_SIGN_PIN."""
    lock = threading.Lock()

    @functools.cache
    def find() -> tuple[Signer | None, str]:
        key, cert, hash = signing
        if key:
            return open_signer(key, cert, hash, kernel_hash=lambda: signing_policy_of(project.tree).hash), ""
        return tree_signer(rules.signature)

    def locked() -> tuple[Signer | None, str]:
        with lock:
            return find()

    return locked


def _key_files(rules: InstallRules, signing: tuple[str, str, str]) -> list[str]:
    key, cert, _ = signing
    if key:
        return [key, cert]
    return [rules.signature.key, rules.signature.certificate] if rules.signature else []


def _warn(session: Session) -> Callable[[str], None]:
    def warn(text: str) -> None:
        if session.say_once(text):
            complain(text)

    return warn


def _root(env: Any, root: Any, variables: Mapping[str, Any]) -> str:
    from SCons.Script import ARGUMENTS

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
