"""Real histories played through under cooldowns of 30, 90 and 180 days: won deals of a real CRM, and the orders of a shop's
23,570 customers over 18 months. The replay must ask exactly whom a plain loop over the same files asks."""

from __future__ import annotations

import csv
import datetime as dt
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from closedloop.settings import Settings
from orchestration import work

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROGRAMME = """
id: {survey}
name: Replayed
type: transactional
status: active
company: Example
triggers:
  - event: {event}
    delay_days: {delay}
"""


def plainly(occasions: Mapping[str, Iterable[dt.date]], cooldown: int) -> Counter[str]:
    """Person by person, day by day: ask when the last one asked is long enough ago, once a day."""
    counts: Counter[str] = Counter()
    for days in occasions.values():
        last: dt.date | None = None
        for day in sorted(days):
            if day == last:
                counts["one_per_wave"] += 1
            elif last is not None and (day - last).days < cooldown:
                counts["cooldown"] += 1
            else:
                counts["asked"] += 1
                last = day
    return counts


def agrees(home: Home, occasions: Mapping[str, list[dt.date]], first: dt.date, last: dt.date) -> None:
    """Under 30 and 180 days, and beside each under the programme's own 90."""
    for cooldown in (30, 180):
        changes = {"cooldown_days": cooldown}
        period = {"first": first, "last": last, "alone": True, "now": home.now}
        found = work.what_if(home.settings, home.survey, changes, **period)
        for days, played in ((cooldown, found), (90, found["today"])):
            assert Counter({"asked": played["asked"], **played["skipped"]}) == plainly(occasions, days), days
            assert played["asked"] > 0 and not played["waiting"]
            assert sum(played["people_asked_by_month"].values()) <= played["asked"]


@dataclass
class Home:
    """A home with one programme, at a time of the past."""

    folder: Path
    survey: str
    event: str
    delay: int
    now: dt.datetime

    def __post_init__(self) -> None:
        programmes = self.folder / "surveys"
        programmes.mkdir()
        text = PROGRAMME.format(survey=self.survey, event=self.event, delay=self.delay)
        (programmes / f"{self.survey}.yml").write_text(text)
        self.settings = Settings(home=self.folder / "home", surveys=programmes, _env_file=None)

    def ingest(self, files: Path, **mapping: Path) -> None:
        work.ingest_crm(self.settings, files, now=self.now, **mapping)


def test_won_deals_of_a_real_crm(realdata: Path, tmp_path: Path) -> None:
    files = shutil.copytree(realdata / "maven_crm" / "original", tmp_path / "crm")
    (files / "export.json").write_text('{"exported_at": "2018-01-01T00:00:00Z", "mode": "full"}')
    home = Home(tmp_path, "deals", "deal_won", 3, dt.datetime(2018, 1, 1, 9, tzinfo=dt.UTC))
    home.ingest(files, mapping=ROOT / "mappings" / "maven_crm.yml")
    occasions: dict[str, list[dt.date]] = defaultdict(list)
    first, last = dt.date(2017, 4, 1), dt.date(2017, 12, 31)
    with (files / "sales_pipeline.csv").open() as lines:
        for row in csv.DictReader(lines):
            if row["deal_stage"] == "Won" and row["account"]:
                day = dt.date.fromisoformat(row["close_date"]) + dt.timedelta(days=3)
                if first <= day <= last:
                    occasions[row["account"]].append(day)
    assert sum(map(len, occasions.values())) > 2_000
    agrees(home, occasions, first, last)


def test_orders_of_a_real_shop(realdata: Path, tmp_path: Path) -> None:
    occasions: dict[str, list[dt.date]] = defaultdict(list)
    files = tmp_path / "crm"
    files.mkdir()
    stamp = "1998-07-01T00:00:00Z"
    with (files / "Order.csv").open("w") as out, (realdata / "cdnow" / "CDNOW_master.txt").open() as lines:
        orders = csv.writer(out)
        orders.writerow(["Id", "BillToContactId", "AccountId", "Status", "EffectiveDate", "SystemModstamp"])
        for number, line in enumerate(lines):
            parts = line.split()
            if not parts or not parts[0].isdigit():
                continue
            day = dt.datetime.strptime(parts[1], "%Y%m%d").replace(tzinfo=dt.UTC).date()
            occasions[parts[0]].append(day + dt.timedelta(days=2))
            orders.writerow([f"o{number}", f"c{parts[0]}", f"a{parts[0]}", "Activated", day.isoformat(), stamp])
    with (files / "Account.csv").open("w") as accounts, (files / "Contact.csv").open("w") as contacts:
        accounts.write("Id,Name,Type,SystemModstamp\n")
        contacts.write("Id,AccountId,LastName,Email,SystemModstamp\n")
        for customer in occasions:
            accounts.write(f"a{customer},Customer {customer},Customer,{stamp}\n")
            contacts.write(f"c{customer},a{customer},Customer,{customer}@shop.example,{stamp}\n")
    (files / "export.json").write_text(json.dumps({"exported_at": stamp, "mode": "full"}))
    home = Home(tmp_path, "orders", "purchase", 2, dt.datetime(1998, 7, 10, 9, tzinfo=dt.UTC))
    home.ingest(files)
    first, last = dt.date(1997, 1, 1), dt.date(1998, 7, 10)
    assert (len(occasions), sum(map(len, occasions.values()))) == (23_570, 69_659)
    agrees(home, occasions, first, last)
