# SPDX-License-Identifier: GPL-2.0-only
"""Installs one module: copied, stripped, signed, compressed, and renamed to its place."""

from __future__ import annotations

import errno
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.files import replacing, umask
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.run import run
from kbuildpy.signing.trailer import append_signature

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer


def target_of(name: str, rules: InstallRules, root: str) -> Path:
    """Where the module `name` is installed below `root` ("" for the running system)."""
    return Path(f"{root}{rules.directory}/{name}{rules.suffix}")


def titles(target: Path, rules: InstallRules, *, signs: bool) -> list[str]:
    """What Kbuild prints for a module installed as `target`."""
    plain = str(target).removesuffix(rules.suffix)
    done = [("INSTALL", plain)]
    done += [("STRIP", plain)] if rules.strip else []
    done += [("SIGN", plain)] if signs else []
    done += [(rules.compress_title, str(target))] if rules.compress else []
    return [f"  {word:<7} {path}" for word, path in done]


def install_module(
    source: Path, target: Path, rules: InstallRules, *, env: Mapping[str, str], signer: Signer | None
) -> tuple[bytes, bytes]:
    """Install the module file `source` as `target`; a reader finds the old file or the new one.

    Its mode is the one that make leaves. Returns the built and the installed contents. Raises `KbuildError`
    when the file cannot be written, or a program fails.
    """
    try:
        built = source.read_bytes()
        contents = _contents(built, source, rules, env, signer)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Kbuild copies to this name, and the compressor removes it.
        copy = Path(str(target).removesuffix(rules.suffix))
        with replacing(target) as replacement:
            replacement.write(contents, mode=_mode(source, copy, compresses=copy != target, signs=bool(signer)))
        if copy != target:
            copy.unlink(missing_ok=True)
        return built, contents
    except OSError as error:
        raise KbuildError(f"{error.filename or target}: {error.strerror}", hint=_hint(error)) from error


def _mode(source: Path, copy: Path, *, compresses: bool, signs: bool) -> int | None:
    """The mode of an installed file, None for that of the file which is there: cp leaves that, sign-file makes a new
    file, and a compressor gives its own the mode of what it compresses."""
    if signs:
        return 0o666 & ~umask()
    if copy.exists():
        return stat.S_IMODE(copy.stat().st_mode) if compresses else None
    return stat.S_IMODE(source.stat().st_mode) & 0o777 & ~umask()


def _contents(
    contents: bytes, source: Path, rules: InstallRules, env: Mapping[str, str], signer: Signer | None
) -> bytes:
    """The bytes to install."""
    if rules.strip:
        contents = stripped(contents, rules, env, source)
    if signer:
        contents = append_signature(contents, signer.detached(contents))
    return compressed(contents, rules, env, source) if rules.compress else contents


def stripped(contents: bytes, rules: InstallRules, env: Mapping[str, str], source: Path) -> bytes:
    """The module `contents`, from the file `source`, as `rules` strip it. Raises `KbuildError` when the program
    fails."""
    return _processed(rules.strip, contents, env, source)


def compressed(contents: bytes, rules: InstallRules, env: Mapping[str, str], source: Path) -> bytes:
    """The module `contents`, for or from the file `source`, as `rules` compress it. Raises `KbuildError` when the
    program fails."""
    return _processed(rules.compress, contents, env, source, suffix=rules.suffix)


def _processed(
    argv: Sequence[str], contents: bytes, env: Mapping[str, str], source: Path, *, suffix: str = ""
) -> bytes:
    """What `argv` makes of a file with these contents: it rewrites it, or makes another one beside it. (From a pipe,
    zstd would not know the size, which it notes.)"""
    with tempfile.TemporaryDirectory(prefix="kbuildpy-") as scratch:
        # (no name that an option could be taken for)
        module = Path(scratch) / "module.ko"
        module.write_bytes(contents)
        done = run([*argv, module], env=env, check=False)
        if done.returncode != 0:
            said = done.error_text.replace(str(module), str(source)).strip()
            raise CommandError(
                f"{source}: {' '.join(argv)} failed with status {done.returncode}: {said}",
                hint="INSTALL_MOD_STRIP is 1, or options for strip" if not suffix else "",
                stderr=done.error_text,
                returncode=done.returncode,
            )
        return Path(f"{module}{suffix}").read_bytes()


def _hint(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space and install again; incomplete files were removed"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "install as root, or below a directory of your own (--root PATH, INSTALL_MOD_PATH=PATH)"
    return ""
