# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy dkms`: DKMS' commands, over DKMS' own /var/lib/dkms."""

from __future__ import annotations

import argparse
import glob
import json
import os
import shlex
import sys
from pathlib import Path

from kbuildpy.cli.shared_options import add_format, add_jobs, add_quiet, job_count, named_path, named_word
from kbuildpy.dkms.archives import ldtarball, mktarball
from kbuildpy.dkms.build import EXCLUDED
from kbuildpy.dkms.configure import configure
from kbuildpy.dkms.destination import distribution
from kbuildpy.dkms.hooks import STAND_IN_PACKAGE, has_package, install_hooks, make_package, remove_hooks
from kbuildpy.dkms.install_all import autoinstall, match
from kbuildpy.dkms.machine import (
    DkmsMachine,
    add,
    add_directory,
    build,
    finish_begun,
    framework_settings,
    install,
    remove,
    rollback,
    status,
    unbuild,
    unbuild_all,
    uninstall,
)
from kbuildpy.dkms.places import DkmsPlaces, check_kernel, locked
from kbuildpy.dkms.stands_for import DKMS_VERSION
from kbuildpy.dkms.switch import begun
from kbuildpy.dkms.which_kernels import kernels_to_build_for
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.own_paths import found_foreign
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.similar import did_you_mean

ACTIONS = {
    "status": status,
    "add": add,
    "build": build,
    "install": install,
    "uninstall": uninstall,
    "unbuild": unbuild,
    "remove": remove,
    "match": match,
    "autoinstall": autoinstall,
    "mktarball": mktarball,
    "ldtarball": ldtarball,
    "rollback": rollback,
    "configure": configure,
    "hooks": install_hooks,
}
_FOR_A_KERNEL = {"build": build, "install": install, "uninstall": uninstall, "unbuild": unbuild}
_IGNORED = ("--no-initrd", "--no-clean-kernel", "--no-prepare-kernel", "--verbose")
"""Options of DKMS that mean nothing here: the first three mean nothing to DKMS 3 either."""

