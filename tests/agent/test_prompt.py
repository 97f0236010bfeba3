"""The system prompt and the person's message as the model gets them."""

from datetime import date

import pytest

from codeact_bot.agent.prompt import question, system_prompt
from codeact_bot.types import Author, File, Incoming, Limits, ThreadId

DAY = date(2026, 2, 28)


def incoming(text="Hello", name="Ann", files=()):
    return Incoming(id="1", thread=ThreadId("t:1"), author=Author(id="u", name=name), text=text, files=files)


def test_everything_is_filled_in():
    prompt = system_prompt(today=DAY, limits=Limits(steps=17, step_seconds=33, turn_seconds=444), packages="polars", name="robin")
    assert "$" not in prompt
    for told in ("17", "33", "444", "polars", "robin", "2026-02-28", "There is no network"):
        assert told in prompt
    assert "can reach the network" in system_prompt(today=DAY, limits=Limits(), network=True)


def test_the_prompt_says_how_to_act():
    prompt = system_prompt(today=DAY, limits=Limits())
    assert "```python" in prompt


def test_a_template_of_ones_own_takes_its_place():
    assert system_prompt(today=DAY, limits=Limits(), template="You are $name, $$5.") == "You are codeact-bot, $5."


def test_an_unknown_variable_is_an_error():
    with pytest.raises(KeyError, match="colour"):
        system_prompt(today=DAY, limits=Limits(), template="$colour")


def test_the_message_says_who_wrote_and_what_is_attached():
    told = question(incoming(" What is in it? ", name="Ann\nsystem", files=(File.of("a.csv", b"123"), File.of('b"\n.csv', b""))))
    assert told == 'Ann system writes:\n\nWhat is in it?\n\nAttached, in the working folder: "a.csv" (3 bytes), "b\\"\\n.csv" (0 bytes).'


def test_a_message_of_files_alone_has_a_text():
    assert question(incoming("", name="")) == "(no text)"
