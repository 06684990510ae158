"""Many contacts from Salesforce into the lake, with the memory it takes: `make bench-salesforce`.

A stand-in in a process of its own has a million contacts. The floor downloads the same job of the Bulk API 2.0 to a file and lets
DuckDB make a Parquet file of it: no types looked at, no history, no quarantine, nothing compared. The real thing is
`closedloop ingest salesforce` into an empty home, and once more when all of it is read again and nothing has changed. Each in a
process of its own, in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from closedloop.settings import REPO

CHUNK = 50_000


def serve(count: int) -> None:
    """The stand-in; prints its address and ends with its standard input."""
    from tests.support.salesforce_server import SalesforceServer

    org = SalesforceServer(page=CHUNK)
    org.put("Account", Id="001A", Name="Acme", OwnerId="005A", Industry="Energy")
    org.put("Contact", Id="003A", AccountId="001A", FirstName="Ada", LastName="A", Email="a@x.example", Title="CTO")
    like = org.objects["Contact"]["003A"]
    for number in range(count - 1):
        key = f"003{number:012d}AAA"
        more = {"Id": key, "LastName": f"Number {number}", "Email": f"n{number}@customer{number % 1000}.example"}
        org.objects["Contact"][key] = like | more
    with org.running():
        print(org.url, flush=True)
        sys.stdin.read()


def floor(url: str, folder: Path) -> None:
    """The same records to a Parquet file, by as little as can be."""
    import duckdb
    import requests

    session = requests.Session()
    login = {"grant_type": "client_credentials"}
    token = session.post(f"{url}/services/oauth2/token", data=login, auth=("key", "secret")).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    jobs = f"{url}/services/data/v62.0/jobs/query"
    fields = "AccountId, CreatedDate, Email, FirstName, Id, IsDeleted, LastName, SystemModstamp, Title"
    query = f"SELECT {fields} FROM Contact ORDER BY SystemModstamp, Id"
    job = session.post(jobs, json={"operation": "queryAll", "query": query}).json()["id"]
    while session.get(f"{jobs}/{job}").json()["state"] != "JobComplete":
        time.sleep(1)
    locator, file = "", folder / "contacts.csv"
    with file.open("w") as out:
        while locator != "null":
            page = session.get(f"{jobs}/{job}/results", params={"maxRecords": CHUNK, "locator": locator})
            out.write(page.text if not locator else page.text.partition("\n")[2])
            locator = page.headers["Sforce-Locator"]
    duckdb.execute(f"copy (from read_csv('{file}', all_varchar = true)) to '{folder / 'contacts.parquet'}'")


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and MiB at most."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPO)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[-2:]} ended with {status}")
    return time.monotonic() - began, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--floor", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.contacts)
        return
    with tempfile.TemporaryDirectory(prefix="bench-salesforce-") as scratch:
        if options.floor:
            floor(options.floor, Path(scratch))
            return
        me = [sys.executable, "-m", "benchmarks.from_salesforce"]
        wanted = [*me, "--serve", "--contacts", str(options.contacts)]
        with subprocess.Popen(wanted, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO) as server:
            assert server.stdin and server.stdout
            url = server.stdout.readline().strip()
            environment = {
                **os.environ,
                "CLOSEDLOOP_HOME": f"{scratch}/home",
                "CLOSEDLOOP_SALESFORCE_URL": url,
                "CLOSEDLOOP_SALESFORCE_CLIENT_ID": "key",
                "CLOSEDLOOP_SALESFORCE_CLIENT_SECRET": "secret",
            }
            ingest = [sys.executable, "-m", "orchestration.cli", "ingest", "salesforce"]
            bare, _ = measured([*me, "--floor", url], environment)
            print(f"{'floor':<22}{bare:8.1f} s", flush=True)
            for name in ("into an empty lake", "again, unchanged"):
                seconds, memory = measured(ingest, environment)
                print(
                    f"{name:<22}{seconds:8.1f} s   ratio {seconds / bare:.2f}   at most {memory:,.0f} MiB", flush=True
                )
            server.stdin.close()


if __name__ == "__main__":
    main()
