"""The Bolt app: which events reach whom, and when each is acknowledged."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.caller import Caller
from adapters.slack.deeds import Hand
from adapters.slack.errands import Errands
from adapters.slack.hearing import Ear
from adapters.slack.slash import Commands

log = logging.getLogger(__name__)

ASKING = {"retry", "edited", "rebuild", "approve", "decline"}
"""Buttons that ask, and so are acknowledged when the store has the question."""

Next = Callable[[], Awaitable[Any]]
Ack = Callable[[], Awaitable[Any]]


def bolt_app(client: AsyncWebClient, secret: str, ear: Ear, hand: Hand, commands: Commands, errands: Errands) -> AsyncApp:
    """Make the app. Bolt acknowledges an event before its listener runs, so messages are taken in by listener middleware, which runs before that.

    Where the store is away, the middleware raises, nothing is acknowledged, and Slack sends the event again.
    """
    library = logging.getLogger("slack_bolt")
    library.setLevel(logging.ERROR)  # it would warn of the token in the environment, which the client has, too
    app = AsyncApp(client=client, signing_secret=secret or "unused", logger=library)
    library.setLevel(logging.NOTSET)

    async def take(body: dict[str, Any], context: AsyncBoltContext, next: Next) -> None:
        context["fresh"] = await ear.hear(body["event"], str(body.get("team_id") or ""))
        await next()

    @errands.own
    async def taken(context: AsyncBoltContext) -> None:
        """Do what can wait until Slack has its acknowledgement."""
        if context.get("fresh") is not None:
            await ear.mark(context["fresh"])

    app.event("message", middleware=[take])(taken)
    app.event("app_mention", middleware=[take])(taken)

    async def stop(body: dict[str, Any], next: Next) -> None:
        await ear.stopped(body["event"], str(body.get("team_id") or ""))
        await next()

    app.event("agent_session_stopped", middleware=[stop])(taken)

    @app.event("app_home_opened")
    @errands.own
    async def home(event: dict[str, Any]) -> None:
        if event.get("tab", "home") == "home":
            await ear.wire.publish_home(str(event["user"]), ear.help())

    deeds = {"stop": hand.stop, "retry": hand.retry, "code": hand.code, "notebook": hand.notebook, "edited": hand.edited}
    deeds |= {"fork": hand.fork, "rebuild": hand.rebuild, "approve": hand.approve, "decline": hand.decline}

    @app.action(re.compile("^codeact_"))
    @errands.own
    async def pressed(body: dict[str, Any], action: dict[str, Any], ack: Ack) -> None:
        name, caller = str(action["action_id"]).removeprefix("codeact_"), caller_of(body)
        if name not in ASKING:
            await ack()
        if name in deeds:
            await hand.attend(caller, lambda: deeds[name](caller, str(action["value"])))
        await ack()

    @app.command("/codeact")
    @errands.own
    async def command(body: dict[str, Any], ack: Ack) -> None:
        caller = Caller(
            user=str(body["user_id"]), team=str(body["team_id"]), channel=str(body["channel_id"]), thread="", trigger=str(body["trigger_id"])
        )
        await hand.attend(caller, lambda: commands.do(caller, str(body.get("text") or "")))
        await ack()

    @app.shortcut("codeact_run")
    @errands.own
    async def shortcut(body: dict[str, Any], ack: Ack) -> None:
        caller = caller_of(body)
        await hand.attend(caller, lambda: hand.shortcut(caller, body["message"]))
        await ack()

    return app


def caller_of(body: dict[str, Any]) -> Caller:
    """Read who pressed a button or used a shortcut, and where."""
    message, container = body.get("message") or {}, body.get("container") or {}
    channel = str((body.get("channel") or {}).get("id") or container.get("channel_id") or "")
    thread = message.get("thread_ts") or container.get("thread_ts") or ("" if channel.startswith("D") else message.get("ts") or "")
    return Caller(user=str(body["user"]["id"]), team=str(body["team"]["id"]), channel=channel, thread=str(thread), trigger=str(body["trigger_id"]))
