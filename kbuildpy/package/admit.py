# SPDX-License-Identifier: GPL-2.0-only
"""Whether the kernel that a package says takes what is in it: nothing is packed that would not load.

Each module must be for that release, pass the loader check, and, where signatures are required, have one that is
trusted. What is checked is a copy of the bytes that are packed, below their names, so that modules find each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.info.report import inspect
from kbuildpy.kernel.module_files import read_module
from kbuildpy.loader.check import Check, check_files
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.keys import with_certificates
from kbuildpy.loader.verdict import Verdict
from kbuildpy.package.module_package import ModulePackage, PackagedModule
from kbuildpy.printable import printable
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.signing.verify import verify

_FORCED = ("MODULE_SIG_FORCE", "LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY")
"""Options by which a kernel refuses every module without a trusted signature."""


@dataclass(frozen=True)
class Policy:
    """What is asked of modules besides that the kernel loads them."""

    require_signature: bool = False
    """Each has a trusted signature. A kernel that was built so asks for that anyway."""
    certificates: tuple[Path, ...] = ()
    """Files of certificates that are trusted besides the kernel's own."""


@dataclass(frozen=True)
class Admitted:
    """What is known of a module that may be packed."""

    module: PackagedModule
    signature: SignatureState
    unchecked: tuple[str, ...]
    """Checks of the loader that could not be made, for want of a fact."""


def admit(
    package: ModulePackage,
    kernel: LoaderKernel,
    policy: Policy,
    *,
    needed: Sequence[Path],
    scratch: Path,
    jobs: int,
) -> list[Admitted]:
    """What is known of the modules of `package`, if `kernel` takes all of them; `needed` are modules of other packages
    that are loaded before. Copies go below `scratch`.

    Raises `KbuildError` for the first one that must not be packed, with the number of the others.
    """
    for module in package.modules:
        _refuse_other_release(module, package.release)
    try:
        trusting = with_certificates(kernel, policy.certificates)
    except KbuildError as error:
        raise UsageError(f"a certificate to trust: {error.message}", hint=error.hint) from error
    is_required = policy.require_signature or bool(policy.certificates) or any(map(kernel.has, _FORCED))
    keyring = _keyring(trusting, package, is_required=is_required)
    states = {module: verify(module.plain, [keyring or Keyring.of(kernel.release)])[0] for module in package.modules}
    if is_required:
        _refuse_untrusted(states, trusting)
    verdicts = _verdicts(package, replace(trusting, sig_enforce=is_required), needed, scratch, jobs)
    refused = [(module, verdict) for module, verdict in verdicts.items() if not verdict.accepted]
    if refused:
        module, verdict = refused[0]
        reason = printable(_reason(verdict, module))
        raise KbuildError(
            f"{module.source}: {package.release} would refuse it: {reason}{_more(refused)}",
            hint="\n".join(filter(None, (_log(verdict), verdict.hint, "nothing was written"))),
        )
    _refuse_missing_symbols(package, kernel, needed)
    return [
        Admitted(module, states[module], tuple(item.sentence for item in verdict.unchecked))
        for module, verdict in verdicts.items()
    ]


def _refuse_other_release(module: PackagedModule, release: str) -> None:
    built = module.info.built_for
    if built != release:
        raise KbuildError(
            f"{module.source}: built for {printable(built) or 'no kernel (its vermagic names none)'}, and the package "
            f"is for {release}",
            hint="nothing was written; build it for this kernel, or name the other one with -k",
        )


def _keyring(kernel: LoaderKernel, package: ModulePackage, *, is_required: bool) -> Keyring | None:
    """The keys to look at signatures with; None where none are known."""
    if not is_required and not any(module.info.signature for module in package.modules):
        return None
    try:
        found = kernel.keyring() if kernel.keyring is not None else None
    except KbuildError:
        found = None
    if found is None and is_required:
        raise KbuildError(
            f"signatures are required, and the keys of {kernel.release} are not known here",
            hint="name the certificate that the machines trust: --cert FILE; or install the kernel's image",
        )
    return found


def _refuse_untrusted(states: dict[PackagedModule, SignatureState], kernel: LoaderKernel) -> None:
    refused = [(module, state) for module, state in states.items() if not state.trusted]
    if not refused:
        return
    module, state = refused[0]
    hint = "sign it: kbuildpy sign" if not state.signed else "name the certificate that the machines trust: --cert FILE"
    if not kernel.keyring_complete:
        hint += f"\nthe keys that are built into {kernel.release} are not known here"
    raise KbuildError(
        f"{module.source}: a trusted signature is required: {printable(state.reason or 'it is not trusted')}"
        f"{_more(refused)}",
        hint=f"{hint}\nnothing was written",
    )


def _refuse_missing_symbols(package: ModulePackage, kernel: LoaderKernel, needed: Sequence[Path]) -> None:
    """Raises `KbuildError` for a symbol that neither the kernel nor a known module exports. (The loader check leaves
    out what a module exports that another one says it depends on, and that was not given.)"""
    if kernel.exports is None:
        return
    infos = [module.info for module in package.modules]
    infos += [inspect(read_module(file), str(file), None) for file in needed]
    exported = {item.name for info in infos for item in info.exports}
    for module in package.modules:
        for item in module.info.imports:
            if not item.is_weak and item.name not in exported and kernel.exports.find(item.name) is None:
                raise KbuildError(
                    f"{module.source}: nobody exports {printable(item.name)}: neither {package.release}, nor a "
                    "module of the package",
                    hint="name the module of another package that does: --needs FILE; and that package: --depends",
                )


def _verdicts(
    package: ModulePackage, kernel: LoaderKernel, needed: Sequence[Path], scratch: Path, jobs: int
) -> dict[PackagedModule, Verdict]:
    """The loader check's verdict on each module."""
    copies = {}
    for module in package.modules:
        copy = scratch / "checked" / module.place
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(module.contents)
        copies[copy] = module
    for file in needed:
        read_module(file)  # (an error about one of these is not one about the modules)
    check = Check((*copies, *needed), (kernel,), {})
    results = {file: found[0] for file, found in check_files(check, jobs=jobs) if file in copies}
    return {module: results[copy] for copy, module in copies.items()}


def _reason(verdict: Verdict, module: PackagedModule) -> str:
    return (verdict.reason or verdict.log or "no reason is known").replace(verdict.file, str(module.source))


def _log(verdict: Verdict) -> str:
    return f"kernel log: {printable(verdict.log)}" if verdict.log else ""


def _more(refused: Sequence[object]) -> str:
    return f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
