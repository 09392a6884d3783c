# SPDX-License-Identifier: GPL-2.0-only
"""Elements of SPDX 3.0.1 documents, as JSON-LD has them: a graph of objects that name each other by IRIs.

Only the context of the specification is used, and whole IRIs: few tools can expand others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

SPEC = "3.0.1"
_CONTEXT = f"https://spdx.org/rdf/{SPEC}/spdx-context.jsonld"
_CREATION = "_:creationinfo"
SOURCE_PART, BUILD_PART, OUTPUT_PART = "source", "build", "output"
PARTS = (OUTPUT_PART, BUILD_PART, SOURCE_PART)
"""The parts of a description, as the kernel's scripts/sbom has them, each of which can be a document of its own."""
_PROFILES = {
    SOURCE_PART: ["core", "software", "simpleLicensing"],
    BUILD_PART: ["core", "software", "build"],
    OUTPUT_PART: ["core", "software", "build", "simpleLicensing"],
}


@dataclass
class SpdxGraph:
    """Elements that are being put together."""

    namespace: str
    """What every IRI begins with."""
    name: str
    """What documents are called."""
    created: str
    """When, in UTC: `2026-01-31T12:00:00Z`."""
    tool: str
    """What creates them, with its version."""
    parts: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {part: [] for part in PARTS})
    """The elements of each part."""
    roots: dict[str, list[str]] = field(default_factory=lambda: {part: [] for part in PARTS})
    """The IRIs of what each part is about."""

    def add(self, part: str, kind: str, **properties: Any) -> str:
        """Add an element of the class `kind` to a part; its IRI. Properties that are empty are left out."""
        elements = self.parts[part]
        iri = f"{self.namespace}{part}/{len(elements)}"
        given = {name.rstrip("_"): value for name, value in properties.items() if value not in (None, "", [])}
        elements.append({"type": kind, "spdxId": iri, "creationInfo": _CREATION, **given})
        return iri

    def relate(self, part: str, kind: str, one: str, others: Iterable[str], **properties: Any) -> None:
        """Add a relationship from one element to others, if there are any."""
        targets = list(dict.fromkeys(others))
        if targets:
            self.add(part, "Relationship", relationshipType=kind, from_=one, to=targets, **properties)

    def document(self) -> str:
        """One document with all parts."""
        boms = [self._bom(part) for part in PARTS if self.parts[part]]
        profiles = sorted({name for part in PARTS if self.parts[part] for name in _PROFILES[part]})
        elements = [element for part in PARTS for element in self.parts[part]]
        return self._text(self.name, profiles, boms, elements, [])

    def documents(self) -> dict[str, str]:
        """A document for each part; elements of another one are imported."""
        found = {}
        every = {element["spdxId"] for elements in self.parts.values() for element in elements}
        for part in PARTS:
            elements = self.parts[part]
            if not elements:
                continue
            own = {element["spdxId"] for element in elements}
            # (what a build is called begins like an IRI, and is none)
            used = {iri for element in elements for iri in _named(element)} & every
            imports = [{"type": "ExternalMap", "externalSpdxId": iri} for iri in sorted(used - own)]
            found[part] = self._text(f"{self.name}-{part}", _PROFILES[part], [self._bom(part)], elements, imports)
        return found

    def _bom(self, part: str) -> dict[str, Any]:
        return {
            "type": "software_Sbom",
            "spdxId": f"{self.namespace}sbom/{part}",
            "creationInfo": _CREATION,
            "software_sbomType": ["source" if part == SOURCE_PART else "build"],
            **({"rootElement": self.roots[part]} if self.roots[part] else {}),
            "element": [element["spdxId"] for element in self.parts[part]],
        }

    def _text(
        self,
        name: str,
        profiles: Sequence[str],
        boms: Sequence[dict[str, Any]],
        elements: Sequence[dict[str, Any]],
        imports: Sequence[dict[str, Any]],
    ) -> str:
        agent = f"{self.namespace}agent"
        document = {
            "type": "SpdxDocument",
            "spdxId": f"{self.namespace}document/{name}",
            "creationInfo": _CREATION,
            "name": name,
            "profileConformance": profiles,
            "rootElement": [bom["spdxId"] for bom in boms],
            "element": [agent, *(bom["spdxId"] for bom in boms)],
            **({"import": imports} if imports else {}),
        }
        creation = {
            "type": "CreationInfo",
            "@id": _CREATION,
            "specVersion": SPEC,
            "created": self.created,
            "createdBy": [agent],
        }
        creator = {"type": "SoftwareAgent", "spdxId": agent, "creationInfo": _CREATION, "name": self.tool}
        graph = [creation, creator, document, *boms, *elements]
        return json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1) + "\n"


def digest_of(sha256: str) -> list[dict[str, str]]:
    """The value of `verifiedUsing` for a SHA-256."""
    return [{"type": "Hash", "algorithm": "sha256", "hashValue": sha256}]


def entries(values: dict[str, str]) -> list[dict[str, str]]:
    """Values by names, as SPDX has them."""
    return [{"type": "DictionaryEntry", "key": name, "value": value} for name, value in values.items()]


def _named(value: Any) -> Iterable[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _named(item)
