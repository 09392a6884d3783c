# SPDX-License-Identifier: GPL-2.0-only
"""Sizes and member offsets of the device-id structs, as the target's compiler sees them (see `layout_probe`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class StructLayout:
    """One struct."""

    size: int
    """In bytes."""
    members: Mapping[str, tuple[int, int]]
    """Offset and size of each, in bytes."""


@dataclass(frozen=True)
class DeviceTableLayouts:
    """The device-id structs that a tree has, by name."""

    structs: Mapping[str, StructLayout]

    def to_json(self) -> dict[str, object]:
        """A value for `json.dump`."""
        return {
            name: {"size": layout.size, "members": {member: list(place) for member, place in layout.members.items()}}
            for name, layout in self.structs.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, object]]) -> DeviceTableLayouts:
        """The inverse of `to_json`; raises `KbuildError` when `value` is something else."""
        structs = {}
        try:
            for name, layout in value.items():
                size, members = layout["size"], layout["members"]
                if not isinstance(size, int) or not isinstance(members, dict):
                    raise TypeError
                structs[name] = StructLayout(
                    size, {member: (int(at), int(long)) for member, (at, long) in members.items()}
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KbuildError("device table layouts: the cached value is damaged", hint="remove the cache") from error
        return cls(structs)
