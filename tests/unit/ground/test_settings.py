"""Settings: what is wrong is named, secrets are not printed, a home that cannot be written says so."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from closedloop.errors import BadInput
from closedloop.settings import Settings, load_settings, misspelt


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOSEDLOOP_SMTP_URL", "mail.example:25"),
        ("CLOSEDLOOP_COLLECTOR_URL", "localhost"),
        ("CLOSEDLOOP_ENGINE", "oracle"),
        ("CLOSEDLOOP_SILENCE_HOURS", "soon"),
        ("CLOSEDLOOP_MAX_DELETION_SHARE", "3"),
        ("CLOSEDLOOP_LIVE_SENDING", "perhaps"),
        ("CLOSEDLOOP_SENDER_ADDRESS", "Acme <nps@acme.example>"),
        ("CLOSEDLOOP_OPERATOR_ADDRESS", "a@acme.example, b@acme.example"),
        ("CLOSEDLOOP_SECRET_KEY", "correct horse battery staple"),
        ("CLOSEDLOOP_WIDGET_SECRET", "a-long-random-text-and another"),
        ("CLOSEDLOOP_PRIVACY_URL", "https://acme.example@evil.test/privacy"),
        ("CLOSEDLOOP_SENDER_NAME", "Acme\r\nBcc: all@acme.example"),
    ],
)
def test_a_wrong_setting_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadInput) as caught:
        load_settings()
    assert caught.value.field == name
    assert value not in str(caught.value)


def test_a_list_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSEDLOOP_ALLOWED_RECIPIENTS", "a@b.example")
    with pytest.raises(BadInput, match="JSON"):
        load_settings()


@pytest.mark.parametrize(
    ("address", "live", "may"),
    [
        ("kim@acme.example", False, True),
        ("KIM@ACME.EXAMPLE ", False, True),
        ("kim@acme.org", False, False),
        ("kim@acme.org", True, True),
    ],
    ids=["listed", "case", "unlisted", "live"],
)
def test_only_the_allow_list_gets_mail_until_live(tmp_path: Path, address: str, live: bool, may: bool) -> None:
    assert Settings(home=tmp_path, live_sending=live, _env_file=None).may_receive(address) is may


def test_the_link_key_is_made_once_and_private(settings: Settings) -> None:
    first = settings.link_secret
    assert len(first) > 40
    assert Settings(home=settings.home, _env_file=None).link_secret == first
    assert stat.S_IMODE((settings.home / "secret.key").stat().st_mode) == 0o600


def test_an_empty_link_key_signs_nothing(settings: Settings) -> None:
    (settings.home / "secret.key").touch()
    with pytest.raises(BadInput, match="empty"):
        _ = settings.link_secret


def test_threads_of_one_process_may_open_the_home_at_once(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: settings.ensure_home(), range(2000)))


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match="CLOSEDLOOP_HOME"):
        Settings(home=tmp_path / "file" / "home", _env_file=None).ensure_home()


def test_a_misspelt_variable_is_named_with_what_was_meant() -> None:
    environment = {"CLOSEDLOOP_LIVE_SENDNG": "1", "CLOSEDLOOP_HOME": "x", "CLOSEDLOOP_UNRELATED_TOOL": "y", "HOME": "z"}
    assert misspelt(environment) == {"CLOSEDLOOP_LIVE_SENDNG": "CLOSEDLOOP_LIVE_SENDING"}


def test_a_relative_home_means_the_folder_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(home=Path("here"), _env_file=None).home == tmp_path / "here"


KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENDPOINT = {"name": "crm", "url": "https://a.example/secret-path", "secret": KEY}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "url": "http://a.example/secret-path"}], "(entry 1, url) must look like"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "url": "http://127.0.0.1.a.example/secret-path"}], "url"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "url": "https://user:secret-path@a.example/"}], "url"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "secret": "secret-path"}], "(entry 1, secret) must be whsec_"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "secret": "whsec_c2VjcmV0LXBhdGg="}], "secret"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "events": ["secret-path"]}], "response.created"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "secret-path": 1}], "entry 1"),
        ("CLOSEDLOOP_WEBHOOKS", [{**ENDPOINT, "name": "Secret-Path secret-path"}], "name"),
        ("CLOSEDLOOP_WEBHOOKS", [ENDPOINT, ENDPOINT], "one name"),
        ("CLOSEDLOOP_WEBHOOKS", [{"name": "crm", "url": "https://a.example/secret-path"}], "(entry 1, secret)"),
        ("CLOSEDLOOP_CHAT_WEBHOOKS", {"alerts": "http://a.example/secret-path"}, "must look like https://"),
        ("CLOSEDLOOP_CHAT_WEBHOOKS", {"https://a.example/secret-path": "alerts"}, "names of chats"),
        ("CLOSEDLOOP_CHAT_WEBHOOKS", {"https://a.example/secret-path": 1}, "string"),
    ],
)
def test_a_wrong_webhook_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value, says: str) -> None:
    monkeypatch.setenv(name, json.dumps(value))
    with pytest.raises(BadInput) as caught:
        load_settings()
    assert caught.value.field == name and says in str(caught.value)
    assert "secret-path" not in str(caught.value)


def test_webhooks_on_this_machine_need_no_tls_and_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1:8123", "localhost", "[::1]:80"):
        monkeypatch.setenv("CLOSEDLOOP_WEBHOOKS", json.dumps([{**ENDPOINT, "url": f"http://{host}/secret-path"}]))
        monkeypatch.setenv("CLOSEDLOOP_CHAT_WEBHOOKS", json.dumps({"alerts": f"http://{host}/secret-path"}))
        settings = load_settings()
        assert "secret-path" not in repr(settings) and "MfKQ9" not in repr(settings)
        assert settings.webhooks[0].wants("response.created")
