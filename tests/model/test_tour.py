"""The demo model reacts to what really happened: its code runs here, and its answers are checked against the data."""

from __future__ import annotations

import ast
import builtins
import csv
import io
import os
import traceback
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from codeact_bot.agent.actions import parse
from codeact_bot.agent.observations import observe
from codeact_bot.agent.prompt import question
from codeact_bot.model.plays import CSV
from codeact_bot.model.tour import TOUR, DemoModel
from codeact_bot.types import Answer, Author, CodeError, Execution, File, Incoming, Message, RunCode, Status, ThreadId


class Cells:
    """Runs blocks in one namespace, as the sandbox does, with some modules missing."""

    def __init__(self, *missing: str) -> None:
        def importing(name, *args, **kwargs):
            if name.partition(".")[0] in missing:
                raise ModuleNotFoundError(f"No module named {name.partition('.')[0]!r}", name=name)
            return builtins.__import__(name, *args, **kwargs)

        self.names = {"__builtins__": {**vars(builtins), "__import__": importing}, "__name__": "__main__"}

    def run(self, code: str) -> Execution:
        printed, value, error = io.StringIO(), None, None
        before = set(Path.cwd().iterdir())
        with redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                value = self._cell(ast.parse(code))
            except Exception as raised:
                error = CodeError(type=type(raised).__name__, message=str(raised), traceback="".join(traceback.format_exception(raised)))
        files = tuple(File.of(path.name, path.read_bytes()) for path in set(Path.cwd().iterdir()) - before)
        status = Status.ERROR if error else Status.OK
        return Execution(status=status, output=printed.getvalue(), value=None if value is None else repr(value), error=error, files=files)

    def _cell(self, tree: ast.Module):
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), self.names)
        return eval(compile(ast.Expression(last.value), "cell", "eval"), self.names) if last else None


class Conversation:
    """Asks the demo model and runs what it writes, until it answers."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.model = DemoModel(delay=0)
        self.messages = [Message(role="system", content="Answer.")]

    async def ask(self, text: str, files: tuple[File, ...] = ()) -> tuple[str, list[Execution]]:
        for file in files:
            Path(file.name).write_bytes(file.data or b"")
        asked = Incoming(id="1", thread=ThreadId("test:1"), author=Author(id="1", name="Ada"), text=text, files=files)
        self.messages.append(Message(role="user", content=question(asked)))
        ran: list[Execution] = []
        while len(ran) < 8:
            completion = await self.model.complete(self.messages, _deaf)
            self.messages.append(Message(role="assistant", content=completion.text))
            action = parse(completion.text)
            if isinstance(action, Answer):
                return action.text, ran
            assert isinstance(action, RunCode)
            ran.append(self.cells.run(action.code))
            self.messages.append(Message(role="user", content=observe(ran[-1], steps_left=10)))
        raise AssertionError("the demo model found no end")


async def _deaf(piece: str | None) -> bool:
    return False


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """Make conversations whose code runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "MPLBACKEND", "agg")
    return lambda *missing: Conversation(Cells(*missing))


@pytest.fixture
def rows():
    data = next(file.data for stop in TOUR for file in stop.files)
    return list(csv.DictReader(io.StringIO((data or b"").decode())))


def opened(rows, area):
    return sum(int(row["opened"]) for row in rows if row["product_area"] == area)


async def test_the_tour_is_answered_with_exactly_one_real_error(talk, rows):
    pytest.importorskip("pandas")
    plt = pytest.importorskip("matplotlib.pyplot")
    conversation = talk()
    turns = [await conversation.ask(stop.question, stop.files) for stop in TOUR]
    plt.close("all")
    errors = [execution.error for _, ran in turns for execution in ran if execution.error]
    assert [(error.type, error.message) for error in errors] == [("KeyError", "'area'")]
    answers = [answer for answer, _ in turns]
    assert "**1,305.83 a month**" in answers[0]
    assert "sooner**" in answers[1]
    top = max({row["product_area"] for row in rows}, key=lambda area: opened(rows, area))
    assert f"**{top}, {opened(rows, top):,} of {sum(int(row['opened']) for row in rows):,}**" in answers[2]
    assert "**Mobile app, +" in answers[3]
    assert "ticket_summary.csv" in answers[4]
    assert [file.name for _, ran in turns for execution in ran for file in execution.files] == ["ticket_summary.csv"]
    assert "(not printed)" not in "".join(answers)


