"""load_module() in Python: what would the kernel say to this module?

`load_module` calls the stages (`stages/`, and `parameters/` among them) one after the other, in the kernel's order;
`since` is what varies by version. `btf/` reads type information. `load_info` is the module on its way, `verdict` the
answer, `printk` how a line comes out in the log.

What is known of a kernel is a value (`kernel`), from its tree or its image (`kernels/`).

The modules that are loaded, and how they go again: `lifecycle/`. `check` asks many kernels about many files, and
`reports/` say what came of it.
"""
