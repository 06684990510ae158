"""A stand-in for Salesforce: records in memory behind the REST calls that this platform makes, with faults to switch on.

Replies agree with those that Salesforce's own engineers recorded (`salesforce_recorded.json`; `test_salesforce_server` compares
them): query, paging by nextRecordsUrl, malformed queries, unknown columns, expired sessions, missing required fields, a limit
that is reached, jobs of the Bulk API 2.0 that read and that write, and their results. After its documentation alone: tokens, describe, queryAll,
upserts and updates of composite collections, notifications.
"""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
import re
import threading
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = re.compile(r"/services/data/v[0-9]+\.0/(.*)")
SOQL = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<object>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY (?P<order>.+?))?(?: LIMIT (?P<limit>\d+))?$",
    re.IGNORECASE,
)
PAGE = 2000


class SalesforceServer:
    """One organisation. `objects` holds records by object and Id; `fields` the type of each field that an object has."""

    def __init__(self, *, page: int = PAGE, client: tuple[str, str] = ("key", "secret"), public_key: str = "") -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.fields: dict[str, dict[str, str]] = {}
        self.required: dict[str, set[str]] = {}
        self.faults: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pages: dict[str, list[dict[str, Any]]] = {}
        self.notified: list[dict[str, Any]] = []
        self.page, self.client, self.public_key = page, client, public_key
        self.tokens: set[str] = set()
        self.now = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
        self.lock = threading.RLock()
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[SalesforceServer]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"org": self}))
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
        """Let the next `times` calls that can have it have this fault: expired, limit, unavailable, lock, duplicate,
        validation, cut, locator, job."""
        self.faults[fault] += times

    def takes(self, fault: str) -> bool:
        """Whether this call has the fault."""
        with self.lock:
            if self.faults[fault] <= 0:
                return False
            self.faults[fault] -= 1
            return True

    def put(self, name: str, **fields: Any) -> str:
        """Add a record, or change the one of this Id, as somebody in the organisation would."""
        with self.lock:
            key = fields.get("Id") or f"{len(self.objects[name]):015d}AAA"
            moment = stamp(self.now)
            old = self.objects[name].get(key, {"Id": key, "CreatedDate": moment, "IsDeleted": False})
            self.objects[name][key] = {
                **old,
                **fields,
                "Id": key,
                "SystemModstamp": fields.get("SystemModstamp", moment),
            }
            known = self.fields.setdefault(
                name, {"Id": "id", "CreatedDate": "datetime", "SystemModstamp": "datetime", "IsDeleted": "boolean"}
            )
            for field in fields:
                known.setdefault(field, "string")
            return key

    def delete(self, name: str, key: str) -> None:
        """Into the recycle bin: only queryAll shows it."""
        self.put(name, Id=key, IsDeleted=True)

    def select(self, soql: str, *, everything: bool) -> list[dict[str, Any]]:
        """The records of a query; raises Refused as Salesforce would."""
        found = SOQL.fullmatch(" ".join(soql.split()))
        if found is None:
            raise Refused(400, "MALFORMED_QUERY", f"unexpected token: {soql.split(' ')[0]}")
        name, fields = found["object"], [field.strip() for field in found["fields"].split(",")]
        if name not in self.fields:
            raise Refused(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        for field in fields:
            if field not in self.fields[name]:
                words = f"\nSELECT {found['fields']} FROM {name}\n ERROR at Row:1:Column:8\nNo such column '{field}' on entity '{name}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name."
                raise Refused(400, "INVALID_FIELD", words)
        with self.lock:
            rows = [dict(row) for row in self.objects[name].values() if everything or not row["IsDeleted"]]
        for condition in (found["where"] or "").split(" AND ") if found["where"] else ():
            field, sign, value = re.fullmatch(r"(\w+) (>=|<=|<|>|=) (\S+)", condition.strip()).groups()
            rows = [
                row for row in rows if _compares(row.get(field) or "", sign, value.strip("'").replace("Z", ".000+0000"))
            ]
        for field in reversed((found["order"] or "Id").split(",")):
            rows.sort(key=lambda row, field=field: row.get(field.strip()) or "")
        rows = rows[: int(found["limit"])] if found["limit"] else rows
        return [{"_id": row["Id"], **{field: row.get(field) for field in fields}} for row in rows]


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        self.status, self.body = status, [{"message": message, "errorCode": code}]
        if fields is not None:
            self.body[0]["fields"] = fields


def stamp(moment: dt.datetime) -> str:
    """As Salesforce writes times."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _compares(a: str, sign: str, b: str) -> bool:
    a, b = (re.sub(r"([0-9]{2}:[0-9]{2}:[0-9]{2})\+", r"\1.000+", text) for text in (a, b))
    return {">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b, "=": a == b}[sign]


class _Handler(BaseHTTPRequestHandler):
    org: SalesforceServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        try:
            if parts.path == "/services/oauth2/token":
                self._json(200, self._token(dict(urllib.parse.parse_qsl(body.decode()))))
                return
            self._may_call()
            self._route(method, PREFIX.fullmatch(parts.path)[1], query, body)
        except Refused as refused:
            self._json(refused.status, refused.body)

    def _token(self, form: dict[str, str]) -> dict[str, str]:
        org = self.org
        if form["grant_type"] == "client_credentials":
            given = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            if tuple(given.split(":", 1)) != org.client:
                self._refuse_login("invalid_client", "invalid client credentials")
        else:
            import jwt

            try:
                said = jwt.decode(
                    form["assertion"],
                    org.public_key,
                    algorithms=["RS256"],
                    audience=["https://login.salesforce.com", "https://test.salesforce.com"],
                )
            except jwt.PyJWTError:
                self._refuse_login("invalid_grant", "invalid assertion")
            if said["iss"] != org.client[0]:
                self._refuse_login("invalid_client_id", "client identifier invalid")
        org.calls["login"] += 1
        token = f"token{org.calls['login']}"
        org.tokens = {token}
        return {"access_token": token, "instance_url": org.url, "token_type": "Bearer"}

    def _refuse_login(self, code: str, words: str) -> None:
        refused = Refused(400, code, words)
        refused.body = {"error": code, "error_description": words}
        raise refused

    def _may_call(self) -> None:
        org = self.org
        if org.takes("unavailable"):
            raise Refused(503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable")
        if org.takes("limit"):
            raise Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        if org.takes("expired"):
            org.tokens.clear()
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in org.tokens:
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def _route(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        org = self.org
        org.calls[f"{method} {path.split('/')[0]}"] += 1
        match method, path.strip("/").split("/"):
            case "GET", ["query" | "queryAll" as verb]:
                self._page(org.select(query["q"], everything=verb == "queryAll"), query["q"])
            case "GET", ["query" | "queryAll", locator]:
                if org.takes("locator") or locator not in org.pages:
                    raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
                rows, soql, done = org.pages[locator]
                self._page(rows, soql, done)
            case "GET", ["sobjects", name, "describe"]:
                if name not in org.fields:
                    raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
                known = [{"name": field, "type": kind} for field, kind in org.fields[name].items()]
                self._json(200, {"name": name, "fields": known})
            case "PATCH", ["composite", "sobjects"]:
                self._json(200, [self._update(one) for one in json.loads(body)["records"]])
            case "PATCH", ["composite", "sobjects", name, key]:
                if name not in org.fields or key not in org.fields[name]:
                    raise Refused(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
                self._json(200, [self._upsert(name, key, one) for one in json.loads(body)["records"]])
            case "POST", ["actions", "standard", "customNotificationAction"]:
                self._json(200, [self._notified(one) for one in json.loads(body)["inputs"]])
            case "POST", ["jobs", "ingest"]:
                self._json(200, self._open_job(json.loads(body)))
            case "PUT", ["jobs", "ingest", job, "batches"]:
                org.jobs[job]["_rows"] = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
                self._send(201, b"", "text/plain", {})
            case "PATCH", ["jobs", "ingest", job]:
                self._json(200, self._close_job(job, json.loads(body)["state"]))
            case "GET", ["jobs", "ingest", job]:
                self._json(200, self._ingested(job))
            case "GET", ["jobs", "ingest", job, "successfulResults" | "failedResults" as kind]:
                self._send(200, org.jobs[job][kind].encode(), "text/csv", {})
            case "POST", ["jobs", "query"]:
                self._json(200, self._start_job(json.loads(body)))
            case "GET", ["jobs", "query", job]:
                self._json(200, self._job(job))
            case "GET", ["jobs", "query", job, "results"]:
                self._results(job, query)
            case _:
                raise Refused(404, "NOT_FOUND", "The requested resource does not exist")

    def _page(self, rows: list[dict[str, Any]], soql: str, sent: int = 0) -> None:
        name = SOQL.fullmatch(" ".join(soql.split()))["object"]
        page = rows[sent : sent + self.org.page]
        done = sent + len(page) >= len(rows)
        reply: dict[str, Any] = {"totalSize": len(rows), "done": done}
        if not done:
            locator = f"01g{len(self.org.pages):012d}-{sent + len(page)}"
            self.org.pages[locator] = (rows, soql, sent + len(page))
            reply["nextRecordsUrl"] = f"/services/data/v62.0/query/{locator}"
        where = "/services/data/v62.0/sobjects"
        reply["records"] = [
            {"attributes": {"type": name, "url": f"{where}/{name}/{row['_id']}"}, **_shown(row)} for row in page
        ]
        if sent and self.org.takes("cut"):
            text = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2])
            self.close_connection = True
            return
        self._json(200, reply)

    def _problem(self, record: dict[str, Any]) -> dict[str, Any] | None:
        org, name = self.org, record["attributes"]["type"]
        for fault, code in (
            ("lock", "UNABLE_TO_LOCK_ROW"),
            ("duplicate", "DUPLICATE_VALUE"),
            ("validation", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ):
            if org.takes(fault):
                return _failed(code, [])
        unknown = sorted(set(record) - {"attributes"} - set(org.fields.get(name, ())))
        if unknown:
            return _failed("INVALID_FIELD", unknown)
        missing = sorted(field for field in org.required.get(name, ()) if not record.get(field))
        return _failed("REQUIRED_FIELD_MISSING", missing) if missing else None

    def _update(self, record: dict[str, Any]) -> dict[str, Any]:
        org, name, key = self.org, record["attributes"]["type"], record.get("Id") or record.get("id")
        with org.lock:
            if problem := self._problem(record):
                return problem
            if key not in org.objects[name]:
                return _failed("INVALID_CROSS_REFERENCE_KEY", ["Id"])
            org.put(name, **{field: value for field, value in record.items() if field not in ("attributes", "id")})
            return {"id": key, "success": True, "errors": []}

    def _upsert(self, name: str, key: str, record: dict[str, Any]) -> dict[str, Any]:
        org = self.org
        with org.lock:
            if problem := self._problem(record):
                return problem
            known = next((row for row in org.objects[name].values() if row.get(key) == record[key]), None)
            fields = {field: value for field, value in record.items() if field != "attributes"}
            made = org.put(name, **({"Id": known["Id"]} if known else {}), **fields)
            return {"id": made, "success": True, "errors": [], "created": known is None}

    def _start_job(self, wanted: dict[str, Any]) -> dict[str, Any]:
        org = self.org
        rows = org.select(wanted["query"], everything=wanted["operation"] == "queryAll")
        job = f"750{len(org.jobs):015d}"
        state = "Failed" if org.takes("job") else "InProgress"
        org.jobs[job] = {
            "id": job,
            "operation": wanted["operation"],
            "object": SOQL.fullmatch(" ".join(wanted["query"].split()))["object"],
            "createdById": "005000000000000AAA",
            "createdDate": stamp(org.now),
            "systemModstamp": stamp(org.now),
            "state": state if state == "Failed" else "UploadComplete",
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": 62.0,
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "_rows": rows,
        }
        return {name: value for name, value in org.jobs[job].items() if name != "_rows"}

    def _job(self, job: str) -> dict[str, Any]:
        found = self.org.jobs[job]
        if found["state"] == "UploadComplete":
            found["state"] = "JobComplete"
        more = {"jobType": "V2Query", "retries": 0, "totalProcessingTime": 1}
        if found["state"] == "JobComplete":
            more["numberRecordsProcessed"] = len(found["_rows"])
        if found["state"] == "Failed":
            more["errorMessage"] = "InternalServerError : the job failed"
        return {name: value for name, value in found.items() if name != "_rows"} | more

    def _notified(self, one: dict[str, Any]) -> dict[str, Any]:
        assert isinstance(one["recipientIds"], list)
        whole = all(one.get(name) for name in ("customNotifTypeId", "recipientIds", "title", "body", "targetId"))
        self.org.notified += [one] if whole else []
        errors = None if whole else [{"statusCode": "REQUIRED_FIELD_MISSING", "message": "words"}]
        return {"actionName": "customNotificationAction", "errors": errors, "isSuccess": whole, "outputValues": None}

    def _open_job(self, wanted: dict[str, Any]) -> dict[str, Any]:
        org = self.org
        if wanted["object"] not in org.fields:
            raise Refused(400, "INVALIDENTITY", "Unable to find object")
        job = f"750{len(org.jobs):015d}"
        org.jobs[job] = {
            "id": job,
            "operation": wanted["operation"],
            "object": wanted["object"],
            "createdById": "005000000000000AAA",
            "createdDate": stamp(org.now),
            "systemModstamp": stamp(org.now),
            "state": "Open",
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": 62.0,
            "contentUrl": f"services/data/v62.0/jobs/ingest/{job}/batches",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
            "_key": wanted.get("externalIdFieldName"),
        }
        return _told(org.jobs[job])

    def _close_job(self, job: str, state: str) -> dict[str, Any]:
        self.org.jobs[job]["state"] = state
        without = ("contentUrl", "lineEnding", "columnDelimiter")
        return {name: value for name, value in _told(self.org.jobs[job]).items() if name not in without}

    def _ingested(self, job: str) -> dict[str, Any]:
        found, org = self.org.jobs[job], self.org
        more: dict[str, Any] = {"jobType": "V2Ingest", "retries": 0, "totalProcessingTime": 0}
        more |= {"apiActiveProcessingTime": 0, "apexProcessingTime": 0}
        if found["state"] == "UploadComplete":
            rows, name, key = found["_rows"], found["object"], found["_key"]
            unknown = sorted(set(rows[0]) - set(org.fields[name]))
            if unknown or org.takes("job"):
                found["state"] = "Failed"
                found["errorMessage"] = f"InvalidBatch : InvalidBatch : Field name not found : {''.join(unknown[:1])}"
                found["successfulResults"] = found["failedResults"] = ""
                found["_counts"] = (0, 0)
            else:
                self._take_rows(found, rows, name, key)
        done, failed = found["_counts"]
        more |= {"numberRecordsProcessed": done + failed, "numberRecordsFailed": failed}
        return {name: value for name, value in _told(found).items() if name != "contentUrl"} | more

    def _take_rows(self, found: dict[str, Any], rows: list[dict[str, str]], name: str, key: str | None) -> None:
        """A cell that is empty leaves its field, `#N/A` clears it."""
        good, bad = [], []
        for row in rows:
            given = {field: None if value == "#N/A" else value for field, value in row.items() if value != ""}
            record = {"attributes": {"type": name}, **given}
            result = self._upsert(name, key, record) if key else self._update(record)
            if result["success"]:
                good.append({"sf__Id": result["id"], "sf__Created": str(result.get("created", False)).lower(), **row})
            else:
                error = result["errors"][0]
                fields = ",".join(error["fields"])
                bad.append({"sf__Id": "", "sf__Error": f"{error['statusCode']}:{error['message']}:{fields} --", **row})
        found["state"], found["_counts"] = "JobComplete", (len(good), len(bad))
        found["successfulResults"] = _quoted(["sf__Id", "sf__Created", *rows[0]], good)
        found["failedResults"] = _quoted(["sf__Id", "sf__Error", *rows[0]], bad)

    def _results(self, job: str, query: dict[str, str]) -> None:
        rows = self.org.jobs[job]["_rows"]
        start = int(base64.b64decode(query["locator"] + "==")) if query.get("locator") else 0
        some = rows[start : start + min(int(query.get("maxRecords") or self.org.page), self.org.page)]
        after = start + len(some)
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(_shown(rows[0]) if rows else ["Id"])
        writer.writerows([_cell(value) for value in _shown(row).values()] for row in some)
        locator = base64.b64encode(str(after).encode()).decode().rstrip("=") if after < len(rows) else "null"
        headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(len(some))}
        data = text.getvalue().encode()
        if start and self.org.takes("cut"):
            data, headers = data[: len(data) // 2], headers | {"X-Cut": "1"}
        self._send(200, data, "text/csv", headers)

    def _json(self, status: int, content: Any) -> None:
        self._send(
            status,
            json.dumps(content).encode(),
            "application/json;charset=UTF-8",
            {"Sforce-Limit-Info": "api-usage=18/15000"},
        )

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        length = len(data) * 2 if headers.pop("X-Cut", None) else len(data)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        if length != len(data):
            self.close_connection = True


def _told(job: dict[str, Any]) -> dict[str, Any]:
    hidden = ("successfulResults", "failedResults")
    return {name: value for name, value in job.items() if not name.startswith("_") and name not in hidden}


def _quoted(columns: list[str], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in row.items() if field != "_id"}


def _failed(code: str, fields: list[str]) -> dict[str, Any]:
    return {
        "success": False,
        "errors": [{"statusCode": code, "message": "words that may hold values", "fields": fields}],
    }


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
