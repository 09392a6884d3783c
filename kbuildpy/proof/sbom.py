# SPDX-License-Identifier: GPL-2.0-only
"""The software bill of materials of modules: what the kernel's own scripts/sbom writes for a kernel, for a build of
modules outside of it.

Three parts. Output: each module as a package, its file, its licence, and the build with its variables. Build: what was
made on the way, each by a build of its own with the command, the inputs and the output. Source: every source and header
with digest and licence, the kernel tree, and the programs.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from kbuildpy import __version__
from kbuildpy.proof.licences import all_of, is_source_text, module_licence, references, stated_licence
from kbuildpy.proof.places import BuildPlaces
from kbuildpy.proof.record import (
    HEADER,
    KERNEL_FILE,
    KERNEL_HEADER,
    SOURCE,
    BuildRecord,
    InputFile,
    MadeModule,
    UsedProgram,
)
from kbuildpy.proof.spdx import BUILD_PART, OUTPUT_PART, SOURCE_PART, SpdxGraph, digest_of, entries
from kbuildpy.proof.statement import BUILD_TYPE
from kbuildpy.shared.contents import content_digest

_CONFIGURATION = "$(objtree)/include/config/auto.conf"
_NAMESPACES = "https://spdx.org/spdxdocs/"
_PURPOSES = {
    ".c": "source",
    ".h": "source",
    ".S": "source",
    ".rs": "source",
    ".lds": "source",
    ".conf": "configuration",
    ".ko": "module",
    ".so": "library",
}
_UNKNOWN = "NOASSERTION"


def sbom_of(record: BuildRecord, out: Path, *, created: str, namespace: str = "") -> SpdxGraph:
    """The documents about the modules of `record`, whose build left its files in `out`. `created` is the time of the
    documents; `namespace` is what their IRIs begin with, by default one that is made of the contents."""
    name = f"kbuildpy-{record.release}"
    unique = uuid.uuid5(uuid.NAMESPACE_URL, "".join([created, *_identity(record)]))
    graph = SpdxGraph(
        namespace=f"{namespace.rstrip('/')}/" if namespace else f"{_NAMESPACES}{name}-{unique}/",
        name=name,
        created=created,
        tool=f"kbuildpy {__version__}",
    )
    _Description(graph, record, out).describe()
    return graph


def _identity(record: BuildRecord) -> list[str]:
    files = [f"{file.name} {file.sha256}\n" for file in record.files]
    return [*files, *(f"{module.name} {module.sha256}\n" for module in record.modules), str(record.variables)]


class _Description:
    """A graph that is being filled from a record."""

    def __init__(self, graph: SpdxGraph, record: BuildRecord, out: Path) -> None:
        self.graph = graph
        self.record = record
        self.out = out
        self.places = BuildPlaces(record.directory, record.source, record.objects)
        self.files: dict[str, str] = {}
        """The IRIs of files by their names: inputs, and what was made, below the output directory."""
        self.licences: dict[tuple[str, str], str] = {}
        """The IRIs of licences by the part of the graph and their expressions."""
        self.tools: list[str] = []
        self.outputs: list[str] = []
        """The IRIs of the files of modules."""
        self.intermediates: list[str] = []
        """The IRIs of what was made on the way."""
        self.stated = {file.name: self._stated(file) for file in record.files}

    def describe(self) -> None:
        self.sources()
        self.tools = [self.tool(program) for program in self.record.programs]
        build = self.whole_build()
        self.outputs = [self.module(module) for module in self.record.modules]
        self.graph.relate(OUTPUT_PART, "hasOutput", build, self.outputs)
        self.steps(build)

    def sources(self) -> None:
        """Every file that was read, with its licence, and the kernel tree as a package that contains its files."""
        graph, record = self.graph, self.record
        by_licence: dict[str, list[str]] = {}
        for file in record.files:
            iri = self.files[file.name] = graph.add(
                SOURCE_PART,
                "software_File",
                name=file.name,
                verifiedUsing=digest_of(file.sha256),
                software_primaryPurpose=_PURPOSES.get(Path(file.name).suffix, "other"),
            )
            if licence := self.stated[file.name]:
                by_licence.setdefault(licence, []).append(iri)
        for licence, files in sorted(by_licence.items()):
            element = self.licence(SOURCE_PART, licence)
            for iri in files:
                graph.relate(SOURCE_PART, "hasDeclaredLicense", iri, [element])
        kernel = [self.files[file.name] for file in record.files if file.kind in (KERNEL_HEADER, KERNEL_FILE)]
        own = [self.files[file.name] for file in record.files if file.name.startswith("$(src)/")]
        packages = [package.name for package in record.kernel_packages]
        tree = graph.add(
            SOURCE_PART,
            "software_Package",
            name=packages[0] if packages else f"linux-{record.release}",
            comment=f"the kernel tree of {record.release}"
            + (f", also from {', '.join(packages[1:])}" if packages[1:] else ""),
            software_packageVersion=record.kernel_packages[0].version if packages else record.release,
            software_packageUrl=record.kernel_packages[0].url if packages else "",
            software_primaryPurpose="source",
            verifiedUsing=digest_of(record.kernel_digest),
        )
        directory = graph.add(SOURCE_PART, "software_File", name="$(src)", software_fileKind="directory")
        graph.relate(SOURCE_PART, "contains", tree, kernel)
        graph.relate(SOURCE_PART, "contains", directory, own)
        graph.roots[SOURCE_PART] = [directory, tree]

    def tool(self, program: UsedProgram) -> str:
        package = program.package
        return self.graph.add(
            SOURCE_PART,
            "software_Package",
            name=program.command,
            summary=program.role,
            description=program.version,
            software_packageVersion=package.version if package else program.version,
            software_packageUrl=package.url if package else "",
            software_primaryPurpose="application",
            verifiedUsing=digest_of(program.sha256),
        )

    def whole_build(self) -> str:
        record = self.record
        configuration = next((file for file in record.files if file.name == _CONFIGURATION), None)
        build = self.graph.add(
            OUTPUT_PART,
            "build_Build",
            build_buildType=BUILD_TYPE,
            build_buildId=f"{self.graph.namespace}build",
            build_environment=entries(dict(record.environment)),
            build_parameter=entries({"kernel": record.release, **record.variables}),
            build_configSourceUri=[self.files[_CONFIGURATION]] if configuration else [],
            build_configSourceDigest=digest_of(configuration.sha256) if configuration else [],
        )
        self.graph.relate(OUTPUT_PART, "usesTool", build, self.tools)
        return build

    def module(self, module: MadeModule) -> str:
        """A module as a package with its file; the IRI of the file."""
        graph, modinfo = self.graph, dict(reversed(module.modinfo))
        base = module.name.rpartition("/")[2]
        file = self.files[f"{module.name}.ko"] = graph.add(
            OUTPUT_PART,
            "software_File",
            name=f"{module.name}.ko",
            verifiedUsing=digest_of(module.sha256),
            software_primaryPurpose="module",
            comment=f"SHA-256 without signature: {module.unsigned_sha256}",
        )
        said = modinfo.get("license", "")
        package = graph.add(
            OUTPUT_PART,
            "software_Package",
            name=f"{base}.ko",
            description=modinfo.get("description", ""),
            software_packageVersion=modinfo.get("version") or modinfo.get("srcversion") or self.record.release,
            software_primaryPurpose="module",
            comment="; ".join(
                [f"MODULE_LICENSE: {said}" if said else "no MODULE_LICENSE", f"vermagic: {modinfo.get('vermagic', '')}"]
            ),
        )
        graph.relate(OUTPUT_PART, "hasDistributionArtifact", package, [file])
        sources = [name for target in module.objects for name in self.inputs_of(target)]
        kinds = {item.name: item.kind for item in self.record.files}
        # (a source that states none has the one of the module)
        rest = module_licence(said) if said else _UNKNOWN
        expression = all_of([self.stated[name] or rest for name in sources if kinds.get(name) in (SOURCE, HEADER)])
        expression = expression or rest
        graph.relate(OUTPUT_PART, "hasDeclaredLicense", package, [self.licence(OUTPUT_PART, expression, said)])
        graph.roots[OUTPUT_PART].append(package)
        return file

    def inputs_of(self, target: str) -> list[str]:
        """The names of the files that an object was made from, through the objects that it was linked from."""
        made = {item.target: item for item in self.record.made}
        found: list[str] = []
        waiting = [target]
        while waiting:
            item = made.get(waiting.pop())
            for name in item.inputs if item else ():
                (waiting if name in made else found).append(name)
        return found

    def steps(self, build: str) -> None:
        """Each object and module, and the command that made it."""
        graph, record = self.graph, self.record
        steps: list[str] = []
        for item in record.made:
            if not item.commands:
                # (an object that came with the sources)
                self.files[item.target] = self.files[item.inputs[0]]
                continue
            self.intermediate(item.target)
            for name in item.inputs:
                if name.endswith(".mod.c") and name not in self.files:
                    self.intermediate(name)
                    steps.append(self.modpost(name))
        for item in record.made:
            if item.commands:
                steps.append(self.step("; ".join(item.commands), list(item.inputs), item.target))
        for module in record.modules:
            steps.append(self.step("; ".join(module.commands), list(module.objects), f"{module.name}.ko"))
        graph.relate(BUILD_PART, "ancestorOf", build, steps, completeness="complete")
        directory = graph.add(BUILD_PART, "software_File", name="$(obj)", software_fileKind="directory")
        graph.relate(BUILD_PART, "contains", directory, [*self.intermediates, *self.outputs])
        graph.roots[BUILD_PART] = [directory]

    def modpost(self, name: str) -> str:
        stem = name.removesuffix(".mod.c")
        module = next((item for item in self.record.modules if item.name == stem), None)
        inputs = [target for target in module.objects if not target.endswith(".mod.o")] if module else []
        return self.step("modpost", [*inputs, "$(objtree)/Module.symvers"], name)

    def step(self, command: str, inputs: list[str], output: str) -> str:
        graph = self.graph
        iri = graph.add(
            BUILD_PART,
            "build_Build",
            build_buildType=BUILD_TYPE,
            build_buildId=f"{graph.namespace}build",
            comment=command,
        )
        graph.relate(BUILD_PART, "hasInput", iri, [self.files[name] for name in inputs if name in self.files])
        graph.relate(BUILD_PART, "hasOutput", iri, [self.files[output]])
        return iri

    def intermediate(self, target: str) -> None:
        if target not in self.files:
            digest = content_digest(self.out / target)
            self.files[target] = self.graph.add(
                BUILD_PART,
                "software_File",
                name=target,
                verifiedUsing=digest_of(digest) if digest else [],
                software_primaryPurpose="source" if target.endswith(".c") else "other",
            )
            self.intermediates.append(self.files[target])

    def licence(self, part: str, expression: str, said: str = "") -> str:
        """The IRI of a licence; `said` is what MODULE_LICENSE() says, for one that no list has."""
        known = self.licences.get((part, expression))
        if known is None:
            texts: Mapping[str, str] = {
                reference: self.graph.add(
                    part,
                    "simplelicensing_SimpleLicensingText",
                    name=reference,
                    simplelicensing_licenseText=f'MODULE_LICENSE("{said}")' if said else reference,
                )
                for reference in references(expression)
            }
            known = self.licences[part, expression] = self.graph.add(
                part,
                "simplelicensing_LicenseExpression",
                simplelicensing_licenseExpression=expression,
                simplelicensing_customIdToUri=entries(dict(texts)),
            )
        return known

    def _stated(self, file: InputFile) -> str:
        path = self.places.path(file.name)
        return stated_licence(path) if is_source_text(path) else ""
