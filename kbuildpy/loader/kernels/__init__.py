"""Where the facts about a kernel come from.

`from_tree` asks a kernel tree, `from_image` reads an image and the modules that came with it (`shipped`). `vmlinux`
reads an unpacked kernel, `own_types` its type information, `keys` its certificates; `exports` are its symbols.
"""
