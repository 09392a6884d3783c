# SPDX-License-Identifier: GPL-2.0-only
"""The files by which a machine calls `kbuildpy dkms`: hooks of kernel packages, a service, and a stand-in for dkms.

A hook ends with status 0 whatever happens: a module that does not compile must not leave the package manager half done.
It is told on standard error and by `kbuildpy dkms status`.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.dkms.stands_for import DKMS_VERSION
from kbuildpy.errors import KbuildError
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.own_command import own_command
from kbuildpy.run import run

_SHELL = "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-only\n"

_INSTALLED = """# Builds and installs this machine's packages of modules for the kernel $1, once its headers are there.
[ -n "$1" ] && [ -e "/lib/modules/$1/build/include" ] || exit 0
{call} autoinstall -k "$1" || echo "kbuildpy: some modules were not installed for $1: kbuildpy dkms status" >&2
exit 0
"""
_REMOVED = """# Removes what was built for the kernel $1, which goes.
[ -n "$1" ] || exit 0
{call} unbuild -k "$1" || echo "kbuildpy: modules for $1 are left in /var/lib/dkms: kbuildpy dkms status" >&2
exit 0
"""
_SERVICE = """# SPDX-License-Identifier: GPL-2.0-only
[Unit]
Description=Build and install modules with a dkms.conf for the running kernel
ConditionPathIsDirectory=/var/lib/dkms
After=local-fs.target
Before=network-pre.target graphical.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={call} autoinstall

[Install]
WantedBy=multi-user.target
"""
_CALL = """# Calls kbuildpy dkms.
exec {command} "$@"
"""
_STAND_IN = """# Stands in for dkms: kbuildpy does its work, over the same /var/lib/dkms.
exec {call} "$@"
"""
_POSTINST = """# Called by the packages NAME-dkms when they are configured: NAME VERSION [TARBALLS [ARCH [UPGRADE]]].
[ -n "$1" ] && [ -n "$2" ] || {{ echo "usage: $0 NAME VERSION" >&2; exit 1; }}
[ -e /etc/dkms/no-autoinstall ] && exit 0
{call} configure -m "$1" -v "$2" ${{3:+--archive "$3/$1-$2.dkms.tar.gz"}} ||
    echo "kbuildpy: $1 $2 was not installed for every kernel: kbuildpy dkms status" >&2
exit 0
"""

STAND_IN_PACKAGE = "kbuildpy-stand-in-for-dkms"
"""The package that provides dkms to dpkg."""
_CONTROL = f"""Package: {STAND_IN_PACKAGE}
Version: {DKMS_VERSION}
Architecture: all
Maintainer: kbuildpy <root@localhost>
Section: kernel
Priority: optional
Provides: dkms (= {DKMS_VERSION})
Conflicts: dkms
Depends: make, patch, gcc, libc6-dev
Description: kbuildpy stands in for dkms
 Satisfies the dependency of packages NAME-dkms on dkms. It has no files: kbuildpy dkms hooks --stand-in
 writes the program and the script that those packages call.
"""

_OWN = "usr/lib/kbuildpy/dkms"
_HOOKS = {
    _OWN: (_SHELL + _CALL, 0o755),
    "etc/kernel/postinst.d/kbuildpy-dkms": (_SHELL + _INSTALLED, 0o755),
    "etc/kernel/header_postinst.d/kbuildpy-dkms": (_SHELL + _INSTALLED, 0o755),
    "etc/kernel/prerm.d/kbuildpy-dkms": (_SHELL + _REMOVED, 0o755),
    "etc/systemd/system/kbuildpy-dkms.service": (_SERVICE, 0o644),
}
_FOR_PACKAGES = {
    "usr/sbin/dkms": (_SHELL + _STAND_IN, 0o755),
    "usr/lib/dkms/common.postinst": (_SHELL + _POSTINST, 0o755),
}
_WANTED = "etc/systemd/system/multi-user.target.wants/kbuildpy-dkms.service"
_WANTED_LEADS_TO = "../kbuildpy-dkms.service"
_MARK = "kbuildpy"


def hook_files(*, stand_in: bool, command: Sequence[str] = ()) -> dict[str, tuple[str, int]]:
    """The files by their paths below the root: texts and modes. `command` calls kbuildpy."""
    words = {"command": shlex.join([*(command or own_command()), "dkms"]), "call": f"/{_OWN}"}
    files = {**_HOOKS, **(_FOR_PACKAGES if stand_in else {})}
    return {path: (text.format(**words), mode) for path, (text, mode) in files.items()}


def install_hooks(root: Path, *, stand_in: bool, force: bool) -> list[Path]:
    """Write the files below `root`; their paths. Raises `KbuildError` where a file of somebody else is in the way."""
    files = [NewFile(root / path, text.encode(), mode) for path, (text, mode) in hook_files(stand_in=stand_in).items()]
    for file in files:
        if not force and os.path.lexists(file.path) and not _is_ours(file.path):
            raise KbuildError(
                f"{file.path}: exists already, and is not kbuildpy's",
                hint="remove the package that it belongs to (dpkg -S), or replace it with --force",
            )
    try:
        for file in files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
        write_new(files, force=True)
        wanted = root / _WANTED
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if not wanted.is_symlink():
            wanted.symlink_to(_WANTED_LEADS_TO)
    except OSError as error:
        raise KbuildError(f"{error.filename}: {error.strerror}", hint="become root, or name another --root") from error
    return [file.path for file in files]


def has_package(root: Path) -> bool:
    """Whether the package that provides dkms to dpkg is installed."""
    try:
        status = (root / "var/lib/dpkg/status").read_text(errors="replace")
    except OSError:
        return False
    return re.search(rf"^Package: {STAND_IN_PACKAGE}\nStatus: \S+ \S+ installed$", status, re.MULTILINE) is not None


def make_package(target: Path, *, force: bool) -> None:
    """Write a Debian package that provides dkms to dpkg, and nothing else. Raises `KbuildError`, also where the file
    exists, without `force`."""
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder, "package", "DEBIAN", "control")
        control.parent.mkdir(parents=True, mode=0o755)
        control.parent.parent.chmod(0o755)
        control.write_text(_CONTROL)
        made = Path(folder, "package.deb")
        run(["dpkg-deb", "--root-owner-group", "-b", control.parent.parent, made])
        try:
            write_new([NewFile(target, made.read_bytes(), 0o644)], force=force)
        except OSError as error:
            raise KbuildError(f"{target}: {error.strerror}", hint="name another file: --deb FILE") from error


def remove_hooks(root: Path) -> list[Path]:
    """Remove the files that are kbuildpy's; their paths. Raises OSError."""
    removed = [path for name in hook_files(stand_in=True) if _is_ours(path := root / name)]
    wanted = root / _WANTED
    if wanted.is_symlink() and str(wanted.readlink()) == _WANTED_LEADS_TO:
        removed.append(wanted)
    for path in removed:
        path.unlink()
    return removed


def _is_ours(path: Path) -> bool:
    """Whether a file was written here; a link never was, wherever it leads."""
    try:
        return path.is_file() and not path.is_symlink() and _MARK in path.read_text(errors="replace")
    except OSError:
        return False
