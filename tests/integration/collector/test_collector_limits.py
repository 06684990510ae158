"""One address cannot keep all others waiting, and those who wait are told so kindly."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from closedloop.errors import BadInput
from closedloop.links import Purpose, sign
from ingestion.collector.app import create_app
from ingestion.collector.limits import MAX_CLIENTS, Buckets, client_of
from ingestion.collector.serve import serve


@pytest.fixture
def limited(settings, invite, clock):
    settings = settings.model_copy(update={"max_posts_per_minute": 3, "max_visits_per_minute": 5})
    path = f"/s/{sign(settings.link_secret, invite('ada'), Purpose.SURVEY)}"
    with TestClient(create_app(settings, clock=clock)) as client:
        yield client, path


def test_too_many_answers_wait_with_a_kind_page_and_nothing_else_does(limited) -> None:
    client, path = limited
    replies = [client.post(path, data={"score": "9"}) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert int(replies[-1].headers["Retry-After"]) in range(1, 21)
    assert "Please wait a moment" in replies[-1].text
    assert "Content-Security-Policy" in replies[-1].headers
    said = client.post(path, data={"score": "9"}, headers={"Accept": "application/json", "Accept-Language": "de"})
    assert said.json() == {"status": "refused", "problem": said.json()["problem"]}
    assert "Bitte warten Sie" in said.json()["problem"]
    assert client.get(path).status_code == 200, "reading is counted by itself"
    assert [client.post("/webhooks/postmark").status_code for _ in range(5)] == [404] * 5
    assert [client.get("/healthz").status_code for _ in range(9)] == [200] * 9
    assert 'refused_total{status="429"} 2' in client.get("/metrics").text


def test_this_machine_itself_is_never_kept_waiting(settings, clock, invite) -> None:
    settings = settings.model_copy(update={"max_posts_per_minute": 1})
    path = f"/s/{sign(settings.link_secret, invite('ada'), Purpose.SURVEY)}"
    with TestClient(create_app(settings, clock=clock), client=("127.0.0.1", 5000)) as client:
        assert [client.post(path, data={"score": "9"}).status_code for _ in range(3)] == [200] * 3


def test_too_many_pages_wait_too(limited) -> None:
    client, path = limited
    assert [client.get(path).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_bucket_fills_again_evenly() -> None:
    at = [0.0]
    buckets = Buckets(60, now=lambda: at[0])
    for _ in range(60):
        assert buckets.wait("a") == 0
        buckets.take("a")
    assert buckets.wait("a") == pytest.approx(1.0)
    assert buckets.wait("b") == 0, "each has its own"
    at[0] = 0.5
    assert buckets.wait("a") == pytest.approx(0.5)
    at[0] = 1.0
    assert buckets.wait("a") == 0
    at[0] = 1e6
    buckets.take("a")
    assert buckets.wait("a") == 0, "no more than full"


def test_no_limit_and_bounded_memory() -> None:
    free, small = Buckets(0), Buckets(1, now=lambda: 0.0)
    for number in range(MAX_CLIENTS + 10):
        free.take("a")
        small.take(str(number))
    assert free.wait("a") == 0
    assert small.wait("0") == 0, "forgotten"
    assert small.wait(str(MAX_CLIENTS)) > 0


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("127.0.0.1", ""),
        ("::1", ""),
    ],
)
def test_whose_bucket_it_is(host: str, client: str) -> None:
    assert client_of({"client": (host, 1)}) == client


def test_several_workers_need_postgresql(settings) -> None:
    with pytest.raises(BadInput, match="PostgreSQL"):
        serve(settings, 0, workers=2)
