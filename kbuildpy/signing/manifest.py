"""A record of what was signed: one line of JSON per module, added as each is done."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class Entry:
    """One signed module. The digests, in hexadecimal, are of the whole file before it was signed and after.
    `serial` and `key_id` are the certificate's; `time` is UTC in ISO 8601."""

    path: str
    sha256_before: str
    sha256_after: str
    signer: str
    serial: str
    key_id: str
    hash: str
    algorithm: str
    time: str


class Manifest:
    """The file `path`, to which lines are added; what it says already is read first."""

    def __init__(self, path: Path) -> None:
        """Raises `KbuildError` for a file that is no manifest, OSError for one that cannot be written."""
        self.entries = {entry.path: entry for entry in read_manifest(path)} if path.exists() else {}
        self._lock = threading.Lock()
        self._file = path.open("ab")
        # A run that was killed may have left half a line.
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def add(self, entry: Entry) -> None:
        """Add a line, unless the manifest says this of the file already."""
        with self._lock:
            known = self.entries.get(entry.path)
            if known is None or known.sha256_after != entry.sha256_after:
                self._file.write(json.dumps(asdict(entry)).encode() + b"\n")
                self._file.flush()
                self.entries[entry.path] = entry

    def close(self) -> None:
        """Have it on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def read_manifest(path: Path) -> list[Entry]:
    """The lines of a manifest; one that a kill cut short is left out.

    Raises `KbuildError` for a file that cannot be read, or that is none.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise KbuildError(f"{path}: {error.strerror}") from error
    entries = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise KbuildError(
                f"{path}:{number}: no line of a manifest", hint="name the file that `sign --manifest` wrote"
            ) from error
    return entries


def compare_manifest(
    manifest: Path, named: Sequence[Path], found: Sequence[Path]
) -> tuple[list[Path], dict[Path, KbuildError]]:
    """The modules that are what the manifest says, and for the others what is wrong with each.

    `found` are the modules in `named`, files and directories; with none named, all that the manifest names are looked
    at. A module that the manifest has and the directories have not is wrong, as is one that it does not have. Raises
    `KbuildError` for a file that is no manifest.
    """
    entries = {Path(entry.path): entry for entry in read_manifest(manifest)}
    wanted = [path for path in entries if not named or any(path == place or place in path.parents for place in named)]
    good, wrong = [], {}
    for path in dict.fromkeys([*found, *wanted]):
        entry = entries.get(path)
        if entry is None:
            wrong[path] = KbuildError(f"{path}: not in the manifest {manifest}")
            continue
        try:
            now = digest(path.read_bytes())
        except OSError as error:
            wrong[path] = KbuildError(f"{path}: {error.strerror}", hint=f"the manifest {manifest} has it")
            continue
        if now == entry.sha256_after:
            good.append(path)
        else:
            wrong[path] = KbuildError(
                f"{path}: changed since it was signed on {entry.time}: SHA-256 {now}, {entry.sha256_after} expected"
            )
    return good, wrong


def digest(contents: bytes) -> str:
    """What a manifest calls a file's contents."""
    return hashlib.sha256(contents).hexdigest()
