"""Simulated customers use what stands in the mail, over real HTTP, and answer each mail once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from closedloop.clock import Clock
from closedloop.errors import ClosedLoopError
from closedloop.links import Purpose, read
from closedloop.programme import load_surveys
from closedloop.settings import REPO, Settings
from demo.customers import Rates, answer_mails, plan_visits, read_mails
from dispatch.mailbox.store import MailStore
from dispatch.rendering import render_invitation

Request = tuple[str, str, dict[str, list[str]]]


class Server(ThreadingHTTPServer):
    """Says 200 to everything and keeps what was asked."""

    daemon_threads = True
    requests: list[Request]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append((self.command, self.path, parse_qs(body)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), _Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox(tmp_path: Path, server: Server) -> Settings:
    """A home whose Maildir holds 120 survey mails, as the platform renders them, and one alert to staff."""
    url = f"http://127.0.0.1:{server.server_address[1]}"
    settings = Settings(home=tmp_path / "home", collector_url=url, secret_key="k" * 40, _env_file=None)
    new = settings.mailbox_dir / "new"
    for name in ("new", "cur", "tmp"):
        (settings.mailbox_dir / name).mkdir(parents=True)
    surveys = load_surveys(REPO / "surveys")
    for number in range(120):
        survey = surveys[number % 3]
        message = {
            "message_id": f"{number:032x}",
            "invitation_id": f"{number:032x}",
            "survey_id": survey.id,
            "kind": "invitation",
            "payload": {
                "email": f"someone@company{number % 40}.example",
                "first_name": "Some",
                "last_name": "One",
                "contact_name": "Some One",
                "account_name": "Company",
                "company": survey.company,
                "survey_type": survey.type,
                "trigger_event": survey.triggers[0].event,
                "owner_name": "A Rep",
                "owner_email": "rep@northwind.example",
                "definition": survey.model_dump(mode="json"),
            },
        }
        parts = render_invitation(message, settings=settings)
        (new / f"17000000{number:03d}.M1P1.host").write_bytes(parts.as_bytes())
    (new / "17000001000.M1P1.host").write_bytes(b"To: rep@northwind.example\r\nSubject: alert\r\n\r\nplease call\r\n")
    return settings


def test_each_customer_does_what_the_mail_offers(mailbox: Settings, server: Server) -> None:
    report = answer_mails(mailbox, seed=7, clock=Clock())

    assert report.mails == 120
    assert 0.2 < report.answered / report.mails < 0.5
    assert report.detractors + report.passives + report.promoters == report.answered
    assert report.detractors >= 3
    assert report.commented > 0.4 * report.answered
    assert report.unsubscribed and report.scanned and report.refused == 0

    posts = [(urlsplit(path).path, form) for method, path, form in server.requests if method == "POST"]
    answers = [(path, form) for path, form in posts if path.startswith("/s/")]
    assert len(answers) == len({path for path, _ in answers}) == report.answered
    for path, form in answers:
        assert len(read(mailbox.link_secret, path.removeprefix("/s/"), Purpose.SURVEY)) == 32
        assert 0 <= int(form["score"][0]) <= 10
        assert form.get("input", ["human"]) == ["human"]
        assert int(form["visible_ms"][0]) >= 2000
    assert sum("input" not in form for _, form in answers) == report.provisional
    leaving = [form for path, form in posts if path.startswith("/u/")]
    assert leaving == [{"List-Unsubscribe": ["One-Click"]}] * report.unsubscribed


def test_a_person_follows_one_score_link_and_a_machine_follows_all(mailbox: Settings, server: Server) -> None:
    report = answer_mails(mailbox, seed=7, clock=Clock())
    gets = [urlsplit(path) for method, path, _ in server.requests if method == "GET"]
    hits = Counter(parts.path for parts in gets if parts.query.startswith("score="))
    traps = [parts.path for parts in gets if parts.path.endswith("/more")]
    posted = {path for method, path, _ in server.requests if method == "POST"}
    scanned = {path for path, count in hits.items() if count >= 11}
    assert len(traps) == len(scanned) == report.scanned
    assert {path.removesuffix("/more") for path in traps} == scanned
    assert {path for path, count in hits.items() if count == 1} <= posted
    assert sum(path.startswith("/o/") for path in [parts.path for parts in gets]) == report.opened


def test_a_second_run_answers_nothing_again(mailbox: Settings, server: Server) -> None:
    answer_mails(mailbox, seed=7, clock=Clock())
    asked = len(server.requests)
    assert answer_mails(mailbox, seed=7, clock=Clock()).mails == 0
    assert len(server.requests) == asked
    assert [path.name for path in (mailbox.mailbox_dir / "new").iterdir()] == ["17000001000.M1P1.host"]
    assert len(MailStore(mailbox.mailbox_dir).newest()) == 121, "the mailbox page still shows all of them"


def test_customers_are_the_same_by_seed(mailbox: Settings) -> None:
    mails = read_mails(mailbox.mailbox_dir)
    first, again, other = (plan_visits(mails, seed=seed, rates=Rates()) for seed in (7, 7, 8))
    assert first == again
    assert [visit.score for visit in first] != [visit.score for visit in other]


def test_more_customers_are_happy_than_not(mailbox: Settings) -> None:
    mails = read_mails(mailbox.mailbox_dir)
    scores = [visit.score for seed in range(30) for visit in plan_visits(mails, seed=seed, rates=Rates())]
    given = [score for score in scores if score is not None]
    nps = 100 * (sum(score >= 9 for score in given) - sum(score <= 6 for score in given)) / len(given)
    assert 20 < nps < 45
    assert 0.28 < len(given) / len(scores) < 0.4


def test_there_are_unhappy_customers_even_where_chance_gives_none(mailbox: Settings) -> None:
    mails = read_mails(mailbox.mailbox_dir)[:30]
    for seed in range(20):
        visits = plan_visits(mails, seed=seed, rates=Rates(answered=0.6))
        assert sum(visit.score is not None and visit.score <= 6 for visit in visits) >= 3


def test_without_a_collector_the_mails_stay_new(mailbox: Settings, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(ClosedLoopError, match="serve collector"):
        answer_mails(mailbox, seed=7, clock=Clock(), rates=Rates(opened=1.0), workers=1)
    assert len(list((mailbox.mailbox_dir / "new").iterdir())) > 100
