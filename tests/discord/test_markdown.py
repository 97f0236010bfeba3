"""Tables in what a model says, as Discord can show them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.markdown import with_code_tables
from adapters.discord.pages import WIDTH, prose

ANSWER = """\
Per region:

| region | total |
|:-------|------:|
| **south** | 235.00 |
| [west](https://w.example) | 9.5 |

```
| not | a table |
|-----|---------|
```
Done."""


def test_a_table_becomes_aligned_code_and_other_code_stays() -> None:
    assert prose(ANSWER).split("\n") == [
        "Per region:",
        "",
        "```",
        "region                     total",
        "────────────────────────  ──────",
        "south                     235.00",
        "west (https://w.example)     9.5",
        "```",
        "",
        "```",
        "| not | a table |",
        "|-----|---------|",
        "```",
        "Done.",
    ]


def test_a_table_that_is_too_wide_becomes_a_list_with_all_cells() -> None:
    wide = "| name | about |\n|---|---|\n| a | " + "word " * 20 + "|\n| b | @everyone |"
    assert prose(wide).split("\n") == ["- name: a; about: " + ("word " * 20).strip(), "- name: b; about: \\@everyone"]


CELL = st.text("ab1| `*_\\<@>", max_size=8)


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4), st.text("ab1 *_", max_size=8))
def test_nothing_leaves_the_code_and_text_around_a_table_stays(rows: list[tuple[str, str, str]], before: str) -> None:
    table = "\n".join(["| x | y | z |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])
    shown = with_code_tables(f"{before}\n\n{table}\n\nafter", WIDTH)
    assert shown.endswith("\n\nafter")
    assert shown.startswith(before)
    assert shown.count("```") in (0, 2, 4)
    assert prose(shown).count("```") % 2 == 0
