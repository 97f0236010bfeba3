"""The Slack emulator as a process of its own, and people who use it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.parts import LOCAL_SLACK

TEAM, CHANNEL, OTHER = "T1", "C1", "C2"
ANN, BOB, BOT = "U1", "U2", "UBOT"
CONFIG: dict[str, Any] = {
    "workspace": {"teamId": TEAM, "name": "Team", "domain": "team"},
    "users": [{"id": ANN, "name": "ann", "real_name": "Ann"}, {"id": BOB, "name": "bob", "real_name": "Bob"}],
    "channels": [{"id": channel, "name": name, "members": [ANN, BOB, BOT]} for channel, name in ((CHANNEL, "general"), (OTHER, "random"))],
}
APP = {"appId": "A1", "botUserId": BOT, "botName": "codeact", "botToken": "xoxb-test", "appToken": "xapp-test", "signingSecret": "signing"}


class Emulator:
    """What people do in Slack, and what they see."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def control(self, path: str, **body: Any) -> Any:
        async with self._session.post(f"{self.address}/_control/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def send(self, text: str, channel: str = CHANNEL, user: str = ANN, thread: str = "") -> str:
        """Write a message; returns its time stamp."""
        given = {"thread_ts": thread} if thread else {}
        return str((await self.control("message", channel=channel, user=user, text=text, **given))["message"]["ts"])

    async def attach(self, text: str, name: str, data: bytes, channel: str = CHANNEL, user: str = ANN) -> None:
        form = aiohttp.FormData({"channel": channel, "user": user, "text": text})
        form.add_field("file", data, filename=name)
        async with self._session.post(f"{self.address}/_control/upload", data=form) as answer:
            assert answer.status == 200, await answer.text()

    async def messages(self, channel: str = CHANNEL) -> list[dict[str, Any]]:
        async with self._session.get(f"{self.address}/_control/messages/{channel}") as answer:
            return list((await answer.json())["messages"])

    async def posts(self, channel: str = CHANNEL) -> list[dict[str, Any]]:
        """The bot's own visible messages."""
        return [each for each in await self.messages(channel) if each.get("user") == BOT and each.get("subtype") != "ephemeral"]

    async def whispers(self, channel: str = CHANNEL) -> list[dict[str, Any]]:
        return [each for each in await self.messages(channel) if each.get("subtype") == "ephemeral"]

    async def log(self) -> list[dict[str, Any]]:
        async with self._session.get(f"{self.address}/_control/log") as answer:
            return list((await answer.json())["log"])

    async def state(self) -> dict[str, Any]:
        async with self._session.get(f"{self.address}/_control/state") as answer:
            return dict(await answer.json())

    async def press(self, post: dict[str, Any], label: str, user: str = ANN, channel: str = CHANNEL) -> None:
        """Press a button of a post."""
        buttons = [each for block in post["blocks"] if block["type"] == "actions" for each in block["elements"]]
        (button,) = [each for each in buttons if each["text"]["text"] == label]
        await self.control("interact", channel=channel, messageTs=post["ts"], user=user, action={**button, "type": "button"})

    async def command(self, text: str, channel: str = CHANNEL, user: str = ANN) -> None:
        await self.control("command", channel=channel, user=user, command="/codeact", text=text)


def labels(post: dict[str, Any]) -> list[str]:
    return [each["text"]["text"] for block in post.get("blocks", ()) if block["type"] == "actions" for each in block["elements"]]


def shown(post: dict[str, Any]) -> str:
    """Return all texts of a post."""

    def texts(part: Any) -> list[str]:
        if isinstance(part, dict):
            return [value for name, value in part.items() if name == "text" and isinstance(value, str)] + [
                text for value in part.values() if not isinstance(value, str) for text in texts(value)
            ]
        return [text for each in part for text in texts(each)] if isinstance(part, list) else []

    return "\n".join(texts(post.get("blocks") or [])) or str(post.get("text", ""))


@asynccontextmanager
async def running(folder: Path, mode: str = "socket", request_url: str = "") -> AsyncIterator[Emulator]:
    """Start an emulator on a free port and stop it at the end."""
    (folder / "slack.json").write_text(json.dumps({**CONFIG, "apps": [{**APP, "mode": mode, **({"requestUrl": request_url} if request_url else {})}]}))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        LOCAL_SLACK, "--config", folder / "slack.json", "--port", str(port), "--files-dir", folder / "files",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            emulator = Emulator(session, f"http://localhost:{port}")
            await _answers(emulator)
            yield emulator
    finally:
        process.terminate()
        await process.wait()


async def _answers(emulator: Emulator) -> None:
    for _ in range(200):
        try:
            await emulator.state()
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("the Slack emulator does not answer")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
