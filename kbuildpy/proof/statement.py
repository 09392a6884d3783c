# SPDX-License-Identifier: GPL-2.0-only
"""A record as an in-toto statement (v1) with SLSA provenance (v1), and back.

Subjects are the module files. What a caller chose is in `externalParameters`: directory, kernel, variables; what the
build made of it is in `internalParameters`: commands, environment. Each file, program and package that it read is a
resolved dependency, with its digest. There are no times in it: the same build gives the same statement.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.call_note import DeclaredKbuild
from kbuildpy.proof.record import (
    BuildRecord,
    InputFile,
    MadeModule,
    MadeObject,
    PackageVersion,
    UsedProgram,
)

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:kbuildpy:build:kbuild-module:v1"
"""Says how the parameters are to be read: docs/proof.md is its description."""
BUILDER_ID = "urn:kbuildpy:builder:unnamed"
"""The builder of a build of which nobody said who made it."""
_KERNEL, _PROGRAM = "kernel", "program"
_URL = re.compile(r"pkg:(deb|rpm)/([\w.-]+)/([^@/?]+)@([^?]+)(?:\?arch=([\w-]+))?")
_WORD = re.compile(r"[A-Za-z_]\w*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StatementSubject:
    """A file that a statement is about."""

    name: str
    sha256: str


def statement_of(record: BuildRecord, *, builder: str = "") -> dict[str, Any]:
    """The statement about the modules of `record`. `builder` is a URI that says who built; "" for nobody."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {
                "name": _file_name(module.file),
                "digest": {"sha256": module.sha256},
                "annotations": {"module": module.name, "sha256WithoutSignature": module.unsigned_sha256},
            }
            for module in record.modules
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "directory": record.directory,
                    "kernel": record.release,
                    "variables": dict(record.variables),
                    "modules": [module.name for module in record.modules],
                },
                "internalParameters": {
                    "environment": dict(record.environment),
                    "srctree": record.source,
                    "objtree": record.objects,
                    "declared": [
                        {"below": item.below, "name": item.name, "text": item.text} for item in record.declared
                    ],
                    "objects": [_object(item) for item in record.made],
                    "links": [
                        {"module": item.name, "objects": list(item.objects), "commands": list(item.commands)}
                        for item in record.modules
                    ],
                },
                "resolvedDependencies": [*_kernel(record), *_files(record), *_programs(record)],
            },
            "runDetails": {
                "builder": {"id": builder or BUILDER_ID, "version": {"kbuildpy": record.kbuildpy}},
                "metadata": {"invocationId": f"urn:sha256:{_invocation(record)}"},
            },
        },
    }


def statement_text(statement: Mapping[str, Any]) -> str:
    """A statement as JSON in one line; the same statement gives the same bytes."""
    return json.dumps(statement, separators=(",", ":"))


def subjects_of(statement: Mapping[str, Any], where: str) -> list[StatementSubject]:
    """The subjects of an in-toto statement, which came from `where`. Raises `KbuildError` for what is none."""
    try:
        if statement["_type"] != STATEMENT_TYPE:
            raise KbuildError(f"{where}: not an in-toto statement of version 1 but {statement['_type']!r}")
        return [StatementSubject(_text(item["name"]), _digest(item)) for item in statement["subject"]]
    except (KeyError, TypeError, ValueError) as error:
        raise KbuildError(f"{where}: not an in-toto statement: {_what(error)}") from error


def is_unsigned_subject(statement: Mapping[str, Any], sha256: str) -> bool:
    """Whether `statement` says of a subject that it has the digest `sha256`, when its signature is left out."""
    subjects = statement.get("subject")
    items = subjects if isinstance(subjects, list) else []
    said = [item.get("annotations") for item in items if isinstance(item, dict)]
    return any(isinstance(item, dict) and item.get("sha256WithoutSignature") == sha256 for item in said)


