# SPDX-License-Identifier: GPL-2.0-only
"""The one way to run a program.

An argument list, never a shell string of ours; the program's standard error is captured, so that an
error can say what went wrong. A program that must not be missing is named with its Debian package.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from kbuildpy.errors import CommandError
from kbuildpy.say import complain

PACKAGE_OF_PROGRAM = {
    "make": "make",
    "ld": "binutils",
    "nm": "binutils",
    "objcopy": "binutils",
    "strip": "binutils",
    "pahole": "pahole",
    "sparse": "sparse",
    "depmod": "kmod",
    "modinfo": "kmod",
    "xz": "xz-utils",
    "busybox": "busybox-static",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
}

# `LLVM=-15` puts the version behind the names of programs, as Debian does behind those of packages.
_LLVM_PROGRAM = re.compile(r"(ld\.lld|llvm-[a-z]+)((?:-\d+)?)")


@dataclass(frozen=True)
class Completed:
    """A finished program: exit status, standard output and standard error (as it wrote them)."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are no UTF-8 survive as surrogates."""
        return self.stdout.decode(errors="surrogateescape")

    @property
    def error_text(self) -> str:
        """Standard error as text, for messages."""
        return self.stderr.decode(errors="replace")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
    limit: int | None = None,
    begin: Callable[[], None] | None = None,
) -> Completed:
    """Run `argv` to its end and return what it printed.

    With `limit` (and then without `timeout` and `begin`), one that prints more bytes than that on standard output is
    killed, and what it printed until then, a little more than `limit`, is returned with status 0.

    `timeout` is in seconds. The new process calls `begin` (then there is neither `input` nor `timeout`) before it
    becomes the program, which is told to end with this process, and killed only if it does not. With `check`, a
    non-zero exit raises `CommandError` that carries the program's standard error; without it the caller looks at
    `returncode`. A program that does not exist, or does not end in time, always raises `CommandError`.
    """
    words = [str(word) for word in argv]
    environment = dict(env) if env is not None else None
    try:
        if limit is not None:
            completed = _run_limited(words, cwd, environment, input or b"", limit)
        elif begin is not None:
            completed = _run_begun(words, cwd, environment, begin)
        else:
            done = subprocess.run(
                words,
                cwd=cwd,
                env=environment,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
            completed = Completed(done.returncode, done.stdout, done.stderr)
    except OSError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise CommandError(f"{cwd}: no such directory (to run {words[0]} in)") from error
        raise _not_started(words[0], cwd, error) from error
    except subprocess.TimeoutExpired as late:
        raise CommandError(
            f"{words[0]}: no answer within {timeout:g} s",
            stderr=(late.stderr or b"").decode(errors="replace"),
            returncode=124,
        ) from late
    except subprocess.SubprocessError as failed:
        raise CommandError(f"{words[0]}: could not be started: {failed}", returncode=126) from failed
    if check and completed.returncode != 0:
        raise CommandError(
            f"{words[0]} failed with status {completed.returncode}: {completed.error_text.strip()}",
            stderr=completed.error_text,
            returncode=completed.returncode,
        )
    return completed


def _run_begun(
    argv: list[str], cwd: Path | str | None, env: dict[str, str] | None, begin: Callable[[], None]
) -> Completed:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=begin
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            # make hands SIGTERM on to its recipes, and removes what they made; of SIGKILL they would know nothing.
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
            process.kill()
            raise
    return Completed(process.returncode, out, err)


def _run_limited(
    argv: list[str], cwd: Path | str | None, env: dict[str, str] | None, input: bytes, limit: int
) -> Completed:
    # (a file for what it reads and one for its errors, so that there is one pipe to be read)
    with _file_for(argv[0], input) as source, _file_for(argv[0]) as errors:
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=source, stdout=subprocess.PIPE, stderr=errors)
        printed = bytearray()
        assert process.stdout
        with process:
            try:
                while len(printed) <= limit and (chunk := process.stdout.read(1 << 20)):
                    printed += chunk
            except BaseException:
                process.kill()
                raise
            if len(printed) > limit:
                process.kill()
        errors.seek(0)
        status = 0 if len(printed) > limit else process.returncode
        return Completed(status, bytes(printed), errors.read())


def _file_for(program: str, contents: bytes = b"") -> IO[bytes]:
    """A temporary file with `contents`, which `program` is to read from its beginning. Raises `CommandError`."""
    try:
        # (unbuffered: a full disk is told by write() then, and by close() no more)
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            view = memoryview(contents)
            while view:
                view = view[file.write(view) :]
            file.seek(0)
            stack.pop_all()
        return file
    except OSError as error:
        raise CommandError(
            f"{program}: there is no temporary file for what it reads: {error.strerror}",
            hint="free some space, or name another directory with TMPDIR",
            returncode=126,
        ) from error


