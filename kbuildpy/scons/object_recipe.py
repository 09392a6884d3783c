# SPDX-License-Identifier: GPL-2.0-only
"""The recipe of a compiled object and its `.cmd` file: what a shared cache must know of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kbuildpy.kbuild.cmd_file import CmdFile, own_contents, parse_cmd_file
from kbuildpy.kbuild.included_headers import include_folders, search_headers
from kbuildpy.kbuild.job import Job
from kbuildpy.kbuild.portable_root import portable_root, with_root, without_root
from kbuildpy.kbuild.stamps import GRAIN_NS, changed_since
from kbuildpy.scons.group import Group
from kbuildpy.scons.hidden_headers import headers_before
from kbuildpy.scons.recipe import (
    Recipe,
    has_untold_inputs,
    may_be_shared,
    read_or_empty,
    scripts_read_more,
    variables_of_compilers,
)
from kbuildpy.shared.contents import content_digest, is_digested

_MOST_HEADERS = 5000


def object_recipe(group: Group, job: Job, *, facts: Sequence[str], take: Callable[[CmdFile], None]) -> Recipe:
    """The recipe of what `job` makes; `facts` decide besides its commands. `take` is called for an object that was
    taken, with what it was made from."""
    project = group.project
    commands = [step.command for step in job.steps]

    def words() -> list[str]:
        settings = (*job.extra, *facts, repr(job.layout), job.cwd, *variables_of_compilers(job.env))
        return [project.answer.compiler, *settings, *project.program_digests(commands)]

    def files() -> list[str]:
        return _searched(group, job)

    def named(targets: Sequence[str]) -> list[str]:
        return project.named_files(commands, targets, cwd=job.cwd, find=job.layout.find)

    def before(made_from: CmdFile) -> list[str]:
        found = headers_before(
            made_from,
            commands[0],
            cwd=job.cwd,
            is_covered=lambda path: is_digested(project.tree, path),
            find=job.layout.find,
        )
        return [without_root(path, root) for path in found]

    def may_share() -> bool:
        made_from = _made_from(job)
        if len(made_from.headers) > _MOST_HEADERS:
            return False
        read = [job.layout.absolute(name) for name in (made_from.source, *made_from.headers)]
        own = [job.layout.find(path) for path in read if group.is_own(path)]
        others = (path for path in read[1:] if not group.is_own(path))
        # (the kernel's headers have such words in macros, for few to use)
        texts = [job.layout.find(path) for path in read if path == read[0] or not is_digested(project.tree, path)]
        in_key = {job.layout.find(read[0]), *files()}

        def was_edited(path: str) -> bool:
            # (in the grain of times the key, which is found before and after, tells of the files that are in it; one
            # may have been made by this build a moment before)
            return changed_since(path, recipe.began_ns + (GRAIN_NS if path in in_key else 0))

        return (
            may_be_shared(commands)
            and project.knows_programs(commands)
            and not scripts_read_more(named([str(job.object_file)]))
            and not any(changed_since(path, project.began_ns) for path in others)
            and not any(was_edited(path) for path in own)
            and not any(was_edited(job.layout.find(with_root(path, root))) for path in before(made_from))
            and not any(has_untold_inputs(read_or_empty(path), names_place=bool(root)) for path in texts)
        )

    def stored_facts() -> dict[str, Any]:
        made_from = _made_from(job)
        return {"headers": _foreign(group, job, made_from), "before": before(made_from)}

    def accepts(stored: Mapping[str, Any]) -> bool:
        made_from = _made_from(job)
        find = job.layout.find
        contents = own_contents(made_from.source, made_from.headers, cwd=job.cwd, is_own=group.is_own, find=find)
        if len(made_from.headers) > _MOST_HEADERS:
            return False
        if made_from.contents != contents or _foreign(group, job, made_from) != stored.get("headers"):
            return False
        if before(made_from) != stored.get("before"):
            return False
        take(made_from)
        return True

    root = portable_root(commands[0], job.layout.evaluated) if commands else ""
    recipe = Recipe(project.headers_digest, commands, words, files, root=root)
    recipe.named = named
    recipe.may_share, recipe.facts, recipe.accepts = may_share, stored_facts, accepts
    return recipe


def _made_from(job: Job) -> CmdFile:
    return parse_cmd_file(job.cmd_path.read_text(errors="surrogateescape"))


def _searched(group: Group, job: Job) -> list[str]:
    """The module's own headers that the source may include, as a first build has to find them: whether there is a
    `.cmd` file that knows better, or not."""
    if not job.source:
        return []
    folders = include_folders(job.steps[0].command, cwd=job.cwd, is_own=group.is_own)
    find = job.layout.find

    def exists(path: str) -> bool:
        return group.is_own(path) and os.path.isfile(find(path))  # noqa: PTH113

    return [find(path) for path in search_headers(job.source, folders, exists=exists, find=find)]


def _foreign(group: Group, job: Job, made_from: CmdFile) -> list[list[str]]:
    """The files that were read and are neither the module's, nor covered by the digest of the kernel tree, with their
    digests: those of compilers and of the system, and sources that lie in the tree."""
    tree = group.project.tree
    paths = {job.layout.absolute(name) for name in made_from.headers}
    others = (path for path in paths if not group.is_own(path) and not is_digested(tree, path))
    return [[path, content_digest(path)] for path in sorted(others)]
