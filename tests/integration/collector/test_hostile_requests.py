"""Whatever is sent: a refusal in the 4xx, no fault of ours, and not one row more in the ledger."""

from __future__ import annotations

import re
import socket
import time

import httpx
import pytest
from starlette.testclient import TestClient

from closedloop.ledger.schema import answers
from closedloop.links import Purpose, sign
from closedloop.serving import serving
from ingestion.collector.app import create_app
from tests.support.hostile import ORIGINS
from tests.support.rows_of_ledger import rows_of

APP, FORM = "https://app.example.com", "application/x-www-form-urlencoded"
KINDS = {"s": Purpose.SURVEY, "u": Purpose.UNSUBSCRIBE, "p": Purpose.PREFERENCES}


@pytest.fixture
def settings(settings):
    return settings.model_copy(
        update={
            "widget_secret": "a-long-random-text",
            "widget_origins": [APP],
            "postmark_credentials": "mail:secret",
            "ses_topic_arn": "arn:aws:sns:eu-west-1:1:topic",
            "max_posts_per_minute": 0,
            "max_visits_per_minute": 0,
        }
    )


@pytest.fixture
def paths(settings, invite) -> dict[str, str]:
    """Where a form of one invitation is posted to; the widget's token is a field."""
    ada = invite("ada")
    tokens = {letter: sign(settings.link_secret, ada, purpose) for letter, purpose in KINDS.items()}
    return {letter: f"/{letter}/{token}" for letter, token in tokens.items()} | {
        "widget": sign(settings.link_secret, ada, Purpose.WIDGET)
    }


