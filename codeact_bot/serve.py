"""`codeact-bot serve`: the bot on every chat platform that has its tokens, in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from codeact_bot import log
from codeact_bot.app import App, open_app
from codeact_bot.desk import StoreDesk
from codeact_bot.errors import CodeactError, ConfigurationInvalid
from codeact_bot.ports import ChatAdapter, Desk, Watch
from codeact_bot.service import Service
from codeact_bot.settings import Settings, load
from codeact_bot.site import installed, operations, web
from codeact_bot.types import Preparing

if TYPE_CHECKING:
    from codeact_bot.watch import Porter

NOTHING_TO_SERVE = (
    "There is nothing to serve: no chat platform is configured, and CODEACT_WEB is off. For Slack set SLACK_BOT_TOKEN and SLACK_APP_TOKEN "
    "(docs/slack.md), for Discord DISCORD_TOKEN (docs/discord.md), for the web chat CODEACT_WEB=127.0.0.1:8321 (docs/web.md)."
)
HALF_A_SLACK = "SLACK_BOT_TOKEN needs SLACK_APP_TOKEN beside it (Socket Mode), or SLACK_SIGNING_SECRET (HTTP); see docs/slack.md."


async def serve() -> int:
    """Answer on all configured platforms until cancelled.

    Raises ConfigurationInvalid where there is none, and what `open_app` raises.
    """
    settings = load()
    log.configure(settings.log_level, form=settings.log_format)
    check(settings)
    porter = make_porter() if settings.operations else None
    async with operations(settings, porter) as address:
        if address:
            say(f"Health and metrics at {address}")
        async with open_app(settings, partial(_progress, porter)) as app:
            with porter.asking(app.watch) if porter else nullcontext():
                await _answer(settings, app)
    return 0


def make_porter() -> Porter:
    """Make what answers for the worker from its first moment."""
    from codeact_bot.watch import Porter

    return Porter()


def _progress(porter: Porter | None, step: Preparing) -> None:
    if porter is not None:
        porter.tell(step)
    say_progress(step)


async def _answer(settings: Settings, app: App) -> None:
    """Answer on all platforms until told to stop."""
    listening = adapters(settings, StoreDesk(app.store, settings.time_zone), app.watch)
    service = app.service(*listening)
    app.run_schedules(service, *listening)
    say(_opening(app, listening))
    try:
        with leaving(service, settings.grace_seconds):
            await service.run()
    except* CodeactError as errors:
        raise first(errors) from None


@contextmanager
def leaving(service: Service, grace: float) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT end the service in good order, and a second one at once."""
    loop, task, before = asyncio.get_running_loop(), asyncio.current_task(), signal.getsignal(signal.SIGINT)
    assert task is not None
    told = False

    def leave() -> None:
        nonlocal told
        if told:
            task.cancel()
            return
        told = True
        turns = service.leave()
        if turns:
            say(f"Stopping. {turns} {'answer has' if turns == 1 else 'answers have'} {grace:.0f} s to finish; again stops at once.")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
        loop.add_signal_handler(signal.SIGTERM, task.cancel)


def first(errors: BaseExceptionGroup[CodeactError]) -> CodeactError:
    """Return the first of several errors, however deep it lies."""
    error = errors.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error


def check(settings: Settings) -> None:
    """Raise ConfigurationInvalid where no platform has all the tokens it needs."""
    if settings.slack_bot_token is not None and settings.slack_app_token is None and settings.slack_signing_secret is None:
        raise ConfigurationInvalid(HALF_A_SLACK)
    if settings.slack_bot_token is None and settings.discord_token is None and not settings.has_web:
        raise ConfigurationInvalid(NOTHING_TO_SERVE)
    if settings.slack_bot_token is not None:
        need("slack_bolt", "slack")
    if settings.discord_token is not None:
        need("discord", "discord")
    if settings.has_web and settings.slack_bot_token is None and settings.discord_token is None:
        need("starlette", "web")
    if settings.operations:
        need("starlette", "web")
        need("prometheus_client", "web")


def adapters(settings: Settings, desk: Desk, watch: Watch | None = None) -> Sequence[ChatAdapter]:
    """Make the adapter of each platform that has tokens."""
    made: list[ChatAdapter] = []
    if settings.slack_bot_token is not None:
        from adapters.slack import SlackAdapter

        app_token, secret = settings.slack_app_token, settings.slack_signing_secret
        made.append(
            SlackAdapter(
                bot_token=settings.slack_bot_token.get_secret_value(),
                app_token=app_token.get_secret_value() if app_token else "",
                signing_secret=secret.get_secret_value() if secret else "",
                base_url=settings.slack_base_url,
                http=settings.slack_http,
                desk=desk,
                access=settings.access,
            )
        )
    if settings.discord_token is not None:
        from adapters.discord import DiscordAdapter

        made.append(DiscordAdapter(token=settings.discord_token.get_secret_value(), desk=desk, access=settings.access))
    if settings.has_web and installed():
        made.append(web(settings, desk, lambda address: say(f"Web chat at {address}"), watch))
    return made


def slack_manifest(address: str) -> int:
    """Print Slack's app manifest as JSON."""
    need("slack_bolt", "slack")
    from adapters.slack import manifest

    print(json.dumps(manifest(address), indent=2))  # noqa: T201
    return 0


def discord_invite() -> int:
    """Print the link that invites the bot into a server. Raises ConfigurationInvalid without a token."""
    need("discord", "discord")
    from adapters.discord import invite_link

    token = load().discord_token
    if token is None:
        raise ConfigurationInvalid("Set DISCORD_TOKEN first: the link names the application that the token belongs to. See docs/discord.md.")
    print(invite_link(token.get_secret_value()))  # noqa: T201
    return 0


def need(module: str, extra: str) -> None:
    """Raise ConfigurationInvalid where a platform's library is not installed."""
    if importlib.util.find_spec(module) is None:
        raise ConfigurationInvalid(f"The library for {extra.capitalize()} is not installed: pip install 'codeact-bot[{extra}]'.")


def _opening(app: App, listening: Sequence[ChatAdapter]) -> str:
    names = " and ".join(type(adapter).__name__.removesuffix("Adapter") for adapter in listening)
    lines = [f"Serving {names} · model {app.model.name} · sandbox {app.sandbox.name}. Ctrl-C stops.", *app.fallbacks]
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a line for the person at the terminal, and for the log of whatever supervises the process."""
    print(log.line(text, "serve"), file=sys.stderr, flush=True)  # noqa: T201


def say_progress(step: Preparing) -> None:
    """Print the beginning of slow first-time work."""
    if not step.fraction:
        say(f"{step.label} …")
