# SPDX-License-Identifier: GPL-2.0-only
"""From a package to its file: built in a scratch directory, read back, compared, and only then put in its place.

The scratch directory is beside the output, so that a full disk is noticed there, too. A process that is killed leaves a
directory `.kbuildpy-package-*` in the output at most, which the next run of this user removes; never a file that looks
like a package.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.exchange import sync_directory
from kbuildpy.package.format import BuildPlace, PackageFormat
from kbuildpy.package.module_package import ModulePackage
from kbuildpy.package.payload_tree import tool_environment
from kbuildpy.printable import printable

_PREFIX = ".kbuildpy-package-"


@contextmanager
def package_scratch(output: Path) -> Iterator[Path]:
    """A new directory below `output`, which is made where it is missing. Raises `KbuildError` where that cannot be
    written to."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(output)
        scratch = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=output)).absolute()
    except OSError as error:
        raise package_error(error, output) from error
    # (who has the lock is still at work)
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(descriptor)


def write_package(
    package: ModulePackage, format: PackageFormat, output: Path, scratch: Path, environ: Mapping[str, str]
) -> list[Path]:
    """Write `package`, which was admitted, into the directory `output`; the files, the package first.

    `scratch` is a directory on the same file system. Raises `KbuildError`, and then no file is there that was not
    before.
    """
    place = BuildPlace(scratch / format.name, tool_environment(environ, package.date, scratch))
    target = output / format.file_name(package)

    def build() -> Sequence[Path]:
        place.scratch.mkdir()
        built = format.build(package, place)
        _compare(package, format.modules_in(package, built.main, place), target)
        return (built.main, *built.beside)

    return put_in_place(build, target)


def put_in_place(build: Callable[[], Sequence[Path]], target: Path) -> list[Path]:
    """Give the files that `build` makes, on the same file system, their places: the first is `target`, the others are
    beside it. Raises `KbuildError`, also for what `build` could not write."""
    try:
        built = build()
        places = [target, *(target.parent / path.name for path in built[1:])]
        for path, place in zip(built, places, strict=True):
            if place.is_dir():
                raise KbuildError(f"{place}: a directory is in the way", hint="nothing was written")
            _finish(path)
        # The package is last: it is complete when it is there.
        for path, place in reversed(list(zip(built, places, strict=True))):
            path.replace(place)
        sync_directory(target.parent)
    except OSError as error:
        raise package_error(error, target) from error
    except CommandError as error:
        raise _without_space(error, target) from error
    return places


def package_error(error: OSError, target: Path) -> KbuildError:
    """An error of the system's while `target` was written."""
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "the disk is full: free some space and try again; incomplete files were removed"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "name a directory that you can write to: -o DIR"
    return KbuildError(f"{target}: {error.strerror or error}", hint=hint)


def _without_space(error: CommandError, target: Path) -> KbuildError:
    """The error of a tool, which says in its own way that the disk is full."""
    # (the last as rpm's database has it)
    words = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "disk is full")
    if not any(word in error.stderr for word in words):
        return error
    return package_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), target)


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    found = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def _compare(package: ModulePackage, found: Mapping[str, bytes], target: Path) -> None:
    """Raises `KbuildError` unless the modules that were `found` in the finished package are those that were checked."""
    wanted = {module.place: module.contents for module in package.modules}
    differing = sorted(place for place in {*wanted, *found} if wanted.get(place) != found.get(place))
    if differing:
        raise KbuildError(
            f"{target.name}: what was packed is not what was checked: {printable(differing[0])} differs",
            hint="nothing was written; does a setting of the packaging tool change files (strip, compress)?",
        )


def _finish(path: Path) -> None:
    """Give a file the mode of an ordinary one, and have it on the disk."""
    path.chmod(0o644)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(output: Path) -> None:
    """Remove scratch directories of processes of this user that were killed."""
    for path in output.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.lstat().st_uid != os.geteuid() or path.is_symlink():
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)
