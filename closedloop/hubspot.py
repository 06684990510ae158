"""The connection to HubSpot, for reading and writing alike: the token of a private app, calls that are tried again, errors
told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedloop.errors import BadInput, CrmAway
from closedloop.settings import Settings

if TYPE_CHECKING:
    from requests import Response, Session

NAME = "HubSpot"
TIMEOUT = 60.0
"""Seconds for one reply."""
TRIES = 4
"""So often a call is made whose reply was cut, or that HubSpot was too busy for."""


def connect(settings: Settings) -> HubSpot:
    """Raises BadInput where no token is set; whether HubSpot takes it shows at the first call."""
    if not settings.hubspot_token:
        raise BadInput(
            "no HubSpot is set",
            field="CLOSEDLOOP_HUBSPOT_TOKEN",
            remedy="set it to the access token of a private app (docs/hubspot.md)",
        )
    return HubSpot(settings.hubspot_url, settings.hubspot_token)


class HubSpot:
    """Calls of its API. Every call that this platform makes can be made twice without harm, so each is tried again."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._session = url.rstrip("/"), _session(token)

    def call(self, method: str, path: str, *, json: Any = None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The reply to one call. Raises CrmAway for what passes by itself, BadInput for what a person must mend; neither shows
        more than HubSpot's own codes, whose words may hold values."""
        from requests import RequestException

        reason = ""
        for _ in range(TRIES):
            try:
                reply = self._session.request(
                    method, f"{self._url}/{path}", json=json, params=params, timeout=TIMEOUT, allow_redirects=False
                )
                content = reply.json() if reply.content else {}
            except RequestException as error:
                reason = type(error).__name__
                continue
            if reply.status_code < 300:
                return content if isinstance(content, dict) else {}
            raise _error(reply, content if isinstance(content, dict) else {})
        raise CrmAway(NAME, reason)


class HubSpotRefuses(BadInput):
    """A request that HubSpot will not take as it is. `code` is its category, `named` what it says is wrong: names, no values."""

    def __init__(self, code: str, named: frozenset[str]) -> None:
        super().__init__(f"HubSpot refuses a request ({code})", remedy="docs/hubspot.md lists scopes and properties")
        self.code, self.named = code, named


def named_in(error: dict[str, Any]) -> frozenset[str]:
    """What an error's contexts name: properties, and whatever else stands there. The caller keeps only what it knows."""
    found: set[str] = set()
    for one in (error, *(inner for inner in error.get("errors") or () if isinstance(inner, dict))):
        context = one.get("context")
        for values in context.values() if isinstance(context, dict) else ():
            found |= {str(value) for value in values} if isinstance(values, list) else {str(values)}
        if one.get("in"):
            found.add(str(one["in"]))
    return frozenset(found)


def _error(reply: Response, content: dict[str, Any]) -> CrmAway | BadInput:
    status, category = reply.status_code, str(content.get("category") or content.get("errorType") or "")
    policy = str(content.get("policyName") or "")
    if status == 429:
        return CrmAway(NAME, f"{category or 'RATE_LIMITS'} {policy}".strip(), is_limit=policy == "DAILY")
    if status >= 500 or status in (408, 423):
        return CrmAway(NAME, category or f"status {status}")
    return HubSpotRefuses(category or f"status {status}", named_in(content))


def _session(token: str) -> Session:
    """A limit by the second and a server that is busy are waited for, as long as HubSpot says."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        total=TRIES,
        backoff_factor=0.5,
        status_forcelist=(429, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        redirect=0,
    )
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