def _part(name: str, value: str, more: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


def _multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


MULTIPART = "multipart/form-data; boundary=x"
GOOD = _multipart(_part("score", "9"), _part("surveys", "none"))
# name: (content type, body). None is a form that could be read, and none is an answer.
BODIES: dict[str, tuple[str, bytes]] = {
    "nothing": (FORM, b""),
    "no-type": ("", b"score=9&surveys=none"),
    "text": ("text/plain", b"score=9&surveys=none"),
    "json": ("application/json", b'{"score": 9, "surveys": "none"}'),
    "xml": ("application/xml", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><score>&e;</score>'),
    "multipart-of-another-kind": ("multipart/mixed; boundary=x", GOOD),
    "no-boundary": ("multipart/form-data", GOOD),
    "empty-boundary": ("multipart/form-data; boundary=", GOOD),
    "another-boundary": ("multipart/form-data; boundary=y", GOOD),
    "long-boundary": (f"multipart/form-data; boundary={'x' * 5_000}", GOOD),
    "boundary-never-closed": (MULTIPART, GOOD[:20]),
    "part-without-name": (MULTIPART, GOOD.replace(b' name="score"', b"")),
    "part-without-head": (MULTIPART, b"--x\r\n\r\n9\r\n--x--\r\n"),
    "head-without-end": (MULTIPART, b"--x\r\nContent-Disposition: form-data; name=" + b"x" * 20_000),
    "a-file": (MULTIPART, _multipart(_part("score", "9", '; filename="x.html"'), _part("surveys", "none"))),
    "bytes": (MULTIPART, bytes(range(256)) * 20),
    "nul": (FORM, b"\x00" * 500),
    "nul-in-a-value": (FORM, b"score=9%00&surveys=none%00"),
    "nul-in-a-name": (FORM, b"score%00=9&surveys%00=none"),
    "bad-percent": (FORM, b"score=%&surveys=%zz"),
    "cut-percent": (FORM, b"score=9%&surveys=none%2"),
    "bad-utf-8": (FORM, b"score=%FF%FE&surveys=%C3%28"),
    "half-a-character": (FORM, b"score=%ED%A0%80&surveys=%ED%A0%80"),
    "overlong-slash": (FORM, b"score=%C0%AF9&surveys=%C0%AFnone"),
    "charset-that-is-none": (f"{MULTIPART}; charset=punycode", _multipart(_part("score", "-\udcff".encode("utf-8", "replace")))),
    "charset-undefined": (f"{MULTIPART}; charset=undefined", GOOD),
    "charset-nul": (f"{MULTIPART}; charset=\x00", GOOD),
    "charset-idna": (f"{MULTIPART}; charset=idna", _multipart(_part("score", "xn--\u00e4"), _part("surveys", "xn--\u00e4"))),
    "charset-of-escapes": (f"{MULTIPART}; charset=unicode_escape", _multipart(_part("score", "11"), _part("comment", "\\ud800"))),
    "charset-of-escaped-names": (f"{MULTIPART}; charset=unicode_escape", _multipart(_part("\\\\ud800", "9"))),
    "charset-utf-16": (f"{MULTIPART}; charset=utf-16", GOOD),
    "negative": (FORM, b"score=-1&surveys=-1"),
    "huge": (FORM, b"score=" + b"9" * 5_000 + b"&surveys=" + b"9" * 5_000),
    "exponent": (FORM, b"score=1e1&surveys=1e1"),
    "fraction": (FORM, b"score=9.5"),
    "not-a-number": (FORM, b"score=NaN"),
    "infinite": (FORM, b"score=Infinity"),
    "other-digits": (FORM, "score=\u0669&surveys=\u0669".encode()),
    "blank": (FORM, b"score=+9&surveys=+none"),
    "list": (FORM, b"score[]=9&surveys[]=none"),
    "two-scores": (FORM, b"score=0&score=10&surveys=none&surveys=all"),
    "unknown-question": (FORM, b"score=9&is_admin=true&surveys=any"),
    "own-id": (FORM, b"score=9&invitation_id=x&surveys=x"),
    "prototype": (FORM, b"score=9&__proto__=x&surveys=__proto__"),
    "many-fields": (FORM, b"&".join(b"f%d=" % n for n in range(2_000))),
    "many-parts": (MULTIPART, _multipart(*(_part(f"f{n}", "") for n in range(750)))[:32_000]),
    "many-marks": (FORM, b"&=" * 16_000),
    "large": (FORM, b"score=9&surveys=none&comment=" + b"x" * 33_000),
    "large-part": (MULTIPART, _multipart(_part("score", "9"), _part("surveys", "none"), _part("comment", "x" * 33_000))),
    "very-large": (FORM, b"score=9&comment=" + b"x" * 2_000_000),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), BODIES.values(), ids=BODIES)
def test_no_malformed_form_is_an_answer_or_a_choice(client, ledger, paths, kind, body) -> None:
    before = rows_of(ledger)
    for path in (paths["s"], paths["p"]):
        for accept in ("text/html", "application/json"):
            reply = client.post(path, content=body, headers={"Content-Type": kind, "Accept": accept})
            assert reply.status_code in (400, 413, 422), reply.text[:500]
            assert reply.headers["content-type"].partition(";")[0] == accept
    for what in ("show", "answer", "dismiss"):
        reply = client.post(f"/widget/{what}", content=body, headers={"Content-Type": kind, "Origin": APP})
        assert reply.status_code in (400, 403, 404, 413, 422), reply.text[:500]
    assert rows_of(ledger) == before


@pytest.mark.parametrize("letter", KINDS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_not_there(client, ledger, paths, letter, method) -> None:
    before = rows_of(ledger)
    reply = client.request(method, paths[letter], content=b"score=9", headers={"X-HTTP-Method-Override": "POST"})
    assert reply.status_code == 405
    assert rows_of(ledger) == before


@pytest.mark.parametrize(
    "query",
    [
        "score=-1",
        "score=11",
        "score=99999999999999999999",
        "score=%00",
        "score=%FF",
        "score=9%0d%0aSet-Cookie:x=y",
        "score=<script>",
        "score=9&score=x",
        "score=" + "9" * 20_000,
    ],
    ids=["negative", "eleven", "huge", "nul", "bad-utf-8", "line-break", "script", "two", "long"],
)
def test_a_wrong_score_in_a_link_chooses_nothing(client, paths, query) -> None:
    page = client.get(f"{paths['s']}?{query}")
    assert page.status_code == 422
    assert "set-cookie" not in page.headers
    assert not re.findall(r'value="\d+"[^>]* checked', page.text)


PATHS = ["%00", "%FF", "%ED%A0%80", "..%2F..%2Fsecret.key", "..%5c..%5csecret.key", "%252e%252e%252f", "x" * 30_000, "a.b.c", "~", "{{7*7}}", "%0d%0aX:%20y"]  # fmt: skip


@pytest.mark.parametrize("end", PATHS, ids=[f"path-{number}" for number in range(len(PATHS))])
def test_no_strange_path_leads_anywhere(client, ledger, end) -> None:
    before = rows_of(ledger)
    for start in ("/", "/s/", "/u/", "/p/", "/portal/", "/preview/", "/webhooks/"):
        for reply in (client.get(start + end), client.post(start + end, data={"score": "9", "surveys": "none"})):
            assert reply.status_code in (404, 405)
            assert "x" not in reply.headers
    assert client.get(f"/preview/{end}/widget").status_code == 404
    assert client.get(f"/o/{end}.gif").status_code in (200, 404)
    assert rows_of(ledger) == before


HEADS = {
    "languages": {"Accept-Language": "," * 30_000},
    "a-language": {"Accept-Language": "x-" * 15_000},
    "bytes": {"Accept-Language": b"\xff\xfe;q=\x80", "User-Agent": b"\xff\x80"},
    "accept": {"Accept": "application/json" * 1_000},
    "robot": {"User-Agent": "bot" * 10_000},
    "forwarded": {"X-Forwarded-For": "127.0.0.1, " * 2_000, "X-Forwarded-Proto": "javascript"},
    "host": {"Host": "evil.test"},
    "cookie": {"Cookie": "a=" + "b" * 30_000},
}


@pytest.mark.parametrize("headers", HEADS.values(), ids=HEADS)
def test_no_head_of_a_request_disturbs_or_is_shown(client, paths, headers) -> None:
    for path, status in ((paths["s"], 200), ("/nowhere", 404), (paths["p"], 200)):
        reply = client.get(path, headers=headers)
        assert reply.status_code == status
        assert "evil.test" not in reply.text and "javascript:" not in reply.text


NESTED = {
    "lists": b"[" * 100_000,
    "objects": b'{"a":' * 100_000,
    "digits": b"9" * 10_000,
    "nothing": b"",
    "bytes": b"\xff\xfe\x00",
    "number": b"1",
    "null": b"null",
    "text": b'"x"',
    "no-certificate": b'{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:topic","SigningCertURL":"http://[x"}',
    "other-hosts-certificate": b'{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:1:topic",'
    b'"SigningCertURL":"https://sns.eu-west-1.amazonaws.com@evil.test/x.pem"}',
    "message-is-a-list": b'{"Type":"Notification","TopicArn":["x"],"Message":[]}',
}


@pytest.mark.parametrize("body", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("provider", ["ses", "postmark"])
def test_no_report_breaks_the_collector(client, ledger, provider, body) -> None:
    before = rows_of(ledger)
    for credentials in (("mail", "secret"), ("mail", "other")):
        reply = client.post(f"/webhooks/{provider}", content=body, auth=credentials)
        assert reply.status_code in (403, 422), reply.text[:300]
    assert rows_of(ledger) == before


@pytest.mark.parametrize("origin", ORIGINS.values(), ids=ORIGINS)
def test_only_pages_of_allowed_origins_may_ask(settings, clock, ledger, paths, origin) -> None:
    headers = {} if origin is None else {"Origin": origin.encode()}
    preflight = headers | {"Access-Control-Request-Method": "POST"}
    before = rows_of(ledger)
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        for what in ("show", "answer", "dismiss"):
            fields = {"context": "preview:post-close", "token": paths["widget"], "score": "0"}
            replies = [client.post(f"/widget/{what}", data=fields, headers=headers)]
            assert replies[0].status_code == 403
            replies.append(client.options(f"/widget/{what}", headers=preflight))
            assert not [name for reply in replies for name in reply.headers if name.startswith("access-control")]
    assert rows_of(ledger) == before


def test_no_page_may_be_read_from_another_origin(client, paths) -> None:
    for path in (paths["s"], paths["p"], paths["u"], "/openapi.json", "/healthz", "/preview/post-close"):
        reply = client.get(path, headers={"Origin": APP})
        assert not [name for name in reply.headers if name.startswith("access-control")]


# What no client library sends, as bytes on the wire; {path} is a good one.
WIRE = {
    "length-negative": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nscore=9",
    "length-is-a-word": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: seven\r\n\r\nscore=9",
    "two-lengths": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nContent-Length: 0\r\n\r\nscore=9",
    "length-and-chunks": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nTransfer-Encoding: chunked, x\r\n\r\nscore=9",
    "chunk-that-is-none": b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nscore=9\r\n0\r\n\r\n",
    "unknown-coding": b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\nscore=9",
    "no-version": b"POST {path}\r\n\r\n",
    "other-version": b"POST {path} HTTP/9.9\r\nHost: x\r\nContent-Length: 7\r\n\r\nscore=9",
    "nul-in-the-path": b"GET {path}\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul-in-a-header": b"GET {path} HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
    "header-without-colon": b"GET {path} HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "long-path": b"GET /s/" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long-query": b"GET /nowhere?score=" + b"9" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "not-http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunks-over-the-limit": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 3,
    "chunks-without-end": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nscore=9\r\n",
    "shorter-than-it-said": b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: " + FORM.encode() + b"\r\nContent-Length: 700\r\n\r\nscore=9",
    "head-without-end": b"GET {path} HTTP/1.1\r\nHost: x\r\nX: y",
}  # fmt: skip
UNFINISHED = {"chunks-without-end", "shorter-than-it-said", "head-without-end", "not-http"}


def test_no_bytes_on_the_wire_are_an_answer_or_a_fault(settings, clock, ledger, paths, capfd) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    where = sock.getsockname()
    with serving(create_app(settings, clock=clock), sock):
        before = rows_of(ledger)
        for name, request in WIRE.items():
            with socket.create_connection(where, timeout=5) as wire:
                wire.sendall(request.replace(b"{path}", paths["s"].encode()))
                if name in UNFINISHED:
                    wire.shutdown(socket.SHUT_WR)  # whoever leaves in the middle has said nothing
                try:
                    said = wire.recv(4_096)
                except ConnectionResetError:
                    said = b""
            assert said[9:10] == b"4" or (name in UNFINISHED and not said), (name, said[:200])
        time.sleep(0.2)
        assert rows_of(ledger) == before
        good = httpx.post(f"http://127.0.0.1:{where[1]}{paths['s']}", data={"score": "9", "input": "human"})
        assert good.status_code == 200, "all others are served"
    with ledger.read() as conn:
        assert [row.score for row in conn.execute(answers.select())] == [9]
    assert "Traceback" not in capfd.readouterr().err
