# SPDX-License-Identifier: GPL-2.0-only
"""Signs thousands of modules on all processors, each file whole or not at all, independently of the others.

In processes, as the library keeps the interpreter locked while it signs; they are forked, so that a key gets into them
by no other way than memory. There are several per processor, as half of the time is waiting for the disk; threads in
them would spend a tenth of the processors' time on taking the interpreter from each other. A key in hardware must not
be used by a forked process: there the threads of this one do it all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.compression import compression_of, decompress
from kbuildpy.errors import KbuildError, unexpected
from kbuildpy.files import replacing
from kbuildpy.kernel.instrumented import refuse_instrumented
from kbuildpy.parallel import in_processes, in_threads
from kbuildpy.signing.digest_list import DigestRequest, fingerprint
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.key_pool import KeyPool
from kbuildpy.signing.manifest import Manifest, ManifestLine, digest, new_line
from kbuildpy.signing.private_key import KeyGoneError, PrivateKey
from kbuildpy.signing.public_key import refuse_without_digest
from kbuildpy.signing.shared_queue import SharedQueue, Turn
from kbuildpy.signing.signer import Signer, contents_to_sign, sign_module
from kbuildpy.signing.trailer import append_signature, is_signed, split_signature, without_signatures

# Signing waits for the disk most of the time (fsync); meanwhile another thread signs.
_CPUS = os.cpu_count() or 1
JOBS = 4 * _CPUS
_PROCESSES = 3 * _CPUS
_PER_PROCESS = 16
"""Files that are handed to a process at a time."""
_PLAIN_PER_PROCESS = 64
"""The same for files that are only signed, neither stripped nor compressed again."""
Pack = Callable[[bytes, str, Path], bytes]
"""Compresses a module: its contents, the name of the compression (see `kbuildpy.compression`), and the file that they
are for."""


Prepare = Callable[[bytes, Path], bytes]
"""Makes of a module, unpacked, what is signed in its place: stripped, say; the file is the one that it is from."""


@dataclass(frozen=True)
class SignedFile:
    """The result for one file."""

    path: Path
    done: bool = False
    """Whether this run signed it; False if it had the signature already."""
    error: KbuildError | None = None
    """Why it could not be signed; None if it is."""
    line: ManifestLine | None = None
    """The manifest's line about it."""


def sign_files(
    paths: Sequence[Path],
    signer: Signer,
    *,
    replace: bool = False,
    beside: bool = False,
    manifest: Manifest | None = None,
    pack: Pack | None = None,
    prepare: Prepare | None = None,
    queue: SharedQueue | None = None,
    jobs: int = 0,
) -> Iterator[SignedFile]:
    """Sign every file of `paths` in place, in any order; yields the result of each file when it is done.

    A kernel looks for a signature in what was compressed: a compressed module is unpacked, signed, and compressed again
    by `pack`, without which it is an error.

    A file that has this very signature is left as it is: a run that was stopped goes on where it was. `beside` writes
    the signature as FILE.p7s, too (`sign-file -p`). `prepare` makes of each module what is signed in its place. With a
    `queue`, its modules are signed, as far as other processes leave them. `jobs` files at a time, 0 for as many as suit
    the machine. Raises `KeyGoneError` when the key is lost on the way.
    """

    known = None if manifest is None else manifest.sha256_after
    job = _Job(replace, beside, known, pack, prepare)
    if queue is not None:
        yield from _sign_in_turn(queue, signer, job, manifest, jobs)
        return

    def sign(path: Path) -> SignedFile:
        return _carefully(path, lambda: _sign_file(path, signer, job))

    plain = prepare is None and all(path.suffix == ".ko" for path in paths)
    share = _PLAIN_PER_PROCESS if plain else _PER_PROCESS
    for item in _signed(paths, sign, jobs, key=signer.key, per_process=share):
        if manifest is not None and item.line is not None:
            manifest.add(item.line)
        yield item


@dataclass(frozen=True)
class ExportedFile:
    """What a key on another machine is to sign of one file."""

    path: Path
    request: DigestRequest | None = None
    """None for a file that has the signature already."""
    error: KbuildError | None = None
    """Why there is no digest."""


def digest_of_file(path: Path, signer: Signer, *, replace: bool, prepare: Prepare | None) -> ExportedFile:
    """The digest of what `sign_files` signs of the file `path`, whose contents are not changed."""
    try:
        refuse_without_digest(signer.key.algorithm)
        module = decompress(path.read_bytes())
        if prepare is not None:
            module = prepare(module, path)
        refuse_instrumented(module, doing="signed")
        contents = contents_to_sign(module, signer, replace=replace)
    except (KbuildError, OSError) as error:
        return ExportedFile(path, error=_about(path, error))
    except Exception as error:  # an unreadable file does not end the run over the others
        return ExportedFile(path, error=unexpected(path, error))
    if contents is None:
        return ExportedFile(path)
    digest = signer.hash.of(contents).hex()
    certificate = signer.certificate
    return ExportedFile(path, DigestRequest(str(path), digest, signer.hash.name, fingerprint(certificate), signer.name))


