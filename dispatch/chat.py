"""The action `chat`: a line in a chat by its incoming webhook, `{"text": ...}` as Slack, Mattermost, Google Chat and Teams take it.

These webhooks know no ids: an action whose process died after the request is done again, so a line may come twice, and none is
lost.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.actions import CHAT, DONE, FAILED, PLANNED, Result, begin, finish
from closedloop.settings import Settings
from dispatch.posting import TIMEOUT_SECONDS, Reply, post

FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=10), dt.timedelta(hours=1)
GIVE_UP_AFTER = dt.timedelta(hours=24)
"""What is news no more is not worth a line."""
LONGEST_RUN = dt.timedelta(seconds=20)
MAX_WORDS, MAX_NAME = 600, 100
TOO_MANY = 429


def send_chats(
    ledger: Ledger, settings: Settings, *, clock: Clock, wall: Clock | None = None, timeout: float = TIMEOUT_SECONDS
) -> dict[str, int]:
    """Post what waits, at least once each; returns counts by state (`planned`: again later).

    A chat that fails is left alone for the rest of the run, so that it holds no other up.
    """
    wall = wall or Clock()
    counts, resting = Counter[str](), dict[str, Reply]()
    until = wall.now() + LONGEST_RUN
    while wall.now() < until and (rows := begin(ledger, [CHAT], now=clock.now(), limit=1)[1]):
        [row] = rows
        key = (row["invitation_id"], row["action"])
        channel = row["payload"].get("chat") or ""
        url = settings.chat_webhooks.get(channel)
        if url is None:
            result = Result(key, FAILED, f"CLOSEDLOOP_CHAT_WEBHOOKS has no chat '{channel}'")
        else:
            reply = resting.get(channel) or _post(url, row["payload"], wall.now(), timeout)
            result = _result(row, channel, reply, clock.now())
            if result.state == PLANNED:
                resting[channel] = reply
        counts.update(finish(ledger, [result], now=clock.now()))
    return dict(counts)


def _post(url: str, payload: Mapping[str, Any], wall_now: dt.datetime, timeout: float) -> Reply:
    body = json.dumps({"text": text_of(payload)}).encode()
    return post(url, body, {"Content-Type": "application/json"}, wall_now=wall_now, timeout=timeout)


def _result(row: Mapping[str, Any], channel: str, reply: Reply, now: dt.datetime) -> Result:
    key = (row["invitation_id"], row["action"])
    if reply.is_taken:
        return Result(key, DONE)
    reason = f"chat '{channel}': {reply.error}"
    passes = reply.status is None or reply.status >= 500 or reply.status in (408, 425, TOO_MANY)
    if not passes or now - row["planned_at"] >= GIVE_UP_AFTER:
        return Result(key, FAILED, reason)
    wait = min(FIRST_WAIT * 4 ** min(row["attempts"] - 1, 8), LONGEST_WAIT)
    return Result(key, PLANNED, reason, retry_at=now + max(wait, reply.retry_after or dt.timedelta(0)))


def text_of(payload: Mapping[str, Any]) -> str:
    """The line: who gave what in which survey, and the words.

    What customers write must not call the whole channel, nor hide an address behind other words, in the markup of any of these
    chats: so no angle brackets, no links, no mentions.
    """
    contact, account = _plain(payload.get("contact_name"), MAX_NAME), _plain(payload.get("account_name"), MAX_NAME)
    survey = _plain(payload.get("survey_name") or payload.get("survey_id"), MAX_NAME)
    line = f"{contact or 'a contact'} at {account or 'an unknown account'} gave {payload['score']} of 10 ({survey})"
    words = _plain(payload.get("comment"), MAX_WORDS)
    return f"{line}: '{words}'" if words else line


_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_NO_BREAK = "\u200b"
"""No width: what it stands in looks the same and is neither a mention nor an address."""


def _plain(value: object, limit: int) -> str:
    text = " ".join(_DIRECTION.sub("", str(value or "")).split())
    text = text.replace("<", "\u2039").replace(">", "\u203a").replace("](", "] (")
    text = text.replace("@", f"@{_NO_BREAK}").replace("://", f":{_NO_BREAK}//")
    text = re.sub(r"(?i)\bwww\.", f"www{_NO_BREAK}.", text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\u2026"
