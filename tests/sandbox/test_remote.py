"""A session whose other end is hostile: whatever it sends, the session ends in order, and the host stays whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from codeact_bot.errors import CodeactError, FileRefused, SandboxLost
from codeact_bot.sandbox.remote import RemoteSession
from codeact_bot.sandbox.wire import MAX_BODY, PREFIX, Decoder, Frame, encode
from codeact_bot.types import Bounds, Execution, File, Part, Snapshot, Status

DONE = {"status": "ok", "message": "", "state_lost": False, "lost": [], "files": [], "more_files": 0, "seconds": 0.1}
RESULT: dict[str, object] = {"value": None, "error": None, "tables": [], "notes": []}
BOUNDS = Bounds(output=1000, value=100, images=1, image_bytes=100, tables=1, table_rows=2, table_columns=2, files=2, file_bytes=1000)
Answer = Callable[[Frame], bytes]


class Hostile:
    """A channel whose worker greets properly, and answers everything else as the test says."""

    def __init__(self, answer: Answer) -> None:
        self.closed = False
        self._answer = answer
        self._decoder = Decoder()
        self._ready: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        """Answer at once."""
        if self.closed:
            raise SandboxLost("closed")
        for frame in self._decoder.feed(data):
            self._ready.put_nowait(encode(Frame(type="start", id=frame.id)) if frame.type == "start" else self._answer(frame))

    async def receive(self) -> bytes:
        """Return the next answer."""
        return await self._ready.get()

    async def aclose(self) -> None:
        """Note that the session has given up."""
        self.closed = True


class Broken(Hostile):
    """A channel that fails where its end would be."""

    async def receive(self) -> bytes:
        """Return the next answer."""
        if data := await super().receive():
            return data
        raise KeyError("a mistake")


def done(result: object = RESULT, body: bytes | None = None, **fields: object) -> Answer:
    """Answer with a `done` frame in which some things are not as they should be."""
    content = json.dumps(result).encode() if body is None else body
    return lambda frame: encode(Frame(type="done", id=frame.id, fields={**DONE, **fields}, body=content))


def saved(report: object, data: bytes = b"") -> Answer:
    """Answer a snapshot with these bytes and this report."""
    return lambda frame: b"".join(
        encode(Frame(type=kind, id=frame.id, body=body)) for kind, body in (("snapshot", data), ("done", b""), ("saved", json.dumps(report).encode()))
    )


def with_result(**changes: object) -> Answer:
    return done({**RESULT, **changes})


def before_done(kind: str, body: bytes, times: int = 1, **fields: object) -> Answer:
    """Answer with other frames before `done`."""
    return lambda frame: encode(Frame(type=kind, id=frame.id, fields=fields, body=body)) * times + done()(frame)


async def run(answer: Answer) -> tuple[Execution, Hostile, RemoteSession]:
    channel = Hostile(answer)
    session = await RemoteSession.open(channel)
    execution = await session.run("1", seconds=5, bounds=BOUNDS, printed=ignore)
    return execution, channel, session


async def ignore(text: str) -> None:
    """Show nothing."""


TABLE = {"columns": ["a"], "rows": [["1"]], "total_rows": 1, "total_columns": 1}
ERROR = {"type": "E", "message": "m", "traceback": "t", "line": 1}


async def test_proper_answers_are_taken() -> None:
    execution, channel, session = await run(with_result(value="7", tables=[TABLE], error=None, notes=["n"]))
    assert (execution.status, execution.value, execution.tables[0].rows, execution.notes) == (Status.OK, "7", (("1",),), ("n",))
    assert session.alive
    assert not channel.closed
    await session.aclose()
    assert channel.closed


@pytest.mark.parametrize(
    "answer",
    [
        lambda frame: b"\xff" * 100,
        lambda frame: PREFIX.pack(2**31, 2**31),
        lambda frame: encode(Frame(type="done", id=frame.id + 1, fields=DONE)),
        lambda frame: encode(Frame(type="put", id=frame.id)),
        lambda frame: encode(Frame(type="snapshot", id=frame.id, body=b"x")),
        lambda frame: b"",
        done(status="fine"),
        done(status=["ok"]),
        done(state_lost="no"),
        done(lost="abc"),
        done(lost=["x"] * 1000),
        done(lost=[["x"]]),
        done(seconds="1"),
        done(seconds=-1),
        done(seconds=float("inf")),
        done(more_files=-1),
        done(files=[["a", 1]] * 3),
        done(files=[["../a", 1]]),
        done(files=[["/etc/passwd", 1]]),
        done(files=[["a\x00", 1]]),
        done(files=[["a", "1"]]),
        done(files=["ab"]),
        done(body=b"not json"),
        done(body=b"[" * 100_000),
        done([]),
        with_result(value=5),
        with_result(value="x" * 101),
        with_result(notes=["x"] * 101),
        with_result(notes=[1]),
        with_result(error="bad"),
        with_result(error={**ERROR, "type": None}),
        with_result(error={**ERROR, "message": "x" * 100_000}),
        with_result(error={**ERROR, "traceback": 5}),
        with_result(error={**ERROR, "line": "1"}),
        with_result(error={**ERROR, "line": -1}),
        with_result(tables=TABLE),
        with_result(tables=[TABLE, TABLE]),
        with_result(tables=[{**TABLE, "rows": [["1"], ["2"], ["3"]]}]),
        with_result(tables=[{**TABLE, "rows": [["1", "2"]]}]),
        with_result(tables=[{**TABLE, "rows": [[]]}]),
        with_result(tables=[{**TABLE, "rows": [[1]]}]),
        with_result(tables=[{**TABLE, "columns": ["x" * 2000]}]),
        with_result(tables=[{**TABLE, "total_rows": None}]),
        before_done("output", b"x" * 1001),
        before_done("output", b"x" * 100, times=11),
        before_done("output", b"x", cut="many"),
        before_done("image", b"x" * 101),
        before_done("image", b"x", times=2),
        before_done("image", bytes(MAX_BODY)),
        before_done("ping", b""),
    ],
)
async def test_hostile_answers_end_the_session(answer: Answer) -> None:
    execution, channel, session = await run(answer)
    assert (execution.status, execution.state_lost) == (Status.LOST, True)
    assert channel.closed
    assert not session.alive
    with pytest.raises(SandboxLost):
        await session.files()


async def test_unasked_frames_end_the_session() -> None:
    channel = Hostile(lambda frame: done()(frame) + encode(Frame(type="output", id=99, body=b"x")))
    session = await RemoteSession.open(channel)
    await session.run("1", seconds=5, bounds=BOUNDS, printed=ignore)
    while session.alive:
        await asyncio.sleep(0)
    assert channel.closed


@pytest.mark.parametrize("fields", [{"size": "5"}, {"size": -1}, {"error": 5}, {"size": True}])
async def test_hostile_files_end_the_session(fields: Mapping[str, object]) -> None:
    session = await RemoteSession.open(Hostile(lambda frame: encode(Frame(type="get", id=frame.id, fields=fields, body=b"x"))))
    with pytest.raises(SandboxLost):
        await session.get("a", limit=100)
    assert not session.alive


@pytest.mark.parametrize(("size", "body"), [(10**9, b"x"), (5, b""), (1, b"xxx")])
async def test_files_that_do_not_fit_are_refused(size: int, body: bytes) -> None:
    session = await RemoteSession.open(Hostile(lambda frame: encode(Frame(type="get", id=frame.id, fields={"size": size}, body=body))))
    with pytest.raises(FileRefused):
        await session.get("a", limit=100)
    assert session.alive
    await session.aclose()


@pytest.mark.parametrize("body", [b"{}", b"[[1, 2]]", b'[["..", 2]]', b'[["a"]]', b"\xff", json.dumps([["a", 1]] * 1001).encode()])
async def test_hostile_listings_end_the_session(body: bytes) -> None:
    session = await RemoteSession.open(Hostile(lambda frame: encode(Frame(type="list", id=frame.id, body=body))))
    with pytest.raises(SandboxLost):
        await session.files()
    assert not session.alive


async def test_endless_snapshot_is_refused() -> None:
    endless = encode(Frame(type="snapshot", id=2, body=bytes(1000)))
    session = await RemoteSession.open(Hostile(lambda frame: endless * 20 if frame.type == "snapshot" else b""))
    with pytest.raises(CodeactError):
        await session.snapshot(limit=10_000)
    await session.aclose()


@pytest.mark.parametrize("report", [[], {"names": 5}, {"names": [5]}, {"dropped": "x"}, {"error": 5}])
async def test_hostile_reports_end_the_session(report: object) -> None:
    session = await RemoteSession.open(Hostile(saved(report)))
    with pytest.raises(SandboxLost):
        await session.snapshot(limit=1000)
    assert not session.alive


async def test_silent_worker_is_given_up() -> None:
    channel = Hostile(lambda frame: encode(Frame(type="output", id=frame.id, body=b"x")))
    session = await RemoteSession.open(channel, patience=0.05)
    execution = await session.run("1", seconds=0.05, bounds=BOUNDS, printed=ignore)
    assert (execution.status, execution.output) == (Status.LOST, "x")
    assert execution.error is not None
    assert "stopped answering" in execution.error.message
    assert channel.closed


async def test_calls_are_answered_that_there_are_no_tools() -> None:
    returned = []

    def answer(frame: Frame) -> bytes:
        if frame.type == "return":
            returned.append(frame.body)
            return done()(frame)
        return encode(Frame(type="call", id=frame.id, body=b"{}"))

    execution, _, session = await run(answer)
    assert execution.status is Status.OK
    assert returned == [b'{"error":"there are no tools here"}']
    await session.aclose()


def state(data: bytes, *parts: object) -> Callable[[Frame], bytes]:
    """Answer a snapshot with these bytes, announced as these parts."""
    return saved({"names": ["a"], "parts": list(parts)}, data)


async def test_snapshot_is_opaque_to_the_host() -> None:
    """Bytes that would run code when unpickled pass through unread."""
    evil = Part.of(b"cos\nsystem\n(S'false'\ntR.")
    assert evil.data is not None
    session = await RemoteSession.open(Hostile(state(evil.data, [evil.size, evil.digest, True])))
    assert await session.snapshot(limit=1000) == Snapshot(parts=(evil,), names=("a",))
    await session.aclose()


KNOWN = Part.of(b"known")


async def test_a_known_part_comes_without_its_bytes() -> None:
    session = await RemoteSession.open(Hostile(state(b"", [KNOWN.size, KNOWN.digest, False])))
    assert (await session.snapshot(limit=1000, known=[KNOWN.digest])).parts == (replace(KNOWN, data=None),)
    await session.aclose()


@pytest.mark.parametrize(
    "parts",
    [
        [[5, "0" * 64, True]],
        [[5, KNOWN.digest, False]],
        [[4, KNOWN.digest, True]],
        [[6, KNOWN.digest, True]],
        [],
        [[5, KNOWN.digest, True], [5, KNOWN.digest, True]],
        [[-5, KNOWN.digest, True]],
        [[5, "x" * 1000, True]],
        [5],
        [[5, KNOWN.digest]],
        [[5, KNOWN.digest, True]] * 1001,
        {"a": 1},
    ],
)
async def test_parts_that_are_not_what_was_announced_end_the_session(parts: Any) -> None:
    data = b"" if parts and isinstance(parts, list) and isinstance(parts[0], list) and parts[0][2:] == [False] else b"known"
    channel = Hostile(saved({"parts": parts}, data))
    session = await RemoteSession.open(channel)
    with pytest.raises(SandboxLost):
        await session.snapshot(limit=1000)
    assert not session.alive


async def test_file_without_bytes_is_refused() -> None:
    session = await RemoteSession.open(Hostile(lambda frame: encode(Frame(type="put", id=frame.id))))
    with pytest.raises(FileRefused, match="no bytes"):
        await session.put(File(name="a", size=1, digest=""))
    await session.put(File.of("a", b"x"))
    await session.aclose()


async def test_a_channel_that_fails_in_a_way_of_its_own_ends_the_session(caplog: pytest.LogCaptureFixture) -> None:
    channel = Broken(lambda frame: b"")
    session = await RemoteSession.open(channel)
    execution = await session.run("1", seconds=5, bounds=BOUNDS, printed=ignore)
    assert execution.status is Status.LOST
    assert (session.alive, channel.closed) == (False, True)
    assert "a mistake" in caplog.text
