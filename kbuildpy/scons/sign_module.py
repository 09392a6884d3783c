# SPDX-License-Identifier: GPL-2.0-only
"""`env.SignModule()`: signing as nodes.

A signed module is a file of its own, `signed/NAME.ko` beside the built one: that one stays as the linker left
it, and a build that has nothing to link has nothing to sign either.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.files import replacing
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import modules_of_call, stop_on_error
from kbuildpy.scons.cleaning import clean_with
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project
from kbuildpy.scons.keywords import flag, key_path, made_keys, text
from kbuildpy.scons.signers import signer_finder


def sign_module(
    env: Any,
    modules: Any = None,
    *,
    key: Any = "",
    cert: Any = "",
    hash: str = "",
    key_id: bool = False,
    embed: bool = False,
    source: Any = None,
    **variables: Any,
) -> list[Any]:
    """Declare that `modules` (nodes or names of `.ko` files) are signed; the nodes of the signed ones.

    `key` and `cert` are files (PEM or DER; without `cert` the key's file holds both), `key` may be a `pkcs11:` URI. The
    passphrase is taken from KBUILD_SIGN_PIN. `hash` is the digest, by default that of the kernel's own
    modules; `key_id` names the certificate by its key identifier; with `embed` the certificate comes with
    each signature, and those behind it in its file: a delegate's. Variables (KDIR, ARCH, ...) choose the kernel, as for
    KernelModule.
    """

    def declare() -> list[Any]:
        call = "SignModule"
        example = "SignModule(ko, key=..., cert=...)"
        nodes = modules_of_call(env, call, sign_module, modules, source, variables, example=example)
        if not key:
            raise UsageError(f"{call}: no key to sign with", hint=f"name one: {example}")
        names = key_path(env, call, "key", key), key_path(env, call, "cert", cert)
        algorithm, by_key_id = text(call, "hash", hash or ""), flag(call, "key_id", key_id)
        embedding = flag(call, "embed", embed)
        return [
            _declare(env, node, names, algorithm, key_id=by_key_id, embed=embedding, variables=variables)
            for node in nodes
        ]

    return stop_on_error(declare)


def _declare(
    env: Any,
    module: Any,
    names: tuple[str, str],
    hash: str,
    *,
    key_id: bool,
    embed: bool,
    variables: Mapping[str, Any],
) -> Any:
    session = session_of(env)
    group = session.group_of(module.get_abspath())
    project = group.project if group else find_project(env, variables)
    kernel_hash = signing_policy_of(project.tree).hash
    target = Path(module.get_abspath()).parent / "signed" / Path(module.get_abspath()).name
    find_signer = signer_finder(session, project.tree, *names, hash, key_id=key_id, embed=embed)

    def sign(targets: list[Any], sources: list[Any]) -> None:
        from kbuildpy.signing.signer import sign_module as signed_by  # (slow: cryptography)

        module = Path(sources[0].get_abspath()).read_bytes()
        path = Path(targets[0].get_abspath())
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as slot:
            slot.write(signed_by(module, find_signer()) or module)

    label = (
        f"{group.label}{target.relative_to(group.out)}" if group and target.is_relative_to(group.out) else str(target)
    )
    # The key itself has no part in the build's notes, not even its digest: when its file was written does.
    made = made_keys(env, names)
    stamped = [name for name in names if name and name not in {node.get_abspath() for node in made}]
    signature = digest(hash or kernel_hash, key_id, embed, names, [stamp(name) for name in stamped])
    node = file_node(env, target)
    action = KbuildAction(sign, title=f"  SIGN    {label}", signature=signature)
    bind(group.project.env if group else env, [node], [module, *made], action)
    if group:
        node.attributes.kbuildpy_contents = group.contents
    node.set_nocache()
    clean_with(env, module, node)
    # The place of the installed module depends on the place of the built one.
    node.attributes.kbuildpy_built = module.get_abspath()
    return node
