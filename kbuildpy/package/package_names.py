# SPDX-License-Identifier: GPL-2.0-only
"""What a package is called, and which names all formats can have.

Names and versions go into the names of files, control files and spec files. So only characters are taken that mean
nothing in any of these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from kbuildpy.errors import UsageError
from kbuildpy.printable import printable

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*\Z")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*\Z")
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+._-]*\Z")
_PERSON = re.compile(r"[^<>\"\n,]+ <[^<>@\s]+@[^<>@\s]+>\Z")
_LATEST = 253402300799
"""The last second of the year 9999, after which dates are no longer written in the same way."""


def package_name(given: str, modules: Sequence[str]) -> str:
    """The name of a package: `given`, else that of its one module. Raises `UsageError`."""
    if not given and len(modules) != 1:
        raise UsageError(f"a package of {len(modules)} modules needs a name", hint="add --name NAME")
    name = given or modules[0].replace("_", "-").lower()
    if not is_package_name(name):
        said = f"--name {printable(name)}" if given else f"{printable(name)}, the module's name"
        hint = "it has two or more lower-case letters, digits, + - . and begins with a letter or digit"
        raise UsageError(f"{said}: not the name of a package", hint=hint if given else f"add --name NAME: {hint}")
    return name


def package_version(given: str, stated: Sequence[str]) -> str:
    """The version of a package: `given`, else the one that all of its modules state (MODULE_VERSION). Raises
    `UsageError`."""
    versions = sorted(set(stated))
    if not given and len(versions) != 1:
        what = (
            f"the modules have versions {', '.join(map(printable, versions))}" if versions else "no module states one"
        )
        raise UsageError(f"the package needs a version: {what}", hint="add --version VERSION")
    version = given or versions[0]
    if not is_version(version):
        said = f"--version {printable(version)}" if given else f"{printable(version)}, the modules' version"
        raise UsageError(
            f"{said}: not a version that all formats can have",
            hint="it begins with a digit, and has letters, digits, . + ~ (for a revision, use 1.2+3 instead of 1.2-3)",
        )
    return version


def is_package_name(word: str) -> bool:
    """Whether all formats can have the name `word`."""
    return bool(_NAME.match(word))


def is_version(word: str) -> bool:
    """Whether all formats can have the version `word`."""
    return bool(_VERSION.match(word))


def check_release(release: str) -> str:
    """`release`, if it can be part of names (`UsageError`)."""
    if not _RELEASE.match(release):
        raise UsageError(f"the release {printable(release)!r} cannot be part of a package's name")
    return release


def check_place(path: str) -> str:
    """The place of a file below a kernel's modules, if formats can have it: components of letters, digits, + . _ -
    (`UsageError`)."""
    if not all(_PLACE.match(part) for part in path.split("/")):
        raise UsageError(
            f"{printable(path)}: a file in a package has a name of letters, digits and + . _ -", hint="rename the file"
        )
    return path


def maintainer(given: str, authors: Sequence[str], environ: Mapping[str, str]) -> str:
    """Who is responsible for the package: `given`, else what DEBFULLNAME and DEBEMAIL name, else the first author of
    the modules who states an address; "" for nobody. Raises `UsageError` for what is no name with an address."""
    name, address = environ.get("DEBFULLNAME", ""), environ.get("DEBEMAIL", "")
    from_environment = address if "<" in address else f"{name} <{address}>" if name and address else ""
    found = given or from_environment
    if not found:
        return next((author for author in authors if _is_person(author)), "")
    if not _is_person(found):
        raise UsageError(
            f"--maintainer {printable(found)}: not a name with an address", hint="as in: 'Jane Doe <jane@example.org>'"
        )
    return found


def package_date(environ: Mapping[str, str], newest: int) -> int:
    """The date of all files in a package, in seconds since 1970: SOURCE_DATE_EPOCH, else `newest`, when the newest
    module was written. Raises `UsageError` for a SOURCE_DATE_EPOCH that is no date."""
    word = environ.get("SOURCE_DATE_EPOCH")
    if word is None:
        return newest
    if not re.fullmatch(r"[0-9]{1,12}", word) or int(word) > _LATEST:
        raise UsageError(f"SOURCE_DATE_EPOCH={printable(word)}: not a number of seconds since 1970")
    return int(word)


def text_line(text: str, *, limit: int = 200) -> str:
    """What a module states about itself, in one line of at most `limit` characters, for the field of a package."""
    return printable(" ".join(os.fsencode(text).decode("utf-8", "replace").split()))[:limit]


def _is_person(text: str) -> bool:
    return text.isprintable() and bool(_PERSON.match(text))
