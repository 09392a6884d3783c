# SPDX-License-Identifier: GPL-2.0-only
"""A record of signed or installed modules: one line of JSON for each, which is appended when the module is done."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.files import open_regular, read_regular
from kbuildpy.signing.appended_lines import LONGEST, is_cut

if TYPE_CHECKING:
    from kbuildpy.signing.private_key import KeyOrigin
    from kbuildpy.signing.signer import Signer


@dataclass(frozen=True)
class ManifestLine:
    """One module that was signed or installed."""

    path: str
    sha256_before: str
    """In hexadecimal, of the whole file before it was signed, or of the one that was built."""
    sha256_after: str
    """Of the whole file after that, or of the installed one as it lies there, compressed or not."""
    signer: str | None
    """The certificate's subject; None, as the next four, where nothing was signed."""
    serial: str | None
    key_id: str | None
    """The certificate's subject key identifier, in hexadecimal."""
    hash: str | None
    algorithm: str | None
    time: str
    """UTC, in ISO 8601."""
    key: str | None = None
    """The file of the key that signed it, or its `pkcs11:` URI; None, as the next one, where nothing was signed, or
    where a stopped run had signed it."""
    host: str | None = None
    """The name of the machine where the key signed."""


def new_line(
    path: Path, before: bytes, after: bytes, signer: Signer | None, origin: KeyOrigin | None = None
) -> ManifestLine:
    """The line about the module `path`, of which `signer` has made `after` from `before`; the signature was made at
    `origin`."""
    return ManifestLine(
        path=str(path),
        sha256_before=digest(before),
        sha256_after=digest(after),
        signer=signer.name if signer else None,
        serial=signer.serial if signer else None,
        key_id=signer.key_id if signer else None,
        hash=signer.hash.name if signer else None,
        algorithm=signer.key.algorithm if signer else None,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        key=origin.key if origin else None,
        host=origin.host if origin else None,
    )


class Manifest:
    """The file `path`, to which lines are added; its existing lines are read first. Several processes may add lines to
    it, also on several machines: of two lines about a module, the last counts."""

    def __init__(self, path: Path) -> None:
        """Raises `KbuildError` for a file that is no manifest, which is left as it is, OSError for one that cannot be
        written, and for what is no file."""
        self._path = path
        self._lock = threading.Lock()
        self._file = os.fdopen(open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+b")
        try:
            # (of 100,000 modules, all lines would take 100 MB)
            self._known: dict[str, _Known] = {}
            self._size = 0
            with self._locked():
                self._catch_up()
        except BaseException:
            self._file.close()
            raise

    def add(self, line: ManifestLine) -> None:
        """Add a line, unless the manifest says this of the file already: also one that another process has added
        meanwhile, which then knows better where it was signed. Raises `KbuildError` where it cannot be written."""
        with self._lock, self._writing(), self._locked():
            self._catch_up()
            known = self._known.get(line.path)
            is_known = known is not None and known.sha256_after.hex() == line.sha256_after
            if not (is_known and line.signer is not None and line.key is None) and known != _known(line):
                self._file.write(json.dumps(asdict(line)).encode() + b"\n")
                self._file.flush()
                self._size = os.fstat(self._file.fileno()).st_size
                self._keep(line)

    def _catch_up(self) -> None:
        """Read what was added since the last time; a line that a kill or a full disk cut short is removed."""
        if os.fstat(self._file.fileno()).st_size == self._size:
            return
        # (not by its name again: that may be another file's by now)
        self._file.seek(self._size)
        read = _read_lines(self._file, self._path, self._keep)
        self._size += read.size
        if read.cut:
            self._file.truncate(self._size)
        elif read.unended:
            self._file.write(b"\n")
            self._file.flush()
            self._size += 1

    def sha256_after(self, path: str) -> str | None:
        """What the manifest says that the file `path` is; None if it does not name it."""
        known = self._known.get(path)
        return None if known is None else known.sha256_after.hex()

    def _keep(self, line: ManifestLine) -> None:
        self._known[line.path] = _known(line)

    def close(self) -> None:
        """Have it on the disk. Raises `KbuildError` where it cannot be written."""
        with self._writing(), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from adding lines meanwhile."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KbuildError(
                f"{self._path}: {error.strerror or error}: the manifest lacks modules that are done",
                hint="make room, and run this again: it goes on with what is left",
            ) from error


