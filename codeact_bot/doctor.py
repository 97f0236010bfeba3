"""`codeact-bot doctor`: what works here, line by line, with remedies."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import AsyncIterator, Sequence

from rich.console import Console
from rich.text import Text

from codeact_bot import app
from codeact_bot.errors import CodeactError
from codeact_bot.screen import Screen
from codeact_bot.settings import Settings, load
from codeact_bot.types import Check

MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}
PLATFORMS = ("Slack", "Discord")


async def doctor() -> int:
    """Print all checks as they come; returns 1 where something that is needed or configured does not work, else 0."""
    settings = load()
    console = Screen(highlight=False)
    done = []
    async for check in checks(settings):
        done.append(check)
        show(console, check)
    console.print(Text("\n" + verdict(done), style="bold"))
    return int(any(check.ok is False for check in done))


def verdict(done: Sequence[Check]) -> str:
    """Say whether all is ready, and for what."""
    if any(check.ok is False for check in done):
        return "Not ready yet: mend what is marked ✗."
    platforms = [check.name for check in done if check.ok and check.name in PLATFORMS]
    serves = f", `codeact-bot serve` answers in {' and '.join(platforms)}" if platforms else ""
    return f"Ready: `codeact-bot` starts a chat{serves}."


def show(console: Console, check: Check) -> None:
    """Print one check, its remedy below it."""
    mark, style = MARKS[check.ok]
    console.print(Text.assemble((mark, style), f" {check.name:<16} {check.text}"), soft_wrap=True)
    if check.remedy:
        console.print(Text(f"{'':<19}→ {check.remedy}", style="yellow"), soft_wrap=True)


async def checks(settings: Settings) -> AsyncIterator[Check]:
    """Look at everything that a chat needs, and at the platforms that have tokens."""
    yield Check(name="Python", ok=True, text=f"{platform.python_version()} at {sys.executable}")
    yield Check(name="data folder", ok=True, text=str(settings.data))
    yield await store(settings)
    docker_ok = False
    for check in await docker(settings):
        docker_ok |= check.name == "Docker" and bool(check.ok)
        yield check
    yield await process(settings, needed=not docker_ok)
    yield await model(settings)
    yield await slack(settings)
    yield await discord(settings)


async def store(settings: Settings) -> Check:
    """Whether MongoDB answers, or a private one can be started."""
    url = settings.mongo_url.get_secret_value()
    try:
        async with app.open_store(settings, app.quiet) as opened:
            count = len(await opened.threads(limit=1000))
    except CodeactError as error:
        return Check(name="MongoDB", ok=False, text="not usable", remedy=str(error))
    where = "at CODEACT_MONGO_URL" if url else f"private, data in {settings.data / 'mongodb'}"
    return Check(name="MongoDB", ok=True, text=f"{where}, {count}{'+' if count == 1000 else ''} conversations")


async def docker(settings: Settings) -> tuple[Check, ...]:
    """What Docker has to say; not needed where the settings choose the process sandbox or it may stand in."""
    sandbox = app.make_docker(settings)
    try:
        found = await sandbox.diagnose()
    finally:
        await sandbox.aclose()
    if settings.sandbox == "docker":
        return found
    return tuple(check if check.ok else Check(name=check.name, ok=None, text=check.text, remedy=check.remedy) for check in found)


async def process(settings: Settings, *, needed: bool) -> Check:
    """What the process sandbox would be, used where Docker does not answer."""
    sandbox = app.make_process(settings)
    try:
        await sandbox.prepare(app.quiet)
        text = sandbox.name if needed else f"{sandbox.name}, not needed"
        return Check(name="process", ok=True if needed else None, text=text, remedy=sandbox.warning if needed else "")
    except CodeactError as error:
        return Check(name="process", ok=False if needed else None, text="not usable", remedy=str(error))
    finally:
        await sandbox.aclose()


async def model(settings: Settings) -> Check:
    """Whether the model answers, at the cost of one request for the list of models."""
    if not settings.has_model:
        remedy = "Set OPENAI_API_KEY, or OPENAI_BASE_URL for vLLM, llama.cpp, Ollama or any compatible server."
        return Check(name="model", ok=None, text="none configured; the scripted demo model answers", remedy=remedy)
    opened = app.make_openai(settings)
    try:
        name = await opened.check()
    except CodeactError as error:
        return Check(name="model", ok=False, text=settings.model or "not usable", remedy=str(error))
    finally:
        await opened.aclose()
    where = settings.openai_base_url or "OpenAI"
    return Check(name="model", ok=True, text=f"{name} at {where}")


async def slack(settings: Settings) -> Check:
    """Whether Slack's tokens look like what they should be, and whether Slack takes them."""
    wanted = {"SLACK_BOT_TOKEN": (settings.slack_bot_token, "xoxb-"), "SLACK_APP_TOKEN": (settings.slack_app_token, "xapp-")}
    given = {name: (token.get_secret_value(), begins) for name, (token, begins) in wanted.items() if token is not None}
    if not given:
        return Check(name="Slack", ok=None, text="no tokens set")
    wrong = [f"{name} does not begin with {begins}" for name, (token, begins) in given.items() if not token.startswith(begins)]
    if "SLACK_BOT_TOKEN" not in given:
        wrong.append("SLACK_BOT_TOKEN is not set")
    if settings.slack_app_token is None and settings.slack_signing_secret is None:
        wrong.append("neither SLACK_APP_TOKEN (Socket Mode) nor SLACK_SIGNING_SECRET (HTTP) is set")
    if wrong:
        remedy = "Copy them from https://api.slack.com/apps: OAuth & Permissions has the bot token, Basic Information the others."
        return Check(name="Slack", ok=False, text="; ".join(wrong), remedy=remedy)
    if importlib.util.find_spec("slack_bolt") is None:
        return _no_library("Slack")
    from adapters.slack import checks

    return await checks.check(given["SLACK_BOT_TOKEN"][0], given.get("SLACK_APP_TOKEN", ("", ""))[0], settings.slack_base_url)


async def discord(settings: Settings) -> Check:
    """Whether Discord's token looks like one, and whether Discord takes it."""
    if settings.discord_token is None:
        return Check(name="Discord", ok=None, text="no token set")
    token = settings.discord_token.get_secret_value()
    if token.count(".") != 2:
        remedy = "Copy the token, not the public key or the client secret, from https://discord.com/developers/applications, Bot, Reset Token."
        return Check(name="Discord", ok=False, text="DISCORD_TOKEN is not a bot token: it has not three parts between dots", remedy=remedy)
    if importlib.util.find_spec("discord") is None:
        return _no_library("Discord")
    from adapters.discord import checks

    return await checks.check(token)


def _no_library(platform: str) -> Check:
    return Check(name=platform, ok=False, text="its library is not installed", remedy=f"pip install 'codeact-bot[{platform.lower()}]'")
