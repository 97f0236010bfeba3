"""One frozen Settings, read from the environment and from `.env`; every field is documented here and in docs/settings.md."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from codeact_bot.errors import ConfigurationInvalid
from codeact_bot.types import Access, Bounds, Limits, People, Price, Rates, Resources, Retention

LONGEST = 36_500
"""Days of the longest retention: a hundred years."""


def data_folder() -> Path:
    """Return the folder for a user's data by the platform's convention (XDG base directories; Apple's Library)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "codeact-bot"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "codeact-bot"


class Settings(BaseSettings):
    """Everything that can be set.

    A variable's name is `CODEACT_` and the field's name; a nested one adds `__`, as in `CODEACT_LIMITS__STEPS`.
    """

    model_config = SettingsConfigDict(
        env_prefix="CODEACT_",
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    model: str = Field("", description="Name of the model; empty: the first that OPENAI_BASE_URL offers, or gpt-4.1 at OpenAI.")
    openai_api_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("OPENAI_API_KEY", "CODEACT_OPENAI_API_KEY"), description="Key of the model's server."
    )
    openai_base_url: str = Field(
        "",
        validation_alias=AliasChoices("OPENAI_BASE_URL", "CODEACT_OPENAI_BASE_URL"),
        description="Address of an OpenAI-compatible server (vLLM, llama.cpp, Ollama …); empty: OpenAI.",
    )
    temperature: float | None = Field(None, description="Sampling temperature; empty: the server's default.")
    context_tokens: int = Field(100_000, gt=1000, description="Tokens of history and current turn that the model is sent at most.")
    prices: dict[str, Price] = Field(
        default_factory=dict,
        description='Prices in US dollars per million tokens, as JSON: {"my-model": {"input": 1, "cached": 0.1, "output": 4}}.',
    )

    slack_bot_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("SLACK_BOT_TOKEN", "CODEACT_SLACK_BOT_TOKEN"), description="Slack's bot token, xoxb-…; docs/slack.md."
    )
    slack_app_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SLACK_APP_TOKEN", "CODEACT_SLACK_APP_TOKEN"),
        description="Slack's app-level token, xapp-…, for Socket Mode.",
    )
    slack_signing_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SLACK_SIGNING_SECRET", "CODEACT_SLACK_SIGNING_SECRET"),
        description="Slack's signing secret, for HTTP instead of Socket Mode.",
    )
    slack_base_url: str = Field("https://slack.com/api/", description="Address of Slack's Web API.")
    slack_http: str = Field("127.0.0.1:3000", description="Host and port that take Slack's requests where there is no app-level token.")
    discord_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("DISCORD_TOKEN", "CODEACT_DISCORD_TOKEN"), description="Discord's bot token; docs/discord.md."
    )
    web: str = Field("127.0.0.1:8321", description="Host and port of the web chat, or off; docs/web.md.")
    web_url: str = Field("", description="Address under which people reach the web chat, where that is another one: https://codeact.example.org.")
    web_secret: SecretStr = Field(
        SecretStr(""), description="Key that signs the web chat's sessions, the same for all workers; empty: one that is kept in the data folder."
    )
    web_answers: Literal["own", "here", "there"] = Field(
        "own",
        description="What can be answered in the web chat: its own conversations; other platforms', too, here alone; or there as well, if asked for.",
    )
    operations: str = Field(
        "", description="Host and port of /healthz, /readyz and /metrics; empty: those of the web chat, where it is on; docs/operations.md."
    )
    metrics_token: SecretStr | None = Field(
        None, description="Token with which /metrics and the details of /readyz can be had from other machines; empty: from this one alone."
    )
    oidc_issuer: str = Field("", description="Server that signs people in, by OpenID Connect: https://accounts.google.com; docs/access.md.")
    oidc_client_id: str = Field("", description="Client id that it gave the web chat.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Client secret that it gave the web chat.")
    oidc_scopes: str = Field("openid email profile", description="What is asked of it.")
    proxy_addresses: tuple[str, ...] = Field(
        (), description='Addresses of proxies before the web chat whose headers are trusted, as a JSON list: ["10.0.0.7", "10.1.0.0/16"].'
    )
    proxy_user_header: str = Field(
        "", description="Header in which those proxies name the person whom they signed in, such as X-Forwarded-User; empty: they sign nobody in."
    )
    proxy_email_header: str = Field("", description="Header in which they give the person's e-mail address.")
    session_hours: float = Field(168.0, gt=0, description="Hours after which one has to sign in to the web chat again.")
    people: People = Field(
        People(), description='Who may use the web chat where people sign in, and as what, as JSON lists: CODEACT_PEOPLE__ALLOW=\'["@example.org"]\'.'
    )
    rates: Rates = Field(
        Rates(), description="How many requests the web chat and its API take in a minute; one that changes something counts as ten."
    )
    access: Access = Field(
        Access(),
        description='Who may use the bot on chat platforms, as JSON lists: CODEACT_ACCESS__ALLOW=\'["slack:channel:C1", "discord:role:7"]\'.',
    )

    concurrency: int = Field(50, ge=1, description="Questions that one worker answers at the same time; more of them wait.")
    sandbox: Literal["auto", "docker", "process"] = Field(
        "auto", description="Where code runs; auto: Docker where it answers, else (in the terminal only) a process."
    )
    approve: Literal["nothing", "code"] = Field(
        "nothing", description="What a person has to approve before it is done: nothing, or each block of code; docs/approvals.md."
    )
    process_for_others: bool = Field(
        False,
        description="Let the process sandbox run code of other people than the one who started the program; it isolates less than Docker.",
    )
    image: str = Field(
        "", description="Image of the Docker sandbox, any with Python >= 3.9; empty: the project's own, built on first use."
    )
    base_image: str = Field(
        "", description="Base image that the project's own sandbox image is built from; empty: the Dockerfile's default."
    )
    docker_runtime: str = Field("", description="Docker runtime, such as runsc for gVisor; empty: the engine's default.")
    pool: int = Field(1, ge=0, description="Unused sandboxes kept started for new conversations.")
    hibernate_minutes: float = Field(
        30.0, gt=0, description="Minutes after which an unused conversation's sandbox is removed; its state is kept, and the next message wakes it."
    )
    grace_seconds: float = Field(
        20.0, ge=0, description="Seconds that answers under way have to come to their end when `serve` is told to stop; then others go on with them."
    )
    time_zone: str = Field("UTC", description="Time zone of schedules that name none, such as Europe/Berlin; in Slack the person's own comes first.")
    misfire_minutes: float = Field(
        60.0, gt=0, description="Minutes by which a scheduled run may be late, when no worker was running at its time; after that it is only told of."
    )
    retention: Retention = Field(Retention(), description="How long answered questions are kept, in days.")
    resources: Resources = Field(Resources(), description="What one sandbox may use.")
    limits: Limits = Field(Limits(), description="Every budget of a turn.")
    bounds: Bounds = Field(Bounds(), description="What comes back from one execution at most.")

    mongo_url: SecretStr = Field(
        SecretStr(""), description="MongoDB; empty: a private one, started when needed and stopped with its last user."
    )
    database: str = Field("codeact", description="Name of the database.")
    data: Path = Field(default_factory=data_folder, description="Folder of the private MongoDB, logs, line history and saved files.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe record that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="How records are written: lines to read, or one JSON object per line.")
    traces: str = Field(
        "",
        validation_alias=AliasChoices("CODEACT_TRACES", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Address of an OpenTelemetry collector that is sent traces, by OTLP over HTTP; also OTEL_EXPORTER_OTLP_ENDPOINT; empty: none.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"there is no time zone {value!r}; write one such as Europe/Berlin")
        return value

    @field_validator("people", "access", "retention", mode="before")
    @classmethod
    def _parts(cls, value: object) -> object:
        """Read lists and tables, which pydantic-settings leaves as they are written where they are inside of a dataclass."""
        return {name: _json(part) for name, part in value.items()} if isinstance(value, dict) else value

    @field_validator("retention")
    @classmethod
    def _ages(cls, value: Retention) -> Retention:
        if not all(0 <= days <= LONGEST for days in (value.days, *value.platforms.values())):
            raise ValueError(f"days must be between 0 and {LONGEST:,}")
        return value

    @field_validator("resources", "limits", "bounds", "rates")
    @classmethod
    def _positive(cls, value: Resources | Limits | Bounds | Rates) -> Resources | Limits | Bounds | Rates:
        for field in fields(value):
            if getattr(value, field.name) <= 0:
                raise ValueError(f"{field.name} must be greater than 0")
        return value

    @property
    def has_web(self) -> bool:
        """Whether the web chat is to be served."""
        return self.web.lower() not in ("off", "none", "false", "no", "0")

    def secrets(self) -> dict[str, str]:
        """The values that must not be written or shown anywhere, by their variables' names; the password inside an address is one by itself."""
        given = {variable((name,)): getattr(self, name) for name in type(self).model_fields}
        values = {name: value.get_secret_value() for name, value in given.items() if isinstance(value, SecretStr)}
        values["CODEACT_MONGO_URL's password"] = unquote(urlsplit(values["CODEACT_MONGO_URL"]).password or "")
        return {name: value for name, value in values.items() if value}

    @property
    def has_model(self) -> bool:
        """Whether a real model is configured; the demo model answers otherwise."""
        return self.openai_api_key is not None or bool(self.openai_base_url)


def load(**overrides: object) -> Settings:
    """Read the settings. Raises ConfigurationInvalid with one line per wrong setting."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"  {variable(item['loc'])}: {item['msg'].lower()}" for item in error.errors(include_input=False)]
        raise ConfigurationInvalid("These settings are not valid; see docs/settings.md.\n" + "\n".join(lines)) from None


def _json(part: object) -> object:
    """Return what a JSON list or table says; anything else as it is."""
    if not isinstance(part, str) or not part.strip().startswith(("[", "{")):
        return part
    try:
        return json.loads(part)
    except ValueError:
        return part


def variable(location: tuple[int | str, ...]) -> str:
    name = "__".join(str(part) for part in location).upper()
    return name if name.startswith(("OPENAI_", "SLACK_", "DISCORD_")) else f"CODEACT_{name}"
