# SPDX-License-Identifier: GPL-2.0-only
"""Keys are opened once in a run of SCons: a token asks for its PIN at each login."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kbuildpy.kernel.installing import TreeSignature
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.scons import signers
from kbuildpy.scons.session import Session

TREE = KernelTree(Path("/nowhere"), Path("/nowhere"), "6.1.0")


@pytest.fixture
def session() -> Session:
    return Session(top=Path("/"), default_environment={}, removes=False, unread_arguments=set())


def test_a_key_is_opened_once_for_all_modules_and_builders(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[Any, ...]] = []

    class Opened(tuple[str, ...]):
        """The names of what was opened."""

        __slots__ = ()

        def warn_of_issuer(self, remedy: str) -> str:
            return ""

    def open_it(*names: str, **_: Any) -> Opened:
        opened.append(names)
        return Opened(names)

    monkeypatch.setattr(signers, "choose_signer", open_it)
    finders = [signers.signer_finder(session, TREE, "pkcs11:object=a", "", "sha256") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda find: find(), finders))
    assert opened == [("pkcs11:object=a", "", "sha256")]
    assert found == {("pkcs11:object=a", "", "sha256")}
    signers.signer_finder(session, TREE, "pkcs11:object=a", "", "sha512")()
    signers.signer_finder(session, TREE, "pkcs11:object=a", "", "sha512", key_id=True)()
    assert len(opened) == 3


def test_a_tree_s_key_is_opened_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[TreeSignature] = []

    def open_it(signature: TreeSignature) -> tuple[None, str]:
        opened.append(signature)
        return None, "no key"

    monkeypatch.setattr(signers, "tree_signer", open_it)
    signature = TreeSignature("sha256", "/key", "/cert")
    for _ in range(3):
        assert signers.tree_signer_finder(session, signature)() == (None, "no key")
    assert opened == [signature]
