# SPDX-License-Identifier: GPL-2.0-only
"""Executes a program and collects its output: the system calls below `run`, without messages for users."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kbuildpy.errors import CommandError


@dataclass(frozen=True)
class Completed:
    """A finished program: exit status, standard output and standard error (as it wrote them)."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become surrogates."""
        return self.stdout.decode(errors="surrogateescape")

    @property
    def error_text(self) -> str:
        """Standard error as text, for messages."""
        return self.stderr.decode(errors="replace")


def execute(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
) -> Completed:
    """Execute `argv` to its end. `timeout` is in seconds.

    Raises `OSError` for a program that cannot be started, and `subprocess.TimeoutExpired` for one that does not end in
    time.
    """
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=env,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Completed(done.returncode, done.stdout, done.stderr)


def execute_begun(
    argv: Sequence[str], *, cwd: Path | str | None, env: Mapping[str, str] | None, begin: Callable[[], None]
) -> Completed:
    """Execute `argv`; the new process calls `begin` before it becomes the program.

    If this process is interrupted meanwhile, the program gets SIGTERM, and after two seconds SIGKILL. Raises `OSError`
    and `subprocess.SubprocessError`.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=begin
    ) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            # At SIGTERM, make ends its recipes and removes their incomplete output; at SIGKILL it cannot.
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=2)
            process.kill()
            raise
    return Completed(process.returncode, out, err)


def execute_limited(
    argv: Sequence[str], *, cwd: Path | str | None, env: Mapping[str, str] | None, input: bytes, limit: int
) -> Completed:
    """Execute `argv`, and kill it once it has printed more than `limit` bytes on standard output.

    The output of a killed program is a little more than `limit`, its status 0. Raises `OSError`, and `CommandError` if
    there is no temporary file for the input.
    """
    # (with files for input and standard error, there is only one pipe to read)
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


def execute_confined(
    argv: Sequence[str],
    *,
    cwd: Path | str | None,
    env: Mapping[str, str] | None,
    begin: Callable[[], None],
    timeout: float,
    limit: int,
) -> Completed:
    """Execute `argv`; the new process calls `begin`, which makes it the leader of a session, before it becomes the
    program. Its process group is killed once the program ends, after `timeout` seconds, or after more than `limit`
    bytes of output.

    Raises `OSError`, `subprocess.SubprocessError`, and `subprocess.TimeoutExpired` also for too much output, which it
    then has.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, preexec_fn=begin
    )
    assert process.stdout and process.stderr
    printed = {process.stdout: bytearray(), process.stderr: bytearray()}
    until = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for stream in printed:
            selector.register(stream, selectors.EVENT_READ)
        try:
            while selector.get_map():
                # (what it left behind may hold the streams open)
                patience = 0.1 if process.poll() is not None else until - time.monotonic()
                ready = selector.select(max(0, min(patience, 0.5)))
                if not ready and (process.returncode is not None or time.monotonic() > until):
                    break
                for key, _ in ready:
                    chunk = os.read(key.fd, 1 << 16)
                    printed[key.fileobj] += chunk  # type: ignore[index]
                    if not chunk:
                        selector.unregister(key.fileobj)
                if sum(map(len, printed.values())) > limit:
                    break
            if not selector.get_map():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0, until - time.monotonic()))
            ended = process.poll() is not None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            for stream in printed:
                stream.close()
    out, err = map(bytes, printed.values())
    if not ended or len(out) + len(err) > limit:
        raise subprocess.TimeoutExpired(argv, timeout, out, err)
    return Completed(process.returncode, out, err)


def _file_for(program: str, contents: bytes = b"") -> IO[bytes]:
    """A temporary file with `contents`, which `program` reads from its beginning. Raises `CommandError`."""
    try:
        # (unbuffered: write() reports a full disk, close() does not)
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
            f"{program}: no temporary file for its input: {error.strerror}",
            hint="free some space, or name another directory with TMPDIR",
            returncode=126,
        ) from error
