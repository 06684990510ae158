"""No reply goes out without the headers that keep a browser safe, errors included."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from closedloop.links import Purpose, sign
from ingestion.collector.app import create_app
from ingestion.collector.secured import ALWAYS, TRANSPORT


@pytest.fixture
def secure(settings, clock):
    settings = settings.model_copy(update={"collector_url": "https://ask.example.com"})
    app = create_app(settings, clock=clock)
    with TestClient(app, base_url=settings.collector_url, raise_server_exceptions=False) as client:
        yield client


def test_every_reply_is_secured_errors_included(secure, settings, invite) -> None:
    token = sign(settings.link_secret, invite(), Purpose.SURVEY)
    paths = {route.path.replace("{token}", token).replace("{survey}", "post-close") for route in secure.app.routes}
    replies = [
        secure.request(method, path, headers=headers)
        for path in sorted({*paths, "/nowhere"})
        for method in ("GET", "HEAD", "POST", "PUT")
        for headers in ({}, {"Accept": "application/json"})
    ]
    secure.app.router.routes[0].app = None  # a fault of ours
    replies.append(secure.get(f"/s/{token}"))
    assert replies[-1].status_code == 500
    assert {reply.status_code for reply in replies} >= {200, 403, 404, 405, 422, 500}
    for reply in replies:
        assert ALWAYS.keys() | TRANSPORT.keys() <= set(map(str.title, reply.headers)), reply.request.url.path
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        frames = "'self'" if reply.headers["x-frame-options"] == "SAMEORIGIN" else "'none'"
        assert f"frame-ancestors {frames}" in policy
        assert frames == "'none'" or reply.request.url.path.startswith("/preview/")
        assert "set-cookie" not in reply.headers
        assert reply.status_code != 405 or reply.headers["allow"]


def test_without_tls_nothing_is_said_about_it(client) -> None:
    assert "strict-transport-security" not in client.get("/healthz").headers
