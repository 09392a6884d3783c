# SPDX-License-Identifier: GPL-2.0-only
"""Builds a recorded module again, by kbuildpy and by make, in fresh directories with the recorded inputs alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.call_note import DeclaredKbuild, has_call, recorded_environment
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.own_command import own_command
from kbuildpy.proof.at_path import refusal, shown_at
from kbuildpy.proof.places import BuildPlaces, is_own_name, symvers_file
from kbuildpy.proof.read_proofs import read_proofs
from kbuildpy.proof.record import OWN_KINDS, SYMVERS, BuildRecord
from kbuildpy.proof.statement import record_of
from kbuildpy.run import run
from kbuildpy.signing.trailer import without_signatures

_MOST_LINES = 12
_SAVED = re.compile(r"^(?:saved)?cmd_\S+ := (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Rebuilt:
    """What one builder made of the recorded inputs."""

    builder: str
    """`kbuildpy` or `make`."""
    modules: Mapping[str, bytes]
    """The modules by their paths below the output directory, without `.ko`."""
    commands: Mapping[str, Sequence[str]]
    """The commands by the targets of objects, with the names of `places`."""
    record: BuildRecord | None
    """The record of this build, where kbuildpy made it."""
    error: str
    """The last lines of what a build printed that failed; "" for one that did not."""


@dataclass(frozen=True)
class Workplace:
    """Where recorded modules are built again."""

    record: BuildRecord
    tree: KernelTree
    here: BuildPlaces
    """Where the sources and the kernel tree are on this machine."""
    variables: Mapping[str, str]
    """The variables for make."""
    environ: Mapping[str, str]
    """The environment of this process."""
    scratch: Path
    """A directory of its own (physical)."""
    jobs: int

    @property
    def refused(self) -> str:
        """Why the fresh directories cannot be seen at the recorded path; "" if they can."""
        probe = self.scratch / "probe"
        probe.mkdir(exist_ok=True)
        return refusal(probe, self.record.directory, scratch=self._root())

    def by_kbuildpy(self, *, seen: bool) -> Rebuilt:
        """Build by kbuildpy; `seen`: at the recorded path."""
        directory, out = self._lay_out("kbuildpy"), self.scratch / "out"
        path, begin = self._place(directory, seen=seen)
        words = ["build", path, "-k", self.here.objects, "-o", str(out), "--no-dkms", f"-j{self.jobs}"]
        error = self._run(own_command(*words, *self._variables(path), "CHECK=0"), path, begin)
        place = next((item for item in sorted(out.glob("*")) if has_call(item)), None) if not error else None
        if place is None:
            return Rebuilt("kbuildpy", {}, {}, None, error or "the build left nothing")
        modules = _modules(place)
        record, said = self._record_of(place, sorted(modules), path, begin)
        commands = {item.target: item.commands for item in record.made} if record else {}
        return Rebuilt("kbuildpy", modules, commands, record, said)

    def by_make(self, *, seen: bool) -> Rebuilt:
        """Build by make; `seen`: at the recorded path."""
        directory = self._lay_out("make")
        path, begin = self._place(directory, seen=seen)
        argv = ["make", "-C", self.here.objects, f"M={path}", f"-j{self.jobs}", *self._variables(path)]
        if "KBUILD_BUILD_TIMESTAMP" not in {**self.variables, **self.record.environment}:
            # (pahole then runs in one thread, as under kbuildpy: several number types as they finish)
            argv.append("KBUILD_BUILD_TIMESTAMP=1970-01-01")
        error = self._run([*argv, "modules"], path, begin)
        places = BuildPlaces(path, self.here.source, self.here.objects)
        return Rebuilt("make", {} if error else _modules(directory), _commands(directory, places), None, error)

    def _record_of(
        self, place: Path, names: Sequence[str], path: str, begin: Callable[[], None] | None
    ) -> tuple[BuildRecord | None, str]:
        """The record of the build in `place`, which kbuildpy makes where the sources are seen; or the error."""
        target = self.scratch / "rebuilt.json"
        files = [str(place / f"{name}.ko") for name in names]
        error = self._run(own_command("provenance", *files, "-o", str(target)), path, begin)
        if error:
            return None, error
        try:
            return record_of(read_proofs(target)[0].statement, str(target)), ""
        except KbuildError as failed:
            return None, failed.message

    def _run(self, argv: Sequence[str], path: str, begin: Callable[[], None] | None) -> str:
        """Run a builder; the last lines of what it printed if it failed, else ""."""
        env = recorded_environment(self.record.environment, self.environ)
        env["PWD"] = path
        try:
            done = run(argv, cwd=None if begin else path, env=env, check=False, begin=begin)
        except CommandError as error:
            return error.message
        if done.returncode == 0:
            return ""
        lines = (done.text + done.error_text).strip().splitlines()
        return "\n".join(lines[-_MOST_LINES:]) or f"{argv[0]} ended with status {done.returncode}"

    def _lay_out(self, name: str) -> Path:
        """A fresh directory with the recorded inputs, as they are here."""
        directory = self.scratch / name
        directory.mkdir()
        for file in self.record.files:
            if file.kind in OWN_KINDS and is_own_name(file.name):
                source = Path(self.here.path(file.name))
                target = directory / file.name.removeprefix("$(src)/")
                if source.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)
        for path, text in declared_files(self.record.declared).items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, errors="surrogateescape")
        return directory

    def _place(self, directory: Path, *, seen: bool) -> tuple[str, Callable[[], None] | None]:
        if not seen:
            return str(directory), None
        path = self.record.directory
        trees = [self.here.source, self.here.objects]
        return path, shown_at(directory, path, scratch=self._root(), needed=trees)

    def _root(self) -> Path:
        root = self.scratch / "root"
        root.mkdir(exist_ok=True)
        return root

    def _variables(self, path: str) -> list[str]:
        """The variables for make, for the directory `path`: one may map the directory away."""
        recorded = rf"(?<![\w.-]){re.escape(self.record.directory)}(?![\w.-])"
        given = {name: re.sub(recorded, lambda _: path, value) for name, value in self.variables.items()}
        if symvers := self._symvers():
            given["KBUILD_EXTRA_SYMBOLS"] = " ".join(symvers)
        return [f"{name}={value}" for name, value in given.items()]

    def _symvers(self) -> list[str]:
        """Copies of the recorded symvers of other modules; their paths are in no byte of a module."""
        copies = []
        for number, file in enumerate(file for file in self.record.files if file.kind == SYMVERS):
            copy = self.scratch / f"symvers/{number}/Module.symvers"
            source = Path(symvers_file(self.here.path(file.name), self.tree))
            if source.is_file() and not copy.is_file():
                copy.parent.mkdir(parents=True)
                shutil.copyfile(source, copy)
            copies.append(str(copy))
        return copies


def declared_files(declared: Sequence[DeclaredKbuild]) -> dict[str, str]:
    """Kbuild files, by their paths below the module directory, that say the same as the declarations of an SConstruct.

    Of several modules in one folder, the flags of each are given to its objects: `ccflags-y` would be for all. Raises
    `KbuildError` where that cannot be said: flags of the linker.
    """
    by_folder: dict[str, list[DeclaredKbuild]] = {}
    for item in declared:
        by_folder.setdefault(item.below, []).append(item)
    files = {}
    for below, items in by_folder.items():
        texts = [item.text if len(items) == 1 else _for_objects(item) for item in items]
        files[f"{below}/Kbuild" if below else "Kbuild"] = "".join(texts).replace("obj-m := ", "obj-m += ")
    folders = [below for below in by_folder if below]
    if folders:
        files["Kbuild"] = files.get("Kbuild", "") + "".join(f"obj-m += {folder}/\n" for folder in folders)
    return files


def _for_objects(item: DeclaredKbuild) -> str:
    lines = item.text.splitlines()
    objects = [f"{item.name}.o"]
    for line in lines:
        if line.startswith(f"{item.name}-y := "):
            objects = line.partition(" := ")[2].split()
    kept = []
    for line in lines:
        name, _, flags = line.partition(" := ")
        if name in ("ccflags-y", "asflags-y"):
            variable = "CFLAGS" if name == "ccflags-y" else "AFLAGS"
            kept += [f"{variable}_{each} := {flags}" for each in objects]
        elif name == "ldflags-y":
            raise KbuildError(
                f"module {item.name}: its flags for the linker are those of all modules in its folder under make",
                hint="declare it in a folder of its own",
            )
        else:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _modules(place: Path) -> dict[str, bytes]:
    """The modules below `place`, without what a build has signed."""
    found = {}
    for path in sorted(place.rglob("*.ko")):
        below = path.relative_to(place)
        if ".kbuildpy" not in below.parts:
            found[str(below.with_suffix(""))] = without_signatures(path.read_bytes())
    return found


def _commands(directory: Path, places: BuildPlaces) -> dict[str, Sequence[str]]:
    """The commands in the `.cmd` files that make left, by the targets of objects."""
    found: dict[str, Sequence[str]] = {}
    for path in sorted(directory.rglob(".*.o.cmd")):
        saved = _SAVED.search(path.read_text(errors="surrogateescape"))
        if saved:
            text = saved[1].replace("$(pound)", "#").replace("$$", "$")
            target = path.relative_to(directory).with_name(path.name[1 : -len(".cmd")])
            found[str(target)] = (places.text(text),)
    return found
