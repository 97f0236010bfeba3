"""Every post is within Slack's limits and literal, whatever model and sandbox wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.common.story import Story
from adapters.slack.markdown import blocks
from adapters.slack.pages import code_view, final, packed, working
from codeact_bot.types import Author, Incoming, ThreadId
from tests.adapters import stage
from tests.slack.limits import check, check_message

INCOMING = Incoming(id="1", thread=ThreadId("slack:T1:C1:1"), author=Author(id="U1", name="Ann"), text="?", place="here:C1:1.1:1.1")
HOSTILE = "<!channel> <@U1> <#C1|x> <https://evil.com|https://bank.com> @here ``` `x` \u202e\u200b\x1b[31m [a](javascript:x) [bank.com](https://evil.com) &lt; &#x202e; [a&#x200b;](https://a.b/&#x202e;)"
PIECES = ["# Title\n", "word ", "**bold** ", "`code` ", "\n\n", "- item\n", "  - inner\n", "1. one\n", "> quote\n", "```py\nx = 1\n```\n", "| a | b |\n|---|---|\n| 1 | 2 |\n",
          "---\n", HOSTILE, "x" * 500, "[l](https://a.b)", "![i](https://a.b/c.png)", "~~s~~", "<b>html</b>", "    code\n", "\\", "*"]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(TEXT)
def test_any_markdown_is_within_the_limits(text: str) -> None:
    for post in final(stage.ended(stage.turn_of(INCOMING), [stage.ran(0, text or "x", text, output=text)], text).turn):
        if not post.files:
            check_message(post.blocks)
        assert len(post.text) <= 4_000
        assert "<" not in post.text


@given(TEXT, TEXT)
def test_any_progress_is_within_the_limits(words: str, printed: str) -> None:
    turn = stage.turn_of(INCOMING)
    story = Story(turn)
    for event in stage.every_kind(turn, words):
        if not isinstance(event, stage.TurnDone):
            story.hear(event)
        check_message(working(story).blocks)
    for event in [stage.CodeStarted(index=3, code=words or "x"), stage.Output(text=printed * 20)]:
        story.hear(event)
        check_message(working(story).blocks)


def test_over_long_output_is_a_file_with_its_head_and_tail_in_a_post() -> None:
    output = "\n".join(f"line {number}" for number in range(2000))
    posts = final(stage.ended(stage.turn_of(INCOMING), [stage.ran(0, "x", output=output)], "Done.").turn)
    said, shown = posts[1].blocks
    assert "output-step-1.txt has all of it" in said["elements"][0]["text"]
    text = shown["elements"][0]["elements"][0]["text"]
    assert text.startswith("line 0\n")
    assert text.endswith("line 1999")
    assert "characters left out" in text
    assert text.count("\n") == 30
    assert [file.data for file in posts[-1].files] == [output.encode()]


def test_a_long_turn_is_within_the_limits() -> None:
    steps = [
        stage.ran(number, "x = 1\n" * 500, HOSTILE * 5, output=HOSTILE * 200, tables=(stage.TABLE,) * 3, value="y" * 9000) for number in range(40)
    ]
    turn = stage.ended(stage.turn_of(INCOMING), steps, ("A paragraph of words. " * 40 + "\n\n") * 60).turn
    posts = final(turn)
    for post in posts:
        if post.blocks:
            check_message(post.blocks)
    assert len(posts) < 15
    check(code_view(turn)["blocks"])


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("Hello **you**", ["rich_text"]),
        ("a\n\nb", ["rich_text"]),
        ("| a |\n|---|\n| 1 |", ["table"]),
        ("a\n\n---\n\nb", ["rich_text", "divider", "rich_text"]),
    ],
)
def test_markdown_becomes_blocks(text: str, types: list[str]) -> None:
    assert [block["type"] for block in blocks(text)] == types


def test_styles_lists_code_and_links() -> None:
    text = "Look at **this *thing***:\n\n1. one\n2. two\n   - inner\n\n> quoted\n\n```py\nx = 1\n```\n[site](https://a.b) [https://bank.com](https://evil.com)"
    (block,) = blocks(text)
    section, ordered, inner, quote, code, links = block["elements"]
    assert [each.get("style") for each in section["elements"][1:3]] == [{"bold": True}, {"bold": True, "italic": True}]
    assert [each["style"] for each in (ordered, inner)] == ["ordered", "bullet"]
    assert inner["indent"] == 1
    assert quote["elements"][0]["text"] == "quoted"
    assert (code["elements"][0]["text"], code["language"]) == ("x = 1", "python")
    assert links["elements"][0] == {"type": "link", "url": "https://a.b", "text": "site"}
    assert links["elements"][2]["text"] == "https://bank.com (https://evil.com)"


def test_only_one_table_is_in_a_message() -> None:
    table = "| a |\n|---|\n| 1 |\n"
    groups = packed(blocks(f"{table}\ntext\n\n{table}\n{table}"))
    assert [[block["type"] for block in group] for group in groups] == [["table", "rich_text"], ["table"], ["table"]]
