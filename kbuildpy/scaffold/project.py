# SPDX-License-Identifier: GPL-2.0-only
"""The user's choices for a new project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.scaffold.licenses import MODULE_LICENSES
from kbuildpy.scaffold.manifest import FILE_NAME, Module, Template


@dataclass(frozen=True)
class Project:
    """A project to make from a template."""

    template: Template
    # the module's, and the directory's
    name: str
    # one line
    description: str
    # NAME <address>
    author: str
    # an SPDX expression, one of licenses.MODULE_LICENSES
    license: str
    # the oldest kernel that it must build for
    kernel_min: tuple[int, int]
    # whether each option of the template is wanted
    options: Mapping[str, bool]

    @property
    def module_license(self) -> str:
        """What MODULE_LICENSE() says."""
        return MODULE_LICENSES[self.license]

    @property
    def modules(self) -> list[Module]:
        """The modules under their names, as far as the options want them."""
        return [
            Module(self.named(module.name), tuple(map(self.named, module.sources)), self._filled(module.params))
            for module in self.template.modules
            if self.wants(module.option)
        ]

    @property
    def tests(self) -> list[str]:
        """The paths of the tests below the project."""
        return [self.named(test.file) for test in self.template.tests if self.wants(test.option)]

    def named(self, text: str) -> str:
        """`text` with the module's name in place of NAME."""
        return text.replace("NAME", self.name)

    def _filled(self, text: str) -> str:
        """`text` of the manifest, in which Jinja2 may ask for options."""
        if "{" not in text:
            return self.named(text)
        import jinja2

        try:
            template = jinja2.Template(text, undefined=jinja2.StrictUndefined)
            return self.named(template.render(name=self.name, options=dict(self.options))).strip()
        except jinja2.TemplateError as error:
            raise KbuildError(f"{self.template.folder / FILE_NAME}: {text!r}: {error}") from error

    def wants(self, option: str) -> bool:
        """Whether `option` is wanted; what belongs to no option ("") always is."""
        return not option or self.options[option]

    def before(self, major: int, minor: int) -> bool:
        """Whether the project is for kernels older than `major`.`minor`, too."""
        return self.kernel_min < (major, minor)


def chosen_options(template: Template, with_: Iterable[str], without: Iterable[str]) -> dict[str, bool]:
    """The options of `template`, as `--with` and `--without` say. Raises `UsageError` for one that it does not have."""
    options = {option.name: option.default for option in template.options}
    for names, value, word in ((with_, True, "--with"), (without, False, "--without")):
        for name in (part.strip() for item in names for part in item.split(",")):
            if name not in options:
                has = f"it has {', '.join(options)}" if options else "it has none"
                raise UsageError(f"{word} {name}: template {template.name} has no such option", hint=has)
            options[name] = value
    return options
