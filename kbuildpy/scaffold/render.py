# SPDX-License-Identifier: GPL-2.0-only
"""The files of a project: those of its template, and those that all projects share.

A file whose name ends in `.j2` is rendered by Jinja2, and left out if nothing is in it then; any other is copied. NAME
in a path is the module's name. A file of the template takes the place of a shared one of the same path. `about.md.j2`
is no file of its own but a part of README.md.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from kbuildpy import __version__
from kbuildpy.errors import KbuildError
from kbuildpy.scaffold.library import own_templates
from kbuildpy.scaffold.manifest import FILE_NAME
from kbuildpy.scaffold.project import Project

_PARTS = frozenset({FILE_NAME, "about.md.j2"})
_HELPERS = "tests"
"""The folder of shared files that are there only for templates that name them (`test_helpers`)."""


@dataclass(frozen=True)
class ProjectFile:
    """A file of a project: its path below it, its contents, and whether it is a program."""

    path: str
    contents: bytes
    executable: bool = False


def render_project(project: Project) -> list[ProjectFile]:
    """The files of `project`, by path. Raises `KbuildError` that names the file and the line of a template that cannot
    be rendered."""
    shared = own_templates() / "shared"
    environment = environment_for([project.template.folder, shared])
    values = _values(project)
    found: dict[str, ProjectFile] = {}
    for folder in (shared, project.template.folder):
        for source in _sources(folder, project, shared=folder == shared):
            path = project.named(source.removesuffix(".j2"))
            contents = (
                _rendered(environment, folder, source, values).encode()
                if source.endswith(".j2")
                else (folder / source).read_bytes()
            )
            if source.endswith(".j2") and not contents.strip():
                continue
            found[path] = ProjectFile(path, contents, executable=bool((folder / source).stat().st_mode & 0o100))
    return [found[path] for path in sorted(found)]


def run_words(project: Project) -> list[str]:
    """The options of `kbuildpy run` for the tests of `project`, as words."""
    words = load_words(project)
    for test in project.tests:
        words += ["--test", test]
    for file in guest_files(project):
        words += ["--file", file]
    return words


def load_words(project: Project) -> list[str]:
    """Those of them without which the modules have nothing to work on: devices, other modules, parameters."""
    words = []
    for device in project.template.devices:
        words += ["--device", device]
    for kernel_module in project.template.kernel_modules:
        words += ["--module", kernel_module]
    for module in project.modules:
        if module.params:
            words += ["--params", f"{module.name}: {module.params}"]
    return words


def guest_files(project: Project) -> list[str]:
    """The helpers that a shell script reads in the guest; those for C are compiled in."""
    return [f"tests/{helper}" for helper in project.template.test_helpers if not helper.endswith(".h")]


def c_string(text: object) -> str:
    """A string literal of C, with the quotes. A ? is escaped where two would begin a trigraph."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?")
    return f'"{escaped}"'


def rust_string(text: object) -> str:
    """A string literal of Rust, with the quotes."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ascii(text: str) -> str:
    """`text` in ASCII, which is all that the kernel's `module!` takes for names of authors: letters lose their accents,
    and what has no other form becomes a question mark."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return plain.encode("ascii", "replace").decode()


def _python(value: object) -> str:
    """`value` as Python writes it, in double quotes where that can be."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_python, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and value.isprintable() else repr(value)


def _sources(folder: Path, project: Project, *, shared: bool) -> list[str]:
    """The files below `folder` that belong into `project`, by path."""
    chosen = []
    for path in sorted(folder.rglob("*")):
        source = path.relative_to(folder).as_posix()
        target = source.removesuffix(".j2")
        if not path.is_file() or source in _PARTS or "__pycache__" in source or source.endswith("~"):
            continue
        if shared and PurePosixPath(source).parts[0] == _HELPERS:
            if PurePosixPath(target).name in project.template.test_helpers:
                chosen.append(source)
        elif shared or project.wants(project.template.files.get(target, "")):
            chosen.append(source)
    return chosen


def _values(project: Project) -> dict[str, Any]:
    template = project.template
    return {
        "name": project.name,
        "NAME": project.name.upper(),
        "description": project.description,
        "author": project.author,
        "spdx": project.license,
        "module_license": project.module_license,
        "kernel_min": project.kernel_min,
        "before": project.before,
        "options": dict(project.options),
        "template": template,
        "modules": project.modules,
        "tests": project.tests,
        "test_files": guest_files(project),
        "run_options": shlex.join(run_words(project)),
        "load_options": shlex.join(load_words(project)),
        "version": __version__,
    }


def environment_for(folders: list[Path]) -> jinja2.Environment:
    """Jinja2 as templates of projects take it: strict, and with filters for C, Python and the shell."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["c"] = c_string
    environment.filters["rust"] = rust_string
    environment.filters["rust_ascii"] = lambda value: rust_string(_ascii(str(value)))
    environment.filters["py"] = _python
    environment.filters["sh"] = lambda value: shlex.quote(str(value))
    return environment


def _rendered(environment: jinja2.Environment, folder: Path, source: str, values: dict[str, Any]) -> str:
    # (the loader would find a template's own file of that path before a shared one)
    path = folder / source
    try:
        code = environment.compile(path.read_text(), source, str(path))
        return jinja2.Template.from_code(environment, code, environment.make_globals(None)).render(values)
    except UnicodeDecodeError as error:
        raise KbuildError(f"{path}: not UTF-8: {error.reason}", hint="a file that is copied has no .j2") from error
    except jinja2.TemplateSyntaxError as error:
        raise KbuildError(f"{error.filename or path}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise KbuildError(f"{path}: includes {error.name}, which is not there") from error
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError) as error:
        raise KbuildError(f"{path}{_line_of(error, environment)}: {error}") from error


def _line_of(error: Exception, environment: jinja2.Environment) -> str:
    """`:LINE` of the template where `error` was raised: Jinja2 puts the template's lines into the traceback."""
    traceback, line = error.__traceback__, ""
    while traceback:
        if traceback.tb_frame.f_code.co_filename.endswith(".j2"):
            line = f":{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return line
