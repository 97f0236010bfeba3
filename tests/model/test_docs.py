"""The examples and figures of docs/models.md hold."""

from __future__ import annotations

import re
from pathlib import Path

from codeact_bot.model.faults import PATIENCE
from codeact_bot.model.openai import DEFAULT_MODEL, LINGER, LONGEST_WAIT, TIMEOUTS

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})


def test_the_figures_are_the_code_s():
    for figure in (
        f"`{DEFAULT_MODEL}`",
        f"has {LINGER} seconds",
        f"{LONGEST_WAIT:.0f} seconds at most",
        f"up to {PATIENCE:.0f} seconds",
        f"take {TIMEOUTS.connect:.0f} seconds, silence between two bytes {TIMEOUTS.silence:.0f}, and one attempt {TIMEOUTS.whole:.0f}",
    ):
        assert figure in " ".join(TEXT.split())
