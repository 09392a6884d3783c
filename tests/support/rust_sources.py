# SPDX-License-Identifier: GPL-2.0-only
"""Modules in Rust, alone and together with C, for a kernel with Rust (`rust_kernels`)."""

from __future__ import annotations

from pathlib import Path

MINIMAL = {
    "Kbuild": "obj-m := counting.o\n",
    "counting.rs": """// SPDX-License-Identifier: GPL-2.0-only

//! Counts to a number that a parameter names.

use kernel::prelude::*;

module! {
    type: Counting,
    name: "counting",
    authors: ["kbuildpy"],
    description: "counts to a number",
    license: "GPL",
    params: {
        last: i64 {
            default: 3,
            description: "The last number",
        },
    },
}

struct Counting {
    counted: KVec<i64>,
}

impl kernel::Module for Counting {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut counted = KVec::new();
        for number in 1..=module_parameters::last.value() {
            counted.push(number, GFP_KERNEL)?;
        }
        pr_info!("counted to {}\\n", counted.len());
        Ok(Self { counted })
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        pr_info!("forgets {:?}\\n", &self.counted[..]);
    }
}
""",
}
"""The least that does something: a parameter, memory, and lines in the log."""

PAIR = {
    "Kbuild": "obj-m := pair.o user.o\npair-y := main.o exported.o\n",
    "pair.h": "int pair_add(int a, int b);\nint pair_twice(int a);\n",
    "main.rs": """// SPDX-License-Identifier: GPL-2.0-only

//! A module of Rust and C: each calls the other.

use kernel::prelude::*;

mod sums;

module! {
    type: Pair,
    name: "pair",
    authors: ["kbuildpy"],
    description: "Rust and C in one module",
    license: "GPL",
}

unsafe extern "C" {
    fn pair_twice(a: c_int) -> c_int;
}

struct Pair;

impl kernel::Module for Pair {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: it only calculates.
        let twice = unsafe { pair_twice(21) };
        pr_info!("twice 21 is {}, with debug {}\\n", twice, cfg!(CONFIG_DEBUG_KERNEL));
        Ok(Pair)
    }
}
""",
    "sums.rs": """// SPDX-License-Identifier: GPL-2.0-only

//! What C calls.

use kernel::prelude::*;

/// The sum of two numbers.
#[no_mangle]
pub(crate) extern "C" fn pair_add(a: c_int, b: c_int) -> c_int {
    a.wrapping_add(b)
}
""",
    "exported.c": """// SPDX-License-Identifier: GPL-2.0-only
#include <linux/export.h>
#include "pair.h"
int pair_twice(int a) { return pair_add(a, a); }
EXPORT_SYMBOL_GPL(pair_twice);
EXPORT_SYMBOL_GPL(pair_add);
""",
    "user.rs": """// SPDX-License-Identifier: GPL-2.0-only

//! Uses what the other module exports.

use kernel::prelude::*;

module! {
    type: User,
    name: "user",
    authors: ["kbuildpy"],
    description: "uses the other module",
    license: "GPL",
}

unsafe extern "C" {
    fn pair_add(a: c_int, b: c_int) -> c_int;
}

struct User;

impl kernel::Module for User {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: it only calculates.
        pr_info!("2 and 3 are {}\\n", unsafe { pair_add(2, 3) });
        Ok(User)
    }
}
""",
}
"""Two modules: one of Rust and C, which exports a function of each, and one in Rust that uses it."""

BINDINGS = {
    "Kbuild": """obj-m := bound.o
$(obj)/bound.o: $(obj)/numbers.rs
quiet_cmd_own_bindgen = BINDGEN $@
      cmd_own_bindgen = $(BINDGEN) $< --use-core --no-layout-tests -o $@ 2>/dev/null
$(obj)/numbers.rs: $(src)/numbers.h FORCE
	$(call if_changed,own_bindgen)
targets += numbers.rs
""",
    "numbers.h": "#define NUMBER 42\nstruct numbers { int one; long two; };\n",
    "bound.rs": """// SPDX-License-Identifier: GPL-2.0-only

//! Has the types of a header of its own.

use kernel::prelude::*;

#[allow(missing_docs, non_camel_case_types, dead_code, unreachable_pub)]
mod numbers;

module! {
    type: Bound,
    name: "bound",
    authors: ["kbuildpy"],
    description: "has bindings of its own",
    license: "GPL",
}

struct Bound;

impl kernel::Module for Bound {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let size = size_of::<numbers::numbers>();
        pr_info!("the number is {}, the size {}\\n", numbers::NUMBER, size);
        Ok(Bound)
    }
}
""",
}
"""A module whose Kbuild file lets bindgen write a source."""


def lay_out(sources: dict[str, str], place: Path) -> None:
    """Write `sources` into the directory `place`."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (place / name).write_text(text)
