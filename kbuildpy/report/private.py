# SPDX-License-Identifier: GPL-2.0-only
"""What is private on this machine: names of the user and the host, home directories, secrets of the environment."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.pin import signing_pin

ALLOWED_VARIABLES = (
    "ARCH",
    "C",
    "CC",
    "CROSS_COMPILE",
    "KBUILDPY_CACHE",
    "KBUILD_BUILD_TIMESTAMP",
    "KBUILD_EXTRA_SYMBOLS",
    "KBUILD_MODPOST_WARN",
    "KBUILD_OUT",
    "KCFLAGS",
    "KDIR",
    "KERNELRELEASE",
    "LANG",
    "LC_ALL",
    "LD",
    "LLVM",
    "MAKEFLAGS",
    "PATH",
    "SOURCE_DATE_EPOCH",
    "TERM",
    "V",
    "W",
)
"""Variables of the environment whose values a report has."""

SECRET_NAME = re.compile(
    r"(?i)(?:secret|token|passw|passphrase|credential|auth|api_?key|private|(?:^|_)(?:key|pin|pwd|pass)$)"
)
"""What the name of a variable or an option has if its value is a secret."""
_NOT_SECRET = re.compile(r"(?i)^(?:PWD|OLDPWD|SSH_AUTH_SOCK|XAUTHORITY|DEBEMAIL)$")
_USERS = frozenset(
    {"root", "user", "nobody", "debian", "ubuntu", "fedora", "build", "builder", "linux", "kernel", "test"}
)
_HOSTS = frozenset({"localhost", "debian", "ubuntu", "fedora", "archlinux", "alpine", "opensuse", "linux", "kernel"})
"""Names that many have, and that would be found everywhere."""
_LEAST = 3
"""What is not longer is no secret worth the name, and is in other words."""
_OWN = ("USER", "LOGNAME", "SUDO_USER", "USERNAME", "DEBFULLNAME", "DEBEMAIL", "EMAIL", "NAME")


@dataclass(frozen=True)
class Private:
    """What a report must not have."""

    homes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Names of the user: of the account, and in full."""
    hosts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Values of variables that are called like secrets."""
    folders: tuple[tuple[str, str], ...] = ()
    """Directories with the words that stand for them; what is below keeps its name. The longest one first."""

    def literals(self) -> tuple[str, ...]:
        """Everything that is looked for as it is."""
        return (*self.homes, *self.users, *self.hosts, *self.secrets, *(folder for folder, _ in self.folders))


def private_facts(environ: Mapping[str, str] | None = None, *, folders: Mapping[str, str] | None = None) -> Private:
    """What is private here. `folders` are directories that the report is about, with the words for them."""
    given = os.environ if environ is None else environ
    account = _account()
    homes = {given.get("HOME", ""), *(entry.pw_dir for entry in account)}
    homes |= {os.path.realpath(home) for home in homes if home}
    names = {given.get(name, "") for name in _OWN}
    for entry in account:
        names |= {entry.pw_name, entry.pw_gecos.partition(",")[0]}
    hosts = {socket.gethostname(), os.uname().nodename, given.get("HOSTNAME", ""), _line("/etc/hostname")}
    hosts |= {host.partition(".")[0] for host in hosts}
    known = {path: word for path, word in (folders or {}).items() if len(path) > 1}
    return Private(
        homes=_ordered(home.rstrip("/") for home in homes if len(home.strip("/")) > 1),
        users=_ordered(name for name in names if len(name) > 1 and name.lower() not in _USERS),
        hosts=_ordered(host for host in hosts if len(host) > 1 and host.lower() not in _HOSTS),
        secrets=_ordered([*(value for name, value in given.items() if _is_secret(name, value)), *_machine_secrets()]),
        folders=tuple((path, known[path]) for path in _ordered(known)),
    )


def _is_secret(name: str, value: str) -> bool:
    return len(value) > _LEAST and bool(SECRET_NAME.search(name)) and not _NOT_SECRET.match(name)


def _account() -> list[pwd.struct_passwd]:
    """The accounts of this process' user, and of the one who called sudo."""
    found = []
    for user in {os.getuid(), os.geteuid(), int(os.environ.get("SUDO_UID") or os.getuid())}:
        with suppress(KeyError):
            found.append(pwd.getpwuid(user))
    return found


def _machine_secrets() -> list[str]:
    """The numbers of this system, and the passphrase that was taken out of the environment."""
    found = [_line("/etc/machine-id"), _line("/var/lib/dbus/machine-id"), signing_pin() or ""]
    return [each for each in found if len(each) > _LEAST]


def _line(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _ordered(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, the longest first: one may be in another."""
    return tuple(sorted({*texts}, key=lambda text: (-len(text), text)))
