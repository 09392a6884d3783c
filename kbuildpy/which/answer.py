# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a name, as values: a chain of steps, each of which may be the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from kbuildpy.loader.verdict import Verdict
from kbuildpy.which.probe import ProbeStep

OK, STOP, UNKNOWN, SKIPPED = "ok", "stop", "unknown", "skipped"
"""States of a step: the chain goes on; it ends here; what happens cannot be told; it was not asked."""

STEPS = (
    "name",
    "blacklist",
    "kernel parameters",
    "install command",
    "file",
    "dependencies",
    "signature",
    "loader",
)
"""The steps in their order."""


class ChainStep(NamedTuple):
    """A step from the name to the loaded module."""

    step: str
    """One of `STEPS`."""
    state: str
    text: str
    """What was found."""
    hint: str = ""
    """What to do about it."""


class WhichFinding(NamedTuple):
    """Something that is worth knowing, and does not end the chain."""

    kind: str
    """Such as `stale-index`, `other-copy`, `initramfs`."""
    text: str
    hint: str = ""


class FileOfName(NamedTuple):
    """A file that has the module's name."""

    file: str
    """Its path in the system."""
    indexed: bool
    """modprobe takes it."""
    taken: bool
    """depmod would take it now."""


class InitramfsFile(NamedTuple):
    """A copy in the kernel's first file system."""

    image: str
    file: str
    """Its path in the image, below lib/modules/RELEASE."""
    same: bool | None
    """It has the bytes of the file that modprobe takes, or is the same module, compressed in another way; None where
    that could not be compared."""


class KeyPlace(NamedTuple):
    """A place that keys come from."""

    name: str
    """`built-in`, `MOK`, `db`, `running kernel`, or the file of a certificate."""
    keys: tuple[str, ...]
    """The names of its certificates."""
    trusted: bool | None
    """Whether the kernel takes them for modules; None where that is not known."""
    why: str = ""
    """Why they are not trusted, or why that is not known."""


@dataclass(frozen=True, kw_only=True)
class SignatureAnswer:
    """What a kernel makes of the signature of a file."""

    state: str
    """`trusted`, `untrusted`, `unsigned`, `unknown` or `unchecked`."""
    signer: str | None = None
    """What modinfo calls so."""
    by: str = ""
    """Who signed it, in words."""
    anchor: str | None = None
    """Where the certificate was found that it was checked with."""
    reason: str = ""
    """Why it is not trusted, or why that is not known."""
    enforced: str = ""
    """Why the kernel insists on a trusted signature; "" if it does not."""


@dataclass(frozen=True, kw_only=True)
class ModuleAnswer:
    """What becomes of a module that a name stands for, or of a name that stands for none."""

    asked: str
    kernel: str
    name: str = ""
    """The module's name; "" for none."""
    alias: str | None = None
    source: str = ""
    built_in: bool = False
    file: str = ""
    files: tuple[FileOfName, ...] = ()
    order: tuple[ProbeStep, ...] = ()
    """What modprobe does, one after the other."""
    options: str = ""
    blacklisted: str = ""
    """The place of the line that blacklists it, whether that counts or not."""
    install: str = ""
    """The command that is run in its place."""
    initramfs: tuple[InitramfsFile, ...] = ()
    signature: SignatureAnswer | None = None
    verdicts: tuple[Verdict, ...] = ()
    """Of the modules that are needed, and of the module, the last one."""
    steps: tuple[ChainStep, ...] = ()
    findings: tuple[WhichFinding, ...] = ()
    keys: tuple[KeyPlace, ...] = ()
    """The keys that the kernel has for modules, as far as they were looked at."""
    unread: tuple[str, ...] = ()
    """What could not be read about them."""

    @property
    def stop(self) -> ChainStep | None:
        """The step that ends the chain, or behind which nothing can be told; None if it is loaded."""
        by_state = {step.state: step for step in reversed(self.steps)}
        return by_state.get(STOP) or by_state.get(UNKNOWN)

    @property
    def loads(self) -> bool | None:
        """Whether it would be loaded, or is built in; None where that cannot be told."""
        stop = self.stop
        return True if stop is None else False if stop.state == STOP else None


def answer_json(answer: ModuleAnswer) -> dict[str, Any]:
    """The object that `--format json` prints."""
    stop = answer.stop
    return {
        "asked": answer.asked,
        "kernel": answer.kernel,
        "name": answer.name or None,
        "alias": answer.alias,
        "source": answer.source or None,
        "loads": answer.loads,
        "stops_at": stop.step if stop else None,
        "because": stop.text if stop else None,
        "hint": (stop.hint or None) if stop else None,
        "built_in": answer.built_in,
        "file": answer.file or None,
        "files": [item._asdict() for item in answer.files],
        "order": [_order_json(step) for step in answer.order],
        "options": answer.options,
        "blacklisted": answer.blacklisted or None,
        "install": answer.install or None,
        "initramfs": [item._asdict() for item in answer.initramfs],
        "signature": _signature_json(answer.signature),
        "verdicts": [
            {
                "file": item.file,
                "accepted": item.accepted,
                "errno": item.errno,
                "reason": item.reason,
                "unchecked": [each.sentence for each in item.unchecked],
            }
            for item in answer.verdicts
        ],
        "steps": [item._asdict() for item in answer.steps],
        "findings": [item._asdict() for item in answer.findings],
        "keys": [item._asdict() for item in answer.keys],
        "unread": list(answer.unread),
    }


def _order_json(step: ProbeStep) -> dict[str, Any]:
    return {
        "does": step.kind,
        "name": step.target.name,
        "file": step.path or None,
        "command": step.command.value if step.command and step.kind == "install" else None,
        "options": step.options,
        "required": step.required,
    }


def _signature_json(signature: SignatureAnswer | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    return {
        "state": signature.state,
        "signer": signature.signer,
        "anchor": signature.anchor,
        "reason": signature.reason or None,
        "enforced": signature.enforced or None,
    }
