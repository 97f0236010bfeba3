"""`codeact-bot token`: the secrets by which programs use the API, on the command line."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from codeact_bot import app
from codeact_bot.errors import CodeactError
from codeact_bot.ports import Store
from codeact_bot.review import deed
from codeact_bot.settings import load
from codeact_bot.types import Deed, Role, Token, now

BEGINNING = "codeact_"
"""What every secret begins with, so that tools which look for leaked secrets can find it."""


async def tokens(arguments: argparse.Namespace) -> int:
    """Make, list or revoke a token. Raises CodeactError where its name is taken, or there is none."""
    async with app.open_store(load(), app.quiet) as store:
        match arguments.what:
            case "create":
                secret = await create(store, arguments.name, Role(arguments.role), arguments.expires)
                await store.append([deed(Deed.TOKEN, subject=arguments.name, status="made", text=arguments.role)])
                print("This is shown once; only a hash of it is kept:", file=sys.stderr, flush=True)  # noqa: T201
                print(secret)  # noqa: T201
            case "revoke":
                if not await store.remove_token(arguments.name):
                    raise CodeactError(f"There is no token {arguments.name!r}. `codeact-bot token list` shows those there are.")
                await store.append([deed(Deed.TOKEN, subject=arguments.name, status="revoked")])
            case _:
                _show(await store.tokens())
    return 0


async def create(store: Store, name: str, role: Role, lasts: timedelta | None) -> str:
    """Make a token and return its secret, which is kept nowhere. Raises CodeactError where the name is taken."""
    secret, made = BEGINNING + secrets.token_urlsafe(32), now()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if not await store.save_token(Token(id=digest, name=name, role=role, made=made, until=made + lasts if lasts else None)):
        raise CodeactError(f"There is a token {name!r} already. Choose another name, or revoke it first: codeact-bot token revoke {name}")
    return secret


def _show(found: Sequence[Token]) -> None:
    if not found:
        print("There are no tokens. `codeact-bot token create NAME` makes one.", file=sys.stderr)  # noqa: T201
    for token in found:
        print(token.name, token.role, f"{token.made:%Y-%m-%d %H:%M}", _end(token.until), sep="\t")  # noqa: T201


def _end(until: datetime | None) -> str:
    if until is None:
        return "never ends"
    return f"{'ended' if until <= now() else 'ends'} {until:%Y-%m-%d %H:%M}"
