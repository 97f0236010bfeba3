"""Forms with files, refused as soon as they are too large, not after they have been taken in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adapters.common.files import free_name
from adapters.render import size_text
from codeact_bot.types import File

FILES = 20
"""Files of one question."""
FIELDS = 10
TEXT = 1024 * 1024
"""Bytes of one field."""
TOO_LARGE = "{} is larger than {}, which is as much as one file may have."
NO_FORM = "This is not a form that can be read: {}"


class _Parser(MultiPartParser):
    """Reads a form, and stops where a file grows too large."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(request.headers, request.stream(), max_files=FILES, max_fields=FIELDS, max_part_size=TEXT)
        self._limit = limit
        self._taken = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._taken = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._taken += end - start
        if self._current_part.file is not None and self._taken > self._limit:
            name = free_name(self._current_part.file.filename or "", ())
            raise HTTPException(413, TOO_LARGE.format(name, size_text(self._limit)))
        super().on_part_data(data, start, end)


@asynccontextmanager
async def form_of(request: Request, limit: int) -> AsyncIterator[FormData]:
    """Read a form whose files have at most `limit` bytes each. Raises HTTPException."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with request.form(max_files=FILES, max_fields=FIELDS, max_part_size=TEXT) as form:
            yield form
        return
    try:
        form = await _Parser(request, limit).parse()
    except MultiPartException as error:
        raise HTTPException(400, NO_FORM.format(error.message)) from error
    try:
        yield form
    finally:
        await form.close()


async def files_of(form: FormData, field: str = "files") -> tuple[File, ...]:
    """Read the files of a form, each under a name of its own."""
    files: dict[str, Any] = {}
    for upload in form.getlist(field):
        if isinstance(upload, UploadFile) and upload.filename:
            name = free_name(upload.filename, files)
            files[name] = File.of(name, await upload.read())
    return tuple(files.values())
