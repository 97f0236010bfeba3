"""What `codeact-bot doctor` says about tokens, the model and the parts; the whole command is in test_cli.py."""

import pytest

from adapters.slack.manifest import SCOPES
from codeact_bot import doctor
from codeact_bot.settings import load
from codeact_bot.types import Check
from tests import openai_server
from tests.slack import emulator, proxy


@pytest.mark.parametrize(
    ("tokens", "ok", "told"),
    [
        ({}, None, "no tokens set"),
        ({"slack_bot_token": "xapp-1", "slack_app_token": "xoxb-1"}, False, "SLACK_BOT_TOKEN does not begin with xoxb-"),
        ({"slack_app_token": "xapp-1"}, False, "SLACK_BOT_TOKEN is not set"),
        ({"slack_bot_token": "xoxb-1"}, False, "neither SLACK_APP_TOKEN"),
        ({"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "slack_base_url": "http://127.0.0.1:9/api/"}, False, "cannot be reached"),
    ],
)
async def test_slack_tokens_are_looked_at(tokens, ok, told):
    check = await doctor.slack(load(**tokens))
    assert check.ok is ok
    assert told in check.text
    assert bool(check.remedy) is bool(tokens)


@pytest.mark.needs("slack")
async def test_slack_is_asked_and_missing_scopes_are_named(tmp_path):
    async with emulator.running(tmp_path) as slack, proxy.running(slack.address) as between:
        given = {"slack_bot_token": "xoxb-test", "slack_app_token": "xapp-test", "slack_base_url": f"{between.address}/api/"}
        check = await doctor.slack(load(**given))
        assert (check.ok, check.text) == (True, "codeact in Team, by Socket Mode")
        between.scopes = ",".join(scope for scope in SCOPES if scope != "files:write")
        check = await doctor.slack(load(**given))
        assert (check.ok, check.text) == (False, "codeact in Team, but without the scopes files:write")
        between.faults["apps.connections.open"] = [proxy.Fault(error="not_allowed_token_type")]
        check = await doctor.slack(load(**given))
        assert (check.ok, check.text) == (False, "Slack refuses the tokens: not_allowed_token_type")
        assert "xoxb-test" not in str(check)


@pytest.mark.parametrize(("token", "ok"), [(None, None), ("0123456789abcdef", False)])
async def test_the_discord_token_is_looked_at(token, ok):
    check = await doctor.discord(load(discord_token=token))
    assert check.ok is ok
    assert token is None or token not in check.text + check.remedy


def test_the_verdict_says_what_can_be_started():
    checks = {name: Check(name=name, ok=True, text="") for name in ("Docker", "Slack", "Discord")}
    assert doctor.verdict([checks["Docker"]]) == "Ready: `codeact-bot` starts a chat."
    assert doctor.verdict(list(checks.values())) == "Ready: `codeact-bot` starts a chat, `codeact-bot serve` answers in Slack and Discord."
    assert "Not ready" in doctor.verdict([*checks.values(), Check(name="model", ok=False, text="")])


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
