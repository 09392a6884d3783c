# SPDX-License-Identifier: GPL-2.0-only
"""The page of the templates of `kbuildpy new`, from their manifests."""

from __future__ import annotations

from docs.site.markdown import bullets, code, definition, prose
from kbuildpy.scaffold.library import all_templates
from kbuildpy.scaffold.manifest import Template

PATH = "docs/reference/templates.md"


def template_page() -> dict[str, str]:
    """The page by its path."""
    sections = "".join(map(_section, all_templates().values()))
    text = f"""# Templates

`kbuildpy new TEMPLATE NAME` makes a complete project from one of these ([Starting a project](../new.md)). `--with` and
`--without` turn options on and off.

{sections}"""
    return {PATH: text}


def _section(template: Template) -> str:
    parts = [f"## {template.name}\n\n{_sentence(template.summary)}\n\n"]
    parts.append(definition("Kernels", "from {}.{} on".format(*template.kernels)))
    parts.append(definition("Tested on", ", ".join(template.architectures)))
    if template.options:
        options = [
            f"{code(option.name)} ({'on' if option.default else 'off'}): {prose(option.summary)}"
            for option in template.options
        ]
        parts.append(definition("Options", bullets(options)))
    if template.config:
        parts.append(definition("The test needs", ", ".join(map(code, template.config))))
    if template.devices:
        parts.append(definition("Devices of QEMU", ", ".join(map(code, template.devices))))
    if template.kernel_modules:
        parts.append(definition("Modules of the kernel", ", ".join(map(code, template.kernel_modules))))
    return "".join(parts)


def _sentence(text: str) -> str:
    return prose(f"{text[:1].upper()}{text[1:]}".rstrip(".") + ".")
