# SPDX-License-Identifier: GPL-2.0-only
"""From the files to the loaded module: signature, loader, and copies that come before them. Imports cryptography and
the loader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.errnos import errno_words
from kbuildpy.kernel.module_files import module_name, read_packed, unpacked
from kbuildpy.kernel.stated import stated_needs
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.verdict import Verdict
from kbuildpy.signing.describe import signed_by
from kbuildpy.signing.verify import verify
from kbuildpy.which.answer import (
    OK,
    SKIPPED,
    STOP,
    UNKNOWN,
    ChainStep,
    ModuleAnswer,
    SignatureAnswer,
    WhichFinding,
)
from kbuildpy.which.initramfs import digests
from kbuildpy.which.initramfs_copies import in_initramfs
from kbuildpy.which.look_up import LookedUp
from kbuildpy.which.machine_keyring import MachineKeyring, machine_keyring
from kbuildpy.which.place import KernelPlace

_LOCKED_DOWN = ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")
_DEBIAN = "include/generated/package.h"
_BANNER = "debian-kernel@"


@dataclass(frozen=True)
class JudgingKernel:
    """A kernel as it runs, or will run, on a machine."""

    kernel: LoaderKernel
    keys: MachineKeyring
    enforced: str
    """Why it insists on trusted signatures; "" if it does not."""


def judging_kernel(
    kernel: LoaderKernel,
    tree: KernelTree | None,
    place: KernelPlace,
    *,
    files: Sequence[Path],
    sig_enforce: bool,
    lockdown: bool,
) -> JudgingKernel:
    """`kernel`, started with these options on the machine of `place`, with the certificates of `files` enrolled. Raises
    `KbuildError` for a file without certificates."""
    keys = machine_keyring(
        kernel, place.system, runs=place.runs, takes_platform=_takes_platform(tree, place), files=files
    )
    boots_securely = bool(keys.secure_boot and kernel.has("LOCK_DOWN_IN_EFI_SECURE_BOOT"))
    reasons = {
        "it is built to enforce signatures (CONFIG_MODULE_SIG_FORCE)": bool(kernel.has("MODULE_SIG_FORCE")),
        "module.sig_enforce is on": sig_enforce,
        "it is locked down": lockdown or any(kernel.has(symbol) for symbol in _LOCKED_DOWN),
        "it is locked down under Secure Boot": boots_securely,
    }
    keyring = keys.keyring
    started = replace(
        kernel,
        sig_enforce=sig_enforce,
        lockdown=lockdown or boots_securely,
        keyring=None if keyring is None else lambda: keyring,
        keyring_complete=keys.is_complete,
    )
    return JudgingKernel(started, keys, next((reason for reason, is_so in reasons.items() if is_so), ""))


def judge(looked: LookedUp, place: KernelPlace, kernel: Callable[[], JudgingKernel]) -> ModuleAnswer:
    """The whole answer for what was found.

    `kernel` is called when it is needed first; it raises `KbuildError` where there is none to judge by.
    """
    answer = looked.answer
    if answer.built_in or not answer.file:
        return answer
    if any(step.state == STOP for step in answer.steps):
        skipped = (ChainStep(name, SKIPPED, "") for name in ("signature", "loader"))
        return replace(answer, steps=(*answer.steps, *skipped))
    paths = dict.fromkeys(
        [*(each.path for each in answer.order if each.required and each.path and each.kind == "insmod"), answer.file]
    )
    try:
        packed = {path: read_packed(place.system.real(path)) for path in paths}
        contents = unpacked(packed[answer.file], place.system.real(answer.file))
    except KbuildError as error:
        broken = ChainStep("file", STOP, error.message, error.hint)
        return replace(answer, steps=(*(each for each in answer.steps if each.step != "file"), broken))
    image = in_initramfs(place, {module_name(path): digests(each) for path, each in packed.items()})
    answer = replace(
        answer,
        initramfs=image.files,
        findings=(
            *answer.findings,
            *_other_needs(answer, contents),
            *_running(answer, contents, place),
            *image.findings,
        ),
    )
    try:
        judging = kernel()
    except KbuildError as error:
        reason = f"{error.message}{f' ({error.hint})' if error.hint else ''}"
        unknown = (
            ChainStep("signature", SKIPPED, reason),
            ChainStep("loader", UNKNOWN, f"nothing to judge by: {reason}"),
        )
        return replace(answer, steps=(*answer.steps, *unknown))
    signature = _signature(contents, judging)
    verdicts = _verdicts(answer, tuple(paths), place, judging.kernel)
    unread = judging.keys.unread if signature.state in ("unknown", "untrusted") else ()
    findings = answer.findings + tuple(
        WhichFinding("unchecked", f"{verdict.name}: not checked: {each.sentence}")
        for verdict in verdicts
        for each in verdict.unchecked
    )
    steps = (*answer.steps, _signature_step(signature), _loader_step(verdicts, place))
    return replace(
        answer,
        signature=signature,
        verdicts=verdicts,
        steps=steps,
        findings=findings,
        keys=judging.keys.places,
        unread=unread,
    )


def _takes_platform(tree: KernelTree | None, place: KernelPlace) -> bool | None:
    """Whether the kernel looks for a module's signer in `.platform`: its source says so; Debian's kernels do."""
    if tree is not None:
        source = tree.source / "kernel/module/signing.c"
        if source.is_file():
            return "VERIFY_USE_PLATFORM_KEYRING" in source.read_text(errors="replace")
        if (tree.objects / _DEBIAN).is_file():
            return True
    if place.runs and _BANNER in (place.system.text("/proc/version") or ""):
        return True
    return None


def _signature(contents: bytes, judging: JudgingKernel) -> SignatureAnswer:
    kernel, keys, enforced = judging.kernel, judging.keys, judging.enforced
    if kernel.has("MODULE_SIG") is False:
        return SignatureAnswer(state="unchecked", reason="the kernel looks at no signatures")
    if keys.keyring is None:
        return SignatureAnswer(state="unknown", reason="no keys of the kernel are known", enforced=enforced)
    state = verify(contents, [keys.keyring])[0]
    kind = "trusted" if state.trusted else "unsigned" if not state.signed else "untrusted"
    reason = state.reason or ""
    if state.errno == "ENOKEY" and not keys.is_complete:
        kind, reason = "unknown", f"{reason}, and not all keys of the kernel are known"
    by = signed_by(state) if state.certificate or state.issuer else ""
    return SignatureAnswer(
        state=kind, signer=state.signer, by=by, anchor=state.anchor, reason=reason, enforced=enforced
    )


def _signature_step(signature: SignatureAnswer) -> ChainStep:
    by = f"signed by {signature.by}" if signature.by else "signed"
    if signature.state in ("trusted", "unchecked"):
        where = f", which the kernel trusts ({signature.anchor})" if signature.anchor else ""
        return ChainStep("signature", OK, signature.reason or f"{by}{where}")
    what = signature.reason if signature.state == "unsigned" else f"{by}: {signature.reason}"
    if not signature.enforced:
        return ChainStep("signature", OK, f"{what}; the kernel does not insist on that")
    state = UNKNOWN if signature.state == "unknown" else STOP
    hint = "sign it with a key that the kernel trusts (kbuildpy sign), or enroll the key: mokutil --import"
    if state == UNKNOWN:
        hint = "run it as root, or name the certificates that are enrolled: --cert"
    return ChainStep("signature", state, f"{what}; and {signature.enforced}", hint)


def _verdicts(
    answer: ModuleAnswer, paths: Sequence[str], place: KernelPlace, kernel: LoaderKernel
) -> tuple[Verdict, ...]:
    """The verdicts on the files of the modules that are needed and of the module itself."""
    real = {place.system.real(path): path for path in paths}
    options = {each.target.name: each.options for each in answer.order}
    check = Check(tuple(real), (kernel,), options)
    return tuple(replace(row[0], file=real[file]) for file, row in check_files(check, jobs=1))


def _loader_step(verdicts: Sequence[Verdict], place: KernelPlace) -> ChainStep:
    for verdict in verdicts:
        if not verdict.readable:
            return ChainStep("loader", STOP, verdict.reason or "", verdict.hint or "")
        if not verdict.accepted:
            answer = f"refused with {errno_words(verdict.errno)}" if verdict.errno else "not safe to load"
            return ChainStep("loader", STOP, f"{verdict.name}: {answer}: {verdict.reason}", verdict.hint or "")
    others = f", and {len(verdicts) - 1} that it needs" if len(verdicts) > 1 else ""
    return ChainStep("loader", OK, f"{place.release} accepts it{others}")


def _other_needs(answer: ModuleAnswer, contents: bytes) -> tuple[WhichFinding, ...]:
    """What the file says that it needs, and the index does not."""
    listed = {each.target.name for each in answer.order}
    missing = [name for name in stated_needs(contents) if name not in listed]
    if not missing:
        return ()
    text = f"{answer.file} says that it needs {', '.join(missing)}, and the index does not"
    return (WhichFinding("stale-index", text, f"depmod {answer.kernel}"),)


def _running(answer: ModuleAnswer, contents: bytes, place: KernelPlace) -> tuple[WhichFinding, ...]:
    """Whether the module is loaded already, and from another file."""
    folder = f"/sys/module/{answer.name}"
    if not place.runs or not place.system.exists(f"{folder}/initstate"):
        return ()
    try:
        note = place.system.read(f"{folder}/notes/.note.gnu.build-id")
    except OSError:
        note = b""
    if note and note not in contents:
        text = f"it is loaded, from another build than {answer.file}: modprobe does nothing"
        return (WhichFinding("loaded", text, f"modprobe -r {answer.name}, then load it again"),)
    return (WhichFinding("loaded", "it is loaded already: modprobe does nothing"),)