def record_of(statement: Mapping[str, Any], where: str) -> BuildRecord:
    """The record in a statement that came from `where`. Raises `KbuildError` for a statement of another kind, and for a
    record that cannot be one, such as a name that leads out of the module directory."""
    subjects_of(statement, where)
    try:
        predicate = statement["predicate"]
        definition = predicate["buildDefinition"]
        if statement["predicateType"] != PREDICATE_TYPE or definition["buildType"] != BUILD_TYPE:
            raise KbuildError(
                f"{where}: provenance of another kind of build ({statement['predicateType']}, "
                f"{definition.get('buildType')})",
                hint="name a file that `kbuildpy provenance` wrote",
            )
        return _record(statement, definition, predicate["runDetails"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise KbuildError(f"{where}: a damaged record of a build: {_what(error)}") from error


def _object(item: MadeObject) -> dict[str, Any]:
    """An object with those of its inputs that are not the kernel's: with these, each would have a thousand more."""
    own = [name for name in item.inputs if not name.startswith(("$(srctree)/", "$(objtree)/"))]
    source = item.inputs[:1]
    inputs = [*source, *(name for name in own if name not in source)]
    return {"target": item.target, "inputs": inputs, "commands": list(item.commands)}


def _kernel(record: BuildRecord) -> Iterator[dict[str, Any]]:
    """The kernel tree as a whole, and the packages that it came in."""
    packages = [package.url for package in record.kernel_packages]
    yield {
        "name": f"linux-{record.release}",
        **({"uri": packages[0]} if packages else {}),
        "digest": {"sha256": record.kernel_digest},
        "annotations": {"kind": _KERNEL, "release": record.release, "packages": packages},
    }


def _files(record: BuildRecord) -> Iterator[dict[str, Any]]:
    for file in record.files:
        yield {"name": file.name, "digest": {"sha256": file.sha256}, "annotations": {"kind": file.kind}}


def _programs(record: BuildRecord) -> Iterator[dict[str, Any]]:
    for program in record.programs:
        yield {
            "name": program.command,
            **({"uri": program.package.url} if program.package else {}),
            "digest": {"sha256": program.sha256},
            "annotations": {"kind": _PROGRAM, "role": program.role, "version": program.version},
        }


def _invocation(record: BuildRecord) -> str:
    """A name of the build that is the same for the same build."""
    names = [f"{module.name} {module.unsigned_sha256}\n" for module in record.modules]
    return hashlib.sha256("".join([record.kernel_digest, *names]).encode()).hexdigest()


def _record(statement: Mapping[str, Any], definition: Mapping[str, Any], run: Mapping[str, Any]) -> BuildRecord:
    external, internal = definition["externalParameters"], definition["internalParameters"]
    kinds = [(item, item["annotations"]) for item in definition["resolvedDependencies"]]
    kernel = next(said for _, said in kinds if said["kind"] == _KERNEL)
    links = {item["module"]: item for item in internal["links"]}
    modules = []
    for subject in statement["subject"]:
        said = subject["annotations"]
        link = links[said["module"]]
        modules.append(
            MadeModule(
                name=_below(said["module"]),
                file=_text(subject["name"]),
                sha256=_digest(subject),
                unsigned_sha256=_hex(said["sha256WithoutSignature"]),
                objects=_texts(link["objects"]),
                commands=_texts(link["commands"]),
            )
        )
    if not modules:
        raise ValueError("no modules")
    return BuildRecord(
        directory=_absolute(external["directory"]),
        source=_absolute(internal["srctree"]),
        objects=_absolute(internal["objtree"]),
        release=_text(external["kernel"]),
        kernel_packages=tuple(_package(url) for url in kernel["packages"]),
        variables=_variables(external["variables"]),
        environment=_variables(internal["environment"]),
        declared=tuple(
            DeclaredKbuild(_below(item["below"]) if item["below"] else "", _text(item["name"]), _text(item["text"]))
            for item in internal["declared"]
        ),
        kbuildpy=_text(run["builder"].get("version", {}).get("kbuildpy", __version__)),
        files=tuple(
            InputFile(_name(item["name"]), _text(said["kind"]), _digest(item))
            for item, said in kinds
            if said["kind"] not in (_KERNEL, _PROGRAM)
        ),
        programs=tuple(
            UsedProgram(
                _text(said["role"]),
                _text(item["name"]),
                _text(said["version"]),
                _digest(item),
                _package(item["uri"]) if "uri" in item else None,
            )
            for item, said in kinds
            if said["kind"] == _PROGRAM
        ),
        made=tuple(
            MadeObject(_text(item["target"]), _texts(item["inputs"]), _texts(item["commands"]))
            for item in internal["objects"]
        ),
        modules=tuple(modules),
    )


def _package(url: object) -> PackageVersion:
    found = _URL.fullmatch(_text(url))
    if found is None:
        raise ValueError(f"{url!r} is no package URL")
    version = found[4].replace("%2B", "+").replace("%3A", ":")
    return PackageVersion(found[3], version, found[5] or "", found[1], found[2])


def _name(value: object) -> str:
    """The name of a file, which must not lead out of the place that it begins with."""
    text = _text(value)
    parts = text.split("/")
    if ".." in parts or "" in parts[1:] or not text.startswith(("$(src)/", "$(srctree)/", "$(objtree)/", "/")):
        raise ValueError(f"{text!r} is no name of a file")
    return text


def _below(value: object) -> str:
    text = _text(value)
    if not text or text.startswith("/") or {"", ".", ".."}.intersection(text.split("/")):
        raise ValueError(f"{text!r} is no path below the output directory")
    return text


def _absolute(value: object) -> str:
    text = _text(value)
    if not text.startswith("/") or text == "/" or {"", ".", ".."}.intersection(text.split("/")[1:]):
        raise ValueError(f"{text!r} is no directory")
    return text


def _variables(value: Mapping[str, object]) -> dict[str, str]:
    for name in value:
        if not _WORD.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")
    return {name: _text(text) for name, text in value.items()}


def _digest(item: Mapping[str, Any]) -> str:
    return _hex(item["digest"]["sha256"])


def _hex(value: object) -> str:
    text = _text(value)
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no SHA-256")
    return text


def _texts(value: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return tuple(map(_text, value))


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{str(value)[:80]!r} is no text")
    return value


def _file_name(path: str) -> str:
    """The name of a subject: that of its file. Its directory is the caller's affair, and other on each machine."""
    return path.rpartition("/")[2]


def _what(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
