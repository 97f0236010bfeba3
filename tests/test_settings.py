"""Settings: where they come from, what is refused, and that each one is documented."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.settings import Settings, load
from codeact_bot.types import Price

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEACT_MODEL", "CODEACT_SANDBOX", "CODEACT_MONGO_URL", "CODEACT_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def variables():
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = alias.choices[0] if alias is not None else f"CODEACT_{name.upper()}"
        if is_dataclass(field.default):
            yield from (f"{variable}__{nested.name.upper()}" for nested in fields(field.default))
        else:
            yield variable


@pytest.mark.parametrize("variable", list(variables()))
def test_every_setting_is_documented_and_described(variable):
    row = next((line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{variable}` |")), "")
    assert len(row.split("|")[3].strip()) > 5


def test_documented_settings_exist():
    documented = {line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")}
    assert documented == set(variables())


def test_environment_and_dotenv(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:1/v1\nCODEACT_LIMITS__STEPS=7\n")
    monkeypatch.setenv("CODEACT_LIMITS__COST", "0.5")
    monkeypatch.setenv("CODEACT_PRICES", '{"m": {"input": 1, "cached": 0.5, "output": 2}}')
    settings = load()
    assert settings.openai_base_url == "http://127.0.0.1:1/v1"
    assert settings.has_model
    assert (settings.limits.steps, settings.limits.cost) == (7, 0.5)
    assert settings.prices["m"] == Price(input=1, cached=0.5, output=2)


def test_nothing_set_means_no_model():
    assert not load().has_model


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CODEACT_SANDBOX", "chroot"),
        ("CODEACT_LIMITS__STEPS", "many"),
        ("CODEACT_LIMITS__STEPS", "0"),
        ("CODEACT_POOL", "-1"),
        ("CODEACT_RESOURCES__MEMORY", "-5"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationInvalid, match=variable.split("__")[0]):
        load()


def test_secrets_do_not_show(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("CODEACT_MONGO_URL", "mongodb://user:hunter2@host")
    assert "sk-secret" not in repr(load())
    assert "hunter2" not in repr(load())


def test_secrets_are_named_by_their_variables(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("CODEACT_MONGO_URL", "mongodb://user:hunter%402@host")
    wanted = {"OPENAI_API_KEY": "sk-secret", "CODEACT_MONGO_URL": "mongodb://user:hunter%402@host", "CODEACT_MONGO_URL's password": "hunter@2"}
    assert load().secrets() == wanted


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("CODEACT_PEOPLE__ALLOW", '["@example.org", "sub:4711"]', lambda settings: settings.people.allow == ("@example.org", "sub:4711")),
        ("CODEACT_PEOPLE__AUDITORS", '["ann@example.org"]', lambda settings: settings.people.auditors == ("ann@example.org",)),
        ("CODEACT_PEOPLE__ADMINS", ' ["root@example.org"]', lambda settings: settings.people.admins == ("root@example.org",)),
        ("CODEACT_ACCESS__ALLOW", '["slack:channel:C1"]', lambda settings: settings.access.allow == ("slack:channel:C1",)),
        ("CODEACT_ACCESS__DENY", '["slack:user:U1"]', lambda settings: settings.access.deny == ("slack:user:U1",)),
        ("CODEACT_ACCESS__ADMINS", "[]", lambda settings: settings.access.admins == ()),
        ("CODEACT_RETENTION__PLATFORMS", '{"slack": 90, "discord": 30}', lambda settings: settings.retention.platforms == {"slack": 90, "discord": 30}),
        ("CODEACT_RETENTION__DAYS", "7.5", lambda settings: settings.retention.days == 7.5),
        ("CODEACT_PEOPLE", '{"allow": ["*"]}', lambda settings: settings.people.allow == ("*",)),
    ],
)
@pytest.mark.parametrize("file", [False, True])
def test_lists_and_tables_are_read_as_they_are_documented(monkeypatch, tmp_path, name, value, found, file):
    monkeypatch.chdir(tmp_path)
    if file:
        (tmp_path / ".env").write_text(f"{name}='{value}'\n")
    else:
        monkeypatch.setenv(name, value)
    assert found(load())


@pytest.mark.parametrize("value", ["@example.org", '["@example.org"', '{"a": 1}', "[1]"])
def test_what_is_no_list_of_texts_is_refused(monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEACT_PEOPLE__ALLOW", value)
    with pytest.raises(ConfigurationInvalid, match="CODEACT_PEOPLE__ALLOW"):
        load()
