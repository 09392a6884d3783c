# SPDX-License-Identifier: GPL-2.0-only
"""The shared cache: what builds of several machines take from one place, and what keeps that sound.

- `entry`: the files that one action of a build made, with what they were made from, as bytes with a digest and, with a
  key, a signature. `entry_key`: that key.
- `store`: what holds entries. `directory_store`, `fsspec_store` (S3, HTTP and what else fsspec knows), `redis_store`;
  `open_store` chooses by the address, `address` checks and shows it.
- `courier`: a process of its own that talks to the store, so that a server that hangs, dies or lies cannot hold up the
  build. `shared_cache`: the build's side of it, which gives up a store that costs more than it saves.
- `contents`: digests of files' contents, and of all headers of a kernel tree, remembered.
- `clean`: bounds the size of a store.
"""
