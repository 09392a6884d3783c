# SPDX-License-Identifier: GPL-2.0-only
"""Writing a project: all of its files, or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from kbuildpy.scaffold.names import check_place
from kbuildpy.scaffold.project import Project
from kbuildpy.scaffold.render import ProjectFile, render_project


def create_project(directory: Path, project: Project) -> int:
    """Make `directory` with the files of `project`; returns their number. Raises as `create_directory`."""
    files = render_project(project)
    create_directory(directory, files)
    return len(files)


def create_directory(directory: Path, files: Iterable[ProjectFile]) -> None:
    """Make `directory` with `files` in it: under another name first, so that it is never visible incomplete.

    Raises `UsageError` when something is there already, OSError when it cannot be written; nothing is left then.
    """
    check_place(directory)
    beside = directory.parent / f".{directory.name}.{secrets.token_hex(4)}~"
    try:
        beside.mkdir()
        for file in files:
            path = beside / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.contents)
            if file.executable:
                path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o444) >> 2)
        # (a rename would replace an empty directory that has just been made)
        check_place(directory)
        beside.rename(directory)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(directory)) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
