# SPDX-License-Identifier: GPL-2.0-only
"""`Probe`: one question about a kernel tree, checked before anything is compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kbuildpy.errors import UsageError
from kbuildpy.printable import printable
from kbuildpy.probes.c_text import first_flaw, is_call

KINDS = ("header", "symbol", "type", "member", "declared", "call", "source")
"""What a probe may ask; each is a keyword of `make_probe`."""


class Probe(NamedTuple):
    """One question."""

    name: str
    """The macro that the answer defines: HAVE_X."""
    kind: str
    """One of `KINDS`."""
    text: str
    """What is asked for: a header, a symbol, a type, ..."""
    place: str
    """Where the probe is declared, for messages: `probes.toml:3`; "" where nobody knows."""
    includes: tuple[str, ...] = ()
    """The headers that it includes; one that ends in `?` only where the tree has it."""
    outside: str = ""
    """Text at file scope before the function that has the text of a `source`."""
    strict: bool = False
    """A warning of the compiler means no, as an error does."""
    alone: bool = False
    """It is compiled in a source of its own, with no headers but its own."""
    gpl_only: bool = False
    """The symbol must be exported to modules with a GPL-compatible licence alone."""

    def where(self) -> str:
        """How messages begin: place and name."""
        return f"{self.place}: {self.name}" if self.place else self.name

    def question(self) -> tuple[object, ...]:
        """All that the answer depends on."""
        return self._replace(place="")


def make_probe(
    name: str,
    given: Mapping[str, str],
    *,
    place: str = "",
    includes: Sequence[str] = (),
    outside: str = "",
    strict: bool = False,
    alone: bool = False,
    gpl_only: bool = False,
) -> Probe:
    """The probe `name` with the one question in `given` (a kind and its text).

    Raises `UsageError` for a name that is none of a macro, or that Kbuild uses, for no question and for several, and
    for a text that cannot be one of its kind.
    """
    shown = printable(name)
    where = f"{place}: {shown}" if place else shown
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: not the name of a macro", hint="letters, digits and _, such as HAVE_X")
    if name.startswith(_TAKEN) or name in _TAKEN_NAMES:
        raise UsageError(f"{where}: this name has a meaning to Kbuild", hint=f"choose another, such as HAVE_{name}")
    if len(given) != 1:
        asked = f"asks {' and '.join(given)}" if given else "asks nothing"
        raise UsageError(f"{where}: the probe {asked}", hint=f"give one of {', '.join(KINDS)}")
    [(kind, text)] = given.items()
    probe = Probe(name, kind, text.strip(), place, tuple(includes), outside, strict, alone, gpl_only)
    _check(probe, where)
    return probe


def called_name(probe: Probe) -> str:
    """The name of what a `call` calls."""
    return probe.text.partition("(")[0].strip()


def member_parts(probe: Probe) -> tuple[str, str]:
    """The type and the member of `member`: `struct x` and `a.b`."""
    kind, _, member = probe.text.partition(".")
    return " ".join(kind.split()), member


def _check(probe: Probe, where: str) -> None:
    pattern, example = _FORMS[probe.kind]
    if not re.fullmatch(pattern, probe.text):
        raise UsageError(
            f"{where}: {probe.kind} {printable(probe.text)!r} cannot be asked for", hint=f"such as {example}"
        )
    if probe.kind == "call" and first_flaw(probe.text) is None and not is_call(probe.text):
        raise UsageError(f"{where}: call {printable(probe.text)!r} cannot be asked for", hint=f"such as {example}")
    for name in probe.includes:
        if not re.fullmatch(rf"{_HEADER}\??", name):
            raise UsageError(
                f"{where}: {printable(name)!r} is not a header", hint="such as linux/fs.h, without < and >"
            )
    if probe.outside and probe.kind != "source":
        raise UsageError(f"{where}: outside= goes with source=", hint=f"ask with source= in place of {probe.kind}=")
    if probe.gpl_only and probe.kind != "symbol":
        raise UsageError(f"{where}: gpl_only goes with symbol=", hint="other things are not exported")
    if probe.kind in ("call", "source"):
        for part, text in (("outside", probe.outside), (probe.kind, probe.text)):
            flaw = first_flaw(text)
            if flaw:
                raise UsageError(
                    f"{where}: line {flaw.line} of {part}: {flaw.message}", hint="correct the text of the probe"
                )


_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TAKEN = ("CONFIG_", "KBUILD_", "INSTALL_MOD_", "__")
_TAKEN_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        ARCH C CC CF CFLAGS_MODULE CHECK CROSS_COMPILE EXTRA_CFLAGS HOSTCC KAFLAGS KCFLAGS KCPPFLAGS KDIR KERNELRELEASE
        KERNEL_PROBES LD LDFLAGS_MODULE LLVM LLVM_IAS M MO NM O OBJCOPY PAHOLE PATH PWD SRCARCH STRIP V VPATH W
        """,
    )
)
_WORD = r"[A-Za-z_]\w*"
_TYPE = rf"(?:(?:struct|union|enum)\s+)?{_WORD}"
_HEADER = r"[\w.+-]+(?:/[\w.+-]+)*\.h"
_FORMS = {
    "header": (_HEADER, "header='linux/panic.h'"),
    "symbol": (_WORD, "symbol='kallsyms_lookup_name'"),
    "type": (_TYPE, "type='struct proc_ops'"),
    "member": (rf"{_TYPE}(?:\.{_WORD})+", "member='struct file_operations.iopoll'"),
    "declared": (_WORD, "declared='kvmalloc_array'"),
    "call": (rf"(?s){_WORD}\s*\(.*\)", "call='class_create(\"x\")'"),
    "source": (r"(?s).*", "source='struct page *p = NULL; put_page(p);'"),
}
