"""What the check knows about a kernel, and where from.

`open` finds the kernels that somebody names. `from_tree` asks a kernel tree, `from_image` an image and the modules that
came with it (`shipped`), with what an unpacked kernel says itself (`vmlinux`); `exports` are its symbols, `keys` the
certificates that are built in.
"""
