"""Draws docs/tour.svg, the README's picture: a stop of the tour, as it really runs here."""

import asyncio
import io
from pathlib import Path

from rich.console import Console

from codeact_bot.chat import demo

TARGET = Path(__file__).resolve().parent.parent / "docs" / "tour.svg"


def main() -> None:
    console = Console(record=True, file=io.StringIO(), width=100, color_system="truecolor", highlight=False)
    if asyncio.run(demo(console, slice(2, 3))) == 0:
        console.save_svg(str(TARGET), title="codeact-bot demo")


if __name__ == "__main__":
    main()
