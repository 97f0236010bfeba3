"""Secrets are left out, nothing else is, and it does not take long however a text is made."""

import secrets
import time

import pytest

from codeact_bot.redaction import LEFT_OUT, MARK, Redactor
from codeact_bot.tokens import BEGINNING
from codeact_bot.types import Change, CodeError, Deed, Entry, Execution, File, Status, Table

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nabc+/=\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "Slack token": ["xoxb-1234567890-abcdefGHIJ", "xapp-1-A012345678-9876543210-abcdef", "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTA", "xoxp-1-2-3-abcdef0123456789"],
    "API key": [
        "sk-proj-abcDEF1234567890abcd",
        "sk-0123456789abcdef0123",
        "sk-ant-api03-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7_aB3dE6gH9jK2mN5pQ8sT1vW4yAA",
        "sk-or-v1-0123456789abcdef0123456789abcdef",
    ],
    "GitHub token": ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat_11ABCDEFG0123456789_abcdefghij", "ghs_16C7e42F292c6912E7710c838347Ae178B4a"],
    "GitLab token": ["glpat-Xy1_zAbCdEfGhIjKlMnO", "glrt-t1_Xy1zAbCdEfGhIjKlMnOp", "glpat-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7.01.120abcdef"],
    "AWS key": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "Discord token": [
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
        "MTE5ODYyMjQ4MzQ3MTkyNTI0OA.GAbCdE.aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE6gH9jK",
        "ODk2MjI0ODM0NzE5MjUyNDg.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    ],
    "Google key": ["AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", "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", "ya29.a0AfH6SMBx1234567890abcdef"],
    "Stripe key": ["sk_live_4eC39HqLyjWDarjtT1zdp7dc", "rk_test_4eC39HqLyjWDarjtT1zdp7dc", "whsec_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE"],
    "npm token": ["npm_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB3dE6gH9"],
    "PyPI token": ["pypi-AgEIcHlwaS5vcmcCJGFiY2RlZjAxLTIzNDUtNjc4OS1hYmNkLWVmMDEyMzQ1Njc4OQACKlszLCI"],
    "Hugging Face token": ["hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"],
    "token": [JWT, "codeact_Ab3-_efGhIjKlMnOpQrStUvWxYz0123456789AbCdEf"],
    "private key": [KEY, KEY.replace("\n", "\\n"), KEY.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"), KEY.replace("RSA ", "OPENSSH ")],
}
KEPT = {
    "link": ["http://127.0.0.1:8321/?token=|Ab3-_efGhIjKlMnOpQrStUvWxYz01234", "https://codeact.example.org/s/|Ab3-_efGhIjKlMnOpQrStUvWxYz01234"],
    "AWS key": ["aws_secret_access_key = |wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 'AWS_SECRET_ACCESS_KEY="|wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    "password": ["postgres://ada:|s3cr%24t-of-ada|@db.example.org:5432/x", "redis://:|hunter2|@[::1]:6379", "https://u:|p-4|@example.org"],
    "Slack webhook": ["https://hooks.slack.com/services/|T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"],
}
"""What stands before a secret, and after it, stays."""
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
    "codeact_bot.redaction, codeact_deliveries_owed and CODEACT_WEB_SECRET",
    "d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "https://example.org/s/d41d8cd98f00b204e9800998ecf8427e?token=short and /s/an-ordinary-name-of-thirty-two-ch",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    'dsn = f"postgres://{user}:{password}@{host}/db"; "mysql://user:password@localhost/db"; "amqp://%s:%s@host" % (user, word)',
    "http://localhost:8321/t/web:4711 and https://example.org:443/@ada and mailto:ada@example.org and ssh://git@github.com:22/x",
    "hf_hub_download(repo_id) and hf_transfer, npm_config_registry, pk_test, skip_test_long_enough_to_be_one, glass-half-full-of-good-water",
    "Mean.Median.Mode.OfTheLongTableWithManyColumns, None.None.NoneNoneNoneNoneNoneNoneNone, NOT.A.TOKEN",
    "MDEyMzQ1Njc4OTAxMjM0NTY3 is base64 of digits and no token",
    "import uuid; 6ba7b810-9dad-11d1-80b4-00c04fd430c8; secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
    "whsec_ is how they begin; pypi-AgE too; AIza as well, and ya29.",
]


@pytest.mark.parametrize(("name", "secret"), [(name, secret) for name, secrets in SECRETS.items() for secret in secrets])
@pytest.mark.parametrize("around", ["{}", "before {} after", "x = '{}'\n", '{{"k": "{}"}}', "Bearer {}", "a={}&b=1"])
def test_a_secret_is_left_out_and_what_is_around_it_stays(name, secret, around):
    found = Redactor().text(around.format(secret))
    assert found in (around.format(f"{MARK}{name}]"), around.format(f"{MARK}token]"))


@pytest.mark.parametrize(("name", "parts"), [(name, text.split("|")) for name, texts in KEPT.items() for text in texts])
@pytest.mark.parametrize("around", ["{}", "before {} after", "x = '{}'\n"])
def test_a_secret_is_left_out_of_what_has_it_inside(name, parts, around):
    before, secret, after = (*parts, "")[:3]
    text, expected = around.format(before + secret + after), around.format(f"{before}{MARK}{name}]{after}")
    assert Redactor().text(text) == expected
    assert Redactor().text(expected) == expected
    assert [streamed(Redactor(), text, size) for size in (1, 2, 7, 50)] == [expected] * 4


def test_the_bots_own_secrets_are_known():
    """As they are made, and not as this test imagines them."""
    for _ in range(200):
        api, link, share = BEGINNING + secrets.token_urlsafe(32), secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        text = f"{api} http://127.0.0.1:8321/?token={link} http://127.0.0.1:8321/s/{share}/export/md"
        left = f"{MARK}token] http://127.0.0.1:8321/?token={MARK}link] http://127.0.0.1:8321/s/{MARK}link]/export/md"
        assert Redactor().text(text) == left


def test_of_a_record_names_of_files_and_settings_are_looked_through_too():
    secret = SECRETS["Slack token"][0]
    entry = Entry(kind=Deed.RESULT, text=secret, subject=secret, files=(File.of(f"{secret}.csv", b"1"),), changes=(Change(name="N", before=secret, after=f"{secret}!"),))
    found = Redactor().entry(entry)
    assert secret not in repr(found)
    assert [file.name for file in found.files] == [f"{MARK}Slack token].csv"]
    assert found.files[0].digest == entry.files[0].digest


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
    "unit", ["sk-", "sk-a", "-sk-", "gl", "glpat-", "://", "://a:", "MTk4", "/s/", "&token=", "ya29.", "hf_", "sk_live_", "eyJ", "eyJaaaaaaaaa.", "xoxb-", "Bearer ", "bearer a", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "AKIA", "x", " ", "-"]
)
def test_hostile_output_is_looked_through_in_time_that_grows_with_its_length_alone(unit):
    def spent(size):
        text, began = unit * (size // len(unit)), time.process_time()
        Redactor({"NAME": "hunter2hunter2"}).text(text)
        return time.process_time() - began

    spent(1000)
    assert min(spent(512_000) for _ in range(3)) < 16 * max(min(spent(64_000) for _ in range(3)), 0.01)
