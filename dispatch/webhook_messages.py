"""What a receiver of webhooks reads: one event as JSON in the shape of CloudEvents, signed as Standard Webhooks has it.

Without `include_personal` there is nothing a person wrote and no colleague's name: ids, scores, times and states only.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any

from closedloop.ledger.webhooks import Delivery
from closedloop.programme import band_of
from closedloop.webhooks import Webhook, keys_of

MAX_TEXT = 5_000
"""Characters of one text; longer ones are cut."""
MAX_BODY = 64 * 1024
"""Bytes of a request; further answers of a survey that would make it longer are left out."""
SOURCE = "closedloop"

_IDS = ("invitation_id", "survey_id", "contact_id", "account_id")
_FACTS = {
    "response": ("channel", "judged", "version", "completed"),
    "followup": (
        *("assignee_id", "assignment_rule", "acknowledge_due_at", "due_at", "sla_hours"),
        *("step", "outcome"),
    ),
    "action": ("action",),
    "unsubscribed": (),
}
_PERSONAL = ("comment", "note", "why", "by", "answers")


def id_of(event: Mapping[str, Any]) -> str:
    """The id of an event, the same at each attempt. With its time: another ledger counts from 1 again, and a receiver must not
    take its events for these."""
    return f"evt-{event['seq']}-{event['recorded_at']:%Y%m%dT%H%M%S%f}"


def body_of(delivery: Delivery, webhook: Webhook) -> bytes:
    """The JSON of an event, as it is signed and sent."""
    data = _data(delivery, include_personal=webhook.include_personal)
    body = _encoded(delivery, data)
    if len(body) > MAX_BODY:
        body = _encoded(delivery, {**data, "answers": None, "shortened": True})
    return body


def _encoded(delivery: Delivery, data: Mapping[str, Any]) -> bytes:
    happened = delivery.event["occurred_at"].isoformat()
    return to_bytes(envelope(id_of(delivery.event), delivery.type, happened, data))


def envelope(id_: str, type_: str, time: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that every event has."""
    return {"specversion": "1.0", "id": id_, "source": SOURCE, "type": type_, "time": time, "data": dict(data)}


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """JSON as it goes over the wire."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _data(delivery: Delivery, *, include_personal: bool) -> dict[str, Any]:
    event, said = delivery.event, delivery.event["payload"]
    group = delivery.type.partition(".")[0]
    data = {name: event[name] for name in _IDS} | {name: said[name] for name in _FACTS[group] if name in said}
    # The score that the event is about: an answer that has changed since keeps telling its own.
    score = said.get("score", event["score"])
    if group in ("response", "followup") and score is not None:
        data |= {"score": score, "category": band_of(score).value}
    if delivery.type in ("response.created", "response.changed"):
        data["has_comment"] = bool(said.get("comment"))
    if include_personal:
        data |= {name: _cut(said[name]) for name in _PERSONAL if said.get(name)}
    return data


def _cut(value: Any) -> Any:
    return value[:MAX_TEXT] if isinstance(value, str) else value


def headers_of(id_: str, body: bytes, secret: str, *, wall_now: dt.datetime) -> dict[str, str]:
    """The headers of an attempt. `wall_now` is the real time, by which receivers refuse what is old."""
    stamp = str(int(wall_now.timestamp()))
    return {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signatures(keys_of(secret), f"{id_}.{stamp}.".encode() + body)),
    }


def _signatures(keys: Iterable[bytes], signed: bytes) -> Iterable[str]:
    """One signature for each key: a receiver that knows either takes it, so a key can be changed at leisure."""
    for key in keys:
        yield "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
