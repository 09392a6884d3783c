# SPDX-License-Identifier: GPL-2.0-only
"""The questions that the stages ask a kernel, as strings (`has MODULE_SIG`), and the answers of one kernel.

An answer is a value of JSON. It says all that a stage can learn by the question, and no more, so that kernels that
differ elsewhere give the same one: `crc kmalloc 1234` is answered by true or false.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import fields
from hashlib import blake2b
from typing import Any

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import KernelExport, LoaderKernel

Answer = Any
"""A value of JSON."""
UNKNOWN = "?"
"""The answer of a kernel that has none: a file of it cannot be read. It is never kept."""
ALL_KEYS = "*"

_NO_EXPORT = "-"
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


class Answers(dict[str, Answer]):
    """The answers of a kernel by question. An answer is found when it is asked for, and remembered."""

    def __init__(self, kernel: LoaderKernel) -> None:
        super().__init__()
        self.kernel = kernel
        self._exports: dict[str, str] = {}

    def __missing__(self, question: str) -> Answer:
        kind, _, argument = question.partition(" ")
        answer = _KINDS[kind](self.kernel, argument)
        if kind not in _ABOUT_NAMES or answer:
            # (a damaged module may name any number of things that do not exist)
            self[question] = answer
        return answer

    def of_exports(self, names: Iterable[str]) -> str:
        """Return a digest of all that the kernel has to say of its exports `names`, their CRCs included."""
        known = self._exports
        answers = "\0".join([known.get(name) or self._of_export(name) for name in names])
        return blake2b(answers.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    def _of_export(self, name: str) -> str:
        export = self.kernel.exports.find(name) if self.kernel.exports else None
        if export is None:
            return _NO_EXPORT
        answer = self._exports[name] = json.dumps(export)
        return answer


def _of_version(kernel: LoaderKernel, argument: str) -> bool:
    comparison, _, version = argument.partition(" ")
    return _COMPARISONS[comparison](kernel.version, tuple(map(int, version.split("."))))


def _of_export(kernel: LoaderKernel, name: str) -> Answer:
    export = _find(kernel, name)
    return None if export is None else [*export._replace(crc=None), export.crc is not None]


def _of_crc(kernel: LoaderKernel, argument: str) -> bool:
    name, _, crc = argument.rpartition(" ")
    export = _find(kernel, name)
    return export is not None and export.crc == int(crc)


def _find(kernel: LoaderKernel, name: str) -> KernelExport | None:
    return kernel.exports.find(name) if kernel.exports else None


def _of_vermagic(kernel: LoaderKernel, argument: str) -> bool | None:
    has_crcs, _, magic = argument.partition(" ")
    return kernel.fits_vermagic(magic, has_crcs=has_crcs == "1")


def _of_needs(kernel: LoaderKernel, name: str) -> Answer:
    try:
        needs = kernel.own_modules.needs(name) if kernel.own_modules else None
    except KbuildError:
        return UNKNOWN
    return None if needs is None else list(needs)


def _of_built_in(kernel: LoaderKernel, name: str) -> bool | None:
    return kernel.own_modules.is_built_in(name) if kernel.own_modules else None


def _of_types(kernel: LoaderKernel, _: str) -> str:
    if kernel.own_types is None:
        return "none"
    try:
        return kernel.types_identity() if kernel.types_identity else UNKNOWN
    except KbuildError:
        return UNKNOWN


def _of_keyring(kernel: LoaderKernel, _: str) -> Answer:
    """Whether the keyring is known."""
    if kernel.keyring is None:
        return False
    try:
        kernel.keyring()
    except KbuildError:
        return UNKNOWN
    return True


def _of_keys(kernel: LoaderKernel, argument: str) -> str:
    """A digest of what the kernel knows of the keys with these identifiers (hexadecimal), or of all keys."""
    assert kernel.keyring is not None
    keyring = kernel.keyring()
    if argument != ALL_KEYS:
        keyring = keyring.restricted_to(frozenset(map(bytes.fromhex, argument.split())))
    seen = blake2b(digest_size=16)
    for field in fields(keyring):
        value = getattr(keyring, field.name)
        if field.name in ("certificates", "platform", "revoked"):
            value = [item.der.hex() for item in value]
        elif isinstance(value, frozenset):
            value = sorted(value)
        if field.name != "kernel":
            seen.update(f"{field.name} {value!r}\n".encode("utf-8", "surrogateescape"))
    return seen.hexdigest()


_KINDS: dict[str, Callable[[LoaderKernel, str], Answer]] = {
    "machine": lambda kernel, _: kernel.machine,
    "version": _of_version,
    "line": lambda kernel, _: list(kernel.version[:2]),
    "config": lambda kernel, _: kernel.config is not None,
    "has": lambda kernel, symbol: kernel.has(symbol),
    "vermagic": _of_vermagic,
    "vermagic_string": lambda kernel, _: kernel.vermagic,
    "struct_module": lambda kernel, _: json.loads(json.dumps(kernel.struct_module)),
    "exports": lambda kernel, _: kernel.exports is not None,
    "export": _of_export,
    "crc": _of_crc,
    "keyring": _of_keyring,
    "keys": _of_keys,
    "keyring_complete": lambda kernel, _: kernel.keyring_complete,
    "wants_every_version": lambda kernel, _: kernel.wants_every_version,
    "sees_signatures": lambda kernel, _: kernel.sees_signatures,
    "sig_enforce": lambda kernel, _: kernel.sig_enforce,
    "lockdown": lambda kernel, _: kernel.lockdown,
    "blacklist": lambda kernel, _: list(kernel.blacklist),
    "tainted": lambda kernel, _: kernel.tainted,
    "own_modules": lambda kernel, _: kernel.own_modules is not None,
    "needs": _of_needs,
    "built_in": _of_built_in,
    "types": _of_types,
    "missing": lambda kernel, fact: kernel.missing.get(Fact[fact], ""),
}
"""What answers each kind of question; the parameters are the kernel and the rest of the question."""
_ABOUT_NAMES = frozenset({"export", "crc", "keys", "needs", "built_in"})
