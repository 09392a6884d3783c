# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the probes of one translation unit apart: which may share it, and which names need another spelling in each.

Two probes may declare the same name (`static const struct file_operations fops`). Each then gets a spelling of its own
by a macro, if the name is nowhere one of a member or a tag. If a header declares it, too, its spelling matters, and the
answer of the unit is not taken. A macro of a header keeps its spelling: two probes may call it at file scope
(MODULE_IMPORT_NS) and declare nothing of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kbuildpy.probes.c_text import declared_names, names_in
from kbuildpy.probes.probe import Probe


class Apart(NamedTuple):
    """What earlier units told."""

    shared: frozenset[str] = frozenset()
    """Names that several probes use."""
    strangers: frozenset[frozenset[Probe]] = frozenset()
    """Pairs that do not go together."""
    undeclared: frozenset[str] = frozenset()
    """Functions that nothing declares: the compiler may report only the first call."""
    fixed: frozenset[str] = frozenset()
    """Names that headers declare: they keep their spelling."""
    altered: frozenset[Probe] = frozenset()
    """Probes in which a macro of a header uses such a name: there they keep it, too."""

    def names(self, probe: Probe) -> frozenset[str]:
        """The names that are spelled differently in `probe`."""
        found = names_in(f"{probe.outside}\n{probe.text}")
        own = frozenset[str]()
        if probe not in self.altered:
            own = (declared_names(probe.outside).plain & self.shared) - self.fixed
        return ((own | self.undeclared) & found.plain) - found.others

    def learn(
        self,
        batch: Sequence[Probe],
        *,
        meets: Iterable[tuple[int, int]],
        undeclared: Iterable[str],
        known: Iterable[str],
        altered: Iterable[Probe],
    ) -> Apart:
        """The same with what the unit of `batch` told."""
        return Apart(
            self.shared,
            self.strangers | {frozenset((batch[one], batch[other])) for one, other in meets},
            self.undeclared | frozenset(undeclared),
            self.fixed | frozenset(known),
            self.altered | frozenset(altered),
        )


def shared_names(probes: Iterable[Probe]) -> frozenset[str]:
    """The names that more than one of `probes` use."""
    count = Counter(name for probe in probes for name in names_in(f"{probe.outside}\n{probe.text}").plain)
    return frozenset(name for name, uses in count.items() if uses > 1)


def only_calls(name: str, probes: Iterable[Probe]) -> bool:
    """Whether none of `probes` declares `name` if it is a macro of a header: at file scope they only call it."""
    found = [declared_names(probe.outside) for probe in probes]
    return all(name in own.calls or name not in own.plain for own in found)


def compatible(probes: Sequence[Probe], apart: Apart) -> list[Probe]:
    """The probes that may share a unit with the first one: none declares, in the spelling of all, what another one
    uses."""
    batch: list[Probe] = []
    declared: set[str] = set()
    used: set[str] = set()
    for probe in probes:
        found = names_in(f"{probe.outside}\n{probe.text}")
        own = declared_names(probe.outside)
        declares = (own.plain - apart.names(probe)) | {f"struct {tag}" for tag in own.tags}
        uses = (found.plain - apart.names(probe)) | {f"struct {tag}" for tag in found.tags}
        strange = any(frozenset((probe, other)) in apart.strangers for other in batch)
        if declares & used or uses & declared or strange:
            continue
        batch.append(probe)
        declared |= declares
        used |= uses
    return batch
