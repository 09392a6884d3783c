# SPDX-License-Identifier: GPL-2.0-only
"""Commands of rustc: what refuses them before they run, and what differs in them from the C compiler's.

The counterparts are rust_common_cmd and cmd_rustc_o_rs of scripts/Makefile.build, and scripts/rust_is_available.sh,
which Kbuild runs when it builds a kernel, and not when it builds a module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from kbuildpy.kbuild.plan import Plan
from kbuildpy.kbuild.rules import NATIVE_RULES, RUST_FORMS, RUST_RULES
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.rust import has_rust, refuse_old_tool, refuse_rust, version_text

_OUT_DIR = re.compile(r"(?<!\S)--out-dir \S+")
_FILE_MAP = re.compile(r"-ffile-prefix-map=(.*)", re.DOTALL)


def refuse_unbuildable_rust(
    answer: TreeAnswer, plan: Plan, records: Iterable[Mapping[str, str]], recipes: str, environ: Mapping[str, str]
) -> None:
    """Raise `KbuildError` where sources in Rust that `plan` compiles cannot be compiled for the tree, and for a bindgen
    that is too old for the tree, where a rule of the Kbuild file's own calls it (`records`, `recipes`).

    `environ` is the environment in which Kbuild's commands run.
    """
    tree, programs = answer.tree, answer.programs
    items = (*plan.objects, *plan.singles)
    source = next((item.source for item in items if item.steps and item.steps[0].rule in RUST_RULES), "")
    if source:
        rustc = programs.get("RUSTC", "") or "rustc"
        said = version_text(rustc, environ) if has_rust(tree) else ""
        refuse_rust(tree, rustc=rustc, said=said, environ=environ, source=PurePath(source).name)
    bindgen = programs.get("BINDGEN", "")
    own = [record["command"] for record in records if "rule" in record and record["rule"] not in NATIVE_RULES]
    if bindgen and any(f"{bindgen} " in command for command in (*own, recipes)):
        refuse_old_tool(tree.source, "bindgen", bindgen, version_text(bindgen, environ), environ)


def rustc_command(rule: str, text: str, *, folder: str, maps: Iterable[str]) -> str:
    """The text of a command of `rule` in which rustc keeps its temporary files in `folder`, and names paths as `maps`
    (the C compiler's -ffile-prefix-map=OLD=NEW) say."""
    text = _OUT_DIR.sub(lambda _: f"--out-dir {folder}", text, count=1)
    found = [match[1] for match in map(_FILE_MAP.fullmatch, maps) if match]
    options = "".join(f"--remap-path-prefix={each} " for each in found)
    text = text.replace("--crate-type ", f"{options}--crate-type ", 1)
    # (its last part is a condition, whether there is a rustfmt: make does not take that for a failure)
    return f"{text}; :" if rule in RUST_FORMS else text
