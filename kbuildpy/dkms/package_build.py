# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a package's build in a private copy of its sources: patches, PRE_BUILD, MAKE, POST_BUILD.

Errors have DKMS' exit statuses. What the steps print goes to a log, which has no more than that. Commands run as DKMS
runs them: by bash, in the copy, without CC and the flags of the caller.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from kbuildpy.child import end_with
from kbuildpy.dkms.conf import DkmsConf, DkmsModule
from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.printable import printable
from kbuildpy.run import run

_NOT_PASSED = (
    *("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "KDIR", "KERNELRELEASE", "KBUILD_SIGN_PIN"),
    *("MAKEFLAGS", "MAKELEVEL", "MFLAGS"),
)
# The shell opens the log itself, so that it has what was printed before a kill, too. It waits for its command, because
# a trap comes only then, and at SIGTERM ends all of its process group. (INT, QUIT: a command behind & ignores them.)
_GROUP = """trap 'trap "" TERM; kill -TERM 0; sleep 0.5; kill -KILL 0' TERM; """
_BEGIN = f'{_GROUP}exec >>"$0" 2>&1 </dev/null; cd "$1" || exit; shift; '
_LOGGED = f'{_BEGIN}(trap - INT QUIT TERM; eval "$1") & wait $!'
_SCRIPT = f'{_BEGIN}(trap - INT QUIT TERM; exec "$@") & wait $!'
_TAIL = 12


def copy_sources(source: Path, place: Path, *, without: Path | None = None) -> None:
    """Make `place` a copy of the directory `source`; links stay links, and the folder `without` is left out. Raises
    `KbuildError`."""
    try:
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source.resolve(), place, symlinks=True, ignore=partial(_ignored, without))
    except (OSError, shutil.Error) as error:
        raise KbuildError(f"{source}: cannot be copied to {place}: {_reason(error)}") from error


def apply_patches(conf: DkmsConf, place: Path, log: Path) -> None:
    """Apply the patches of `conf` in the copy `place`. Raises `KbuildError` for one that is missing, or that fails."""
    for name in conf.patches:
        patch = place / "patches" / name
        if not patch.is_file() or not is_below(patch, place):
            raise KbuildError(f"{conf.identity}: no file patches/{name}, which PATCH names", status=5)
        command = f"patch -p1 < ./patches/{_quoted(name)}"
        _logged(conf, command, place, log, {}, what=f"the patch {name} does not apply", status=6)


def run_script(conf: DkmsConf, which: str, place: Path, log: Path, variables: Mapping[str, str]) -> bool:
    """Run one of the scripts of `conf` (`pre_build`, ...) in `place`; whether it succeeded, or there is none."""
    words = str(getattr(conf, which)).split()
    if not words:
        return True
    script = place / words[0]
    if ".." in Path(words[0]).parts or not os.access(script, os.X_OK) or not script.is_file():
        note(log, f"kbuildpy: {which.upper()}={words[0]}: no program in {place}; left out")
        return True
    note(log, f"kbuildpy: {which.upper()}: {' '.join(words)}")
    argv: list[str | Path] = ["bash", "-c", _SCRIPT, log, place, script, *words[1:]]
    begin = partial(_lead_group, os.getpid())
    return run(argv, env=_environment(variables), begin=begin, check=False).returncode == 0


def run_make(conf: DkmsConf, place: Path, log: Path, *, release: str, jobs: int, compiler: str) -> None:
    """Run the MAKE line of `conf` as it stands, in the copy `place`. Raises `KbuildError` with the end of the log."""
    command = re.sub(r"\Amake", f"make -j{jobs} KERNELRELEASE={_quoted(release)}", conf.make)
    note(log, f"kbuildpy: MAKE: {command}")
    given = {"CC": compiler} if compiler else {}
    _logged(conf, command, place, log, given, what="its build fails", status=10)


