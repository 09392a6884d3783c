# SPDX-License-Identifier: GPL-2.0-only
"""Builds a module again from the recorded inputs, by kbuildpy and by make, and compares the bytes.

The signature and the compression of the module are set aside. What differs is named: inputs that are others than
recorded, and sections and symbols of the module. Nothing is fetched, and nothing is written outside of a directory for
the work.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.elf.debug_information import has_debug_information
from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_tree import ask_tree
from kbuildpy.kbuild.call_note import recorded_environment
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.proof.changed_inputs import (
    ChangedInput,
    changed_files,
    changed_flags,
    changed_programs,
    changed_variables,
    other_files,
)
from kbuildpy.proof.changed_module import SectionDifference, changed_sections
from kbuildpy.proof.places import BuildPlaces
from kbuildpy.proof.programs import used_programs
from kbuildpy.proof.rebuild import Rebuilt, Workplace
from kbuildpy.proof.record import MAKEFILE, BuildRecord, UsedProgram

BUILDERS = ("kbuildpy", "make")


@dataclass(frozen=True)
class BuilderVerdict:
    """What one builder made of the recorded inputs."""

    builder: str
    """`kbuildpy` or `make`."""
    equal: bool
    """The module has the same bytes."""
    sha256: str | None
    """Of the rebuilt module; None where there is none."""
    error: str | None
    """Why there is none; None where there is one."""
    differs: tuple[SectionDifference, ...]
    """In which sections and symbols it differs."""
    stripped: bool = False
    """The rebuilt module was stripped for the comparison, as the module itself is."""
    unstripped_sha256: str | None = None
    """Of the rebuilt module before that."""


@dataclass(frozen=True)
class Reproduction:
    """Whether a module comes out of the recorded inputs."""

    file: str
    kernel: str
    """The release of the kernel tree that it was built against now."""
    is_recorded: bool
    """The module, without its signature, is the recorded one."""
    at_path: bool
    """The fresh directories were seen at the recorded path."""
    refused: str
    """Why not; "" if they were."""
    inputs: tuple[ChangedInput, ...]
    """The inputs that are others than recorded."""
    builders: tuple[BuilderVerdict, ...]

    @property
    def equal(self) -> bool:
        """Every builder made the same bytes."""
        return bool(self.builders) and all(item.equal for item in self.builders)

    def to_json(self, manifest: str) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "file": self.file,
            "kernel": self.kernel,
            "manifest": manifest,
            "equal": self.equal,
            "recorded": self.is_recorded,
            "at_path": self.at_path,
            "builders": [
                {
                    "builder": item.builder,
                    "equal": item.equal,
                    "sha256": item.sha256,
                    "error": item.error,
                    "stripped": item.stripped,
                    "differs": [
                        {"section": part.section, "what": part.what, "symbols": list(part.symbols)}
                        for part in item.differs
                    ],
                }
                for item in self.builders
            ],
            "inputs": [
                {"kind": item.kind, "name": item.name, "recorded": item.recorded, "present": item.present}
                for item in self.inputs
            ],
        }


def reproduce(
    file: str,
    unsigned: bytes,
    record: BuildRecord,
    tree: KernelTree,
    *,
    sources: str,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
    builders: Sequence[str] = BUILDERS,
    jobs: int = 1,
    strip: Callable[[bytes], bytes] | None = None,
) -> Reproduction:
    """Build the module `file`, which is `unsigned` without its signature, again from what `record` says, against
    `tree`, with the sources in the directory `sources`. `variables` are for make, in place of
    recorded ones of these names; `environ` is the environment; `builders` are those of `BUILDERS` that build.
    `strip` strips a module as `tree` does when it installs: for a module without debug information.

    Raises `KbuildError` where `record` has no such module, and OSError where the directory for the work is full.
    """
    name = _name_of(file, unsigned, record)
    given = {**record.variables, **variables}
    here = BuildPlaces(sources, str(tree.source), str(tree.objects))
    inputs = list(changed_files(record, here, tree))
    for word, then, now in (("$(srctree)", record.source, here.source), ("$(objtree)", record.objects, here.objects)):
        if then != now:
            inputs.append(ChangedInput("path", word, then, now))
    inputs += changed_variables(record.variables, given)
    inputs += changed_programs(record.programs, _present_programs(record, tree, given, environ))
    with tempfile.TemporaryDirectory(prefix="kbuildpy-reproduce-") as scratch:
        place = Workplace(record, tree, here, given, environ, Path(scratch).resolve(), jobs)
        refused = place.refused
        rebuilt = []
        if "kbuildpy" in builders:
            rebuilt.append(place.by_kbuildpy(seen=not refused))
        if "make" in builders:
            rebuilt.append(place.by_make(seen=not refused))
    inputs += _found_by_building(record, rebuilt)
    verdicts = tuple(_verdict(item, name, unsigned, strip) for item in rebuilt)
    recorded = {item.unsigned_sha256 for item in record.modules}
    known = {hashlib.sha256(unsigned).hexdigest(), *(item.unstripped_sha256 for item in verdicts if item.equal)}
    return Reproduction(
        file=file,
        kernel=tree.release,
        is_recorded=not recorded.isdisjoint(known),
        at_path=not refused,
        refused=refused,
        inputs=tuple(dict.fromkeys(inputs)),
        builders=verdicts,
    )


def _found_by_building(record: BuildRecord, rebuilt: Sequence[Rebuilt]) -> Iterator[ChangedInput]:
    """What only a build shows: flags, and files that were not read before."""
    for item in rebuilt:
        if item.record is not None:
            for found in other_files(record, item.record):
                # (the declarations of an SConstruct have become a Kbuild file)
                if not (record.declared and found.kind == MAKEFILE):
                    yield found
        if item.commands:
            yield from changed_flags(record.made, item.commands, first=item.record is None)
            return


def _present_programs(
    record: BuildRecord, tree: KernelTree, variables: Mapping[str, str], environ: Mapping[str, str]
) -> Sequence[UsedProgram]:
    env = recorded_environment(record.environment, environ)
    return used_programs(ask_tree(tree, variables=variables, environ=env), record.commands, env)


def _name_of(file: str, unsigned: bytes, record: BuildRecord) -> str:
    """The path of the recorded module that `file` is: the one with its bytes, else the one with its name."""
    digest = hashlib.sha256(unsigned).hexdigest()
    for module in record.modules:
        if module.unsigned_sha256 == digest:
            return module.name
    stem = Path(file).name.partition(".ko")[0].replace("-", "_")
    for module in record.modules:
        if module.name.rpartition("/")[2].replace("-", "_") == stem:
            return module.name
    names = ", ".join(module.name for module in record.modules)
    raise KbuildError(f"{file}: the record is of other modules: {names}", hint="name the manifest of this module")


def _verdict(rebuilt: Rebuilt, name: str, unsigned: bytes, strip: Callable[[bytes], bytes] | None) -> BuilderVerdict:
    module = rebuilt.modules.get(name)
    if module is None:
        error = rebuilt.error or f"{name}.ko was not built"
        return BuilderVerdict(rebuilt.builder, False, None, error, ())
    before = None
    if strip is not None and module != unsigned and has_debug_information(module) > has_debug_information(unsigned):
        before, module = hashlib.sha256(module).hexdigest(), strip(module)
    digest = hashlib.sha256(module).hexdigest()
    differs = tuple(changed_sections(unsigned, module))
    return BuilderVerdict(rebuilt.builder, module == unsigned, digest, None, differs, before is not None, before)
