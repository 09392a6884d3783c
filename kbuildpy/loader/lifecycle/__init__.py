"""The modules that are loaded, as a model: `loaded` is the kernel's list, `unload` what takes one out, `procfs` how it
is shown. `script` is a sequence of commands, each of which comes to a `step`; `modprobe` is the one that finds what it
needs itself.
"""
