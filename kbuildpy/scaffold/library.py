# SPDX-License-Identifier: GPL-2.0-only
"""Finding templates: those that come with kbuildpy, and a user's own folders of them."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.scaffold.manifest import FILE_NAME, Template, read_manifest
from kbuildpy.template_path import template_path


def own_templates() -> Path:
    """The folder of all templates that come with kbuildpy."""
    return template_path("modules").parent


def all_templates(folders: Sequence[Path] = ()) -> dict[str, Template]:
    """The templates below `folders` (a user's, which come before ours) and our own, by name.

    Raises `UsageError` for a folder that does not exist, `KbuildError` for an invalid manifest.
    """
    found: dict[str, Template] = {}
    for folder in (*folders, own_templates() / "modules"):
        for place in _places(folder):
            template = read_manifest(place)
            found.setdefault(template.name, template)
    return dict(sorted(found.items()))


def find_template(word: str, folders: Sequence[Path] = (), *, name: str = "") -> Template:
    """The template that `word` names: its name, or the path of its folder (with a slash in it). `name` is what the
    module is to be called, for the error where a user gives both in the wrong order.

    Raises `UsageError` if there is none, `KbuildError` for an invalid manifest.
    """
    if "/" in word or word in (".", ".."):
        if not Path(word).is_dir():
            raise UsageError(f"{word}: no such folder", hint="a template is a folder with a template.toml")
        return read_manifest(Path(word))
    places = {
        place.name: place for folder in (own_templates() / "modules", *reversed(folders)) for place in _places(folder)
    }
    if word not in places:
        near = difflib.get_close_matches(word, places, n=3, cutoff=0.5)
        known = f"did you mean {' or '.join(near)}? " if near else ""
        if name in places:
            known = f"the template comes first: kbuildpy new {shlex.join([name, word])}; "
        raise UsageError(f"no template is called {word!r}", hint=f"{known}kbuildpy new --list shows all templates")
    return read_manifest(places[word])


def _places(folder: Path) -> list[Path]:
    """The folders below `folder` that have a manifest. In a folder of ours each must."""
    try:
        below = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}", hint="--template-dir names a folder of templates") from error
    return [place for place in below if (place / FILE_NAME).is_file()]
