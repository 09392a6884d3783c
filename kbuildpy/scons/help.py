# SPDX-License-Identifier: GPL-2.0-only
"""The help on variables, builders and targets that `scons -h` prints for modules, beside the project's own."""

from __future__ import annotations

from typing import Any

from SCons.Script import HelpFunction

from kbuildpy.scons.options import is_help_wanted

_VARIABLES = """
Kernel modules; variables as make and Kbuild know them:
  KDIR=PATH             the kernel tree to build for (default: the running kernel's, else the newest installed)
  KERNELRELEASE=NAME    the same by its release
  ARCH= CROSS_COMPILE=  another architecture, and the prefix of its compiler
  LLVM=1  CC=PROGRAM    another compiler
  V=1  W=1  C=1         full commands, more warnings, sparse
  KCFLAGS=WORDS         more flags for the compiler
  KBUILD_OUT=DIR        the output directory (default: build; there is a folder for each release in it)
  KBUILD_EXTRA_SYMBOLS=FILES  Module.symvers of other modules
  KBUILD_MODPOST_WARN=1 build although no module exports a symbol
  CHECK=0               do not check whether the kernel would load the modules
  FAST=1                precompiled headers: sooner, but not Kbuild's bytes
  COVERAGE=1            instrumented modules, for scons run, in an output directory of their own
  KBUILD_TRACE=FILE     write what happened when: FILE.json for Perfetto, FILE.html or FILE.svg
  INSTALL_MOD_PATH= INSTALL_MOD_DIR= INSTALL_MOD_STRIP=1  where and how modules are installed
Of the environment:
  KBUILD_SIGN_PIN       the passphrase of the key that signs
  KBUILDPY_CACHE        the directory of caches (default: ~/.cache/kbuildpy)
  KBUILDPY_SHARED_CACHE KBUILDPY_CACHE_KEY  a shared cache of built files, and the key that signs in it

Builders, methods of an environment with the tool `kbuild` (docs/build.md):
  KernelModule(target, source)           the module of these sources
  Kbuild(directory)                      every module of a Kbuild file
  CheckModule(modules)                   whether their kernel would load them
  LintModule(modules, checkers=)         what checkers find in their sources
  SignModule(modules, key=, cert=)       signed copies
  InstallModules(root, modules)          installed modules
  ModulePackage(format, modules)         a package
  RunModule(modules, kernels=)           loaded, tested and removed in QEMU
  KernelProbe(name, member=...)          a question about the kernel's headers, as a macro

Targets:
  NAME or NAME.ko       one module
  x.o x.i x.s x.lst     a source compiled, preprocessed, as assembly, as assembly with its lines; DIR/ a subdirectory
"""
_ALIASES = {
    "install": "install modules below INSTALL_MOD_PATH, and run depmod; -c install takes them away",
    "run": "load and remove modules in their kernel, in QEMU",
    "test": "the same with their tests",
    "lint": "run checkers over the sources of modules",
    "package": "make the packages of modules",
}


def describe_variables(env: Any) -> None:
    """Let `scons -h` name the variables, once for all environments."""
    _describe(env, "", _VARIABLES)


def describe_alias(env: Any, name: str) -> None:
    """Let `scons -h` name the alias `name`, once."""
    _describe(env, name, f"  {name:<20}  {_ALIASES[name]}\n")


def describe_module(env: Any, name: str, file: str) -> None:
    """Let `scons -h` name module `name`, whose file is `file`, once for each kernel."""
    _describe(env, file, f"  {name:<20}  {file}\n")


def _describe(env: Any, key: str, text: str) -> None:
    if not is_help_wanted(env):
        return
    told: set[str] = env.fs.__dict__.setdefault("kbuildpy_help", set())
    if key not in told:
        told.add(key)
        # (SCons' env.Help() would replace what looks like one of its variables)
        HelpFunction(text)
