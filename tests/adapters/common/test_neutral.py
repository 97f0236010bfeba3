"""What models, sandboxes and people write can neither ping nor pretend nor escape."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.common.neutral import discord_code, discord_markdown, slack_text

NASTY = ["@everyone", "@here", "<@123>", "<@&7>", "<#9>", "<!channel>", "<:x:1>", "<a:x:1>", "<t:0:R>", "</cmd:1>", "<id:home>", "`", "```", "~~~", "\n", "-# ",
         "[a](http://b.c)", "[http://good.com](https://evil.com)", "\u202e", "\u200b", "\x1b[31m", "https://x.y/z", "> ", "\\", "word ", "||", "&lt;"]  # fmt: skip
TEXT = st.lists(st.sampled_from(NASTY), max_size=12).map("".join)


def outside_code(text):
    """Return what Discord reads as text: without fences and inline code."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.sub(r"(?<![\\`])((?:\\\\)*)(`{1,2})(?!`)[^`\n]+\2(?!`)", r"\1", text)


@given(TEXT)
@example("\\`<@123>`")
@example("\\` x `<@123>`")
@example("\\@everyone \\\\<t:0:R>")
def test_nothing_works_outside_of_code_in_discord(text):
    shown = outside_code(discord_markdown(text))
    assert not re.search(r"<(@|#|:|/)", shown)
    assert not re.search(r"(?<!\\)(\\\\)*(<(a:|t:|id:)|@(everyone|here))", shown)
    assert not re.search(r"^\s*-#", shown, re.MULTILINE)
    assert not [c for c in shown if unicodedata.category(c) == "Cf" or c == "\x1b"]


@given(TEXT, st.sampled_from(["", "py"]))
def test_a_fence_cannot_be_left(text, language):
    shown = discord_code(text, language)
    assert shown.startswith(f"```{language}\n")
    assert shown.endswith("\n```")
    assert "```" not in shown[3:-3]


@given(TEXT)
def test_fences_of_the_text_are_balanced_in_discord(text):
    assert discord_markdown(text).replace("\\`", "").count("```") % 2 == 0


@given(st.text())
def test_slack_text_has_no_tokens(text):
    shown = slack_text(text)
    assert "<" not in shown
    assert ">" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Look at [the report](https://example.com/a).", "Look at [the report](<https://example.com/a>)."),
        ("[example.com](https://example.com/x)", "[example.com](<https://example.com/x>)"),
        ("[https://bank.com](https://evil.com)", "bank.com (<https://evil.com>)"),
        ("[x](javascript:alert)", "x (javascript:alert)"),
        ("Ask <@7> in <#8> <t:1:R>", "Ask <\\@7> in <\\#8> \\<t:1:R>"),
        ("Hello @everyone", "Hello \\@everyone"),
        ("-# codeact-bot: approved", "\\-# codeact-bot: approved"),
        ("**bold** and `code`\n\n- list", "**bold** and `code`\n\n- list"),
        ("```python\nprint('@everyone')\n```", "```python\nprint('@everyone')\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("a lone ` here", "a lone \\` here"),
    ],
)
def test_discord_markdown(text, shown):
    assert discord_markdown(text) == shown


def test_slack_text_is_still_readable():
    assert slack_text("<!channel> a & b\x1b[31m") == "&lt;!channel&gt; a &amp; b"
