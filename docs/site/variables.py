# SPDX-License-Identifier: GPL-2.0-only
"""What the variables mean that `scons` and `kbuildpy build` know. The names are the SCons tool's own list."""

from __future__ import annotations

_PROGRAM = "The program for it, in place of the one that the kernel tree chooses."

MEANINGS = {
    "KDIR": "The kernel tree to build for. Without it, the running kernel's, else the newest one installed.",
    "KERNELRELEASE": "The same by its release.",
    "KBUILD_OUT": "The output directory (build); each kernel's modules are in a folder with its release.",
    "ARCH": "The architecture to build for, where the tree is for another one than this machine.",
    "CROSS_COMPILE": "The prefix of the compiler's programs, such as aarch64-linux-gnu-.",
    "LLVM": "1: clang and LLVM's programs; -16: those of that version; a path: those in that directory.",
    "LLVM_IAS": "0: assemble with the GNU assembler where the compiler is clang.",
    "V": "1: print whole commands; 2: say why each file is made.",
    "W": "More warnings, as make's W=1, W=2, W=3, several digits, and e for errors.",
    "C": "1: run sparse over what is compiled; 2: over all sources.",
    "CF": "More words for sparse.",
    "CHECK": "The checker that C= runs, as with make. CHECK=0 leaves out the loader check that ends every build.",
    "KBUILD_TRACE": "Write what happened when, and who waited for what: FILE.json for Perfetto, FILE.html, FILE.svg.",
    "KCFLAGS": "More flags for the C compiler.",
    "KCPPFLAGS": "More flags for the preprocessor.",
    "KAFLAGS": "More flags for assembly.",
    "KRUSTFLAGS": "More flags for rustc.",
    "CFLAGS_MODULE": "Flags for the C compiler, for modules.",
    "AFLAGS_MODULE": "Flags for assembly, for modules.",
    "RUSTFLAGS_MODULE": "Flags for rustc, for modules.",
    "LDFLAGS_MODULE": "Flags for the linker that makes the .ko.",
    "CC": "The C compiler. A wrapper such as `ccache gcc` works.",
    "LD": f"The linker. {_PROGRAM}",
    "AR": f"The archiver. {_PROGRAM}",
    "NM": f"The lister of symbols. {_PROGRAM}",
    "STRIP": f"Strips modules when they are installed. {_PROGRAM}",
    "OBJCOPY": f"Changes object files. {_PROGRAM}",
    "OBJDUMP": f"Shows object files (x.lst). {_PROGRAM}",
    "READELF": f"Shows ELF files. {_PROGRAM}",
    "PAHOLE": f"Makes type information (BTF). {_PROGRAM}",
    "HOSTCC": "The compiler for programs that run on this machine during the build.",
    "HOSTCFLAGS": "Flags for such programs.",
    "HOSTLDFLAGS": "Flags for linking them.",
    "HOSTLDLIBS": "Libraries for them.",
    "RUSTC": "rustc, which must be the version that the kernel was built with.",
    "RUSTDOC": f"rustdoc. {_PROGRAM}",
    "RUSTFMT": f"rustfmt, which formats x.rsi. {_PROGRAM}",
    "CLIPPY_DRIVER": f"clippy's driver. {_PROGRAM}",
    "BINDGEN": f"bindgen, for a Kbuild file's own bindings. {_PROGRAM}",
    "HOSTRUSTC": "rustc for programs that run on this machine during the build.",
    "CLIPPY": "1: compile with clippy.",
    "KBUILD_EXTRA_SYMBOLS": "Module.symvers files of other modules, whose symbols these use.",
    "KBUILD_MODPOST_WARN": "1: build although no module exports a symbol that is used.",
    "KBUILD_MODPOST_NOFINAL": "1: stop before the final link.",
    "KBUILD_SIGN_PIN": "The passphrase of the key that signs, in the environment alone. What is run does not get it.",
    "KBUILD_BUILD_TIMESTAMP": "The time for the build. Under make, it has one thread make the type information.",
    "BTF_THREADS": "1: run pahole with as many threads as make does without a time stamp.",
    "FAST": "1: compile behind precompiled headers. Quicker, and other bytes: for development.",
    "COVERAGE": "1: instrumented modules, in an output directory of their own.",
    "INSTALL_MOD_PATH": "The root below which modules are installed.",
    "INSTALL_MOD_DIR": "The folder below /lib/modules/RELEASE for them (updates; extra up to 5.18).",
    "INSTALL_MOD_STRIP": "1: strip debugging information when they are installed; else options for strip.",
}
"""Each variable of the SCons tool's list, and what it means."""

OF_THE_ENVIRONMENT = {
    "KBUILDPY_CACHE": "The user's cache (~/.cache/kbuildpy): answers of kernel trees, kept verdicts, fetched kernels.",
    "KBUILDPY_SHARED_CACHE": "The address of a shared cache of built files, as --cache.",
    "KBUILDPY_CACHE_KEY": "The key that entries of the shared cache are signed with, as --cache-key.",
    "SOURCE_DATE_EPOCH": "The time for packages, as seconds since 1970.",
    "DEBFULLNAME": "The name of a package's maintainer, with DEBEMAIL.",
    "DEBEMAIL": "The address of a package's maintainer.",
    "DEBUGINFOD_CACHE_PATH": "Where debuginfod's client keeps debug information, which `decode` reads.",
    "XDG_CACHE_HOME": "The folder of the user's caches, where KBUILDPY_CACHE is not set.",
}
"""Variables that are read from the process's environment alone."""
