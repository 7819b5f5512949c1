"""Reads files up to a size limit, and replaces files atomically."""

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # some network file systems lack fsync


class UnsuitableFileError(Exception):
    """The path does not lead to a file of moderate size. The message completes a sentence: "is not ..."."""


def read_file(path: str | os.PathLike[str], limit: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file of at most `limit` bytes, and its status.

    UnsuitableFileError for a device, a FIFO, a directory or a larger file: the call neither waits for these
    nor reads them into memory. OSError if the file can't be read.
    """
    # Opening a FIFO would wait for a writer. Windows has neither the flag nor named FIFOs.
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, name, 0)
    number = os.open(path, flags)
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)  # of the open file, since the path may lead elsewhere by now
        if not stat.S_ISREG(status.st_mode):
            raise UnsuitableFileError("is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UnsuitableFileError(f"is larger than {limit:,} bytes")
    return data, status


def replace_file(path: Path, data: bytes) -> None:
    """Replace the content of the file, readable by its owner only; OSError if that fails.

    When this returns, the data is on disk. A crash or a power cut before that leaves the old content or the
    new, never a mixture: the data is written to a new file and synced before the rename.
    """
    number, temporary = _temporary(path)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            _sync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  # the temporary name is a str
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    _sync_directory(path.parent)


def check_replaceable(path: Path) -> None:
    """Raise the OSError that `replace_file` would raise for a missing directory or permission.

    This creates and removes a file, since permission bits alone are not conclusive.
    """
    number, temporary = _temporary(path)
    os.close(number)
    os.unlink(temporary)  # noqa: PTH108


def _temporary(path: Path) -> tuple[int, str]:
    # In the same directory, because a rename can't cross file systems. mkstemp sets mode 0600.
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _sync_directory(directory: Path) -> None:
    """Sync the new name of a file to disk too, where a directory can be opened (not on Windows)."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        return
    with suppress(OSError):  # the file itself is on disk already
        number = os.open(directory, os.O_RDONLY | flag)
        try:
            os.fsync(number)
        finally:
            os.close(number)
