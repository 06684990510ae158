"""The connection to Salesforce, for reading and writing alike: OAuth by client credentials or JWT bearer, and errors told apart.

`simple-salesforce` does the protocol; it logs in anew when a session has expired.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from closedloop.errors import BadInput, CrmAway
from closedloop.settings import Settings

if TYPE_CHECKING:
    from requests import Session
    from simple_salesforce import Salesforce

NAME = "Salesforce"
TIMEOUT = 120.0
"""Seconds for one reply."""
LIMITS = ("REQUEST_LIMIT_EXCEEDED", "API_DISABLED_FOR_ORG", "TXN_SECURITY_METERING_ERROR", "EXCEEDED_MAX_SIZE_REQUEST")
"""Refusals of the whole organisation; they pass by themselves, mostly at the end of 24 hours."""


def connect(settings: Settings) -> Salesforce:
    """Log in. Raises BadInput where the settings are not enough, or Salesforce refuses them; CrmAway when it is away."""
    from requests import RequestException
    from simple_salesforce import Salesforce
    from simple_salesforce.exceptions import SalesforceAuthenticationFailed

    if not settings.salesforce_url or not settings.salesforce_client_id:
        raise BadInput(
            "no Salesforce is set",
            field="CLOSEDLOOP_SALESFORCE_URL",
            remedy="set it with CLOSEDLOOP_SALESFORCE_CLIENT_ID and a secret, or a user and a key file (docs/salesforce.md)",
        )
    ways: dict[str, Any] = {"consumer_key": settings.salesforce_client_id}
    if settings.salesforce_private_key_file:
        ways |= {
            "username": settings.salesforce_username,
            "privatekey": _key(settings),
            "instance_url": _domain(settings),  # the library's name for where the token is asked for
            "domain": "test" if ".sandbox." in settings.salesforce_url else "login",
        }
    else:
        ways |= {"consumer_secret": settings.salesforce_client_secret, "domain": _domain(settings)}
    try:
        return Salesforce(**ways, version=settings.salesforce_api_version, session=_session(settings))
    except SalesforceAuthenticationFailed as error:
        raise BadInput(
            f"Salesforce refuses the login ({error.code})",
            field="CLOSEDLOOP_SALESFORCE_CLIENT_ID",
            remedy="look at the connected app, its flow, and the user that it runs as (docs/salesforce.md)",
        ) from None
    except RequestException as error:
        raise CrmAway(NAME, type(error).__name__) from None


@contextmanager
def told_apart() -> Iterator[None]:
    """Errors of a call as ours. Raises CrmAway for what passes by itself, BadInput for what a person must mend; neither
    shows more than Salesforce's code, whose words may hold values."""
    from requests import RequestException
    from simple_salesforce.exceptions import (
        SalesforceAuthenticationFailed,
        SalesforceError,
        SalesforceOperationError,
    )

    try:
        yield
    except SalesforceOperationError:
        raise CrmAway(NAME, "a job failed") from None
    except RequestException as error:
        raise CrmAway(NAME, type(error).__name__) from None
    except SalesforceAuthenticationFailed as error:
        raise BadInput(f"Salesforce refuses the login ({error.code})", remedy="look at the connected app") from None
    except SalesforceError as error:
        code, status = code_of(error.content), int(error.status or 0)
        if code in LIMITS:
            raise CrmAway(NAME, code, is_limit=True) from None
        if (
            status >= 500
            or status in (408, 429)
            or code in ("UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT")
        ):
            raise CrmAway(NAME, code or f"status {status}") from None
        raise BadInput(
            f"Salesforce refuses a request ({code or status})", remedy="docs/salesforce.md lists permissions"
        ) from None


def code_of(content: Any) -> str:
    """The error code in a reply; empty where it has none."""
    first = content[0] if isinstance(content, list) and content else content
    return str(first.get("errorCode") or first.get("statusCode") or "") if isinstance(first, dict) else ""


def _key(settings: Settings) -> str:
    path = settings.salesforce_private_key_file
    assert path is not None, "the caller has looked"
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        raise BadInput(
            "the private key cannot be read",
            field="CLOSEDLOOP_SALESFORCE_PRIVATE_KEY_FILE",
            remedy="give a PEM file (RSA)",
        ) from None


def _domain(settings: Settings) -> str:
    """What stands before `.salesforce.com`, which is how the library names a My Domain."""
    host = urlsplit(settings.salesforce_url).hostname or ""
    return host.removesuffix(".salesforce.com")


def _session(settings: Settings) -> Session:
    """With a time limit; another address than Salesforce's own (a proxy, a test) is spoken to in its place."""
    import requests
    from requests.adapters import HTTPAdapter

    base = urlsplit(settings.salesforce_url)

    class Adapter(HTTPAdapter):
        def send(self, request, **options):  # type: ignore[no-untyped-def]
            if not (base.hostname or "").endswith(".salesforce.com"):
                parts = urlsplit(request.url)
                request.url = urlunsplit((base.scheme, base.netloc, parts.path, parts.query, ""))
            options["timeout"] = options.get("timeout") or TIMEOUT
            return super().send(request, **options)

    session = requests.Session()
    session.mount("https://", Adapter())
    return session
