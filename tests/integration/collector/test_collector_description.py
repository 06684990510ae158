"""The collector and its OpenAPI description say the same, and whatever is sent, nothing breaks."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from closedloop.links import Purpose, sign
from closedloop.serving import serving
from ingestion.collector.app import create_app
from ingestion.collector.operation import DESCRIPTION

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
APP = "https://app.example.com"

DESCRIBED = {
    (path, method)
    for path, operations in DESCRIPTION["paths"].items()
    for method in operations
    if method in ("get", "post")
}


def test_every_route_is_described_and_every_description_is_a_route(settings) -> None:
    served = {
        (route.path, method.lower())
        for route in create_app(settings).routes
        if isinstance(route, Route)
        for method in (route.methods or {"GET"}) - {"HEAD"}
    }
    assert served == DESCRIBED


@pytest.fixture
def address(settings, invite) -> Iterator[tuple[str, dict[str, str]]]:
    """A running collector with one invitation, and its tokens by the place where they belong."""
    settings = settings.model_copy(
        update={
            "widget_secret": "secret",
            "widget_origins": [APP],
            "postmark_credentials": "mail:secret",
            "max_posts_per_minute": 0,
            "max_visits_per_minute": 0,
        }
    )
    ada = invite("ada", valid_days=36_500)
    tokens = {
        place: sign(settings.link_secret, ada, purpose)
        for place, purpose in (
            ("/s/", Purpose.SURVEY),
            ("/u/", Purpose.UNSUBSCRIBE),
            ("/o/", Purpose.OPEN),
            ("/w/", Purpose.FOLLOW_UP),
        )
    }
    sock = socket.create_server(("127.0.0.1", 0))
    sock.listen(100)
    with serving(create_app(settings), sock):
        yield f"http://127.0.0.1:{sock.getsockname()[1]}", tokens


def test_whatever_is_sent_the_answer_is_one_that_is_described(address) -> None:
    """Each operation is called with values of its description and with others, with a good token and with bad ones."""
    url, tokens = address
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    called = set()

    def call(case, is_ours: bool) -> None:
        path = case.operation.path
        if is_ours and path[:3] in tokens:
            case.path_parameters = {**case.path_parameters, "token": tokens[path[:3]]}
        if is_ours and path.startswith("/widget/"):
            case.headers["Origin"] = APP
        case.call_and_validate(base_url=url, checks=CHECKS)
        called.add((path, case.operation.method))

    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            cases = given(case=operation.as_strategy(generation_mode=mode), is_ours=st.booleans())
            try:
                SETTINGS(cases(call))()
            except Unsatisfiable:  # nothing of such a request can be wrong
                assert mode is schemathesis.GenerationMode.NEGATIVE
    assert called == DESCRIBED - {("/openapi.json", "get")}  # which was fetched first
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}


SETTINGS = examples(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
]
