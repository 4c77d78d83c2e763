"""``files``: list and fetch what lies below the folders that the settings name.

A fetch sends the bytes from ``offset`` on as output of the stream ``base64``, each piece base64 in itself, and ends
with ``end`` and ``sha256``, which is that of all the file's bytes before ``end``: who keeps the pieces can check what
there is so far, and goes on with ``offset`` = ``end`` until ``complete``. A file that was changed meanwhile gives
another ``sha256`` than what was kept.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from typing import Annotated, Any, Final, Literal

import msgspec

from agent.commands.base import Answer, FailedError, Host, RefusedError, Request
from agent.folders import OutsideError, opened
from agent.threads import in_thread

#: Of one output reply, before base64; brokers take 256 KiB as we set them up.
_PIECE_BYTES: Final = 48 << 10
_READ_BYTES: Final = 1 << 20
_MOST_ENTRIES: Final = 1000
#: Of the names in one list.
_MOST_CHARACTERS: Final = 100_000
_KINDS: Final = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))


class FilesArgs(msgspec.Struct, forbid_unknown_fields=True):
    """What to do, and with which path."""

    #: Absolute.
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    action: Literal["list", "fetch"] = "list"
    #: Where a fetch begins, in bytes.
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    #: Bytes to fetch at most; as many as the node gives when left out.
    length: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    #: A list begins after this name.
    after: str = ""


async def files(host: Host, request: Request, args: FilesArgs) -> Answer:
    """List a folder, or send a file."""
    try:
        if args.action == "list":
            return await in_thread("files", lambda: _list(host, args))
        return await _fetch(host, request, args)
    except OutsideError as error:
        raise RefusedError(str(error)) from error
    except OSError as error:
        raise FailedError(f"{args.path}: {error.strerror or error}") from error


def _list(host: Host, args: FilesArgs) -> Answer:
    entries: list[dict[str, Any]] = []
    characters = 0
    with opened(args.path, host.settings.files.folders, folder=True) as folder:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208  by descriptor
            if _plain(name) <= args.after:
                continue
            if len(entries) == _MOST_ENTRIES or characters > _MOST_CHARACTERS:
                return Answer({"path": args.path, "entries": entries, "complete": False})
            try:
                about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:  # gone meanwhile
                continue
            kind = next((kind for test, kind in _KINDS if test(about.st_mode)), "other")
            entry: dict[str, Any] = {"name": _plain(name), "kind": kind, "modified": about.st_mtime_ns // 1_000_000}
            entries.append({**entry, "size": about.st_size} if kind == "file" else entry)
            characters += len(entry["name"])
    return Answer({"path": args.path, "entries": entries, "complete": True})


async def _fetch(host: Host, request: Request, args: FilesArgs) -> Answer:
    most = min(args.length or host.settings.files.max_bytes, host.settings.files.max_bytes)
    digest = hashlib.sha256()
    with opened(args.path, host.settings.files.folders) as file:
        about = os.fstat(file)
        if args.offset > about.st_size:
            raise RefusedError(f"offset = {args.offset}: the file has {about.st_size} bytes")
        await _digest(file, args.offset, digest)
        at, end = args.offset, min(args.offset + most, about.st_size)
        while at < end:
            wanted = min(_PIECE_BYTES, end - at)
            piece = await in_thread("files", lambda at=at, wanted=wanted: os.pread(file, wanted, at))  # type: ignore[misc]  # mypy has no types for defaults of a lambda
            if not piece:
                break
            digest.update(piece)
            at += len(piece)
            request.facts["end"] = at
            await request.output("base64", base64.b64encode(piece).decode())
        size = os.fstat(file).st_size
    return Answer(
        {
            "path": args.path,
            "size": size,
            "modified": about.st_mtime_ns // 1_000_000,
            "offset": args.offset,
            "end": at,
            "sha256": digest.hexdigest(),
            "complete": at == size,
        }
    )


async def _digest(file: int, up_to: int, digest: hashlib._Hash) -> None:
    """Take what comes before a fetch that goes on."""
    for at in range(0, up_to, _READ_BYTES):
        wanted = min(_READ_BYTES, up_to - at)
        digest.update(await in_thread("files", lambda at=at, wanted=wanted: os.pread(file, wanted, at)))  # type: ignore[misc]  # as above


def _plain(name: str) -> str:
    """A name that can travel as UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
