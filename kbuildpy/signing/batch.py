"""Thousands of modules: signed on all cores, each file whole or not at all, whatever happens to the others.

Threads: most of the time goes into waiting for the disk, and the library lets go of the interpreter while it hashes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TypeVar

from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.signing.keys import KeyGoneError
from kbuildpy.signing.manifest import Entry, Manifest, digest
from kbuildpy.signing.signer import Signer, sign_module
from kbuildpy.signing.trailer import append_signature, is_signed, split_signature, without_signatures

Item = TypeVar("Item")
Result = TypeVar("Result")
# Signing waits for the disk most of the time (fsync), and one file's wait is another's turn.
JOBS = 4 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Signed:
    """What became of one file: `done` if it was signed now, not if it was before; `error` if it could not be."""

    path: Path
    done: bool = False
    error: KbuildError | None = None


def sign_files(
    paths: Sequence[Path],
    signer: Signer,
    *,
    replace: bool = False,
    beside: bool = False,
    manifest: Manifest | None = None,
) -> Iterator[Signed]:
    """Sign every file of `paths` in place, in any order; what became of each as soon as it is known.

    A file that has this very signature is left as it is: a run that was stopped goes on where it was. `beside` writes
    the signature as FILE.p7s, too (`sign-file -p`). Raises `KeyGoneError` when the key is lost on the way.
    """

    def sign(path: Path) -> Signed:
        return _carefully(path, lambda: _sign_file(path, signer, replace=replace, beside=beside, manifest=manifest))

    yield from in_parallel(paths, sign)


def save_detached(paths: Sequence[Path], signer: Signer) -> Iterator[Signed]:
    """Write the signature of each file beside it, as FILE.p7s, and leave the file alone (`sign-file -d`)."""

    def save(path: Path) -> Signed:
        return _carefully(path, lambda: _save(path, signer.detached(path.read_bytes())))

    yield from in_parallel(paths, save)


def attach(path: Path, signature: bytes, *, replace: bool = False) -> None:
    """Put a signature that was made elsewhere (a CMS message) behind the module `path` (`sign-file -s`).

    Raises `KbuildError` for a module that is signed already, unless it is to `replace` that signature.
    """
    with replacing(path) as slot:
        module = slot.path.read_bytes()
        if is_signed(module) and not replace:
            raise KbuildError(f"{path}: it is signed already", hint="to put another signature in its place: --replace")
        slot.write(append_signature(without_signatures(module), signature))


def in_parallel(items: Iterable[Item], work: Callable[[Item], Result], jobs: int = JOBS) -> Iterator[Result]:
    """The results of `work`, as they come; no more items are under way than there are `jobs`.

    An exception of `work` ends it all, after what is under way.
    """
    rest = iter(items)
    with ThreadPoolExecutor(jobs) as pool:
        running: set[Future[Result]] = {pool.submit(work, item) for item in islice(rest, jobs)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, item) for item in islice(rest, len(done))}
                for future in done:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _sign_file(path: Path, signer: Signer, *, replace: bool, beside: bool, manifest: Manifest | None) -> bool:
    with replacing(path) as slot:
        before = slot.path.read_bytes()
        after = sign_module(before, signer, replace=replace)
        signed = split_signature(after or before)
        if beside and signed is not None:
            _save(path, signed.signature)
        if after is not None:
            slot.write(after)
        if manifest is not None:
            manifest.add(_entry(path, before, after, signer))
        return after is not None


def _save(path: Path, signature: bytes) -> bool:
    with replacing(path.with_name(f"{path.name}.p7s")) as slot:
        slot.write(signature)
    return True


def _carefully(path: Path, work: Callable[[], bool]) -> Signed:
    try:
        return Signed(path, done=work())
    except KeyGoneError:
        raise
    except KbuildError as error:
        return Signed(path, error=KbuildError(f"{path}: {error.message}", hint=error.hint))
    except OSError as error:
        return Signed(path, error=KbuildError(f"{path}: {error.strerror}"))


def _entry(path: Path, before: bytes, after: bytes | None, signer: Signer) -> Entry:
    if after is None:
        # Signed by a run that was stopped before it could say so: what was signed stands before the signature.
        signed = split_signature(before)
        assert signed is not None
        before, after = signed.contents, before
    return Entry(
        path=str(path),
        sha256_before=digest(before),
        sha256_after=digest(after),
        signer=signer.name,
        serial=signer.serial,
        key_id=signer.key_id,
        hash=signer.hash.name,
        algorithm=signer.key.algorithm,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
