"""What the doctor finds out about the bot from Discord."""

from __future__ import annotations

import discord
import pytest

from adapters.discord import checks
from tests.discord.conftest import World
from tests.slack.conftest import until


async def test_an_application_without_the_intent_is_told_where_to_turn_it_on(world: World) -> None:
    check = await checks.ask(world.adapter.client, "token")
    assert (check.ok, check.text) == (False, "TestBot may not read messages")
    assert "Message Content Intent" in check.remedy


async def test_an_application_with_the_intent_is_fine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = discord.ApplicationFlags(gateway_message_content_limited=True)
    monkeypatch.setattr(discord.AppInfo, "flags", property(lambda _: flags))
    check = await checks.ask(world.adapter.client, "token")
    assert (check.ok, check.text) == (True, "TestBot, with the intent to read messages")


async def test_a_refused_token_is_named_with_a_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(token: str) -> None:
        raise discord.LoginFailure(f"Improper token {token} has been passed.")

    monkeypatch.setattr(world.adapter.client, "login", refuse)
    check = await checks.ask(world.adapter.client, "a.secret.token")
    assert check.ok is False
    assert "Reset and copy" in check.remedy
    assert "secret" not in str(check)


async def test_an_outage_is_told_apart(world: World) -> None:
    world.env.inject_error("GET", "/applications/@me", status=500, times=None)
    world.env.inject_error("GET", "/oauth2/applications/@me", status=500, times=None)
    check = await checks.ask(world.adapter.client, "token")
    assert (check.ok, "cannot be reached" in check.text) == (False, True), check


async def test_a_bot_without_a_connection_says_so_until_it_is_resumed(world: World) -> None:
    client = world.adapter.client
    client.dispatch("disconnect")
    await until(lambda: not client.linked)
    check = await world.adapter.check()
    assert (check.ok, check.text) == (False, "not connected")
    assert "https://discordstatus.com" in check.remedy
    client.dispatch("resumed")
    await until(lambda: client.linked)
    assert (await world.adapter.check()).ok
