"""Kbuild files with rules of their own: generated sources, host programs, `always-y`.

Such rules write beside the sources, and only make can carry them out (`mk/generate.mk`). They run below an overlay of
the module directory (`evaluation`). Where the system allows none, they get a copy of the directory among the output and
run there; Kbuild is then asked about the copy. What is compiled from it names the user's directory in its debug
information, as an in-place build would; what the rules themselves write names the copy.

Paths that climb out of the module directory (`$(src)/../common`) must still lead somewhere: the folders above
the copy hold links to what lies beside the originals.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.answer import TreeAnswer
from kbuildpy.kbuild.directory import NATIVE_RULES
from kbuildpy.kbuild.overlay import Overlay, entry
from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.question import make_failed, stamp
from kbuildpy.kbuild.records import MAKEFILES
from kbuildpy.kernel.cache import read_json, write_json
from kbuildpy.run import how_it_failed, run

_ANCESTORS = 4
_LEFT_OUT = frozenset({".git", ".hg", ".svn", ".sconsign.dblite"})


class MakeKilledError(KbuildError):
    """A signal ended make itself: what it was making may be there in part."""


def make_sources(
    answer: TreeAnswer, plan: Plan, out: Path, *, environ: Mapping[str, str], jobs: int
) -> tuple[Path, str]:
    """Bring the copy of the directory that `plan` is for up to date and let make carry out its own rules there; the
    copy, and what make printed.

    Raises `KbuildError` with make's message when a rule fails.
    """
    state = out / ".kbuildpy"
    marker = state / "making"
    if marker.exists():
        # A killed make leaves half-written files that look made.
        shutil.rmtree(state / "sources", ignore_errors=True)
        (state / "sources.json").unlink(missing_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    marker.touch()
    copy = copy_sources(Path(plan.directory), out)
    try:
        printed = run_own_rules(answer, plan, copy, environ=environ, jobs=jobs)
    except MakeKilledError:
        raise
    except KbuildError:
        marker.unlink()
        raise
    marker.unlink()
    return copy, printed


def is_written(directory: Path, out: Path) -> bool:
    """Whether anything in the copy of `directory` was written there, and not copied."""
    known = read_json(out / ".kbuildpy" / "sources.json")
    copied: dict[str, list[int]] = known if isinstance(known, dict) else {}
    copy = copy_path(directory, out)
    return any(
        name not in copied or (copied[name] != seen and not (copy / name).is_symlink())
        for name, seen in _sources(copy, copy / ".kbuildpy").items()
    )


def copy_path(directory: Path, out: Path) -> Path:
    """Where the copy of `directory` is, or will be."""
    return Path(f"{out}/.kbuildpy/sources{directory}")


def changed_sources(directory: Path, out: Path) -> set[str]:
    """The files (relative to `directory`) that are not what they were when they were copied."""
    known = read_json(out / ".kbuildpy" / "sources.json")
    before: dict[str, list[int]] = known if isinstance(known, dict) else {}
    now = _sources(directory, out)
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def note_sources(directory: Path, out: Path) -> None:
    """Note the state of the sources that rules were carried out for, for `changed_sources`.

    A copy of the sources, which a run without an overlay has left, goes: the note would no longer be about it.
    """
    copies = out / ".kbuildpy" / "sources"
    if copies.exists():
        shutil.rmtree(copies, ignore_errors=True)
    manifest, now = out / ".kbuildpy" / "sources.json", _sources(directory, out)
    if read_json(manifest) != now:
        write_json(manifest, now)


def copy_sources(directory: Path, out: Path) -> Path:
    """Bring the copy of `directory` below `out` up to date and return it.

    Files keep their modification time, so that make's own rules see what changed; what vanished from the
    sources vanishes from the copy, what rules made there stays.
    """
    root = out / ".kbuildpy" / "sources"
    copy = copy_path(directory, out)
    copy.mkdir(parents=True, exist_ok=True)
    _link_neighbours(directory, root, skip=out)
    manifest = out / ".kbuildpy" / "sources.json"
    known = read_json(manifest)
    before: dict[str, list[int]] = known if isinstance(known, dict) else {}
    now = _sources(directory, out)
    for relative, seen in now.items():
        if relative.endswith("/"):
            if (copy / relative[:-1]).is_symlink():
                (copy / relative[:-1]).unlink()
            (copy / relative).mkdir(exist_ok=True)
        elif before.get(relative) != seen or not os.path.lexists(copy / relative):
            _copy(directory / relative, copy / relative, directory)
    for relative in [name for name in before.keys() - now.keys() if not name.endswith("/")]:
        with suppress(IsADirectoryError, NotADirectoryError):
            (copy / relative).unlink(missing_ok=True)
    if now != before:
        write_json(manifest, now)
    return copy


def run_own_rules(
    answer: TreeAnswer,
    plan: Plan,
    copy: Path,
    *,
    environ: Mapping[str, str],
    jobs: int,
    overlay: Overlay | None = None,
) -> str:
    """Let make carry out in `copy` (which may be the directory itself, below `overlay`) the own rules of the Kbuild
    file that `plan` is for; what it printed.

    Raises `KbuildError` with make's message when one of them fails (make has then removed what it was making, as
    Kbuild's .DELETE_ON_ERROR has it), `MakeKilledError`, and `OverlayRefused`. What is printed names the
    user's directory.
    """
    cwd = answer.working_directory(str(copy))
    begin = entry(overlay, cwd) if overlay else None
    env = answer.environment_for(environ, str(copy))
    env |= {
        "KBUILDPY_MK": str(MAKEFILES),
        "KBUILDPY_NATIVE": " ".join(sorted(NATIVE_RULES)),
        "KBUILDPY_NEEDED": " ".join(plan.needed).replace(plan.directory, str(copy)),
    }
    if overlay is None:
        # Objects that make compiles must name the user's directory as well.
        env["KBUILD_CPPFLAGS"] = f"{env.get('KBUILD_CPPFLAGS', '')} -ffile-prefix-map={copy}={plan.directory}"
    obj = "." if answer.in_directory else str(copy)
    argv = ["make", f"-j{jobs}", "-f", str(MAKEFILES / "generate.mk"), f"obj={obj}"]
    done = run([*argv, "need-builtin=", "need-modorder=1"], cwd=cwd, env=env, check=False, begin=begin)
    printed = (done.text + done.error_text).replace(str(copy), plan.directory)
    if done.returncode < 0:
        how = how_it_failed(128 - done.returncode)
        raise MakeKilledError(f"{plan.directory}: make {how} while it carried out the Kbuild file's own rules")
    if done.returncode != 0:
        raise make_failed(f"{plan.directory}: a rule of the Kbuild file failed", printed)
    return printed


def _sources(directory: Path, out: Path) -> dict[str, list[int]]:
    """Every file below `directory` that is not output, with its stamp; and every folder, with a slash, before it.

    A link to a folder, or to nothing, counts as a file; pipes, sockets and devices are no sources.
    """
    found: dict[str, list[int]] = {}
    for folder, names, files in os.walk(directory):
        here = Path(folder)
        names[:] = [name for name in names if name not in _LEFT_OUT and not _is_output(here / name, out)]
        found[f"{here.relative_to(directory)}/"] = [0, 0]
        for name in (*files, *(name for name in names if (here / name).is_symlink())):
            path = here / name
            if path.is_file():
                found[str(path.relative_to(directory))] = list(stamp(path))
            elif path.is_symlink():
                status = path.lstat()
                found[str(path.relative_to(directory))] = [status.st_mtime_ns, status.st_size]
    return found


def _is_output(path: Path, out: Path) -> bool:
    """Whether `path` holds our output, of this build or another one (a folder that output lies in may hold sources)."""
    return path == out or path.name == ".kbuildpy" or (path / ".kbuildpy/notes").exists()


def _copy(source: Path, target: Path, directory: Path) -> None:
    """Copy a file, or a link to a folder or to nothing: what it leads to outside `directory` is not copied."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    if source.is_file():
        shutil.copy2(source, target)
        return
    leads_to = source.readlink()
    real = Path(os.path.realpath(source))
    inside = real == directory or directory in real.parents
    target.symlink_to(leads_to if inside and not leads_to.is_absolute() else real)


def _link_neighbours(directory: Path, root: Path, *, skip: Path) -> None:
    for folder in list(directory.parents)[:_ANCESTORS]:
        if folder == folder.parent:
            break
        mirror = Path(f"{root}{folder}")
        present = {path.name for path in mirror.iterdir()} if mirror.is_dir() else set()
        with os.scandir(folder) as entries:
            for entry in entries:
                inside = entry.path == str(directory) or str(directory).startswith(f"{entry.path}/")
                if entry.name not in present and not inside and not str(skip).startswith(f"{entry.path}/"):
                    (mirror / entry.name).symlink_to(entry.path)