def with_sbin(env: Mapping[str, str]) -> dict[str, str]:
    """The environment `env` for depmod: who is not root has no /sbin in PATH. (An empty part of it would mean the
    directory that one is in.)"""
    return {**env, "PATH": ":".join(filter(None, (env.get("PATH"), "/usr/sbin", "/sbin")))}


def install_hint(program: str) -> str:
    """What to install for `program` on a Debian system, as a sentence."""
    return f"apt-get install {package_of(program)}"


def package_of(program: str) -> str:
    """The Debian package that has `program`; most have its name."""
    name = Path(program).name
    if name.endswith("-strip"):
        triplet = name.removesuffix("-strip")
        return "llvm" if triplet == "llvm" else f"binutils-{triplet.replace('_', '-')}"
    llvm = _LLVM_PROGRAM.fullmatch(name)
    if llvm:
        return ("lld" if llvm[1] == "ld.lld" else "llvm") + llvm[2]
    return PACKAGE_OF_PROGRAM.get(name, name)


def run_attached(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    begin: Callable[[], None] | None = None,
    renames: tuple[str, str] | None = None,
    whose: str = "",
) -> int:
    """Run a build's program with our own output and error streams; its exit status.

    The new process calls `begin` before it becomes the program. A program that does not exist raises `CommandError`;
    one killed by a signal returns 128 plus its number. With `renames`, what it prints comes when it ends, and the first
    of the two is replaced by the second in that. Where `whose` names a kernel, what the program says on standard error
    is printed at its end, as about that one.
    """
    if renames:
        done = run(argv, cwd=cwd, env=env, check=False, begin=begin)
        sys.stdout.write(done.stdout.decode(errors="replace").replace(*renames))
        sys.stdout.flush()
        errors = done.stderr.decode(errors="replace").replace(*renames)
        if whose and errors.strip():
            complain(errors.rstrip("\n"), whose=whose)
        else:
            sys.stderr.write(errors)
            sys.stderr.flush()
        return 128 - done.returncode if done.returncode < 0 else done.returncode
    try:
        stderr = subprocess.PIPE if whose else None
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stderr=stderr, preexec_fn=begin)
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error
    except subprocess.SubprocessError as failed:
        raise CommandError(f"{argv[0]}: could not be started: {failed}", returncode=126) from failed
    said = process.communicate()[1] if whose else b""
    status = process.wait()
    if said.strip():
        complain(said.decode(errors="surrogateescape").rstrip("\n"), whose=whose)
    return 128 - status if status < 0 else status


def _not_started(program: str, cwd: Path | str | None, error: OSError) -> CommandError:
    from kbuildpy.not_started import not_started  # (which imports this, and is for those whose program is missing)

    return not_started(program, str(cwd or ""), error.errno or 0)


def how_it_failed(status: int) -> str:
    """What to say of a program that `run_attached` returned `status` for: that it failed, or which signal ended it."""
    try:
        return f"was ended by {signal.Signals(status - 128).name}"
    except ValueError:
        return "failed"


def run_live(
    argv: Sequence[str | Path], *, watch: Callable[[bytes], float | None], stdin: int | None = None
) -> Completed | None:
    """Run `argv` and hand its standard output to `watch` as it comes; how it ended, None if we stopped it.

    `watch` is called with b"" first, and says each time how many more seconds to wait for output: None for ever, 0 or
    less not at all. When they are over, it is called with b"" once more, and then the program is killed. `stdin` is a
    file descriptor (default: nothing to read). Raises `CommandError` for a program that does not exist, or that fails
    by itself, with its standard error; whatever `watch` raises ends the program, too, as does the end of this process.
    """
    from kbuildpy.child import end_with  # (not for those who run nothing: it takes as long as all else here)

    words = [str(word) for word in argv]
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                preexec_fn=partial(end_with, os.getpid()),
            )
        except OSError as error:
            raise _not_started(words[0], None, error) from error
        assert process.stdout
        try:
            with process.stdout as output:
                if not _watch_output(output.fileno(), watch):
                    return None
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        completed = Completed(status, b"", errors.read())
    if status:
        said = completed.error_text.strip()
        raise CommandError(f"{words[0]} failed with status {status}: {said}", stderr=said, returncode=status)
    return completed


def _watch_output(descriptor: int, watch: Callable[[bytes], float | None]) -> bool:
    """Whether the output came to its end by itself."""
    patience = watch(b"")
    while patience is None or patience > 0:
        readable, _, _ = select.select([descriptor], [], [], patience)
        chunk = os.read(descriptor, 1 << 16) if readable else b""
        if readable and not chunk:
            return True
        patience = watch(chunk)
        if not readable:
            break
    return False
