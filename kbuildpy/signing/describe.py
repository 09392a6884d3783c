# SPDX-License-Identifier: GPL-2.0-only
"""The state of a signature as JSON, as a line, and as modinfo prints it."""

from __future__ import annotations

from kbuildpy.printable import printable
from kbuildpy.signing.modinfo_bytes import colons, in_lines
from kbuildpy.signing.signature_state import SignatureState

_MOST_DELEGATES = 5
"""How many a line names."""


def as_json(file: str, state: SignatureState) -> dict[str, object]:
    """The object that `--format json` prints for one file and one kernel; what is not known is null."""
    return {
        "file": file,
        "kernel": state.kernel or None,
        "signed": state.signed,
        "valid": state.valid,
        "trusted": state.trusted,
        "signer": state.signer,
        "certificate": state.certificate,
        "serial": None if state.serial is None else f"{state.serial:x}",
        "hash": state.hash,
        "algorithm": state.algorithm,
        "reason": state.reason,
        "errno": state.errno,
        "anchor": state.anchor,
        "delegates": [
            {
                "name": item.name,
                "issuer": item.issuer,
                "serial": f"{item.serial:x}",
                "not_before": item.not_before or None,
                "not_after": item.not_after or None,
            }
            for item in state.delegates
        ],
        "sig_id": "PKCS#7" if state.hash else None,
        "sig_key": colons(state.key_id) or None,
        "sig_hashalgo": state.hash,
        "signature": colons(state.signature) or None,
    }


def as_line(file: str, state: SignatureState) -> str:
    """One line: the file, the kernel if one was asked for, trusted or not, why not, and who signed."""
    words = [file, *([state.kernel] if state.kernel else []), _verdict(state)]
    if state.hash:
        words.append(f"signed by {signed_by(state)} ({state.algorithm}, {state.hash})")
    return printable(": ".join(words[:-1]) + f", {words[-1]}" if state.hash else ": ".join(words))


def signed_by(state: SignatureState) -> str:
    """Who signed, and who delegated that. A signature names the issuer of the signer's certificate: where that
    certificate is not known, the issuer may be the signer or not."""
    if not state.delegates:
        if state.certificate is None:
            return f"the key of a certificate that {state.issuer} issued" if state.issuer else "an unknown signer"
        return f"{state.certificate}, a delegate of {state.issuer}" if state.issuer else state.certificate
    words = [state.delegates[0].name]
    for item in state.delegates[:_MOST_DELEGATES]:
        until = f" until {item.not_after[:10]}" if item.not_after else ""
        words.append(f"a delegate of {item.issuer}{until}" if item.issuer != item.name else "which signs itself")
    more = len(state.delegates) - _MOST_DELEGATES
    return ", ".join([*words, *([f"and {more} more"] if more > 0 else [])])


def as_modinfo(state: SignatureState) -> str:
    """What modinfo prints of a signature, line for line (kmod: libkmod/libkmod-module.c:
    kmod_module_info_append_hex, tools/modinfo.c), but for a signer's name that a terminal would obey; "" for none that
    can be read."""
    if not state.hash:
        return ""
    fields = {
        "sig_id": "PKCS#7",
        "signer": printable(state.signer or ""),
        "sig_key": colons(state.key_id),
        "sig_hashalgo": state.hash,
        "signature": in_lines(state.signature),
    }
    return "\n".join(f"{name + ':':<16}{value}" for name, value in fields.items())


def _verdict(state: SignatureState) -> str:
    if state.trusted:
        return "trusted"
    if not state.signed:
        return "not signed"
    return f"{'not valid' if state.valid is False else 'not trusted'}: {state.reason}"
