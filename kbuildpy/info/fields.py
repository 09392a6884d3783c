# SPDX-License-Identifier: GPL-2.0-only
"""The fields that modinfo prints of a module: `.modinfo`, then what the signature says.

Counterpart: kmod (libkmod/libkmod-elf.c: kmod_elf_get_strings; libkmod/libkmod-module.c: kmod_module_get_info;
libkmod/libkmod-signature.c: fill_pkcs7). A string without `=` is a field without a value, as there.
"""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.trailer import split_signature

SIGNATURE_FIELDS = ("sig_id", "signer", "sig_key", "sig_hashalgo", "signature")
"""The fields that are not in `.modinfo`, in their order."""


class Field(NamedTuple):
    """One field; bytes that are no UTF-8 are surrogates (`surrogateescape`)."""

    name: str
    value: str


def stated_fields(image: ModuleImage) -> tuple[Field, ...]:
    """The fields in `.modinfo`, of several sections of that name in the first; none where there is no such section."""
    section = next((section for section in image.sections if section.name == ".modinfo"), None)
    text = b"" if section is None else image.section_data(section)
    text = text.lstrip(b"\0")
    # (to kmod, a single byte is no string)
    strings = text.decode("utf-8", "surrogateescape").split("\0") if len(text) > 1 else []
    return tuple(Field(name, value) for name, _, value in (item.partition("=") for item in strings if item))


def checked_fields(image: ModuleImage) -> tuple[Field, ...]:
    """The same. Raises `KbuildError` for a file without `.modinfo`."""
    if not any(section.name == ".modinfo" for section in image.sections):
        raise KbuildError(
            f"{image.filename}: it has no section .modinfo, so it is no kernel module",
            hint="name a module (.ko); one that has lost .modinfo cannot be loaded: build it again",
        )
    return stated_fields(image)


def signature_fields(module: bytes) -> tuple[Field, ...]:
    """The fields of the signature behind `module`; none where there is none, or modinfo cannot read it either."""
    try:
        taken = split_signature(module)
        if taken is None:
            return ()
        from kbuildpy.info.signature import signature_values  # (slow: cryptography)

        return tuple(map(Field, SIGNATURE_FIELDS, signature_values(taken.signature)))
    except Refused:
        return ()
