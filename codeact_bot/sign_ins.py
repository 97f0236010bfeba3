"""`codeact-bot sign-ins`: who is signed in to the web chat, and signing somebody out everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from adapters.render import count, one_line
from codeact_bot import app
from codeact_bot.errors import CodeactError
from codeact_bot.review import deed
from codeact_bot.settings import load
from codeact_bot.types import Deed, SignIn

NOWHERE = "{!r} is not signed in anywhere. `codeact-bot sign-ins` lists who is, with their ids."
NAMELESS = "Write `codeact-bot sign-ins`, or name somebody by their id: `codeact-bot sign-ins end PERSON`."


async def sign_ins(arguments: argparse.Namespace) -> int:
    """List who is signed in, or sign somebody out in all browsers. Raises CodeactError where they are signed in nowhere."""
    if (arguments.what == "list") != (arguments.person is None):
        raise CodeactError(NAMELESS)
    async with app.open_store(load(), app.quiet) as store:
        if arguments.what == "list":
            _show(await store.sign_ins())
            return 0
        ended = await store.end_sign_ins(arguments.person)
        if not ended:
            raise CodeactError(NOWHERE.format(arguments.person))
        await store.append([deed(Deed.SESSION, subject="ended", text=arguments.person)])
    print(f"{arguments.person} is signed out in {count(ended, 'browser')}.")  # noqa: T201
    return 0


def _show(found: Sequence[SignIn]) -> None:
    for each in found:
        since, until = (f"{at:%Y-%m-%d %H:%M}" for at in (each.made, each.until))
        print(one_line(each.person.id, 200), one_line(each.person.name, 80), since, f"ends {until}", sep="\t")  # noqa: T201
