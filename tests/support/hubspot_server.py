"""A stand-in for HubSpot: records in memory behind the calls that this platform makes, with faults to switch on. After HubSpot's
documentation alone: no recorded replies were to be had."""

from __future__ import annotations

import datetime as dt
import json
import threading
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "pat-1"
SEARCHED = 10_000
"""Records that one search gives at most, over all of its pages."""


class HubSpotServer:
    """One account. `properties` holds what each object type has; `unique` which of them name a record."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.properties: dict[str, dict[str, dict[str, Any]]] = {}
        self.unique: set[str] = {"closedloop_id"}
        self.links: set[tuple[str, str, str, str]] = set()
        self.owners: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.now = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
        self.lock = threading.RLock()
        self.url = ""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens after each page of a search."""

    @contextmanager
    def running(self) -> Iterator[HubSpotServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"account": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def fail(self, fault: str, times: int = 1) -> None:
        """Let the next `times` calls that can have it have this fault: secondly, daily, unavailable, cut, token, conflict."""
        self.faults[fault] += times

    def takes(self, fault: str) -> bool:
        with self.lock:
            if self.faults[fault] <= 0:
                return False
            self.faults[fault] -= 1
            return True

    def has(self, kind: str, *names: str, own: bool = False, type: str = "string") -> None:
        """Let an object type have properties."""
        known = self.properties.setdefault(kind, {})
        for name in names:
            known[name] = {"name": name, "type": type, "hubspotDefined": not own}

    def put(self, kind: str, key: str, **values: Any) -> str:
        """Add a record, or change it, as somebody in the account would."""
        with self.lock:
            self.has(kind, *(name for name in values if name not in self.properties.get(kind, {})))
            old = self.objects[kind].get(key)
            record = old or {"id": key, "createdAt": stamp(self.now), "properties": {}, "archived": False}
            record["properties"] |= {name: str(value) for name, value in values.items()}
            record["updatedAt"] = stamp(self.now)
            self.objects[kind][key] = record
            return key

    def archive(self, kind: str, key: str) -> None:
        self.objects[kind][key] |= {"archived": True, "archivedAt": stamp(self.now)}

    def link(self, kind: str, key: str, other: str, theirs: str) -> None:
        self.links |= {(kind, key, other, theirs), (other, theirs, kind, key)}


class Refused(Exception):
    def __init__(self, status: int, category: str, **more: Any) -> None:
        self.status = status
        self.body = {"status": "error", "message": "words that may hold values", "category": category, **more}


def stamp(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class _Handler(BaseHTTPRequestHandler):
    account: HubSpotServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.account.calls[f"{method} {parts.path}"] += 1
        try:
            self._may_call()
            with self.account.lock:
                status, reply = self._route(method, parts.path.strip("/").split("/"), query, json.loads(body or b"{}"))
            self._send(status, reply)
        except Refused as refused:
            self._send(refused.status, refused.body)

    def _may_call(self) -> None:
        account = self.account
        if account.takes("unavailable"):
            raise Refused(503, "INTERNAL_ERROR")
        if account.takes("secondly"):
            raise Refused(429, "RATE_LIMITS", errorType="RATE_LIMIT", policyName="SECONDLY")
        if account.takes("daily"):
            account.fail("daily", 1)  # until the day is over: the test takes it away
            raise Refused(429, "RATE_LIMITS", errorType="RATE_LIMIT", policyName="DAILY")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" or account.takes("token"):
            raise Refused(401, "INVALID_AUTHENTICATION")

    def _route(
        self, method: str, path: list[str], query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        match method, path:
            case "GET", ["crm", "v3", "owners"]:
                archived = query["archived"] == "true"
                return 200, {"results": [one for one in self.account.owners if one["archived"] is archived]}
            case "GET", ["crm", "v3", "properties", kind]:
                if kind not in self.account.properties:
                    raise Refused(403, "MISSING_SCOPES")
                return 200, {"results": list(self.account.properties[kind].values())}
            case "POST", ["crm", "v3", "objects", kind, "search"]:
                return 200, self._search(kind, body)
            case "GET", ["crm", "v3", "objects", kind]:
                return 200, self._list(kind, query)
            case "POST", ["crm", "v3", "objects", kind, "batch", "upsert" | "update" as verb]:
                return self._write(kind, verb, body["inputs"])
            case "POST", ["crm", "v4", "associations", kind, other, "batch", "read"]:
                return 200, self._associations(kind, other, body["inputs"])
            case "POST", ["crm", "v4", "associations", kind, other, "batch", "associate", "default"]:
                return self._associate(kind, other, body["inputs"])
        raise Refused(404, "OBJECT_NOT_FOUND")

    def _search(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        rows = [row for row in self.account.objects[kind].values() if not row["archived"]]
        for one in body["filterGroups"][0]["filters"]:
            name, value = one["propertyName"], int(one["value"])
            wanted = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
            if name == "hs_object_id" and one["operator"] == "GT":
                rows = [row for row in rows if int(row["id"]) > value]
            elif name == wanted and one["operator"] in ("GTE", "LTE"):
                sign = 1 if one["operator"] == "GTE" else -1
                rows = [row for row in rows if sign * (_milliseconds(row["updatedAt"]) - value) >= 0]
            else:
                raise Refused(400, "VALIDATION_ERROR")
        rows.sort(key=lambda row: int(row["id"]))
        found = [_shown(row, body["properties"]) for row in rows[:SEARCHED][: body["limit"]]]
        self.account.meanwhile()
        return {"total": len(rows), "results": found}

    def _list(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        archived = query.get("archived") == "true"
        rows = [row for row in self.account.objects[kind].values() if row["archived"] is archived]
        start, limit = int(query.get("after") or 0), int(query["limit"])
        reply: dict[str, Any] = {"results": [_shown(row, ()) for row in rows[start : start + limit]]}
        if start + limit < len(rows):
            reply["paging"] = {"next": {"after": str(start + limit)}}
        return reply

    def _write(self, kind: str, verb: str, inputs: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        account = self.account
        if kind not in account.properties:
            raise Refused(400, "VALIDATION_ERROR")
        if len(inputs) > 100 or len({one["id"] for one in inputs}) < len(inputs):
            raise Refused(400, "VALIDATION_ERROR")
        for one in inputs:
            unknown = sorted(set(one["properties"]) - set(account.properties[kind]))
            if unknown:
                error = {"code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": unknown}}
                raise Refused(400, "VALIDATION_ERROR", errors=[error])
        results, errors = [], []
        for one in inputs:
            assert all(isinstance(value, str) for value in one["properties"].values())
            key = one["id"] if verb == "update" else self._named(kind, one)
            context = {"objectWriteTraceId": [one["objectWriteTraceId"]]}
            if account.takes("conflict"):
                errors.append({"status": "error", "category": "CONFLICT", "context": context})
            elif verb == "update" and key not in account.objects[kind]:
                errors.append({"status": "error", "category": "OBJECT_NOT_FOUND", "context": context})
            else:
                key = key or str(1000 + len(account.objects[kind]))
                account.put(kind, key, **one["properties"])
                results.append({"id": key, "objectWriteTraceId": one["objectWriteTraceId"]})
        reply: dict[str, Any] = {"status": "COMPLETE", "results": results}
        return (207, reply | {"numErrors": len(errors), "errors": errors}) if errors else (200, reply)

    def _named(self, kind: str, one: dict[str, Any]) -> str | None:
        by = one["idProperty"]
        if by not in self.account.unique:
            raise Refused(400, "VALIDATION_ERROR")
        found = self.account.objects[kind].items()
        return next((key for key, row in found if row["properties"].get(by) == one["id"]), None)

    def _associations(self, kind: str, other: str, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for one in inputs:
            to = sorted(theirs for a, b, c, theirs in self.account.links if (a, b, c) == (kind, one["id"], other))
            if to:
                found = [{"toObjectId": int(key), "associationTypes": [{"label": None}]} for key in to]
                results.append({"from": {"id": one["id"]}, "to": found})
        return {"status": "COMPLETE", "results": results}

    def _associate(self, kind: str, other: str, inputs: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        errors = []
        for one in inputs:
            mine, theirs = one["from"]["id"], one["to"]["id"]
            if theirs in self.account.objects[other]:
                self.account.link(kind, mine, other, theirs)
            else:
                errors.append({"status": "error", "category": "OBJECT_NOT_FOUND"})
        return (207, {"results": [], "errors": errors}) if errors else (200, {"status": "COMPLETE", "results": []})

    def _send(self, status: int, reply: dict[str, Any]) -> None:
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status == 200 and self.account.takes("cut"):
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self.wfile.write(data)


def _shown(row: dict[str, Any], properties: Any) -> dict[str, Any]:
    return row | {"properties": {name: row["properties"].get(name) for name in properties}}


def _milliseconds(time: str) -> int:
    return int(dt.datetime.fromisoformat(time).timestamp() * 1000)