def save_detached(paths: Sequence[Path], signer: Signer, *, jobs: int = 0) -> Iterator[SignedFile]:
    """Write the signature of each file beside it, as FILE.p7s, and leave the file alone (`sign-file -d`); of a
    compressed module, the signature of what is in it."""

    def save(path: Path) -> SignedFile:
        return _carefully(path, lambda: _save(path, signer.detached(decompress(path.read_bytes()))))

    yield from in_threads(save, paths, jobs=jobs or _threads(signer.key), give_up=signer.key.give_up)


def _signed(
    paths: Sequence[Path], sign: Callable[[Path], SignedFile], jobs: int, *, key: PrivateKey, per_process: int
) -> Iterator[SignedFile]:
    """The result of `sign` for each path, from several processes if a forked one can use the `key`."""
    if not isinstance(key, FileKey) or len(paths) < 2 * _PER_PROCESS:
        return in_threads(sign, paths, jobs=jobs or _threads(key), give_up=key.give_up)
    return in_processes(
        sign,
        paths,
        jobs=jobs or _PROCESSES,
        # (a few dozen files are better shared than left to one process)
        per_process=min(per_process, max(_PER_PROCESS, len(paths) // _PROCESSES)),
        # (a result that waits for an earlier one would be missing in the manifest after a kill)
        in_order=False,
        doing="signs modules",
        hint="run the command again: it continues with the remaining modules",
    )


def _threads(key: PrivateKey) -> int:
    """How many files are worked on at a time: twice as many as the key's sessions, which are not to wait for a disk."""
    return max(JOBS, 2 * key.size) if isinstance(key, KeyPool) else JOBS


def _sign_in_turn(
    queue: SharedQueue, signer: Signer, job: _Job, manifest: Manifest | None, jobs: int
) -> Iterator[SignedFile]:
    """The results for the modules of a queue that are signed here."""

    def sign(turn: Turn) -> SignedFile:
        done = False
        try:
            item = _carefully(turn.path, lambda: _sign_file(turn.path, signer, job))
            # (before the module counts as done: nobody looks at it again then)
            if manifest is not None and item.line is not None:
                manifest.add(item.line)
            done = item.error is None
            return item
        finally:
            queue.finish(turn, done=done)

    yield from in_threads(sign, queue.turns(), jobs=jobs or _threads(signer.key), give_up=signer.key.give_up)


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
                raise KbuildError("the module is signed already", hint="use --replace to replace the signature")
            slot.write(_like(path, whole, append_signature(without_signatures(module), signature), pack))
    except (KbuildError, OSError) as error:
        raise _about(path, error) from error


@dataclass(frozen=True)
class _Job:
    """How files are signed; see `sign_files`."""

    replace: bool
    beside: bool
    known: Callable[[str], str | None] | None
    """The digest of a signed file, as the manifest has it; None without one."""
    pack: Pack | None
    prepare: Prepare | None


def _sign_file(path: Path, signer: Signer, job: _Job) -> SignedFile:
    with replacing(path) as slot:
        whole = slot.path.read_bytes()
        before = decompress(whole)
        if job.prepare is not None:
            before = job.prepare(before, path)
        after = sign_module(before, signer, replace=job.replace)
        # (also of what was signed just now: a kernel refuses it if nothing was there to sign)
        signed = split_signature(after or before)
        # (what can fail comes first: nothing is written then)
        packed = None if after is None else _like(path, whole, after, job.pack)
        line = None
        if job.known is not None and packed is not None:
            line = new_line(path, whole, packed, signer, signer.key.origin())
        elif job.known is not None and signed is not None and job.known(str(path)) != digest(whole):
            # Signed by a run that was stopped before it could say so: what was signed stands before the signature.
            # (where there is a line, the run that replaced the file knew better what it was)
            line = new_line(path, _like(path, whole, signed.contents, job.pack), whole, signer)
        if job.beside and signed is not None:
            _save(path, signed.signature)
        if packed is not None:
            slot.write(packed)
        return SignedFile(path, packed is not None, line=line)


def _like(path: Path, whole: bytes, module: bytes, pack: Pack | None) -> bytes:
    """`module` compressed like the contents `whole` of the file `path`."""
    name = compression_of(whole)
    if not name:
        return module
    if pack is None:
        raise KbuildError("it is compressed", hint="decompress it, sign it, and compress it again")
    return pack(module, name, path)


def _save(path: Path, signature: bytes) -> SignedFile:
    with replacing(path.with_name(f"{path.name}.p7s")) as slot:
        slot.write(signature)
    return SignedFile(path, done=True)


def _carefully(path: Path, work: Callable[[], SignedFile]) -> SignedFile:
    try:
        return work()
    except KeyGoneError:
        raise
    except (KbuildError, OSError) as error:
        return SignedFile(path, error=_about(path, error))
    except Exception as error:  # an unreadable file does not end the run over the others
        return SignedFile(path, error=unexpected(path, error))


def _about(path: Path, error: KbuildError | OSError) -> KbuildError:
    """`error` with the file `path` in its message, which some errors name already."""
    if isinstance(error, OSError):
        return KbuildError(f"{path}: {error.strerror}")
    named = error.message.startswith(f"{path}: ")
    return KbuildError(error.message if named else f"{path}: {error.message}", hint=error.hint)
