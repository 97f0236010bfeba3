"""The command line: parses arguments and imports what a command needs only when it is used."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from codeact_bot import __version__
from codeact_bot.errors import CodeactError
from codeact_bot.types import Deed, Receipt

EXAMPLES = """\
examples:
  codeact-bot                             start a conversation in the terminal
  codeact-bot chat --thread terminal:ID   go on with an earlier one
  codeact-bot serve                       answer in the web chat, and in Slack and Discord where they have tokens
  codeact-bot demo                        play the tour, with no model and no key
  codeact-bot history revenue --since 7d  find what was asked about revenue this week
  codeact-bot fork terminal:ID --at 3     go on from its third question; the conversation itself stays
  codeact-bot export terminal:ID --format ipynb -o week.ipynb
"""

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="codeact-bot",
        description="A chat bot whose only action is Python.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"codeact-bot {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND")
    chat = commands.add_parser("chat", help="chat in the terminal (the default)")
    chat.add_argument("--thread", metavar="ID", help="go on with this conversation")
    commands.add_parser("demo", help="play a short tour with a scripted model, then exit")
    commands.add_parser("serve", help="answer in the web chat, in Slack and in Discord until stopped")
    commands.add_parser("doctor", help="check what works here, with remedies")
    _history(commands.add_parser("history", help="list, search and filter what was asked"))
    fork = commands.add_parser("fork", help="begin a conversation with the history and state of another")
    fork.add_argument("thread", metavar="THREAD", help="the conversation's id, as `codeact-bot history` shows it")
    fork.add_argument("--at", metavar="TURN", default="", help="after this question: its number, or its turn's id (default: its last)")
    schedules = commands.add_parser("schedules", help="list what is asked by the clock; pause, resume or delete it")
    schedules.add_argument("what", nargs="?", choices=["list", "pause", "resume", "delete"], default="list")
    schedules.add_argument("name", nargs="?", metavar="NAME", help="a schedule's name, as the list shows it")
    _token(commands.add_parser("token", help="make, list and revoke the secrets by which programs use the HTTP API"))
    sign_ins = commands.add_parser("sign-ins", help="list who is signed in to the web chat; sign somebody out in all browsers")
    sign_ins.add_argument("what", nargs="?", choices=["list", "end"], default="list")
    sign_ins.add_argument("person", nargs="?", metavar="PERSON", help="end: the person's id, as the list shows it")
    _audit(commands.add_parser("audit", help="list, search, add up, export and verify all that ran"))
    hold = commands.add_parser("hold", help="put a conversation on legal hold, so that nothing of it is removed")
    hold.add_argument("thread", metavar="THREAD", help="the conversation's id")
    hold.add_argument("--release", action="store_true", help="let it be removed again")
    forget = commands.add_parser("forget", help="remove all that a person asked, and what came of it")
    forget.add_argument("person", metavar="USER", help="the person's id, as U1 or, for one platform alone, as slack:U1")
    _export(commands.add_parser("export", help="write a conversation as Markdown, JSON, a notebook or training data"))
    _platforms(commands)
    return root


def _platforms(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    slack = commands.add_parser("slack", help="what Slack needs to know of this bot").add_subparsers(dest="what", metavar="WHAT", required=True)
    manifest = slack.add_parser("manifest", help="print the app manifest, to create the app from")
    manifest.add_argument("--http", metavar="URL", default="", help="the bot's public address, for HTTP instead of Socket Mode")
    discord = commands.add_parser("discord", help="what Discord needs to know of this bot").add_subparsers(dest="what", metavar="WHAT", required=True)
    discord.add_parser("invite", help="print the link that invites the bot, with the permissions it needs")


def _history(history: argparse.ArgumentParser) -> None:
    history.add_argument("text", nargs="*", help="words in the question, the code, the output or the answer")
    history.add_argument("--thread", metavar="ID", help="only this conversation")
    history.add_argument("--person", metavar="NAME", default="", help="only what this person asked")
    history.add_argument("--status", choices=["answered", "limit", "stopped", "failed", "missed", "approval"], help="only turns that ended so")
    history.add_argument("--error", metavar="TYPE", default="", help="only turns in which this error occurred, such as KeyError")
    history.add_argument("--since", metavar="WHEN", type=when, help="a date (2026-11-01) or an age (90m, 12h, 7d)")
    history.add_argument("--until", metavar="WHEN", type=when, help="likewise")
    history.add_argument("--limit", metavar="N", type=positive, default=20, help="at most so many turns (default 20)")


def _audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("what", nargs="?", choices=["list", "show", "totals", "records", "export", "verify"], default="list", help="default: list")
    audit.add_argument("turn", nargs="?", metavar="TURN", help="show: a run's id, as the list has it")
    filters = {
        "thread": "ID", "person": "NAME", "platform": "NAME", "channel": "ID", "error": "TYPE", "model": "NAME", "text": "WORDS", "cursor": "CURSOR",
    }  # fmt: skip
    for name, shape in filters.items():
        audit.add_argument(f"--{name}", metavar=shape, default="", help="the page to go on with" if name == "cursor" else None)
    audit.add_argument("--status", choices=["answered", "limit", "stopped", "failed", "missed", "approval"])
    audit.add_argument("--min-cost", metavar="DOLLARS", type=float, default=0.0)
    audit.add_argument("--since", metavar="WHEN", type=when, help="a date (2026-11-01) or an age (90m, 12h, 7d)")
    audit.add_argument("--until", metavar="WHEN", type=when, help="likewise")
    audit.add_argument("--limit", metavar="N", type=positive, default=50, help="lines of a page, 1,000 at most (default 50)")
    audit.add_argument("--by", choices=["person", "channel", "platform", "model", "day", "error"], default="day", help="totals: by what")
    audit.add_argument("--kind", metavar="KIND", type=deed, help="records: only of this kind, such as refused or exported")
    audit.add_argument("--format", choices=["csv", "jsonl", "parquet"], default="csv", help="export: default csv")
    audit.add_argument("-o", "--output", metavar="FILE", help="export: default standard output")
    audit.add_argument("--receipt", metavar="RECEIPT", type=receipt, help="verify: what an earlier verification printed")


def deed(text: str) -> Deed:
    """Read a kind of record."""
    if text not in set(Deed):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(Deed)}")
    return Deed(text)


def receipt(text: str) -> Receipt:
    """Read a receipt, `NUMBER:HASH`."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}:[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a receipt that `codeact-bot audit verify` printed")
    number, _, digest = text.partition(":")
    return Receipt(number=int(number), hash=digest)


