"""Files that the command line names: read within a bound, and only if they are files."""

import os
import stat


class UnfitFileError(Exception):
    """What a path leads to is not read; the text says why, as the end of a sentence."""


def read_file(path: str | os.PathLike[str], most: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file of at most `most` bytes, and its status.

    `UnfitFileError` for a device, a FIFO, a folder, or a larger file: none of them is waited for, or held.
    OSError if it can't be read.
    """
    # Opening a FIFO would wait for a writer; Windows has neither the flag nor named FIFOs.
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    number = os.open(path, flags)
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise UnfitFileError("is no regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise UnfitFileError(f"is larger than {most:,} bytes")
    return data, status
