"""Freed memory stays with a process that makes large arrays again and again: one that trains, or harmonises.

glibc gives the end of its heap back to the kernel when more than twice the largest freed block lies free there, which
happens in every training step; the next step takes a page fault for every 4 KiB of it.
"""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # mallopt takes no more (HEAP_MAX_SIZE / 2)
NEVER = -1
OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


DASKS_SETTING = ("MALLOC_TRIM_THRESHOLD_", "65536")
"""What Dask gives to every worker. It also ends glibc's own choice of what comes from the kernel anew each time: every
array above 128 KiB then does, and an ingest takes twice as long."""


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed for the next step; other C libraries, and settings of yours, are left alone.

    It holds for the whole process until it ends. Blocks above 32 MiB still come from the kernel and go back at once.

    Returns
    -------
    bool
        Whether the allocator was told.
    """
    yours = [
        name for name in OWN_SETTINGS if name in os.environ and (name, os.environ[name]) != DASKS_SETTING
    ]
    if not _is_glibc() or yours:
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and mallopt(M_TRIM_THRESHOLD, NEVER))


def _is_glibc() -> bool:
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}):
        return False
    return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
