# SPDX-License-Identifier: GPL-2.0-only
"""Signs as Git signs tags in this checkout: with gpg, or with ssh-keygen where `gpg.format` is `ssh`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from release.git import git, git_succeeds

NAMESPACE = "kbuildpy-release"
"""What a signature by ssh-keygen is for: one for another purpose is none for a release (ssh-keygen -Y verify -n)."""


@dataclass(frozen=True)
class ReleaseKey:
    """Git's signing key, and the program that signs with it."""

    ssh: bool
    name: str
    """`user.signingkey`; "" for gpg's default key."""
    program: str

    @property
    def suffix(self) -> str:
        """What a signature's file is called after the file that is signed."""
        return ".sig" if self.ssh else ".asc"

    def sign(self, path: Path) -> Path:
        """Sign a file; the file with the signature, beside it. Raises `KbuildError` when the program does not sign."""
        signature = path.with_name(path.name + self.suffix)
        if self.ssh:
            with self._key_file() as key:
                run([self.program, "-Y", "sign", "-n", NAMESPACE, "-f", key, path])
            with path.open("rb") as signed:
                contents = signed.read()
            run([self.program, "-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature], input=contents)
        else:
            key_of = ["--local-user", self.name] if self.name else []
            run([self.program, "--batch", "--yes", "--armor", *key_of, "--output", signature, "--detach-sign", path])
            run([self.program, "--batch", "--verify", signature, path])
        return signature

    @contextmanager
    def _key_file(self) -> Iterator[Path]:
        literal = self.name.removeprefix("key::")
        if literal == self.name and not self.name.startswith("ssh-"):
            yield Path(self.name).expanduser()
            return
        # A public key whose private one an agent has.
        with tempfile.TemporaryDirectory(prefix="kbuildpy-key-") as place:
            key = Path(place, "key.pub")
            key.write_text(f"{literal}\n")
            yield key


def release_key(checkout: Path) -> ReleaseKey:
    """The key of a checkout, tried once. Raises `KbuildError` where there is none that signs."""
    ssh = _setting(checkout, "gpg.format", "openpgp") == "ssh"
    name = _setting(checkout, "user.signingkey", "")
    program = _setting(checkout, "gpg.ssh.program", "ssh-keygen") if ssh else _setting(checkout, "gpg.program", "gpg")
    key = ReleaseKey(ssh, name, program)
    hint = "set user.signingkey, and gpg.format=ssh for a key of OpenSSH (git help config)"
    if ssh and not name:
        raise KbuildError("Git has no signing key", hint=hint)
    with tempfile.TemporaryDirectory(prefix="kbuildpy-key-") as place:
        tried = Path(place, "tried")
        tried.write_text("kbuildpy\n")
        try:
            key.sign(tried)
        except KbuildError as error:
            raise KbuildError(f"Git's signing key does not sign: {error.message}", hint=hint) from error
    return key


def _setting(checkout: Path, name: str, default: str) -> str:
    return git(checkout, "config", "--get", name) if git_succeeds(checkout, "config", "--get", name) else default