def read_manifest(path: Path) -> list[ManifestLine]:
    """The lines of a manifest; one that a kill cut short is left out.

    Raises `KbuildError` for a file that cannot be read, or is no manifest.
    """
    try:
        file = os.fdopen(open_regular(path), "rb")
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    lines: list[ManifestLine] = []
    with file:
        _read_lines(file, path, lines.append)
    return lines


class _Known(NamedTuple):
    """What is kept of a line in memory."""

    sha256_after: bytes
    all_but_time: bytes
    """A digest of the line without its time."""


def _known(line: ManifestLine) -> _Known:
    text = json.dumps(asdict(replace(line, time="")))
    try:
        after = bytes.fromhex(line.sha256_after)
    except ValueError:
        after = b""
    return _Known(after, hashlib.sha256(text.encode()).digest()[:16])


class _Lines(NamedTuple):
    """What a manifest holds: `size` is the bytes of its whole lines; after them, the last line may be `cut` short, or
    whole and only `unended` (by an editor)."""

    size: int
    cut: bool = False
    unended: bool = False


def _read_lines(file: IO[bytes], path: Path, take: Callable[[ManifestLine], None]) -> _Lines:
    """Give `take` each line."""
    size, number = 0, 0
    try:
        while line := file.readline(LONGEST):
            number += 1
            try:
                take(_line(json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                if is_cut(line, error, _BEGINNINGS):
                    return _Lines(size, cut=True)
                raise KbuildError(
                    f"{path}:{number}: not a line of a manifest",
                    hint="name a file that `--manifest` of sign or install wrote",
                ) from error
            size += len(line)
            if not line.endswith(b"\n"):
                return _Lines(size, unended=True)
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    return _Lines(size)


_BEGINNINGS = (b'{"path": "',)


def _line(value: object) -> ManifestLine:
    """A line of a manifest. Raises `ValueError` or `TypeError` for another value."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    line = ManifestLine(**value)
    for name, text in asdict(line).items():
        if not isinstance(text, str) and not (text is None and name in _MAY_BE_NONE):
            raise TypeError(f"{name} is no text")
    # (a path of this system, then: of bytes that are no UTF-8, Python makes only some of the surrogates)
    if "\0" in line.path or not line.path:
        raise ValueError("no path")
    os.fsencode(line.path)
    return line


_MAY_BE_NONE = {"signer", "serial", "key_id", "hash", "algorithm", "key", "host"}


def _spelled_out(path: Path) -> Path:
    """`path` from the root on, without `..`: a directory's link is not followed, as the manifest names what was
    signed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def compare_manifest(
    manifest: Path, named: Sequence[Path], found: Sequence[Path]
) -> tuple[list[Path], dict[Path, KbuildError]]:
    """The modules that are what the manifest says, and for the others what is wrong with each.

    `found` are the modules in `named`, files and directories; with none named, all that the manifest names are looked
    at, however either spells the path. A module that the manifest has and the directories have not is wrong, as is one
    that it does not have. Raises `KbuildError` for a file that is no manifest.
    """
    lines = {_spelled_out(Path(line.path)): line for line in read_manifest(manifest)}
    places = [_spelled_out(place) for place in named]
    paths = {_spelled_out(path): path for path in found}
    for path, line in lines.items():
        if not named or any(path == place or place in path.parents for place in places):
            paths.setdefault(path, Path(line.path))
    good, wrong = [], {}
    for place, path in paths.items():
        if (said := lines.get(place)) is None:
            wrong[path] = KbuildError(f"{path}: not in the manifest {manifest}")
            continue
        try:
            now = digest(read_regular(path))
        except OSError as error:
            wrong[path] = KbuildError(f"{path}: {error.strerror}", hint=f"the manifest {manifest} has it")
            continue
        if now == said.sha256_after:
            good.append(path)
        else:
            done = "signed" if said.signer else "installed"
            wrong[path] = KbuildError(
                f"{path}: changed since it was {done} on {said.time}: SHA-256 {now}, {said.sha256_after} expected"
            )
    return good, wrong


def digest(contents: bytes) -> str:
    """The digest of a file's contents in a manifest: SHA-256 in hexadecimal."""
    return hashlib.sha256(contents).hexdigest()
