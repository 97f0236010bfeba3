"""Frames survive the wire, and junk is recognised as such: nothing but ProtocolViolated comes of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from codeact_bot.errors import FileRefused, ProtocolViolated
from codeact_bot.sandbox.bootstrap import worker_command
from codeact_bot.sandbox.wire import MAX_BODY, MAX_HEADER, PREFIX, TYPES, Decoder, Frame, check_name, document, encode, refusal
from codeact_bot.sandbox.worker import frames

LEAVES = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text()
VALUES = some.recursive(LEAVES, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3), max_leaves=8)
FIELDS = some.dictionaries(some.text().filter(lambda name: name not in ("type", "id")), VALUES, max_size=4)
FRAMES = some.builds(
    Frame, type=some.sampled_from(sorted(TYPES)), id=some.integers(0, 2**53), fields=FIELDS, body=some.binary(max_size=200)
)


@given(some.lists(FRAMES, max_size=5), some.integers(1, 50))
def test_frames_survive_in_pieces_of_any_size(sent: list[Frame], size: int) -> None:
    stream = b"".join(map(encode, sent))
    decoder = Decoder()
    received = [frame for start in range(0, len(stream), size) for frame in decoder.feed(stream[start : start + size])]
    assert received == sent


@given(some.lists(FRAMES, max_size=5))
def test_worker_reads_and_writes_the_same_frames(sent: list[Frame]) -> None:
    buffer = bytearray(b"".join(map(encode, sent)))
    for frame in sent:
        header, body = frames.decode(buffer) or ({}, b"")
        assert (header.pop("type"), header.pop("id"), header, body) == (frame.type, frame.id, frame.fields, frame.body)
    assert frames.decode(buffer) is None
    written = b"".join(frames.encode(frame.type, frame.id, frame.body) for frame in sent)
    assert [(frame.type, frame.id, frame.body) for frame in Decoder().feed(written)] == [(frame.type, frame.id, frame.body) for frame in sent]


@given(some.binary(max_size=300))
def test_junk_never_crashes(junk: bytes) -> None:
    try:
        received = Decoder().feed(junk)
    except ProtocolViolated:
        return
    assert all(frame.type in TYPES for frame in received)


@given(VALUES | some.binary(max_size=50), some.binary(max_size=20))
def test_headers_that_are_no_headers_are_violations(header: object, body: bytes) -> None:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    with pytest.raises(ProtocolViolated):
        Decoder().feed(PREFIX.pack(len(data), len(body)) + data + body)


@pytest.mark.parametrize("lengths", [(MAX_HEADER + 1, 0), (0, MAX_BODY + 1), (2**32 - 1, 2**32 - 1)])
def test_oversized_frames_are_refused_before_they_arrive(lengths: tuple[int, int]) -> None:
    with pytest.raises(ProtocolViolated):
        Decoder().feed(PREFIX.pack(*lengths))


@pytest.mark.parametrize(
    "header",
    [
        b'{"type":"nonsense","id":1}',
        b'{"type":["done"],"id":1}',
        b'{"type":"done"}',
        b'{"type":"done","id":-1}',
        b'{"type":"done","id":true}',
        b'{"type":"done","id":1.0}',
        b'{"type":"done","id":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_ill_typed_headers_are_violations(header: bytes) -> None:
    with pytest.raises(ProtocolViolated):
        Decoder().feed(PREFIX.pack(len(header), 0) + header)


@given(VALUES)
def test_fields_are_what_they_are_said_to_be(value: object) -> None:
    frame = Frame(type="done", id=1, fields={"f": value})
    for read in (
        lambda: frame.text("f"),
        lambda: frame.count("f"),
        lambda: frame.flag("f"),
        lambda: frame.texts("f", most=2),
        lambda: frame.sizes("f", most=2),
    ):
        try:
            read()
        except ProtocolViolated:
            continue


@given(some.binary(max_size=100))
def test_documents_are_objects_or_violations(body: bytes) -> None:
    try:
        assert isinstance(document(body), dict)
    except ProtocolViolated:
        pass


@given(some.text(max_size=40))
def test_accepted_names_stay_inside(name: str) -> None:
    if refusal(name):
        with pytest.raises(FileRefused):
            check_name(name)
        return
    assert not name.startswith("/")
    assert not {"", ".", ".."} & set(name.split("/"))
    assert not {"\0", "\n"} & set(name)


def test_worker_fits_into_one_argument_and_needs_no_package() -> None:
    command = worker_command(sys.executable)
    assert max(map(len, command)) < 100 * 1024
    start = encode(Frame(type="start", id=1)) + encode(Frame(type="ping", id=2))
    ended = subprocess.run(command, input=start, capture_output=True, check=True, cwd="/", env={}, timeout=60)
    assert [(frame.type, frame.id) for frame in Decoder().feed(ended.stdout)] == [("start", 1), ("ping", 2)]
    assert ended.stderr == b""