async def test_the_answer_quotes_what_was_printed(talk):
    conversation = talk()
    answer, ran = await conversation.ask(TOUR[0].question)
    for line in ran[0].output.splitlines():
        assert line.partition(": ")[2] in answer


@pytest.mark.parametrize("missing", [("pandas", "matplotlib"), ("matplotlib",)])
async def test_the_tour_goes_on_without_the_science_packages(talk, rows, missing):
    if "pandas" not in missing:
        pytest.importorskip("pandas")
    conversation = talk(*missing)
    turns = [await conversation.ask(stop.question, stop.files) for stop in TOUR]
    answers = [answer for answer, _ in turns]
    assert not any("I stop" in answer or "(not printed)" in answer for answer in answers)
    top = max({row["product_area"] for row in rows}, key=lambda area: opened(rows, area))
    assert f"**{top}, {opened(rows, top):,}" in answers[2]
    assert "all areas: **+" in answers[3]
    assert "each of the 4 areas" in answers[4]


async def test_the_mended_step_uses_the_columns_that_it_saw(talk):
    renamed = File.of(CSV, (TOUR[2].files[0].data or b"").replace(b"product_area", b"the_area", 1).replace(b"opened", b"opened_now", 1))
    conversation = talk("pandas")
    answer, ran = await conversation.ask(TOUR[2].question, (renamed,))
    assert ran[-1].error is None
    assert "the_area" in conversation.messages[-3].content
    assert "Most tickets: **" in answer


async def test_a_stop_asked_out_of_order_defines_what_it_needs(talk):
    conversation = talk("pandas")
    answer, ran = await conversation.ask("And if I pay 200 more each month")
    assert "sooner**" in answer
    assert [execution.error.type for execution in ran if execution.error] == ["NameError"]
    Path(CSV).write_bytes(TOUR[2].files[0].data or b"")
    assert "(not printed)" not in (await conversation.ask("4"))[0]
    assert "each of the 4 areas" in (await conversation.ask("5."))[0]


async def test_a_missing_file_is_explained(talk):
    assert "is not in the working folder" in (await talk("pandas").ask("3"))[0]


PROSE = ["What is the weather like?", "yes", "thanks", "hello", "help", "tour", "not sure", "no, thanks", "What\x00?", ""]


@pytest.mark.parametrize("text", PROSE)
async def test_free_questions_are_told_what_this_is(talk, text):
    answer, ran = await talk().ask(text)
    assert not ran
    assert "scripted demo, not an AI" in answer
    assert "OPENAI_API_KEY" in answer
    assert "OPENAI_BASE_URL" in answer
    assert all(stop.question in answer for stop in TOUR)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("2 ** 64", "18446744073709551616"),
        ("sum(range(101))", "5050"),
        ("x = 6\nprint(x * 7)", "42"),
        ("[n * n for n in (1, 2, 3)]", "[1, 4, 9]"),
        ("```python\n'a' * 3\n```", "aaa"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("y = 1", "showed nothing"),
    ],
)
async def test_typed_python_is_run(talk, code, shown):
    answer, ran = await talk().ask(code)
    assert len(ran) == 1
    assert shown in answer


async def test_a_name_of_earlier_code_is_python(talk):
    conversation = talk()
    await conversation.ask("answer = 40 + 2")
    assert "42" in (await conversation.ask("answer"))[0]


async def test_costs_nothing_and_says_so():
    model = DemoModel(delay=0)
    completion = await model.complete([Message(role="user", content="hi")], _deaf)
    assert completion.usage.cost == 0
    assert completion.model == model.name == "demo (scripted, no AI)"