EXAMPLES = (
    "kbuildpy dkms status",
    "kbuildpy dkms install v4l2loopback/0.12.7 -k 6.1.0-56-amd64",
    "kbuildpy dkms autoinstall -k 6.12.117+deb12-amd64",
    "kbuildpy dkms remove -m v4l2loopback -v 0.12.7 --all",
    "kbuildpy dkms hooks --stand-in",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kbuildpy dkms`."""
    parser.epilog = "Exit status: 0 done; 77 the package is not for this kernel; 10 the build failed; others are dkms'."
    parser.add_argument(
        "words",
        nargs="*",
        metavar="ACTION | NAME/VERSION | DIR",
        help=f"{', '.join(ACTIONS)}; a package, or for add a directory with a dkms.conf or an archive",
    )
    parser.add_argument("-m", "--module", metavar="NAME[/VERSION]", type=named_word, help="the package")
    parser.add_argument("-v", "--module-version", metavar="VERSION", type=named_word, help="its version")
    parser.add_argument(
        *("-k", "--kernelver"),
        action="append",
        default=[],
        metavar="RELEASE[/ARCH]",
        dest="kernels",
        type=named_word,
        help="the kernel's release (default: that of the running kernel); may repeat",
    )
    parser.add_argument("-a", "--arch", metavar="ARCH", type=named_word, help="the machine, as uname -m has it")
    parser.add_argument("--all", action="store_true", help="every kernel that the package is built for")
    parser.add_argument("--force", action="store_true", help="also what is there already, or would be kept back")
    parser.add_argument("--try", action="store_true", dest="is_tried", help="load modules in QEMU before they count")
    parser.add_argument("--archive", metavar="FILE", type=named_path, help="of mktarball, ldtarball: the archive")
    parser.add_argument("--source-only", action="store_true", help="of mktarball: no built modules")
    parser.add_argument("--binaries-only", action="store_true", help="of mktarball: no sources")
    add_jobs(parser)
    add_quiet(parser, "print errors only")
    add_format(parser, "of status: text (default), or one JSON object for each line")
    parser.add_argument("-c", "--conf", metavar="FILE", type=named_path, help="this dkms.conf, not the package's")
    parser.add_argument("--directive", action="append", default=[], metavar="NAME=VALUE", help="a directive to replace")
    parser.add_argument("--templatekernel", metavar="RELEASE", type=named_word, help="of match: the kernel to follow")
    parser.add_argument("--kernelsourcedir", metavar="DIR", type=named_path, help="the kernel tree")
    parser.add_argument("--dkmstree", metavar="DIR", type=named_path, help="in place of /var/lib/dkms")
    parser.add_argument("--sourcetree", metavar="DIR", type=named_path, help="in place of /usr/src")
    parser.add_argument("--installtree", metavar="DIR", type=named_path, help="in place of /lib/modules")
    parser.add_argument("--no-depmod", action="store_true", help="do not run depmod")
    parser.add_argument("--root", metavar="DIR", type=named_path, help="of hooks: below DIR, not /")
    parser.add_argument("--stand-in", action="store_true", help="of hooks: also /usr/sbin/dkms, which calls kbuildpy")
    parser.add_argument("--undo", action="store_true", help="of hooks: remove what kbuildpy has put there")
    parser.add_argument("--deb", metavar="FILE", type=named_path, help="of hooks: write a package that provides dkms")
    parser.add_argument("-V", "--version", action="version", version=f"dkms-{DKMS_VERSION}")
    for name in _IGNORED:
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Carry the action out; the exit status."""
    if args.source_only and args.binaries_only:
        raise KbuildError("--source-only and --binaries-only exclude each other", hint="leave one out", status=8)
    action, package, path = _words(args)
    name, version = package
    machine = _machine(args)
    kernels = _kernels(args, machine, action, name, version)
    # (what is written is the machine's, and for all its users)
    os.umask(0o022)
    if action == "hooks":
        return _hooks(args, machine)
    if action == "status":
        return _status(args, machine, name, version, kernels)
    with locked(machine.places):
        finish_begun(machine)
        return _act(args, machine, action, (name, version), path, kernels)


def _act(
    args: argparse.Namespace,
    machine: DkmsMachine,
    action: str,
    package: tuple[str, str],
    path: Path | None,
    kernels: list[tuple[str, str]],
) -> int:
    if action == "autoinstall":
        return max(autoinstall(machine, kernel, arch) for kernel, arch in kernels)
    if action == "rollback":
        for kernel, _ in kernels:
            rollback(machine, kernel)
        return 0
    if action == "match":
        if not args.templatekernel:
            raise UsageError("match needs --templatekernel=RELEASE", hint="whose modules are installed for -k, too")
        return max(match(machine, args.templatekernel, kernel, arch, name=package[0]) for kernel, arch in kernels)
    if action == "ldtarball" or (action == "add" and path is not None and path.is_file()):
        if path is None:
            raise UsageError("ldtarball needs an archive", hint="kbuildpy dkms ldtarball FILE.dkms.tar.gz")
        ldtarball(machine, path, *kernels[0])
        return 0
    if path is not None and path.is_dir():
        package = add_directory(machine, path, *kernels[0])
    if action == "unbuild" and not any(package):
        return max(unbuild_all(machine, kernel, arch) for kernel, arch in kernels)
    if not all(package):
        raise _no_package(action, package[0], machine)
    if action == "add":
        add(machine, *package, *kernels[0])
        return 0
    if action == "configure":
        return configure(machine, *package, *kernels[0], archive=args.archive)
    if action == "mktarball":
        built = [] if args.source_only else kernels
        mktarball(machine, *package, built, target=args.archive, binaries_only=args.binaries_only)
        return 0
    if action == "remove":
        remove(machine, *package, kernels)
        return 0
    statuses = []
    for kernel, arch in kernels:
        try:
            _FOR_A_KERNEL[action](machine, *package, kernel, arch)
            statuses.append(0)
        except KbuildError as error:
            if len(kernels) == 1:
                raise
            complain(f"kbuildpy: error: {error}")
            statuses.append(error.status)
    # (a kernel that the package is not for is no failure where there are others)
    return next((status for status in statuses if status not in (0, EXCLUDED)), min(statuses, default=0))


def _words(args: argparse.Namespace) -> tuple[str, tuple[str, str], Path | None]:
    """The action, the package, and the directory or archive that the words name."""
    action, path = "", args.archive
    name, version = _package(args.module or "")
    version = args.module_version or version
    for word in args.words:
        if word in ACTIONS and not action:
            action = word
        elif (Path(word) / "dkms.conf").is_file() and action == "add":
            path = Path(word)
        elif Path(word).name == "dkms.conf" and action == "add":
            path = Path(word).parent
        elif action == "ldtarball" or (action == "add" and Path(word).is_file()):
            path = Path(word)
        elif not name:
            name, given = _package(word)
            version = version or given
        else:
            raise UsageError(f"{word}: one package at a time", hint=f"it is {name} already")
    if not action:
        asked = args.words[0] if args.words else ""
        hint = did_you_mean(asked, ACTIONS) or f"one of {', '.join(ACTIONS)}"
        raise UsageError(f"{asked or 'kbuildpy dkms'}: no action", hint=hint)
    return action, (name, version), path


def _package(word: str) -> tuple[str, str]:
    name, _, version = word.partition("/")
    return name, version


def _machine(args: argparse.Namespace) -> DkmsMachine:
    defaults = DkmsPlaces()
    settings = framework_settings(defaults.etc)
    places = DkmsPlaces(
        dkms_tree=_tree(args.dkmstree, settings.get("dkms_tree"), defaults.dkms_tree),
        source_tree=_tree(args.sourcetree, settings.get("source_tree"), defaults.source_tree),
        install_tree=_tree(args.installtree, settings.get("install_tree"), defaults.install_tree),
    )
    wrong = [word for word in args.directive if "=" not in word]
    if wrong:
        raise UsageError(f"--directive {wrong[0]}: not NAME=VALUE")

    def say(line: str) -> None:
        is_error = line.startswith("kbuildpy: error")
        if is_error or not args.quiet:
            shown = "\n".join(map(printable, line.split("\n")))
            print(shown, file=sys.stderr if is_error else sys.stdout, flush=True)

    return DkmsMachine(
        places=places,
        distribution=distribution(),
        settings=settings,
        jobs=job_count(args) or os.cpu_count() or 1,
        say=say,
        force=args.force,
        is_tried=args.is_tried,
        depmod=not args.no_depmod,
        conf_file=args.conf,
        kernel_source=args.kernelsourcedir,
        directives=dict(word.split("=", 1) for word in args.directive),
    )


def _tree(given: Path | None, setting: str | None, default: Path) -> Path:
    return (given or Path(setting or default)).absolute()


def _kernels(
    args: argparse.Namespace, machine: DkmsMachine, action: str, name: str, version: str
) -> list[tuple[str, str]]:
    """The kernels that the call names, each with its architecture."""
    if args.all and (args.kernels or args.arch):
        raise UsageError(
            "--all names every kernel and architecture",
            hint="leave out -k and -a",
        )
    machine_name = args.arch or os.uname().machine
    if args.all and action != "status":
        if action not in ("uninstall", "unbuild", "remove", "mktarball"):
            raise KbuildError(f"{action} takes no --all", hint="name kernels: -k RELEASE", status=5)
        return machine.places.kernels(name, version) if name and version else []
    found = [(kernel, arch or machine_name) for kernel, _, arch in (word.partition("/") for word in args.kernels)]
    if not found and action != "status":
        running = os.uname().release
        meant = kernels_to_build_for(machine, running) if action in ("build", "install", "autoinstall") else [running]
        found = [(kernel, machine_name) for kernel in meant]
    for kernel, arch in found:
        check_kernel(kernel, arch)
    return found


def _status(
    args: argparse.Namespace, machine: DkmsMachine, name: str, version: str, kernels: list[tuple[str, str]]
) -> int:
    arch = args.arch or ""
    for kernel in begun(machine.places):
        complain(f"kbuildpy: note: a change of the modules of {kernel} was interrupted; the next action finishes it")
    for kernel in [kernel for kernel, _ in kernels] or [""]:
        for item in status(machine, name=name, version=version, kernel=kernel, arch=arch):
            if args.format == "json":
                fields = {"name": item.name, "version": item.version, "state": item.state}
                where = {"kernel": item.kernel or None, "arch": item.arch or None}
                log = str(item.log) if item.log else None
                print(json.dumps({**fields, **where, "remarks": list(item.remarks), "log": log, "tried": item.tried}))
            else:
                print(printable(str(item)))
    return 0


def _no_package(action: str, name: str, machine: DkmsMachine) -> KbuildError:
    """The error for a call without a package, or without its version: it names the versions that there are."""
    if not name:
        return KbuildError(f"{action} needs a package", hint=f"kbuildpy dkms {action} NAME/VERSION")
    known = [version for other, version in machine.places.added() if other == name]
    sources = sorted(machine.places.source_tree.glob(f"{glob.escape(name)}-*/dkms.conf"))
    known += [file.parent.name.removeprefix(f"{name}-") for file in sources]
    words = [shlex.quote(f"{name}/{version}") for version in dict.fromkeys(known)] or ["NAME/VERSION"]
    hint = "\n".join(f"kbuildpy dkms {action} {word}" for word in words)
    return KbuildError(f"{action} needs the version of {printable(name)}, too", hint=hint)


def _refuse_foreign_programs() -> None:
    """Refuse hooks that would run, as root, what another user can change."""
    for place in (Path(sys.executable).parent, Path(__file__).parents[2]):
        if found := found_foreign(place):
            raise KbuildError(
                f"the hooks would run what is in {place} as root, and {found}",
                hint="install kbuildpy where only root can write (python3 -m venv /opt/kbuildpy), or add --force",
            )


def _hooks(args: argparse.Namespace, machine: DkmsMachine) -> int:
    if args.deb is not None:
        make_package(args.deb, force=args.force)
        machine.say(f"written: {args.deb}")
        return 0
    root = (args.root or Path("/")).absolute()
    if not args.undo and not args.force:
        _refuse_foreign_programs()
    paths = remove_hooks(root) if args.undo else install_hooks(root, stand_in=args.stand_in, force=args.force)
    for path in paths:
        machine.say(f"{'removed' if args.undo else 'written'}: {path}")
    if args.undo and has_package(root):
        machine.say(
            f"kbuildpy: note: the package {STAND_IN_PACKAGE} still tells dpkg that dkms is here: "
            "apt-get install dkms replaces it"
        )
    return 0
