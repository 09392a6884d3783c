"""What modules are built against and loaded into: kernel trees, images, and the modules installed for each kernel.

- Which kernel is meant: the resolver turns `-k`, KDIR and KERNELRELEASE into kernels, each with the reason.
- A kernel tree as values: `tree`, its `config`, `architecture`, `compiler`, `symvers` (with an index), `modversions`,
  `signing_policy`, `btf`, and the parts that it lacks (`completeness`).
- An installed kernel: its `image`, its own modules (`own_modules`), and depmod's lists of their names and their order.
- For all rooms: the user's `cache`, the order of releases (`release`), errnos by name (`errnos`), the package for a
  missing piece (`packages`).
"""
