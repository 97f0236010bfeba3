"""The ChatAdapter for Slack."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from adapters.common.approvals import settled
from adapters.common.counter import Counter
from adapters.common.elsewhere import posted_before
from adapters.common.pace import Pace, PlatformDown, TryLater
from adapters.common.patience import patient
from adapters.slack.budget import Budget
from adapters.slack.deeds import Hand
from adapters.slack.errands import Errands
from adapters.slack.faults import WRONG_TOKEN_CODES, error_of, heeding
from adapters.slack.hearing import Ear
from adapters.slack.listeners import bolt_app
from adapters.slack.places import PREFIX
from adapters.slack.reply import EVERY, SlackReply
from adapters.slack.settling import settle
from adapters.slack.slash import Commands
from adapters.slack.wire import Wire
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.ports import Desk, Inbox, Reply
from codeact_bot.types import Access, Check, Incoming, Turn

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
WRONG_TOKEN = "Slack does not accept %s (%s). Copy the token again from https://api.slack.com/apps; see docs/slack.md."  # noqa: S105

NOT_CONNECTED = "The bot tries again by itself. If it does not succeed, look into its log and at https://slack-status.com."


async def _no() -> bool:
    return False


async def _yes() -> bool:
    return True


class SlackAdapter:
    """Answers in Slack; implements ChatAdapter."""

    def __init__(self, *, bot_token: str, app_token: str, signing_secret: str, base_url: str, http: str, desk: Desk, access: Access) -> None:
        """Listen by Socket Mode with an app-level token, else at the address `http` for requests that the signing secret signs."""
        self._app_token = app_token
        self._secret = signing_secret
        self._http = http
        self._desk = desk
        self._access = access
        self._wire = Wire(bot_token, base_url)
        self._budget = Budget()
        self._ear: Ear | None = None
        self._connected: Callable[[], Awaitable[bool]] = _no

    @property
    def prefixes(self) -> Sequence[str]:
        """All conversations that were begun in Slack."""
        return (PREFIX,)

    async def listen(self, inbox: Inbox) -> None:
        """Take in messages until cancelled. Raises ConfigurationInvalid for tokens that Slack does not accept."""
        await self._wire.open()
        try:
            ear = self._ear = Ear(self._wire, Counter(inbox, self._desk), self._access, await self._who_am_i())
            errands = Errands()
            try:
                app = bolt_app(self._wire.client, self._secret, ear, Hand(ear), Commands(ear), errands)
                async with self._socket(app) if self._app_token else self._server(app):
                    try:
                        await asyncio.Event().wait()
                    finally:
                        ear.leave()
                        await errands.settle()
            finally:
                await errands.aclose()
                await ear.aclose()
        finally:
            await self._wire.aclose()

    async def _who_am_i(self) -> str:
        """Return the bot's user id, waiting for Slack where it is away."""

        async def ask() -> str:
            with refusing("SLACK_BOT_TOKEN"):
                return str((await self._wire.client.auth_test())["user_id"])

        return await patient(ask, failures=(PlatformDown, TryLater), failed="Could not log in to Slack")

    @asynccontextmanager
    async def _socket(self, app: AsyncApp) -> AsyncIterator[None]:
        """Listen by Socket Mode; the client reconnects by itself once it was connected."""
        handler = AsyncSocketModeHandler(app, self._app_token, logger=logging.getLogger("slack_sdk.socket_mode"))

        async def connect() -> None:
            with refusing("SLACK_APP_TOKEN"):
                await handler.connect_async()  # type: ignore[no-untyped-call]

        try:
            await patient(connect, failures=(PlatformDown, TryLater), failed="Could not connect to Slack")
            self._connected = handler.client.is_connected
            yield
        finally:
            self._connected = _no
            await handler.close_async()  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def _server(self, app: AsyncApp) -> AsyncIterator[None]:
        """Listen for signed requests."""
        host, _, port = self._http.rpartition(":")
        runner = web.AppRunner(app.web_app(EVENTS_PATH))
        await runner.setup()
        try:
            await web.TCPSite(runner, host, int(port)).start()
            log.info("Slack's requests are taken at http://%s%s", self._http, EVENTS_PATH)
            self._connected = _yes
            yield
        finally:
            self._connected = _no
            await runner.cleanup()

    async def check(self) -> Check:
        """Whether Slack's events come in by Socket Mode; where Slack sends requests, whether they are taken."""
        if not await self._connected():
            return Check(name="Slack", ok=False, text="not connected", remedy=NOT_CONNECTED)
        return Check(name="Slack", ok=True, text="connected")

    async def reply(self, turn: Turn) -> Reply:
        """Open the post for a turn, or go on with the one that `turn.reply` names."""
        reply = SlackReply(self._wire, self._desk, self._budget, turn, await posted_before(self._desk, turn))
        if turn.outcome is None:
            await reply.opened()
            if self._ear is not None:
                await self._ear.unmark(turn)
        return reply

    async def settle(self, asked: Turn, by: Incoming) -> None:
        """Take Approve and Decline from a post and say there what came of them, for as long as it takes."""
        await Pace(lambda: settle(self._wire, asked, settled(asked, by)), EVERY).finish()


@contextmanager
def refusing(token: str) -> Iterator[None]:
    """Turn Slack's failures into PlatformDown and TryLater, and those of a wrong token into ConfigurationInvalid."""
    try:
        with heeding():
            yield
    except (PlatformDown, TryLater) as error:
        cause = error.__cause__
        if isinstance(cause, SlackApiError) and error_of(cause) in WRONG_TOKEN_CODES:
            raise ConfigurationInvalid(WRONG_TOKEN % (token, error_of(cause))) from None
        raise