def run_kbuild(
    conf: DkmsConf, directory: Path, tree: KernelTree, variables: Mapping[str, str], log: Path, *, jobs: int
) -> None:
    """What a MAKE line that only calls Kbuild does in `directory`, by `kbuildpy build` in a process of its own: the
    modules, with Module.symvers and modules.order, are where make leaves them. Raises `KbuildError` with the end of the
    log."""
    out = directory / ".kbuildpy-out"
    words = [f"{name}={value}" for name, value in variables.items()]
    if tree.config.get("CONFIG_CC_IS_CLANG") == "y":
        words.append("CC=clang")
    argv = own_command(
        *("build", str(directory), "--no-dkms", "-k", str(tree.objects), "-o", str(out), f"-j{jobs}", *words)
    )
    note(log, f"kbuildpy: MAKE only calls Kbuild: kbuildpy build {' '.join(words)}".rstrip())
    # (SIGTERM: it ends its own programs)
    done = run(argv, check=False, env=_environment({}), begin=partial(end_with, os.getpid(), signal.SIGTERM))
    note(log, f"{done.text}{done.error_text}".rstrip("\n"))
    if done.returncode != 0:
        raise KbuildError(
            f"{conf.identity}: its build fails for {tree.release}\n{end_of(log)}", hint=f"see {log}", status=10
        )
    made = out / tree.release
    for path in (*made.rglob("*.ko"), made / "Module.symvers", made / "modules.order"):
        target = directory / path.relative_to(made)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    shutil.rmtree(out, ignore_errors=True)


def built_file(module: DkmsModule, place: Path) -> Path:
    """The file of `module` in the built copy `place`. Raises `KbuildError` if it is not there, or leads out of it."""
    path = place / module.built_in / f"{module.name}.ko"
    if not path.is_file():
        raise KbuildError(
            f"{module.built_in}{module.name}.ko was not built",
            hint="BUILT_MODULE_NAME and BUILT_MODULE_LOCATION say where the build leaves it",
            status=7,
        )
    if not is_below(path, place):
        raise KbuildError(f"{path} leads out of the build directory", hint="it must be a file, not a link to elsewhere")
    return path


def is_below(path: Path, directory: Path) -> bool:
    """Whether `path` is in `directory` after all links are followed."""
    return path.resolve().is_relative_to(directory.resolve())


def note(log: Path, line: str) -> None:
    """Add a line to a log."""
    with log.open("a", errors="surrogateescape") as file:
        file.write(f"{line}\n")


def keep_failure(places: DkmsPlaces, conf: DkmsConf, kernel: str, arch: str, log: Path, error: KbuildError) -> None:
    """Keep why a package is not built for a kernel, with the log so far, for `status`."""
    folder = places.failed(conf.name, conf.version, kernel, arch)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if log.is_file():
            shutil.copyfile(log, folder / "make.log")
        note(folder / "make.log", f"kbuildpy: {error.message}")


def end_of(log: Path) -> str:
    """The last lines of a log, printable: those of errors, if there are any."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line for line in lines if re.search(r"\b(?:error|ERROR)\b", line)]
    return "\n".join(map(printable, (errors or lines)[-_TAIL:]))


def _logged(
    conf: DkmsConf, command: str, place: Path, log: Path, variables: Mapping[str, str], *, what: str, status: int
) -> None:
    done = run(
        ["bash", "-c", _LOGGED, log, place, command],
        env=_environment(variables),
        begin=partial(_lead_group, os.getpid()),
        check=False,
    )
    if done.returncode != 0:
        words = f"{conf.identity}: {what} (status {done.returncode})\n{end_of(log)}"
        raise KbuildError(words, hint=f"see {log}", status=status)


def _lead_group(parent: int) -> None:
    """To be called in a new process: lead a session, whose processes end with `parent` (the trap in `_GROUP`)."""
    os.setsid()
    end_with(parent, signal.SIGTERM)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED}
    return {**kept, "PATH": f"{kept.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin:/usr/lib/dkms", **variables}


def _ignored(without: Path | None, folder: str, names: list[str]) -> set[str]:
    """What is no source: version control, and output."""
    return {name for name in names if name == ".git" or (without and Path(folder, name) == without.resolve())}


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _reason(error: OSError | shutil.Error) -> str:
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
