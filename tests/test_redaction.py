"""Secrets are left out, nothing else is, and it does not take long however a text is made."""

import time

import pytest

from codeact_bot.redaction import LEFT_OUT, MARK, Redactor
from codeact_bot.types import CodeError, Execution, Status, Table

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nabc+/=\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "Slack token": ["xoxb-1234567890-abcdefGHIJ", "xapp-1-A012345678-9876543210-abcdef", "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTA"],
    "API key": ["sk-proj-abcDEF1234567890abcd", "sk-0123456789abcdef0123"],
    "GitHub token": ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat_11ABCDEFG0123456789_abcdefghij"],
    "AWS key": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "token": [JWT],
    "private key": [KEY, KEY.replace("\n", "\\n")],
}
CUT_OFF = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq"
HARMLESS = [
    "",
    "task-management-and-more-words",
    "scikit: sk-learn-contrib-pipelines-extra",
    "import jwt; jwt.decode(token)",
    'headers = {"Authorization": f"Bearer {token}"}',
    "a bearer of good news-and-all-that-is-good",
    "pattern = r'sk-[A-Za-z0-9]{20,}'",
    "AKIAIOSFODNN7EXAMPLEANDMORE",
    "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA7bq\n-----END CERTIFICATE-----",
    "the header says -----BEGIN PRIVATE KEY----- and then the key",
    "eyJust kidding. really.",
    "ghp_short",
]


@pytest.mark.parametrize(("name", "secret"), [(name, secret) for name, secrets in SECRETS.items() for secret in secrets])
@pytest.mark.parametrize("around", ["{}", "before {} after", "x = '{}'\n", '{{"k": "{}"}}', "Bearer {}", "a={}&b=1"])
def test_a_secret_is_left_out_and_what_is_around_it_stays(name, secret, around):
    found = Redactor().text(around.format(secret))
    assert found in (around.format(f"{MARK}{name}]"), around.format(f"{MARK}token]"))


def test_a_bearer_token_of_any_form_is_left_out():
    assert Redactor().text("Authorization: Bearer abc123def456ghi789jkl") == f"Authorization: Bearer {MARK}token]"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text):
    assert Redactor().text(text) == text
    assert streamed(Redactor(), text, 1) == text


def test_a_private_key_without_its_end_is_left_out():
    assert Redactor().text(f"{CUT_OFF}\n… 5,000 bytes") == f"{MARK}private key]… 5,000 bytes"


def test_configured_secrets_are_named_and_short_ones_are_let_be():
    redactor = Redactor({"OPENAI_API_KEY": "hunter2hunter2", "PIN": "1234", "LONG": "hunter2hunter2-and-more"})
    assert redactor.text("1234 hunter2hunter2 hunter2hunter2-and-more") == f"1234 {MARK}OPENAI_API_KEY] {MARK}LONG]"


def test_leaving_out_twice_changes_nothing_more():
    redactor = Redactor({"NAME": "hunter2hunter2"})
    once = redactor.text(f"hunter2hunter2 {JWT} {KEY} Bearer abc123def456ghi789jkl")
    assert redactor.text(once) == once


def test_all_of_an_execution_is_looked_through_and_it_says_so():
    secret = SECRETS["Slack token"][0]
    table = Table(columns=("a", secret), rows=(("1", secret),), total_rows=1, total_columns=2)
    run = Execution(
        status=Status.ERROR, output=secret, value=secret, error=CodeError(type="E", message=secret, traceback=f"x {secret}"), tables=(table,), notes=("n",)
    )
    found = Redactor().execution(run)
    assert secret not in repr(found)
    assert found.notes == ("n", LEFT_OUT)
    assert Redactor().execution(found) == found


def test_an_execution_without_secrets_is_the_same():
    run = Execution(status=Status.OK, output="4", tables=(Table(columns=("a",), rows=(("1",),), total_rows=1, total_columns=1),))
    assert Redactor().execution(run) is run


def streamed(redactor, text, size):
    stream = redactor.stream()
    return "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("secret", [secret for secrets in SECRETS.values() for secret in secrets] + ["hunter2hunter2", "Bearer abc123def456ghi789jkl"])
def test_a_secret_that_comes_in_pieces_is_left_out(secret, size):
    redactor = Redactor({"NAME": "hunter2hunter2"})
    text = f"before {secret} after, and s"
    assert streamed(redactor, text, size) == redactor.text(text)
    assert streamed(redactor, secret, size) == redactor.text(secret)


def test_ordinary_text_is_not_held_back():
    stream = Redactor({"NAME": "hunter2hunter2"}).stream()
    assert [stream.feed(piece) for piece in ("Epoch 1", "....", "50 %\n", "done.")] == ["Epoch 1", "....", "50 %\n", "done."]
    assert stream.feed("hunter") == ""
    assert stream.feed("s of bears") == "hunters of bear"


@pytest.mark.parametrize(
    "unit", ["sk-", "sk-a", "-sk-", "eyJ", "eyJaaaaaaaaa.", "xoxb-", "Bearer ", "bearer a", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "AKIA", "x", " ", "-"]
)
def test_hostile_output_is_looked_through_in_time_that_grows_with_its_length_alone(unit):
    def spent(size):
        text, began = unit * (size // len(unit)), time.process_time()
        Redactor({"NAME": "hunter2hunter2"}).text(text)
        return time.process_time() - began

    spent(1000)
    assert min(spent(512_000) for _ in range(3)) < 16 * max(min(spent(64_000) for _ in range(3)), 0.01)
