# SPDX-License-Identifier: GPL-2.0-only
"""The one way to run a program.

An argument list, never a shell string of ours. Standard error is captured, so that an error can quote it. The hint of
an error about a missing program names its Debian package (`not_started`).
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kbuildpy.errors import CommandError
from kbuildpy.execute import Completed, execute, execute_begun, execute_confined, execute_limited
from kbuildpy.not_started import not_started
from kbuildpy.say import complain, write


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
    """Run `argv` to its end and return its output.

    `timeout` is in seconds. `begin` is called in the new process before it becomes the program; it excludes `input` and
    `timeout`. With `limit`, which excludes `timeout` and `begin`, a program that prints more than `limit` bytes on
    standard output is killed; its output up to then, a little more than `limit`, is returned with status 0. When this
    process is interrupted, the program gets SIGTERM, and SIGKILL only if it does not end.

    With `check`, a non-zero exit status raises `CommandError`, which carries the program's standard error; without it,
    the caller looks at `returncode`. A program that does not exist, or does not end in time, always raises
    `CommandError`.
    """
    words = [str(word) for word in argv]
    environment = dict(env) if env is not None else None
    try:
        if limit is not None:
            completed = execute_limited(words, cwd=cwd, env=environment, input=input or b"", limit=limit)
        elif begin is not None:
            completed = execute_begun(words, cwd=cwd, env=environment, begin=begin)
        else:
            completed = execute(words, cwd=cwd, env=environment, input=input, timeout=timeout)
    except OSError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise CommandError(f"{cwd}: no such directory (to run {words[0]} in)") from error
        raise not_started(words[0], str(cwd or ""), error.errno or 0) from error
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


def run_confined(
    argv: Sequence[str],
    *,
    cwd: Path | str,
    env: Mapping[str, str],
    timeout: float,
    limit: int,
    begin: Callable[[], None],
) -> Completed:
    """Run a program that is not trusted: its whole process group ends after `timeout` seconds or `limit` bytes of
    output, and when the program does. `begin`, called in the new process, confines it and makes it a session's leader.

    Raises `CommandError` for a program that cannot be started, or that comes to one of the two limits.
    """
    try:
        return execute_confined(argv, cwd=cwd, env=env, begin=begin, timeout=timeout, limit=limit)
    except OSError as error:
        raise not_started(argv[0], str(cwd), error.errno or 0) from error
    except subprocess.TimeoutExpired as late:
        printed = len(late.stdout or b"") + len(late.stderr or b"")
        what = f"more than {limit} bytes of output" if printed > limit else f"no end within {timeout:g} s"
        raise CommandError(f"{argv[0]}: {what}", returncode=124) from late
    except subprocess.SubprocessError as failed:
        raise CommandError(f"{argv[0]}: could not be started: {failed}", returncode=126) from failed


def run_attached(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    begin: Callable[[], None] | None = None,
    renames: tuple[str, str] | None = None,
    whose: str = "",
    hear: Callable[[str], None] | None = None,
) -> int:
    """Run a program of a build with our own standard output and error; returns its exit status.

    The new process calls `begin` before it becomes the program. Raises `CommandError` for a program that does not
    exist; one killed by a signal returns 128 plus the signal's number. With `renames`, the output is printed when the
    program ends, with the first string replaced by the second. With `whose`, the name of a kernel, standard error is
    printed when the program ends, below that name. With `hear`, it is printed when the program ends, and `hear` is
    called with it, if there is any.
    """
    if renames:
        done = run(argv, cwd=cwd, env=env, check=False, begin=begin)
        write(sys.stdout, done.stdout.decode(errors="replace").replace(*renames))
        errors = done.stderr.decode(errors="replace").replace(*renames)
        if whose and errors.strip():
            complain(errors.rstrip("\n"), whose=whose)
        else:
            write(sys.stderr, errors)
        if hear and errors.strip():
            hear(errors)
        return 128 - done.returncode if done.returncode < 0 else done.returncode
    try:
        stderr = subprocess.PIPE if whose or hear else None
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stderr=stderr, preexec_fn=begin)
    except OSError as error:
        raise not_started(argv[0], cwd, error.errno or 0) from error
    except subprocess.SubprocessError as failed:
        raise CommandError(f"{argv[0]}: could not be started: {failed}", returncode=126) from failed
    said = (process.communicate()[1] or b"").decode(errors="surrogateescape")
    status = process.wait()
    if said.strip():
        complain(said.rstrip("\n"), whose=whose)
        if hear:
            hear(said)
    return 128 - status if status < 0 else status


def how_it_failed(status: int) -> str:
    """The words for an exit status of `run_attached`: "failed", or the signal that ended the program."""
    try:
        return f"was ended by {signal.Signals(status - 128).name}"
    except ValueError:
        return "failed"


def with_sbin(env: Mapping[str, str]) -> dict[str, str]:
    """The environment `env` for depmod: a user's PATH may lack /sbin. (An empty part of PATH would mean the working
    directory.)"""
    return {**env, "PATH": ":".join(filter(None, (env.get("PATH"), "/usr/sbin", "/sbin")))}
