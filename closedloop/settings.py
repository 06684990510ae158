"""Typed settings, read from the environment and `.env` (prefix `CLOSEDLOOP_`)."""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.keys import SHORTEST_KEY, keys_of, read_keys
from closedloop.webaddress import is_web_address
from closedloop.webhooks import NAME, Webhook, check_address

Crm = Literal["salesforce", "hubspot"]
"""What can be asked for changes."""
REPO = Path(__file__).resolve().parent.parent
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@\w(?:[\w.-]{0,251}\w)?")


class Settings(BaseSettings):
    """All that can be set; the documentation page `docs/settings.md` lists the same names."""

    model_config = SettingsConfigDict(env_prefix="CLOSEDLOOP_", env_file=".env", extra="forbid", frozen=True)

    home: Path = Field(default=REPO / ".closedloop", description="folder of all state")
    surveys: Path = Field(default=REPO / "surveys", description="folder of survey programmes (YAML)")
    mapping: Path = Field(default=REPO / "mappings" / "salesforce.yml", description="field mapping of the CRM export")
    crm_sink: Literal["files", "salesforce", "hubspot", "none"] = Field(
        default="files",
        description="where actions for the CRM go: files in `outbox/` of the home, Salesforce, HubSpot, or nowhere",
    )
    write_back: Path = Field(
        default=REPO / "mappings" / "write_back" / "salesforce.yml", description="field mapping of what the CRM is told"
    )
    salesforce_url: str = Field(default="", description="My Domain, https://company.my.salesforce.com; empty: none")
    salesforce_client_id: str = Field(default="", description="consumer key of the connected app")
    salesforce_client_secret: str = Field(default="", description="its secret, for the client credentials flow")
    salesforce_username: str = Field(default="", description="the user of the JWT bearer flow")
    salesforce_private_key_file: Path | None = Field(default=None, description="its private key (PEM, RSA)")
    salesforce_api_version: str = Field(default="62.0", pattern=r"^[0-9]{2,3}\.0$", description="of Salesforce's API")
    hubspot_token: str = Field(default="", description="access token of a private app of HubSpot; empty: none")
    hubspot_url: str = Field(default="https://api.hubapi.com", description="where HubSpot's API answers")
    engine: Literal["embedded", "shared"] = Field(
        default="embedded",
        description="embedded: SQLite; shared: ledger, catalogue and Dagster storage on PostgreSQL (CLOSEDLOOP_LEDGER_URL)",
    )
    ledger_url: str = Field(default="", description="SQLAlchemy URL of the ledger; empty: ledger.sqlite in the home")
    smtp_url: str = Field(default="smtp://127.0.0.1:8025", description="smtp://user:password@host:port")
    sms_url: str = Field(
        default="",
        description="https://account:token@host/path, the Messages resource of an SMS provider (Twilio's form); empty: no SMS",
    )
    sms_sender: str = Field(default="", max_length=64, description="number or name that text messages come from")
    collector_url: str = Field(default="http://127.0.0.1:8080", description="public base address of survey links")
    trusted_proxies: list[str] = Field(
        default=["127.0.0.1", "::1"],
        description="addresses of proxies whose X-Forwarded-For and -Proto the collector believes (JSON list)",
    )
    max_posts_per_minute: int = Field(
        default=300, ge=0, description="answers and other posts that one address may send in a minute; 0: any number"
    )
    max_visits_per_minute: int = Field(
        default=6000, ge=0, description="pages and pictures that one address may fetch in a minute; 0: any number"
    )
    live_sending: bool = Field(default=False, description="off: only allowed_recipients get mail")
    allowed_recipients: list[str] = Field(
        default=["*@*.example", "*@example.com", "*@closedloop.example"],
        description="patterns of addresses that may get mail while live sending is off (JSON list)",
    )
    sender_name: str = Field(default="Customer feedback", description="display name of the shared sender")
    sender_address: str = Field(default="feedback@closedloop.example", description="shared sender address")
    rep_address_domains: list[str] = Field(
        default=[],
        description="domains whose owners' own addresses surveys may come from, where a survey has `sender: rep` (JSON list)",
    )
    postal_address: str = Field(
        default="", description="the company's postal address, in the footer of every survey mail"
    )
    privacy_url: str = Field(default="", description="the company's privacy notice (https://), linked in survey mails")
    dkim_domain: str = Field(
        default="", description="the domain that signs all mail (docs/mail.md); empty: no signature"
    )
    dkim_selector: str = Field(default="", description="the DNS record of the key is <selector>._domainkey.<domain>")
    dkim_key_file: Path | None = Field(default=None, description="private key (PEM, RSA) that signs mail")
    operator_address: str = Field(default="operations@closedloop.example", description="gets failure mails")
    marketing_address: str = Field(
        default="", description="is told of promoters (alerts to marketing); empty: nobody is"
    )
    secret_key: str = Field(
        default="",
        description="signs links; older keys after it, separated by blanks, still open theirs; empty: kept in the home",
    )
    widget_secret: str = Field(
        default="", description="signs who a visitor of an application or portal is; empty: no widget (docs/in-app.md)"
    )
    widget_origins: list[str] = Field(
        default=[], description="origins of pages that may hold the widget, like https://app.example.com (JSON list)"
    )
    mail_provider: Literal["", "ses", "postmark", "sendgrid"] = Field(
        default="", description="mails carry what this provider returns with its reports (docs/events.md)"
    )
    ses_topic_arn: str = Field(default="", description="SNS topic whose notifications /webhooks/ses takes")
    postmark_credentials: str = Field(default="", description="user:password that /webhooks/postmark asks for")
    sendgrid_public_key: str = Field(default="", description="verification key of /webhooks/sendgrid (base64)")
    bounce_mailbox: str = Field(
        default="", description="where bounces arrive: maildir:///path or imaps://user:password@host/INBOX"
    )
    webhooks: list[Webhook] = Field(
        default=[],
        description="who is told of each answer and step of a follow-up, and with which key (JSON list, docs/webhooks-out.md)",
    )
    chat_webhooks: dict[str, str] = Field(
        default={},
        repr=False,
        description="incoming webhooks of chats by the name that workflows use (JSON object, name to https address)",
    )
    alert_grace_seconds: int = Field(
        default=30, ge=0, description="by itself an alert waits so long for the words that follow a score"
    )
    wave_approval_size: int = Field(default=10_000, ge=1, description="a larger wave waits for approval")
    smtp_connections: int = Field(default=1, ge=1, le=32, description="connections to the mail server, side by side")
    max_per_hour: int = Field(default=0, ge=0, description="at most so many surveys go out in an hour; 0: any number")
    max_per_day: int = Field(default=0, ge=0, description="at most so many surveys on one UTC day; 0: any number")
    max_per_domain_per_hour: int = Field(
        default=0, ge=0, description="at most so many surveys in an hour to one recipient domain; 0: any number"
    )
    max_per_account_per_day: int = Field(
        default=0, ge=0, description="at most so many surveys on one UTC day to one customer account; 0: any number"
    )
    warm_up_from: dt.date | None = Field(
        default=None,
        description="first UTC day (like 2026-12-01) of a new sending address: few mails, doubled each day",
    )
    warm_up_first_day: int = Field(default=50, ge=1, description="surveys on the first day of the warm-up")
    warm_up_days: int = Field(default=14, ge=1, le=60, description="the warm-up ends after so many days")
    flood_factor: float = Field(
        default=5, gt=0, description="a plan with more asks than this times the largest of the last eight is stopped"
    )
    max_deletion_share: float = Field(default=0.2, gt=0, le=1, description="a full export that deletes more waits")
    clock_offset_seconds: float = Field(default=0, description="plays the platform on another day (demo only)")
    silence_hours: int = Field(default=72, ge=1, description="mail the operator when nothing was sent or answered")

    @field_validator("home", "surveys", "mapping", "write_back")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()  # parts of the platform run in other working folders

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or not _port_is_number(parts):
            raise ValueError("must look like smtp://user:password@host:port")
        return value

    @field_validator("salesforce_url", "hubspot_url")
    @classmethod
    def _address_of_crm(cls, value: str) -> str:
        parts = urlsplit(value)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"})
        if value and not (is_safe and parts.hostname and _port_is_number(parts)):
            raise ValueError("must look like https://company.my.salesforce.com")
        return value.rstrip("/")

    @field_validator("sms_url")
    @classmethod
    def _sms(cls, value: str) -> str:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.password and _port_is_number(parts)
        if value and not fits:
            raise ValueError("must look like https://account:token@host/path")
        return value

    @field_validator("collector_url")
    @classmethod
    def _collector(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _port_is_number(parts):
            raise ValueError("must look like https://host[:port]")
        return value.rstrip("/")

    @field_validator("widget_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != origin or "@" in origin:
                raise ValueError("must be origins such as https://app.example.com, without a path")
        return value

    @field_validator("secret_key", "widget_secret")
    @classmethod
    def _strong_keys(cls, value: str) -> str:
        # Words with blanks between them are several keys, and one who guesses the shortest can sign.
        if any(len(key) < SHORTEST_KEY for key in keys_of(value)):
            raise ValueError(f"must be keys of {SHORTEST_KEY} characters or more; a blank separates two keys")
        return value

    @field_validator("webhooks")
    @classmethod
    def _names_once(cls, value: list[Webhook]) -> list[Webhook]:
        if len({one.name for one in value}) < len(value):
            raise ValueError("two endpoints have one name; each needs its own")
        return value

    @field_validator("chat_webhooks")
    @classmethod
    def _chats(cls, value: dict[str, str]) -> dict[str, str]:
        # Neither a name nor an address is shown: who mixes them up has a secret in both places.
        if not all(re.match(NAME, name) for name in value):
            raise ValueError("the names of chats are of lower-case letters, digits, - and _")
        for url in value.values():
            check_address(url)
        return value

    @field_validator("sender_address", "operator_address")
    @classmethod
    def _one_address(cls, value: str) -> str:
        # Found out at the start: mail by mail each one would be rejected for good.
        if not _PLAIN_ADDRESS.fullmatch(value):
            raise ValueError("must be one plain address such as feedback@example.com, without a name")
        return value

    @field_validator("marketing_address")
    @classmethod
    def _one_address_or_none(cls, value: str) -> str:
        return cls._one_address(value) if value else value

    @field_validator("rep_address_domains")
    @classmethod
    def _domains(cls, value: list[str]) -> list[str]:
        if not all(map(_DOMAIN.fullmatch, value)):
            raise ValueError("must be domains such as example.com, without @")
        return [domain.lower() for domain in value]

    @field_validator("privacy_url")
    @classmethod
    def _web_page(cls, value: str) -> str:
        if value and not is_web_address(value):
            raise ValueError("must look like https://example.com/privacy")
        return value

    @field_validator("dkim_domain", "dkim_selector")
    @classmethod
    def _dns_name(cls, value: str) -> str:
        if value and not _DOMAIN.fullmatch(value):
            raise ValueError("must be a name in the DNS, such as example.com or s1")
        return value.lower()

    @field_validator("sender_name", "postal_address")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable() or "=?" in value:
            raise ValueError("must be one line of plain text")
        return value

    @model_validator(mode="after")
    def _shared_needs_a_server(self) -> Settings:
        if self.engine == "shared" and not self.ledger_url.startswith("postgresql"):
            raise ValueError("CLOSEDLOOP_ENGINE=shared needs CLOSEDLOOP_LEDGER_URL=postgresql://...")
        return self

    @model_validator(mode="after")
    def _a_signature_needs_all(self) -> Settings:
        given = [bool(value) for value in (self.dkim_domain, self.dkim_selector, self.dkim_key_file)]
        if any(given) and not all(given):
            raise ValueError(
                "CLOSEDLOOP_DKIM_DOMAIN, _DKIM_SELECTOR and _DKIM_KEY_FILE belong together: set all or none"
            )
        return self

    # Where things stand in the home -------------------------------------------------
    @property
    def lake_dir(self) -> Path:
        return self.home / "lake"

    @property
    def warehouse_file(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def build_dir(self) -> Path:
        return self.home / "build"

    @property
    def published_dir(self) -> Path:
        return self.home / "published"

    @property
    def marts_file(self) -> Path:
        """What readers open: a link to the newest publication."""
        return self.published_dir / "marts.duckdb"

    @property
    def mailbox_dir(self) -> Path:
        return self.home / "mailbox"

    @property
    def exports_dir(self) -> Path:
        """The drop folder: new CRM exports that appear here are ingested by the sensor."""
        return self.home / "exports"

    @property
    def dagster_dir(self) -> Path:
        return self.home / "dagster"

    @property
    def ledger_database_url(self) -> str:
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.sqlite'}"

    def clock(self) -> Clock:
        """The clock of this process's edge."""
        return Clock(dt.timedelta(seconds=self.clock_offset_seconds))

    def sending_warnings(self) -> list[str]:
        """What is missing for sending surveys to real customers; nothing while live sending is off."""
        if not self.live_sending or self.postal_address:
            return []
        return [
            "survey mails name no postal address, which many countries' laws demand\n"
            "  what to do: set CLOSEDLOOP_POSTAL_ADDRESS"
        ]

    def may_receive(self, address: str) -> bool:
        """Whether mail (or a text message) may go to `address`: always when live, else only to the allow-list."""
        return self.live_sending or any(
            fnmatch.fnmatchcase(address.strip().lower(), pattern.lower()) for pattern in self.allowed_recipients
        )

    @cached_property
    def keys_file(self) -> Path:
        return self.home / "secret.key"

    @property
    def link_secret(self) -> str:
        """The keys that sign links (`closedloop.keys`); a first one is made when none is set."""
        if self.secret_key.strip():
            return self.secret_key
        return read_keys(self.keys_file)

    def ensure_home(self) -> Path:
        """Make the home and see that it can be written. Raises BadInput naming the folder and the remedy."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            probe = self.home / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink(missing_ok=True)  # sensors of one process open the home at the same time
        except OSError as error:
            raise BadInput(
                f"the home folder cannot be written ({error.strerror})",
                file=self.home,
                remedy="set CLOSEDLOOP_HOME to a folder on a writable disk",
            ) from error
        return self.home


def _port_is_number(parts: SplitResult) -> bool:
    try:
        parts.port  # noqa: B018  (reading it checks it; its own error would show what may be half a password)
    except ValueError:
        return False
    return True


def _place(within: Sequence[str | int]) -> str:
    """Where in a setting of several parts the fault is. Keys that someone chose are not shown, for they may be a secret
    in the wrong place."""
    known = {*Webhook.model_fields}
    shown = [
        f"entry {part + 1}" if isinstance(part, int) else part
        for part in within
        if isinstance(part, int) or part in known
    ]
    return f"({', '.join(shown) or 'an entry'})"


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like a setting but are none, each with the setting that was probably meant."""
    known = [f"CLOSEDLOOP_{name.upper()}" for name in Settings.model_fields]
    unknown = [name for name in environment if name.startswith("CLOSEDLOOP_") and name not in known]
    return {name: near[0] for name in unknown if (near := difflib.get_close_matches(name, known, n=1, cutoff=0.9))}


def load_settings(**overrides: object) -> Settings:
    """The settings in force. Raises BadInput that names the variable, never its value (it may be a secret)."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field, *within = first["loc"] or ("",)
        name = f"CLOSEDLOOP_{str(field).upper().removeprefix('CLOSEDLOOP_') or 'ENGINE'}"
        wrong = first["msg"].removeprefix("Value error, ")
        if within:
            wrong = f"{_place(within)} {wrong[:1].lower()}{wrong[1:]}"
        unknown = first["type"] == "extra_forbidden" and not within
        raise BadInput(
            "there is no such setting" if unknown else f"setting not valid: {wrong}",
            field=name,
            remedy="mend it in the environment or in .env",
        ) from None
    except Exception as error:  # pydantic-settings raises SettingsError on JSON that cannot be parsed
        raise BadInput(
            f"settings cannot be read: {error}", remedy='lists are written as JSON, for example ["*@example.com"]'
        ) from None


def webhook_named(settings: Settings, name: str) -> Webhook:
    """An endpoint of `CLOSEDLOOP_WEBHOOKS`. Raises BadInput, with the names that there are."""
    found = next((one for one in settings.webhooks if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in settings.webhooks) or "none"
        raise BadInput(
            f"no endpoint '{name}' is set (there is: {known})", field="endpoint", remedy="mend CLOSEDLOOP_WEBHOOKS"
        )
    return found
