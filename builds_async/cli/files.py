"""Files that the command line names: read within a bound, and only if they are files."""

import os
import stat


class UnfitFileError(Exception):
    """What a path leads to is not read; the text says why, as the end of a sentence."""


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes.

    `UnfitFileError` for a device, a FIFO, a folder, or a larger file: none of them is waited for, or held.
    OSError if it can't be read.
    """
    # Opening a FIFO would wait for a writer; Windows has neither the flag nor named FIFOs.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise UnfitFileError("is no regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise UnfitFileError(f"is larger than {most:,} bytes")
    return data
