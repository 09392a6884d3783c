"""Thousands of modules: signed on all cores, each file whole or not at all, whatever happens to the others.

In processes, one per processor, as the library keeps the interpreter locked while it signs; they are forked, so that a
key gets into them by no other way than memory. In each are threads, as half of the time is waiting for the disk. (4,023
modules, RSA-2048, two processors: 4.2 s in threads alone, 2.5 s so.) A key in hardware must not be used by a forked
process: there the threads of this one do it all.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from kbuildpy.child import begin_worker
from kbuildpy.compression import compression_of, decompress
from kbuildpy.errors import KbuildError, unexpected
from kbuildpy.files import replacing
from kbuildpy.signing.keys import FileKey, KeyGoneError
from kbuildpy.signing.manifest import Entry, Manifest, digest, new_entry
from kbuildpy.signing.signer import Signer, sign_module
from kbuildpy.signing.trailer import append_signature, is_signed, split_signature, without_signatures

Item = TypeVar("Item")
Result = TypeVar("Result")
# Signing waits for the disk most of the time (fsync), and one file's wait is another's turn.
_CPUS = os.cpu_count() or 1
JOBS = 4 * _CPUS
_PER_PROCESS = 16
"""Files that are handed to a process at a time."""
Pack = Callable[[bytes, str, Path], bytes]
"""Compresses a module: its contents, the name of the compression (see `kbuildpy.compression`), and the file that they
are for."""
_work: Callable[[Path], Signed] | None = None
"""What the processes do; they inherit it."""


@dataclass(frozen=True)
class Signed:
    """What became of one file: `done` if it was signed now, not if it was before; `error` if it could not be; `entry`
    for the manifest."""

    path: Path
    done: bool = False
    error: KbuildError | None = None
    entry: Entry | None = None


def sign_files(
    paths: Sequence[Path],
    signer: Signer,
    *,
    replace: bool = False,
    beside: bool = False,
    manifest: Manifest | None = None,
    pack: Pack | None = None,
    jobs: int = 0,
) -> Iterator[Signed]:
    """Sign every file of `paths` in place, in any order; what became of each as soon as it is known.

    A kernel looks for a signature in what was compressed: a compressed module is unpacked, signed, and compressed again
    by `pack`, without which it is an error.

    A file that has this very signature is left as it is: a run that was stopped goes on where it was. `beside` writes
    the signature as FILE.p7s, too (`sign-file -p`). `jobs` files at a time, 0 for as many as suit the machine. Raises
    `KeyGoneError` when the key is lost on the way.
    """

    known = None if manifest is None else {path: entry.sha256_after for path, entry in manifest.entries.items()}
    job = _Job(replace, beside, known, pack)

    def sign(path: Path) -> Signed:
        return _carefully(path, lambda: _sign_file(path, signer, job))

    in_processes = isinstance(signer.key, FileKey) and len(paths) >= 2 * _PER_PROCESS
    for item in _in_processes(paths, sign, jobs) if in_processes else in_parallel(paths, sign, jobs or JOBS):
        if manifest is not None and item.entry is not None:
            manifest.add(item.entry)
        yield item


def save_detached(paths: Sequence[Path], signer: Signer, *, jobs: int = 0) -> Iterator[Signed]:
    """Write the signature of each file beside it, as FILE.p7s, and leave the file alone (`sign-file -d`); of a
    compressed module, the signature of what is in it."""

    def save(path: Path) -> Signed:
        return _carefully(path, lambda: _save(path, signer.detached(decompress(path.read_bytes()))))

    yield from in_parallel(paths, save, jobs or JOBS)


def attach(path: Path, signature: bytes, *, replace: bool = False, pack: Pack | None = None) -> None:
    """Put a signature that was made elsewhere (a CMS message) behind the module `path` (`sign-file -s`), through its
    compression as `sign_files` does.

    Raises `KbuildError` for a module that is signed already, unless it is to `replace` that signature.
    """
    try:
        with replacing(path) as slot:
            whole = slot.path.read_bytes()
            module = decompress(whole)
            if is_signed(module) and not replace:
                raise KbuildError("it is signed already", hint="to put another signature in its place: --replace")
            slot.write(_like(path, whole, append_signature(without_signatures(module), signature), pack))
    except (KbuildError, OSError) as error:
        raise _about(path, error) from error


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


def _in_processes(paths: Sequence[Path], sign: Callable[[Path], Signed], jobs: int) -> Iterator[Signed]:
    """What `sign` says of each path, from several processes."""
    global _work
    _work = sign
    chunks = [paths[start : start + _PER_PROCESS] for start in range(0, len(paths), _PER_PROCESS)]
    fork = multiprocessing.get_context("fork")
    processes = min(jobs or _CPUS, _CPUS)
    threads = max(1, jobs // processes) if jobs else JOBS // 2
    pool = ProcessPoolExecutor(processes, mp_context=fork, initializer=begin_worker, initargs=(os.getpid(),))
    try:
        # (as they come: a result that waits for an earlier one would be missing in the manifest after a kill)
        for future in as_completed([pool.submit(_sign_all, chunk, threads) for chunk in chunks]):
            yield from future.result()
    except BrokenProcessPool as broken:
        raise KbuildError(
            "a process that signs modules was killed", hint="run it again: it goes on where it was"
        ) from broken
    finally:
        pool.shutdown(cancel_futures=True)


def _sign_all(paths: Sequence[Path], threads: int) -> list[Signed]:
    assert _work is not None
    return list(in_parallel(paths, _work, threads))


@dataclass(frozen=True)
class _Job:
    """How files are signed; `known` is what their manifest has them for (path and digest), None without one."""

    replace: bool
    beside: bool
    known: Mapping[str, str] | None
    pack: Pack | None


def _sign_file(path: Path, signer: Signer, job: _Job) -> Signed:
    with replacing(path) as slot:
        whole = slot.path.read_bytes()
        before = decompress(whole)
        after = sign_module(before, signer, replace=job.replace)
        signed = split_signature(after or before)
        # (what can fail comes first: nothing is written then)
        packed = None if after is None else _like(path, whole, after, job.pack)
        entry = None
        if job.known is not None and packed is not None:
            entry = new_entry(path, whole, packed, signer)
        elif job.known is not None and signed is not None and job.known.get(str(path)) != digest(whole):
            # Signed by a run that was stopped before it could say so: what was signed stands before the signature.
            # (where there is a line, the run that replaced the file knew better what it was)
            entry = new_entry(path, _like(path, whole, signed.contents, job.pack), whole, signer)
        if job.beside and signed is not None:
            _save(path, signed.signature)
        if packed is not None:
            slot.write(packed)
        return Signed(path, packed is not None, entry=entry)


def _like(path: Path, whole: bytes, module: bytes, pack: Pack | None) -> bytes:
    """`module` compressed like the contents `whole` of the file `path`."""
    name = compression_of(whole)
    if not name:
        return module
    if pack is None:
        raise KbuildError("it is compressed", hint="decompress it, sign it, and compress it again")
    return pack(module, name, path)


def _save(path: Path, signature: bytes) -> Signed:
    with replacing(path.with_name(f"{path.name}.p7s")) as slot:
        slot.write(signature)
    return Signed(path, done=True)


def _carefully(path: Path, work: Callable[[], Signed]) -> Signed:
    try:
        return work()
    except KeyGoneError:
        raise
    except (KbuildError, OSError) as error:
        return Signed(path, error=_about(path, error))
    except Exception as error:  # one bad file must not end a run over many
        return Signed(path, error=unexpected(path, error))


def _about(path: Path, error: KbuildError | OSError) -> KbuildError:
    """`error` with the name of the file `path`, which some have already."""
    if isinstance(error, OSError):
        return KbuildError(f"{path}: {error.strerror}")
    named = error.message.startswith(f"{path}: ")
    return KbuildError(error.message if named else f"{path}: {error.message}", hint=error.hint)
