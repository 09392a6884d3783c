"""What Kbuild would do, asked through GNU make, and the steps that carry it out.

- The questions: makefiles of ours (`mk/`) include those of the kernel tree, and print commands in place of running
  them. One question is about the tree, for every module; one about a module directory; one about installing. Each
  answer is cached by all that it depends on.
- The answer as a value: `plan` (modules, objects, steps), and `layout`, where its files really are. A module that is
  declared in an SConstruct becomes a Kbuild file first (`declared`).
- A Kbuild file's own rules run below an `overlay`, or in a copy of the directory.
- The steps: `compile` runs those of an object, `command` their shell text; `precompiled` compiles the common headers of
  `.mod.c` files once.
- Is an object up to date? Its record (`.NAME.o.cmd`) says what it was made from; `freshness` finds the objects that a
  changed header or CONFIG_ symbol makes stale.
- vermagic and `struct module` of the tree's kernel come from the tree's compiler, through a probe.
"""
