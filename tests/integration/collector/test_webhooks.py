"""Reports of mail providers: authenticated as each provider does it, counted once, kept as they came."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from starlette.testclient import TestClient

from closedloop.errors import BadInput
from closedloop.identity import person_key
from closedloop.ledger.schema import events, provider_events, suppressions
from ingestion.collector.app import create_app

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mails"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc.pem"
SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
AMAZON_KEY = rsa.generate_private_key(65537, 2048)


def _certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(AMAZON_KEY.public_key())
    builder = builder.serial_number(7).not_valid_before(at).not_valid_after(at + dt.timedelta(days=365))
    return builder.sign(AMAZON_KEY, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def fetched() -> list[str]:
    """Addresses that the collector fetched."""
    return []


@pytest.fixture
def client(settings, ledger, clock, fetched):
    key = SENDGRID_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings = settings.model_copy(
        update={
            "ses_topic_arn": TOPIC,
            "postmark_credentials": "hook:s3cret",
            "sendgrid_public_key": base64.b64encode(key).decode(),
        }
    )

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return _certificate()

    with TestClient(create_app(settings, clock=clock, fetch=fetch), base_url=settings.collector_url) as client:
        yield client


def _ses(message: dict, *, kind: str = "Notification", version: str = "2", number: str = "n1", **over) -> dict:
    envelope = {
        "Type": kind,
        "MessageId": number,
        "TopicArn": TOPIC,
        "Message": json.dumps(message),
        "Timestamp": "2026-03-02T08:59:30.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **(
            {}
            if kind == "Notification"
            else {"Token": "t", "SubscribeURL": f"{CERTIFICATE}?Action=ConfirmSubscription"}
        ),
        **{name: value for name, value in over.items() if name != "forged"},
    }
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    signature = AMAZON_KEY.sign(text.encode(), PKCS1v15(), SHA256() if version == "2" else SHA1())
    return {**envelope, "Signature": base64.b64encode(signature).decode(), **over.get("forged", {})}


def _ses_about(message_id: str, section: str, **facts) -> dict:
    headers = [{"name": "Message-ID", "value": f"<{message_id}@closedloop.example>"}]
    body = {"timestamp": "2026-03-02T08:59:00.000Z", **facts}
    return {
        "notificationType": section,
        "mail": {"messageId": "amazon's own", "headers": headers},
        section.lower(): body,
    }


def _postmark(message_id: str, record: str, **facts) -> dict:
    return {
        "RecordType": record,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {"closedloop-id": message_id},
        "Recipient": "ada@customer.example",
        **({"DeliveredAt": "2026-03-02T08:59:00Z"} if record == "Delivery" else {"ReceivedAt": "2026-03-02T08:59:00Z"}),
        **facts,
    }


def _sendgrid(message_id: str, event: str, number: str, **facts) -> dict:
    at = int(dt.datetime(2026, 3, 2, 8, 59, tzinfo=dt.UTC).timestamp())
    return {
        "email": "ada@customer.example",
        "timestamp": at,
        "event": event,
        "sg_event_id": number,
        "closedloop_id": message_id,
        **facts,
    }


def _post(client: TestClient, provider: str, payload: object, *, authentic: bool = True):
    body = json.dumps(payload).encode()
    headers = {}
    if provider == "postmark":
        headers["Authorization"] = "Basic " + base64.b64encode(b"hook:s3cret" if authentic else b"hook:wrong").decode()
    if provider == "sendgrid":
        signed = b"1772442000" + (body if authentic else body + b" ")
        signature = SENDGRID_KEY.sign(signed, ec.ECDSA(SHA256()))
        headers["X-Twilio-Email-Event-Webhook-Signature"] = base64.b64encode(signature).decode()
        headers["X-Twilio-Email-Event-Webhook-Timestamp"] = "1772442000"
    return client.post(f"/webhooks/{provider}", content=body, headers=headers)


def _events(ledger, *kinds: str) -> list[dict]:
    with ledger.read() as conn:
        rows = conn.execute(select(events).where(events.c.kind.in_(kinds)).order_by(events.c.seq)).mappings().all()
    return [{**row, "payload": json.loads(row["payload"])} for row in rows]


def _suppressed(ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(suppressions.c.person_key, suppressions.c.reason)).tuples().all())


def _reports(provider: str, message_id: str) -> dict[str, object]:
    """A request of each kind, as the provider writes it."""
    if provider == "ses":
        return {
            "delivered": _ses(_ses_about(message_id, "Delivery", smtpResponse="250 ok")),
            "hard": _ses(_ses_about(message_id, "Bounce", bounceType="Permanent", bounceSubType="General")),
            "soft": _ses(_ses_about(message_id, "Bounce", bounceType="Transient", bounceSubType="MailboxFull")),
            "complained": _ses(_ses_about(message_id, "Complaint", complaintFeedbackType="abuse")),
            "opened": _ses(_ses_about(message_id, "Open", userAgent="Mozilla/5.0 (iPhone)")),
            "prefetch": _ses(_ses_about(message_id, "Open", userAgent="Mozilla/5.0")),
            "unknown": _ses(_ses_about(message_id, "Reject", reason="Bad content")),
        }
    if provider == "postmark":
        return {
            "delivered": _postmark(message_id, "Delivery"),
            "hard": _postmark(message_id, "Bounce", ID=42, Type="HardBounce", BouncedAt="2026-03-02T08:59:00Z"),
            "soft": _postmark(message_id, "Bounce", ID=43, Type="SoftBounce", BouncedAt="2026-03-02T08:59:00Z"),
            "complained": _postmark(message_id, "SpamComplaint", ID=44, Type="SpamComplaint"),
            "opened": _postmark(message_id, "Open", FirstOpen=True, UserAgent="Mozilla/5.0 (iPhone)"),
            "prefetch": _postmark(message_id, "Open", FirstOpen=True, UserAgent="Mozilla/5.0"),
            "unknown": _postmark(message_id, "Bounce", ID=45, Type="AutoResponder"),
        }
    return {
        "delivered": [_sendgrid(message_id, "delivered", "s1", response="250 OK")],
        "hard": [_sendgrid(message_id, "bounce", "s2", type="bounce", status="5.1.1")],
        "soft": [_sendgrid(message_id, "bounce", "s3", type="blocked", status="4.2.2")],
        "complained": [_sendgrid(message_id, "spamreport", "s4")],
        "opened": [_sendgrid(message_id, "open", "s5", sg_machine_open=False)],
        "prefetch": [_sendgrid(message_id, "open", "s6", sg_machine_open=True)],
        "unknown": [_sendgrid(message_id, "processed", "s7")],
    }


PROVIDERS = ("ses", "postmark", "sendgrid")
MEANINGS = {
    "delivered": ("delivered", {}, None),
    "hard": ("bounced", {"hard": True}, "bounced"),
    "soft": ("bounced", {"hard": False}, None),
    "complained": ("complained", {}, "complained"),
    "opened": ("opened", {}, None),
    "prefetch": ("opened", {"machine": True}, None),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("what", [*MEANINGS, "unknown"])
def test_a_report_means_the_same_whoever_makes_it(client, ledger, invite, provider, what):
    ada = invite("ada")
    reply = _post(client, provider, _reports(provider, ada)[what])
    assert (reply.status_code, reply.json()["new"]) == (200, 1)
    again = _post(client, provider, _reports(provider, ada)[what])
    assert (again.status_code, again.json()["new"]) == (200, 0), "each counts once"

    found = _events(ledger, "delivered", "bounced", "complained", "opened")
    with ledger.read() as conn:
        kept = conn.execute(select(provider_events)).mappings().one()
    assert kept["message_id"] == ada and json.loads(kept["payload"])
    if what == "unknown":
        assert (kept["kind"], found, _suppressed(ledger)) == ("unknown", [], {})
        return
    kind, details, suppressed = MEANINGS[what]
    [event] = found
    assert (event["kind"], event["message_id"], event["invitation_id"]) == (kind, ada, ada)
    assert event["payload"].items() >= {"provider": provider, "message_kind": "invitation", **details}.items()
    assert event["occurred_at"] == dt.datetime(2026, 3, 2, 8, 59, tzinfo=dt.UTC)
    expected = {person_key("ada@customer.example"): suppressed} if suppressed else {}
    assert _suppressed(ledger) == expected


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_report_about_no_mail_of_ours_is_kept_and_touches_nobody(client, ledger, invite, provider):
    invite("ada")
    assert _post(client, provider, _reports(provider, "f" * 32)["hard"]).status_code == 200
    with ledger.read() as conn:
        assert conn.execute(select(provider_events.c.message_id)).scalar_one() is None
    assert (_events(ledger, "bounced"), _suppressed(ledger)) == ([], {})


@pytest.mark.parametrize("provider", ["postmark", "sendgrid"])
def test_a_request_that_is_not_the_providers_writes_nothing(client, ledger, invite, provider):
    reply = _post(client, provider, _reports(provider, invite("ada"))["hard"], authentic=False)
    assert reply.status_code == 403
    with ledger.read() as conn:
        assert conn.execute(select(provider_events)).first() is None
    assert client.post(f"/webhooks/{provider}", content=b"{}").status_code == 403


@pytest.mark.parametrize(
    "over",
    [
        {"forged": {"Message": "{}"}},
        {"forged": {"Signature": "AAAA"}},
        {"forged": {"SignatureVersion": "3"}},
        {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:others"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/x.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:8443/x.pem"},
        {"SigningCertURL": "https://user@sns.eu-west-1.amazonaws.com/x.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x.txt"},
    ],
)
def test_an_envelope_of_amazon_must_be_signed_by_amazon(client, ledger, invite, fetched, over):
    message = _ses_about(invite("ada"), "Bounce", bounceType="Permanent")
    assert _post(client, "ses", _ses(message, **over)).status_code == 403
    assert (_events(ledger, "bounced"), _suppressed(ledger)) == ([], {})
    assert set(fetched) <= {CERTIFICATE}


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_amazons_signature_are_known_and_a_certificate_is_fetched_once(
    client, invite, fetched, version
):
    ada = invite("ada")
    for number in ("one", "two"):
        envelope = _ses(_ses_about(ada, "Delivery"), version=version, number=number)
        assert _post(client, "ses", envelope).json() == {"status": "recorded", "reports": 1, "new": 1}
    assert fetched == [CERTIFICATE]


def test_a_subscription_is_confirmed_by_visiting_amazon_and_nobody_else(client, fetched):
    assert _post(client, "ses", _ses({}, kind="SubscriptionConfirmation")).json()["reports"] == 0
    assert fetched[-1].endswith("Action=ConfirmSubscription")
    evil = _ses({}, kind="SubscriptionConfirmation", SubscribeURL="https://169.254.169.254/latest")
    assert _post(client, "ses", evil).status_code == 403
    assert not any("169.254" in url for url in fetched)


def test_a_batch_is_taken_whole_and_an_unsubscribe_at_the_provider_counts(client, ledger, invite):
    ada = invite("ada")
    batch = [_sendgrid(ada, "delivered", f"d{number}") for number in range(250)]
    reply = _post(client, "sendgrid", [*batch, _sendgrid(ada, "unsubscribe", "u")])
    assert reply.json() == {"status": "recorded", "reports": 251, "new": 251}
    assert _suppressed(ledger) == {person_key("ada@customer.example"): "unsubscribed"}


@pytest.mark.parametrize("provider", ["postmark", "sendgrid"])
@pytest.mark.parametrize("payload", [None, 7, "x", {"RecordType": "Bounce"}, [{"event": "bounce"}], [7]])
def test_what_cannot_be_read_is_refused_and_nothing_breaks(client, ledger, provider, payload):
    assert _post(client, provider, payload).status_code == 422
    with ledger.read() as conn:
        assert conn.execute(select(provider_events)).first() is None


def test_a_provider_that_nobody_set_up_is_not_there(settings, ledger, clock):
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        assert client.post("/webhooks/postmark", json={}).status_code == 404


def test_a_key_that_is_none_is_refused_at_the_start(settings, clock):
    with pytest.raises(BadInput, match="SENDGRID"):
        create_app(settings.model_copy(update={"sendgrid_public_key": "bm90IGEga2V5"}), clock=clock)
