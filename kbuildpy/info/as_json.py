# SPDX-License-Identifier: GPL-2.0-only
"""A module file as an object of JSON (docs/json.md)."""

from __future__ import annotations

from kbuildpy.info.memory import ModuleMemory
from kbuildpy.info.report import ModuleInfo
from kbuildpy.signing.describe import as_json

_OF_SIGNATURE = ("valid", "signer", "serial", "hash", "algorithm", "reason", "errno")


def to_json(info: ModuleInfo) -> dict[str, object]:
    """The object; what is not known is null."""
    signature = None if info.signature is None else as_json(info.file, info.signature)
    return {
        "file": info.file,
        "name": next(iter(info.values("name")), None),
        "built_for": info.built_for or None,
        "machine": info.machine or None,
        "kernel": info.kernel,
        "fields": [list(field) for field in info.fields],
        "memory": None if info.memory is None else _memory(info.memory),
        "parameters": [
            {**item._asdict(), "mode": None if item.mode is None else f"{item.mode:04o}"} for item in info.parameters
        ],
        "exports": [{**item._asdict(), "crc": _crc(item.crc)} for item in info.exports],
        "imports": [
            {**item._asdict(), "crc": _crc(item.crc), "kernel_crc": _crc(item.kernel_crc)} for item in info.imports
        ],
        "debug_messages": [item._asdict() for item in info.debug_messages],
        "tracepoints": [item._asdict() for item in info.tracepoints],
        "devices": [item._asdict() for item in info.matches],
        "signature": None if signature is None else {key: signature[key] for key in _OF_SIGNATURE},
        "btf": None if info.btf is None else info.btf._asdict(),
        "needs": info.needs._asdict(),
        "unknown": [list(item) for item in info.unknown],
    }


def _memory(memory: ModuleMemory) -> dict[str, object]:
    return {
        "kernel": memory.kernel,
        "size": memory.size,
        "kept": memory.kept,
        "freed": memory.freed,
        "per_cpu": memory.per_cpu,
        "not_loaded": memory.not_loaded,
        "blocks": [
            {
                "kind": block.kind,
                "size": block.size,
                "is_freed": block.is_freed,
                "sections": [section._asdict() for section in block.sections],
            }
            for block in memory.blocks
        ],
    }


def _crc(crc: int | None) -> str | None:
    return None if crc is None else f"0x{crc:08x}"
