# SPDX-License-Identifier: GPL-2.0-only
"""How a kernel tree installs modules, as a value (scripts/Makefile.modinst); `kbuild.ask_install` asks the tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Stands for INSTALL_MOD_PATH in an environment.
ROOT = "\0ROOT\0"


@dataclass(frozen=True)
class TreeSignature:
    """How the tree signs what it installs: the digest's name, and the files of key and certificate as it names them,
    made absolute (a key may be a `pkcs11:` URI)."""

    hash: str
    key: str
    certificate: str


@dataclass(frozen=True)
class InstallRules:
    """What a tree does with modules that it installs, in this order: copy, `strip`, sign, `compress`; then `depmod`.

    `modlib` is `/lib/modules/RELEASE`; modules go to `folder` in it (INSTALL_MOD_DIR), under their names with `suffix`
    (`.xz`, or none). `strip` and `compress` are argument lists without the file, empty for nothing to do;
    `compress_title` is Kbuild's word for the latter. `signature` is None where the tree does not sign by itself.
    `depmod` is the tree's own script, which looks for `system_map` and does nothing without it. All run in `cwd`,
    in the caller's environment with the changes of `environment` (None: taken away), where `ROOT` stands for
    INSTALL_MOD_PATH.
    """

    release: str
    modlib: str
    folder: str
    suffix: str
    strip: tuple[str, ...]
    signature: TreeSignature | None
    compress: tuple[str, ...]
    compress_title: str
    depmod: tuple[str, ...]
    system_map: str
    cwd: str
    environment: Mapping[str, str | None]

    @property
    def directory(self) -> str:
        """Where modules go, without INSTALL_MOD_PATH."""
        return f"{self.modlib}/{self.folder}"

    def environment_for(self, environ: Mapping[str, str], root: str) -> dict[str, str]:
        """The environment of the tree's programs for INSTALL_MOD_PATH=`root` ("" for the running system)."""
        env = dict(environ)
        for name, value in self.environment.items():
            if value is None:
                env.pop(name, None)
            else:
                env[name] = value.replace(ROOT, root)
        return env
