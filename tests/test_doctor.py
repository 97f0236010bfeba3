"""What `codeact-bot doctor` says about tokens, the model and the parts; the whole command is in test_cli.py."""

import pytest

from codeact_bot import doctor
from codeact_bot.settings import load
from tests import openai_server


@pytest.mark.parametrize(
    ("tokens", "ok", "told"),
    [
        ({}, None, "no tokens set"),
        ({"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}, True, "for Socket Mode"),
        ({"slack_bot_token": "xoxb-1", "slack_signing_secret": "s"}, True, "for HTTP"),
        ({"slack_bot_token": "xapp-1", "slack_app_token": "xoxb-1"}, None, "SLACK_BOT_TOKEN does not begin with xoxb-"),
        ({"slack_app_token": "xapp-1"}, None, "SLACK_BOT_TOKEN is not set"),
        ({"slack_bot_token": "xoxb-1"}, None, "neither SLACK_APP_TOKEN"),
    ],
)
def test_slack_tokens_are_looked_at(tokens, ok, told):
    check = doctor.slack(load(**tokens))
    assert check.ok is ok
    assert told in check.text
    assert bool(check.remedy) is (ok is None and bool(tokens))


@pytest.mark.parametrize(("token", "ok"), [(None, None), ("a.b.c", True), ("0123456789abcdef", None)])
def test_the_discord_token_is_looked_at(token, ok):
    check = doctor.discord(load(discord_token=token))
    assert check.ok is ok
    assert token is None or token not in check.text + check.remedy


async def test_the_model_is_asked_for_its_name():
    with openai_server.running() as url:
        check = await doctor.model(load(openai_base_url=url))
    assert (check.ok, check.text) == (True, f"small at {url}")


async def test_a_model_that_does_not_answer_is_named_with_a_remedy():
    check = await doctor.model(load(openai_base_url="http://127.0.0.1:9/v1"))
    assert check.ok is False
    assert "127.0.0.1:9" in check.remedy


async def test_no_model_is_no_failure():
    check = await doctor.model(load(openai_base_url="", openai_api_key=None))
    assert check.ok is None
    assert "OPENAI_API_KEY" in check.remedy