def _token(token: argparse.ArgumentParser) -> None:
    what = token.add_subparsers(dest="what", metavar="WHAT", required=True)
    create = what.add_parser("create", help="make one, and print it: it is shown once")
    create.add_argument("name", metavar="NAME", type=named, help="what to call it: letters, digits, dots, dashes and underscores")
    roles = ["member", "auditor", "admin"]
    create.add_argument("--role", choices=roles, default="member", help="what it may see and do (default member: what it asked itself)")
    create.add_argument("--expires", metavar="AGE", type=age, help="how long it is good: 12h, 30d (default: until it is revoked)")
    what.add_parser("list", help="list them")
    what.add_parser("revoke", help="make one void").add_argument("name", metavar="NAME")


def _export(export: argparse.ArgumentParser) -> None:
    export.add_argument("thread", metavar="THREAD", help="the conversation's id, as `codeact-bot history` shows it")
    export.add_argument("--format", choices=["md", "json", "ipynb", "jsonl"], default="md", help="default md")
    export.add_argument("-o", "--output", metavar="FILE", help="default: standard output")


def when(text: str) -> datetime:
    """Read a date or time in ISO 8601 (local time unless it says otherwise), or an age such as `90m`, `12h`, `7d`."""
    try:
        if text[-1:] in UNITS and text[:-1].isdigit():
            return datetime.now(UTC) - _span(text)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a date such as 2026-11-01 nor an age such as 7d") from None


def age(text: str) -> timedelta:
    """Read a length of time from a minute to ten years: `90m`, `12h`, `30d`."""
    if text[-1:] not in UNITS or not text[:-1].isdigit() or len(text) > 8 or not timedelta(0) < _span(text) <= timedelta(days=3653):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as 12h or 30d, ten years at most")
    return _span(text)


def _span(text: str) -> timedelta:
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def named(text: str) -> str:
    """Read a name of up to 64 plain characters."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of up to 64 letters, digits, dots, dashes and underscores")
    return text


def positive(text: str) -> int:
    """Read a number from 1 to 10,000."""
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return int(text)


async def dispatch(arguments: argparse.Namespace) -> int:
    """Run the command that was asked for; returns the exit status."""
    match arguments.command:
        case "serve":
            from codeact_bot.serve import serve

            return await serve()
        case "slack":
            from codeact_bot.serve import slack_manifest

            return slack_manifest(arguments.http)
        case "discord":
            from codeact_bot.serve import discord_invite

            return discord_invite()
        case "doctor":
            from codeact_bot.doctor import doctor

            return await doctor()
        case "history" | "export" | "fork":
            from codeact_bot import archive

            return await {"history": archive.history, "export": archive.export, "fork": archive.fork}[arguments.command](arguments)
        case "audit" | "hold" | "forget":
            from codeact_bot import review

            return await {"audit": review.audit, "hold": review.hold, "forget": review.forget}[arguments.command](arguments)
        case "schedules":
            if (arguments.what == "list") != (arguments.name is None):
                raise CodeactError("Write `codeact-bot schedules`, or name one: `codeact-bot schedules pause NAME`.")
            from codeact_bot.timetable import schedules

            return await schedules(arguments)
        case "token":
            from codeact_bot.tokens import tokens

            return await tokens(arguments)
        case "sign-ins":
            from codeact_bot.sign_ins import sign_ins

            return await sign_ins(arguments)
        case "demo":
            from codeact_bot.chat import demo

            return await demo()
        case _:
            from codeact_bot.chat import chat

            return await chat(getattr(arguments, "thread", None))


async def _until_terminated(arguments: argparse.Namespace) -> int:
    """Run the command; SIGTERM cancels it, so that everything is closed."""
    import asyncio
    import signal

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await dispatch(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `codeact-bot` command."""
    parsed = parser().parse_args(arguments)
    import asyncio

    try:
        return asyncio.run(_until_terminated(parsed))
    except asyncio.CancelledError:
        return 143
    except CodeactError as error:
        print(f"codeact-bot: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        from codeact_bot.screen import swallow

        swallow()
        return 141


if __name__ == "__main__":
    sys.exit(main())
