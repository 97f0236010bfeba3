"""The commands around `serve`: what they print, and what they say where something is missing."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import discord
import pytest

from adapters.common.commands import NAMES
from adapters.slack.manifest import SCOPES
from codeact_bot import cli, serve, site
from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.settings import load

TOKENS = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "DISCORD_TOKEN")


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)


def test_the_manifest_asks_for_socket_mode_and_what_is_used(capsys):
    assert cli.main(["slack", "manifest"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == set(SCOPES)
    assert {"app_mention", "message.im", "message.channels", "message.groups", "app_home_opened"} <= set(manifest["settings"]["event_subscriptions"]["bot_events"])
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == "/codeact"
    assert [name for name in NAMES if name not in command["usage_hint"].replace("[ask]", "ask").split()] == []
    assert [each["callback_id"] for each in manifest["features"]["shortcuts"]] == ["codeact_run"]


def test_the_manifest_for_http_has_the_address_everywhere(capsys):
    assert cli.main(["slack", "manifest", "--http", "https://bot.example.org/"]) == 0
    text = capsys.readouterr().out
    assert text.count("https://bot.example.org/slack/events") == 3
    assert json.loads(text)["settings"]["socket_mode_enabled"] is False


def test_the_invite_asks_for_what_is_used_and_no_more(monkeypatch, capsys):
    monkeypatch.setenv("DISCORD_TOKEN", "MTIzNDU2Nzg5MDEyMzQ1Njc4.x.y")
    assert cli.main(["discord", "invite"]) == 0
    link = capsys.readouterr().out.strip()
    asked = discord.Permissions(int(parse_qs(urlsplit(link).query)["permissions"][0]))
    wanted = {name for name, value in asked if value}
    assert wanted == {"view_channel", "read_messages", "send_messages", "create_public_threads", "send_messages_in_threads", "read_message_history",
                      "attach_files", "add_reactions"} & {name for name, _ in asked}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["serve"], "no chat platform is configured, and CODEACT_WEB is off. For Slack set SLACK_BOT_TOKEN"),
        (["discord", "invite"], "Set DISCORD_TOKEN first"),
    ],
)
def test_without_tokens_the_remedy_is_named(command, told, capsys, monkeypatch):
    monkeypatch.setenv("CODEACT_WEB", "off")
    assert cli.main(command) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"slack_bot_token": "xoxb-1"}, "needs SLACK_APP_TOKEN beside it"),
        ({"web": "off"}, "no chat platform is configured"),
    ],
)
def test_half_a_configuration_is_refused(given, told):
    with pytest.raises(ConfigurationInvalid, match=told):
        serve.check(load(**given))


def test_a_library_that_is_not_installed_is_named():
    with pytest.raises(ConfigurationInvalid, match=r"pip install 'codeact-bot\[slack\]'"):
        serve.need("no_such_module", "slack")


def test_each_platform_with_tokens_gets_its_adapter():
    both = load(web="off", slack_bot_token="xoxb-1", slack_app_token="xapp-1", discord_token="a.b.c")
    assert [type(each).__name__ for each in serve.adapters(both, desk=None)] == ["SlackAdapter", "DiscordAdapter"]


def test_the_web_chat_alone_is_enough(tmp_path):
    settings = load(data=tmp_path)
    serve.check(settings)
    assert [type(each).__name__ for each in serve.adapters(settings, desk=None)] == ["WebAdapter"]


def test_the_key_of_the_sessions_is_kept_for_its_owner_alone(tmp_path):
    first = site.kept_secret(tmp_path / "data" / "web-secret")
    assert len(first) > 40
    assert site.kept_secret(tmp_path / "data" / "web-secret") == first
    assert (tmp_path / "data" / "web-secret").stat().st_mode & 0o777 == 0o600
