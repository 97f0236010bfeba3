"""The sandbox image: its tag, what it is built from, and building or downloading it with progress."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import tarfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import DockerException, ImageNotFound

from codeact_bot.errors import ImageUnavailable
from codeact_bot.ports import Progress
from codeact_bot.types import Preparing

HERE = Path(__file__).parent
PARTS = HERE / "image"
DOCKERFILE = next((path for path in (PARTS / "Dockerfile", HERE.parents[1] / "Dockerfile") if path.exists()), PARTS / "Dockerfile")
"""In an installed package beside the other parts, in a checkout at its root."""
STEP = re.compile(r"Step (\d+)/(\d+) :")
LAST_LINES = 4
"""Lines of the build's output that an error quotes."""
OTHER_IMAGES = (
    "Set CODEACT_BASE_IMAGE to an image with Python that this machine has or can download, "
    "or CODEACT_IMAGE to any image with Python 3.9 or newer, to be used as it is."
)


def tag_for(base_image: str) -> str:
    """Name the image after what it is built from, so that any change builds a new one."""
    digest = hashlib.sha256(repr((base_image, sandbox_stage())).encode())
    for path in parts():
        digest.update(path.read_bytes())
    return f"codeact-bot-sandbox:{digest.hexdigest()[:12]}"


def sandbox_stage() -> str:
    """Return the Dockerfile up to the end of its first stage."""
    return "FROM ".join(re.split(r"(?m)^FROM ", DOCKERFILE.read_text())[:2])


def parts() -> list[Path]:
    """List the files that go into the image."""
    return sorted(path for path in PARTS.iterdir() if path.suffix in (".py", ".txt"))


def context() -> io.BytesIO:
    """Pack the Dockerfile and the parts as the build wants them; equal contents give equal bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, "Dockerfile", sandbox_stage().encode())
        for path in parts():
            _add(tar, f"codeact_bot/sandbox/image/{path.name}", path.read_bytes())
    packed.seek(0)
    return packed


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    tar.addfile(entry, io.BytesIO(data))


def ensure(client: APIClient, image: str, base_image: str, progress: Progress) -> dict[str, Any]:
    """Return the engine's record of the image, once it is there: the project's own is built, any other downloaded.

    Raises ImageUnavailable.
    """
    with contextlib.suppress(ImageNotFound):
        return _record(client, image)
    if image == tag_for(base_image):
        build(client, image, base_image, progress)
    else:
        pull(client, image, progress)
    return _record(client, image)


def _record(client: APIClient, image: str) -> dict[str, Any]:
    record: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    return record


def build(client: APIClient, tag: str, base_image: str, progress: Progress) -> None:
    """Build the project's own image. Raises ImageUnavailable."""
    label = "Building the sandbox image"
    progress(Preparing(label=label, fraction=0.0))
    lines: deque[str] = deque(maxlen=LAST_LINES)
    arguments = {"BASE_IMAGE": base_image} if base_image else {}
    stream = client.build(
        fileobj=context(), custom_context=True, tag=tag, target="sandbox", buildargs=arguments, rm=True, forcerm=True, decode=True
    )
    try:
        for line in _text(stream):
            lines.append(line)
            step = STEP.match(line)
            if step:
                progress(Preparing(label=label, fraction=(int(step[1]) - 1) / int(step[2])))
    except _Failed as error:
        context_lines = " / ".join(line for line in lines if line not in str(error))
        raise ImageUnavailable(f"Could not build the sandbox image: {error} (after: {context_lines}). {OTHER_IMAGES}") from None
    progress(Preparing(label=label, fraction=1.0))


def pull(client: APIClient, image: str, progress: Progress) -> None:
    """Download an image. Raises ImageUnavailable."""
    label = f"Downloading the image {image}"
    progress(Preparing(label=label))
    try:
        layers: dict[str, tuple[int, int]] = {}
        for item in client.pull(image, tag=None if ":" in image.rpartition("/")[2] else "latest", stream=True, decode=True):
            if "error" in item:
                raise DockerException(str(item["error"]))
            detail = item.get("progressDetail") or {}
            if item.get("status") == "Downloading" and detail.get("total"):
                layers[item["id"]] = (detail["current"], detail["total"])
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress(Preparing(label=label, fraction=min(done / total, 0.99)))
    except DockerException as error:
        reason = getattr(error, "explanation", None) or str(error)
        raise ImageUnavailable(f"The image {image} is not here and could not be downloaded: {reason}. {OTHER_IMAGES}") from None
    progress(Preparing(label=label, fraction=1.0))


class _Failed(Exception):
    """The engine reported that the build failed."""


def _text(stream: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a build's output. Raises _Failed."""
    for item in stream:
        if "error" in item:
            raise _Failed(str(item["error"]).strip().rstrip("."))
        yield from filter(None, map(str.strip, str(item.get("stream") or item.get("status") or "").splitlines()))
