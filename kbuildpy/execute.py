# SPDX-License-Identifier: GPL-2.0-only
"""Executes a program and collects its output: the system calls below `run`, without messages for users."""

from __future__ import annotations

import subprocess
import tempfile
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
