# SPDX-License-Identifier: GPL-2.0-only
"""Checks whether the module has a signature that the kernel trusts.

Counterpart: kernel/module/signing.c (module_sig_check). A signature with a valid trailer is cut off, trusted or not.
"""

from __future__ import annotations

from kbuildpy.errors import KbuildError
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.load_info import LoadInfo, Signature
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.trailer import MARKER, is_signed, split_signature

_REASONS = {
    "ENODATA": "unsigned module",
    "ENOPKG": "module with unsupported crypto",
    "ENOKEY": "module with unavailable key",
}
_WHY = {
    "ENODATA": "this kernel loads signed modules only",
    "ENOPKG": "this kernel cannot verify such a signature",
    "ENOKEY": "this kernel does not trust the key of the signature",
}
_HINTS = {
    "ENODATA": "sign it with a key that this kernel trusts: kbuildpy sign",
    "ENOPKG": "sign it with a hash and a key that this kernel can verify",
    "ENOKEY": "sign it with a key that this kernel trusts, or enroll the certificate: mokutil --import",
}
_LOCKED_DOWN = ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")


def module_sig_check(info: LoadInfo) -> None:
    """Set `len` and `signature`. Raises `Refusal` for a malformed signature; if signatures are enforced, also for a
    missing signature and for one by an unknown key."""
    info.len = len(info.contents)
    if info.kernel.has("MODULE_SIG") is False or not info.kernel.sees_signatures:
        return
    errno, reason = _verdict(info)
    if errno is None:
        return
    if info.kernel.has("MODULE_SIG") is None:
        info.not_checked("the signature", Fact.CONFIG)
        return
    if errno not in _REASONS:
        damaged = f"the signature is damaged, or of another file: {reason}"
        raise info.refuse(errno, _line(errno, info), damaged, "sign it again: kbuildpy sign --replace")
    info.signature = Signature(is_judged=True)
    if info.kernel.sig_enforce or info.kernel.has("MODULE_SIG_FORCE"):
        line = f"Loading of {_REASONS[errno]} is rejected"
        raise info.refuse("EKEYREJECTED", line, f"{_WHY[errno]}: {reason}", _HINTS[errno])
    if info.kernel.lockdown or any(info.kernel.has(symbol) for symbol in _LOCKED_DOWN):
        line = "Lockdown: <comm>: unsigned module loading is restricted; see man kernel_lockdown.7"
        raise info.refuse("EPERM", line, f"{_WHY[errno]}: {reason}", _HINTS[errno])


def _verdict(info: LoadInfo) -> tuple[str | None, str]:
    """Errno and reason of a failed verification; errno is None for a signature that is trusted or cannot be verified
    here. Sets `len`."""
    if not is_signed(info.contents):
        return "ENODATA", "the module is not signed"
    info.len -= len(MARKER)
    try:
        taken = split_signature(info.contents)
    except Refused as refused:
        if refused.errno == "ENOPKG":
            info.log("module: not signed with expected PKCS#7 message")
        return refused.errno, refused.message
    assert taken is not None, "it ends with the marker"
    info.len = len(taken.contents)
    if info.kernel.keyring is None:
        info.not_checked("the signature", Fact.CERTIFICATES)
        return None, ""
    # The import of cryptography takes longer than the check of an unsigned module.
    from kbuildpy.signing.verify import verify

    try:
        keyring = info.kernel.keyring()
    except KbuildError as error:
        info.not_checked("the signature", Fact.CERTIFICATES, error.message)
        return None, ""
    state = verify(info.contents, [keyring])[0]
    if state.errno == "ENOKEY" and not info.kernel.keyring_complete:
        info.not_checked("the signature", Fact.CERTIFICATES)
        return None, ""
    info.signature = Signature(is_trusted=state.trusted, is_judged=state.trusted)
    return state.errno, state.reason or ""


def _line(errno: str, info: LoadInfo) -> str | None:
    """The kernel's line about an invalid trailer (kernel/module_signature.c: mod_check_sig); None for another error."""
    trailer = info.contents[-len(MARKER) - 12 : -len(MARKER)]
    length = int.from_bytes(trailer[8:12], "big")
    sound = len(trailer) == 12 and length < len(info.contents) - len(MARKER) - 12
    if errno == "EBADMSG" and sound and trailer[2] == 2 and any(trailer[:2] + trailer[3:8]):
        return "module: PKCS#7 signature info has unexpected non-zero params"
    return None
