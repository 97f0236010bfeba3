"""Nothing that a sandbox prints may break a write."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import bson
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st

from codeact_bot.store import documents
from codeact_bot.types import Execution, File, Outcome, Status, Step, Table, Turn
from tests.store.make import ran, step

TEXT = st.text(st.characters(), max_size=30)
FILES = st.builds(File, name=TEXT, size=st.integers(), digest=TEXT, data=st.none())
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))


def _strategy(cls: type) -> st.SearchStrategy[Any]:
    return st.from_type(cls)


for kind, strategy in ((str, TEXT), (File, FILES), (datetime, TIMES), (float, st.floats(allow_nan=False))):
    st.register_type_strategy(kind, strategy)


def _cleaned(value: Any) -> Any:
    """What may come back: lone surrogates replaced, integers within 64 bits."""
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-(2**63), min(2**63 - 1, value))
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if isinstance(value, dict):
        return {name: _cleaned(each) for name, each in value.items()}
    return value


def _through_bson(document: documents.Document) -> documents.Document:
    return bson.decode(bson.encode(document), CodecOptions(tz_aware=True, tzinfo=UTC))


@given(_strategy(Step))
def test_any_step_round_trips(written: Step) -> None:
    read = documents.decode(Step, _through_bson(documents.document(written)))
    assert type(read.action) is type(written.action)
    assert _plain(read) == _cleaned(_plain(written))


@given(_strategy(Turn))
def test_any_turn_round_trips(written: Turn) -> None:
    assert _plain(documents.decode(Turn, _through_bson(documents.document(written)))) == _cleaned(_plain(written))


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def test_fields_of_another_version_do_no_harm() -> None:
    assert documents.decode(Outcome, {"ending": "answered", "text": "4", "mood": "good"}).limit == ""


def test_a_step_of_usual_size_is_kept_whole() -> None:
    document = documents.document(step(execution=ran("x" * 256 * 1024)))
    assert documents.fit(document) is document


def test_too_large_tables_are_left_out_and_counted() -> None:
    table = Table(columns=("a",), rows=(("x" * 1_000_000,),) * 20, total_rows=20, total_columns=1)
    run = Execution(status=Status.OK, output="kept", tables=(table, table), notes=("first",))
    fitted = documents.decode(Step, documents.fit(documents.document(step(execution=run))))
    assert fitted.execution is not None
    assert (fitted.execution.output, fitted.execution.tables) == ("kept", ())
    assert fitted.execution.notes[0] == "first"
    assert re.fullmatch(r"40,00\d,\d+ bytes, 2 tables among them, were left out of the record of this step: .*", fitted.execution.notes[1])


def test_too_long_texts_keep_head_and_tail_and_say_so() -> None:
    run = Execution(status=Status.OK, output="head" + "é" * 10_000_000 + "tail", value="v" * 20_000_000, lost=("x" * 100,) * 100_000)
    fitted = documents.fit(documents.document(step(code="c" * 5_000_000, execution=run)))
    assert documents.size(fitted) <= documents.LARGEST
    output = fitted["execution"]["output"]
    assert output.startswith("head")
    assert output.endswith("tail")
    assert "bytes left out of the record" in output
    assert "left out of the record of this step" in fitted["execution"]["notes"][-1]


def test_lists_of_any_length_are_cut_to_fit() -> None:
    run = Execution(status=Status.OK, files=tuple(File(name="n" * 3_000, size=1, digest="d") for _ in range(10_000)))
    fitted = documents.fit(documents.document(step(execution=run)))
    assert documents.size(fitted) <= documents.LARGEST
    assert "left out" in fitted["execution"]["notes"][-1]
