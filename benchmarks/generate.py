"""A lake of N contacts with 24 months behind it, as ingest and the ledger's export would have written it.

Deterministic by (contacts, seed). The decisions are those of occasions that the models find themselves, with the ids that
these compute; what they say (asked or skipped) is drawn, not played by the rules: sealed facts stand whatever rule made
them. All but half a per cent of the occasions up to a week before the end are decided.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closedloop.lake import Lake
from closedloop.programme import load_surveys
from closedloop.settings import Settings
from demo.columns import DAY, HOUR, dates, flags, join, labels, money, record_ids, times, whole
from orchestration.build import sync_definitions

PROGRAMMES = Path(__file__).parent / "programmes"
AS_OF = dt.datetime(2026, 6, 1, 6, tzinfo=dt.UTC)
SINCE = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
CHUNK = 500_000
"""Rows a file: what compaction leaves of the export's small batches."""

END, START = int(AS_OF.timestamp()), int(SINCE.timestamp())
LAST_ROUND = END - 7 * DAY
ZONES = ("", "America/New_York", "America/Los_Angeles", "Europe/London", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo",
         "Australia/Sydney", "America/Sao_Paulo")  # fmt: skip
TIERS = ("Enterprise", "Mid-Market", "SMB")
ROLES = ("Decision Maker", "Administrator", "End User", "Billing", "Influencer")
WANTED_TIERS, WANTED_ROLES = 2, 3
SURVEYS = ("after-deal", "after-ticket", "anniversary", "after-order", "quarterly")
EVENTS = ("deal_won", "ticket_resolved", "customer_anniversary", "purchase", "schedule_quarterly")
OBJECTS = ("Opportunity", "Case", "Account", "Order", "Contact")
DEAL, TICKET, ANNIVERSARY, ORDER, QUARTERLY = range(5)
ASKED_SHARE = np.array([0.95, 0.97, 0.95, 0.94, 0.97])


@dataclass
class Company:
    """Who there is, as numbers; record n of an object has the id `record_ids` makes of n."""

    account: np.ndarray
    zone: np.ndarray
    role: np.ndarray
    created: np.ndarray
    first_day: np.ndarray
    deleted: np.ndarray
    primary: np.ndarray  # of each account: the contact to ask, -1: nobody
    tier: np.ndarray
    is_customer: np.ndarray
    customer_since: np.ndarray
    keys: pa.Array


@dataclass
class Occasions:
    """What made somebody due: of which survey, who, through which record, when."""

    survey: np.ndarray
    contact: np.ndarray
    record: np.ndarray  # the day where the calendar is the record
    due: np.ndarray

    def take(self, places: np.ndarray) -> Occasions:
        return Occasions(self.survey[places], self.contact[places], self.record[places], self.due[places])


def generate(settings: Settings, contacts: int, *, seed: int = 1) -> dict[str, int]:
    """Fill the home's lake; returns how many rows each table got. With 0 contacts only the programmes are in it."""
    with Lake.open(settings) as lake:
        sync_definitions(lake, load_surveys(PROGRAMMES), now=SINCE)
        return _Writer(lake, contacts, np.random.default_rng([seed, contacts])).write() if contacts else {}


class _Writer:
    def __init__(self, lake: Lake, contacts: int, chance: np.random.Generator) -> None:
        self.lake, self.count, self.chance = lake, contacts, chance
        self.rows: dict[str, int] = {}
        self.seq = 0
        self.con = duckdb.connect()

    def write(self) -> dict[str, int]:
        company = self.people()
        occasions = [self.deals(company), self.tickets(company), self.orders(company)]
        occasions += [self.anniversaries(company), self.quarters(company)]
        parts = zip(*((one.survey, one.contact, one.record, one.due) for one in occasions), strict=True)
        self.decide(company, Occasions(*(np.concatenate(part) for part in parts)))
        return self.rows

    def append(self, table: str, rows: pa.Table, at: int = END - HOUR) -> None:
        moment = dt.datetime.fromtimestamp(at, dt.UTC)
        for start in range(0, rows.num_rows, CHUNK):
            number = self.rows.get(table, 0)
            some = rows.slice(start, CHUNK)
            batch = f"{table}-{number:012d}"
            self.lake.append(table, some, batch_id=batch, ingested_at=moment, source="benchmark")
            self.rows[table] = number + some.num_rows

    def crm(self, table: str, ids: pa.Array, created: np.ndarray, changed: np.ndarray, **columns: object) -> None:
        """The first full export brought what there was, the last one all else; `_deleted` marks rows of deletions."""
        deleted = columns.pop("_deleted", np.zeros(len(created), bool))
        rows = pa.table(
            {
                "Id": ids,
                "CreatedDate": times(created),
                "SystemModstamp": times(changed),
                "IsDeleted": flags(deleted),
                **columns,
                "_op": labels(("upsert", "delete"), deleted.astype(np.int64)),
                "_row_hash": pc.cast(pa.array(self.chance.integers(0, 2**62, len(created))), pa.string()),
            }
        )
        early = changed < START
        for mask, exported in ((early, START - 2 * HOUR), (~early, END - 2 * HOUR)):
            some = rows.filter(pa.array(mask))
            taken = pa.repeat(pa.scalar(exported * 1_000_000, pa.timestamp("us")), some.num_rows)
            self.append(f"crm.{table}", some.append_column("_exported_at", taken), exported + HOUR)

    # Who there is ---------------------------------------------------------------------
    def people(self) -> Company:
        chance, count = self.chance, self.count
        accounts = max(count // 5, 1)
        account = np.arange(count)
        account[accounts:] = (accounts * chance.random(count - accounts) ** 1.5).astype(np.int64)
        founded = START - chance.integers(0, 1500 * DAY, accounts)
        tier = chance.choice(3, accounts, p=[0.2, 0.4, 0.4])
        is_customer = chance.random(accounts) < 0.92
        since = founded + chance.integers(0, 900, accounts) * DAY
        self.accounts(founded, tier, is_customer, since)

        late = chance.random(count) < 0.15
        created = np.where(late, START + chance.integers(0, END - DAY - START, count), 0)
        created = np.where(late, created, START - HOUR * 3 - chance.integers(0, 1500 * DAY, count))
        zone = np.where(chance.random(count) < 0.2, 0, chance.integers(1, len(ZONES), count))
        role = chance.integers(0, len(ROLES), count)
        deleted = chance.random(count) < 0.01
        is_primary = (np.arange(count) < accounts) & (chance.random(count) < 0.9) | (chance.random(count) < 0.01)
        # Of a hundred people one stands in the CRM twice, with one address; two have none.
        person = np.where(chance.random(count) < 0.01, chance.integers(0, count, count), np.arange(count))
        box = join(pc.if_else(pa.array(person != np.arange(count)), "Anne.", "anne."), whole(person), "@firm-",
                   whole(account[person] % 5000), ".example")  # fmt: skip
        email = pc.if_else(pa.array(chance.random(count) < 0.02), pa.scalar(None, pa.string()), box)
        out = chance.random(count) < 0.03
        moved = chance.random(count) < 0.1
        role_before = np.where(moved, chance.integers(0, len(ROLES), count), role)
        changed = np.maximum(created + HOUR, START + chance.integers(0, END - 3 * HOUR - START, count))

        def versions(of: np.ndarray, roles: np.ndarray, outs: np.ndarray, at: np.ndarray, gone: bool = False) -> None:
            self.crm(
                "contact", record_ids("Contact", of), created[of], at[of],
                AccountId=record_ids("Account", account[of]), FirstName=labels(("Anne", "Ben", "Cleo"), of % 3),
                LastName=join("Person ", whole(of)), Email=email.take(pa.array(of)), Role__c=labels(ROLES, roles[of]),
                Title=labels(("Head", "Clerk"), of % 2), IsPrimary__c=flags(is_primary[of]),
                TimeZone__c=labels(ZONES, zone[of]), Language__c=labels(("en", "de", "fr"), of % 3),
                HasOptedOutOfEmail=flags(outs[of]), _deleted=np.full(len(of), gone),
            )  # fmt: skip

        everyone = np.arange(count)
        versions(everyone, role_before, out & ~moved, created)
        versions(np.flatnonzero(moved), role, out, changed)
        gone_at = np.minimum(changed + HOUR, END - 3 * HOUR)
        versions(np.flatnonzero(deleted), role, out, gone_at, gone=True)

        order = np.lexsort((everyone, ~is_primary, account))
        order = order[~deleted[order]]
        of_account, first = np.unique(account[order], return_index=True)
        primary = np.full(accounts, -1)
        primary[of_account] = order[first]
        return Company(
            account, zone, role, created, self.local_day(created, zone), deleted, primary, tier, is_customer, since,
            self.person_keys(email),
        )  # fmt: skip

    def accounts(self, founded: np.ndarray, tier: np.ndarray, is_customer: np.ndarray, since: np.ndarray) -> None:
        chance, count = self.chance, len(founded)
        moved = np.flatnonzero(chance.random(count) < 0.2)
        tier_before = tier.copy()
        tier_before[moved] = chance.integers(0, 3, len(moved))
        changed = START + chance.integers(0, END - 3 * HOUR - START, count)
        for of, tiers, at in ((np.arange(count), tier_before, founded), (moved, tier, changed)):
            never = ~is_customer[of]
            self.crm(
                "account", record_ids("Account", of), founded[of], at[of], Name=join("Account ", whole(of)),
                Type=labels(("Prospect", "Customer"), is_customer[of].astype(np.int64)),
                Industry=labels(("Retail", "Banking", "Health"), of % 3), Tier__c=labels(TIERS, tiers[of]),
                Segment__c=labels(("Core", "Growth"), of % 2), Region__c=labels(("EMEA", "Americas", "APAC"), of % 3),
                Plan__c=labels(("Team", "Business"), of % 2), OwnerId=record_ids("User", of % 50),
                CSM__c=record_ids("User", of % 20), ContractValue__c=money(1000 + of % 90_000),
                CustomerSince__c=dates(since[of], never), RenewalDate__c=dates(since[of] + 1095 * DAY, never),
            )  # fmt: skip

    def person_keys(self, email: pa.Array) -> pa.Array:
        emails = pa.table({"email": email})
        self.con.register("emails", emails)
        return (
            self.con.execute("select sha256(lower(email)) as k from emails").fetch_arrow_table()["k"].combine_chunks()
        )

    def local_day(self, seconds: np.ndarray, zone: np.ndarray) -> np.ndarray:
        """The day (since 1970) that it is where somebody is."""
        day = seconds // DAY
        for number, name in enumerate(ZONES):
            if name:
                here = np.flatnonzero(zone == number)
                hours, where = np.unique(seconds[here] // HOUR, return_inverse=True)
                place = ZoneInfo(name)
                offset = [
                    dt.datetime.fromtimestamp(int(hour) * HOUR, place).utcoffset().total_seconds() for hour in hours
                ]
                day[here] = (seconds[here] + np.array(offset, np.int64)[where]) // DAY if len(here) else day[here]
        return day

    def midnight(self, day: np.ndarray, zone: np.ndarray) -> np.ndarray:
        """When a day begins where somebody is, in UTC."""
        first, last = int(day.min()), int(day.max())
        begins = np.empty((len(ZONES), last - first + 1), np.int64)
        for number, name in enumerate(ZONES):
            place = ZoneInfo(name or "UTC")
            for some in range(first, last + 1):
                on = dt.date(1970, 1, 1) + dt.timedelta(days=some)
                begins[number, some - first] = int(dt.datetime(on.year, on.month, on.day, tzinfo=place).timestamp())
        return begins[zone, day - first]

    # What happened ---------------------------------------------------------------------
    def busy(self, count: int) -> np.ndarray:
        """Contacts, few of them most of the times."""
        return (self.count * self.chance.random(count) ** 2.5).astype(np.int64)

    def days(self, count: int, ahead: int = 0) -> np.ndarray:
        return START + self.chance.integers(0, (END - START) // DAY + ahead, count) * DAY

    def deals(self, company: Company) -> Occasions:
        chance, count = self.chance, self.count // 2
        deal, contact, closes = np.arange(count), self.busy(count), self.days(count, 60)
        won = (chance.random(count) < 0.6) & (closes < END - DAY)
        closed = won | (closes < END - DAY)
        created = closes - chance.integers(10, 100, count) * DAY
        for of, at in ((deal, created), (np.flatnonzero(closed), closes + 9 * HOUR)):
            over = at[of] > closes[of]
            self.crm(
                "opportunity", record_ids("Opportunity", of), created[of], at[of],
                AccountId=record_ids("Account", company.account[contact[of]]), Name=join("Deal ", whole(of)),
                OwnerId=record_ids("User", of % 50), StageName=labels(("Proposal", "Closed Won", "Closed Lost"),
                np.where(over & won[of], 1, np.where(over, 2, 0))), IsWon=flags(over & won[of]), IsClosed=flags(over),
                Amount=money(1000 + of % 50_000), CloseDate=dates(closes[of]),
                Product2Id__c=record_ids("Product2", of % 9),
            )  # fmt: skip
        named = np.flatnonzero(chance.random(count) < 0.95)
        roles = np.concatenate([named, named[::3]])
        who = np.concatenate([contact[named], self.busy(len(named[::3]))])
        self.crm(
            "opportunity_contact_role", record_ids("OpportunityContactRole", np.arange(len(roles))), created[roles],
            created[roles], OpportunityId=record_ids("Opportunity", roles), ContactId=record_ids("Contact", who),
            Role=labels(("Evaluator",), np.zeros(len(roles), np.int64)),
            IsPrimary=flags(np.arange(len(roles)) < len(named)),
        )  # fmt: skip
        asked = company.primary[company.account[contact]]
        asked[named] = contact[named]
        some = np.flatnonzero(won & (asked >= 0))
        return self.due(DEAL, asked[some], deal[some], closes[some] + 3 * DAY)

    def tickets(self, company: Company) -> Occasions:
        chance, count = self.chance, self.count * 2
        case, contact = np.arange(count), self.busy(count)
        created = START + chance.integers(0, END - DAY - START, count)
        closes = created + chance.integers(HOUR, 6 * DAY, count)
        closed = closes < END - HOUR
        for of, at in ((case, created), (np.flatnonzero(closed), closes)):
            over = at[of] == closes[of]
            self.crm(
                "case", record_ids("Case", of), created[of], at[of], CaseNumber=whole(of),
                AccountId=record_ids("Account", company.account[contact[of]]),
                ContactId=record_ids("Contact", contact[of]), OwnerId=record_ids("User", of % 50),
                Status=labels(("Working", "Closed"), over.astype(np.int64)), Priority=labels(("Low", "High"), of % 2),
                IsClosed=flags(over), ClosedDate=times(closes[of], ~over), Reason=labels(("Usage",), of % 1),
            )  # fmt: skip
        some = np.flatnonzero(closed)
        return self.due(TICKET, contact[some], case[some], closes[some] + DAY)

    def orders(self, company: Company) -> Occasions:
        chance, count = self.chance, self.count * 5 // 2
        order, contact, placed = np.arange(count), self.busy(count), self.days(count)
        delivered = placed + chance.integers(1, 20, count) * DAY
        done = delivered < END
        named = chance.random(count) < 0.95
        self.crm(
            "order", record_ids("Order", order), placed, placed + HOUR,
            AccountId=record_ids("Account", company.account[contact]),
            BillToContactId=record_ids("Contact", contact, ~named), OwnerId=record_ids("User", order % 50),
            Status=labels(("Activated", "Delivered"), done.astype(np.int64)), EffectiveDate=dates(placed),
            DeliveredDate__c=dates(delivered, ~done), TotalAmount=money(10 + order % 9000),
        )  # fmt: skip
        asked = np.where(named, contact, company.primary[company.account[contact]])
        some = np.flatnonzero(asked >= 0)
        return self.due(ORDER, asked[some], order[some], placed[some] + 2 * DAY)

    def anniversaries(self, company: Company) -> Occasions:
        since = (company.customer_since // DAY).astype("datetime64[D]")
        month, day = since.astype("datetime64[M]"), since - since.astype("datetime64[M]").astype("datetime64[D]")
        length = (month + 13).astype("datetime64[D]") - (month + 12).astype("datetime64[D]")
        year_on = (month + 12).astype("datetime64[D]") + np.minimum(day, length - 1)
        account = np.flatnonzero(company.is_customer & (company.primary >= 0))
        contact, on = company.primary[account], year_on[account].astype(np.int64)
        return self.due(ANNIVERSARY, contact, account, self.midnight(on, company.zone[contact]))

    def quarters(self, company: Company) -> Occasions:
        contact = np.flatnonzero(company.is_customer[company.account] & ~company.deleted)
        begin = company.first_day[contact]
        first = np.maximum(-(-(START // DAY - 15 - begin) // 90), 1)
        parts = []
        for step in range((END - START) // DAY // 90 + 2):
            day = begin + (first + step) * 90
            some = np.flatnonzero(day <= END // DAY + 1)
            parts.append((contact[some], day[some]))
        who, on = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self.due(QUARTERLY, who, on, self.midnight(on, company.zone[who]))

    def due(self, survey: int, contact: np.ndarray, record: np.ndarray, due: np.ndarray) -> Occasions:
        within = np.flatnonzero((due >= START - 14 * DAY) & (due <= LAST_ROUND))  # max_age_days before the start
        return Occasions(np.full(len(within), survey, np.int8), contact[within], record[within], due[within])

    # What was decided ------------------------------------------------------------------
    def decide(self, company: Company, all_of_them: Occasions) -> None:
        """One evaluation a day, at five; decisions and events in the order of time."""
        self.lists(company)
        chance = self.chance
        kept = np.flatnonzero(chance.random(len(all_of_them.due)) >= 0.005)
        occasions = all_of_them.take(kept)
        occasions = occasions.take(np.argsort(occasions.due, kind="stable"))
        rounds = np.arange((LAST_ROUND - START) // DAY + 2) * DAY + START + 5 * HOUR
        ids = pa.array([hashlib.md5(f"evaluation|{at}".encode()).hexdigest() for at in rounds.tolist()])
        counts = np.zeros((len(rounds), 2), np.int64)
        for start in range(0, len(occasions.due), CHUNK):
            some = occasions.take(np.arange(start, min(start + CHUNK, len(occasions.due))))
            self.round(company, some, rounds, ids, counts)
        seals = rounds + 240
        micros = pa.timestamp("us")
        self.append("ledger.evaluations", pa.table({
            "evaluation_id": ids, "predecessor_id": pa.concat_arrays([pa.array(["genesis"]), ids[:-1]]),
            "publication_id": pa.repeat("history", len(ids)),
            "as_of": pa.array(rounds * 1_000_000, micros), "known_at": pa.array(rounds * 1_000_000, micros),
            "definitions_hash": pa.repeat("0" * 64, len(ids)), "asks": counts[:, 0], "skips": counts[:, 1],
            "sealed_at": pa.array(seals * 1_000_000, micros),
        }))  # fmt: skip

    def round(self, company: Company, some: Occasions, rounds: np.ndarray, ids: pa.Array, counts: np.ndarray) -> None:
        chance, count, micros = self.chance, len(some.due), pa.timestamp("us")
        place = np.searchsorted(rounds, some.due)
        account = company.account[some.contact]
        left_out = (some.survey == TICKET) & (
            (company.tier[account] >= WANTED_TIERS) | (company.role[some.contact] >= WANTED_ROLES)
        )
        asked = ~left_out & (chance.random(count) < ASKED_SHARE[some.survey])
        np.add.at(counts, (place, np.where(asked, 0, 1)), 1)
        # Now and then a record named somebody else when it was decided.
        other = np.where(chance.random(count) < 0.002, (some.contact + 1) % self.count, some.contact)
        contact = np.where(some.survey == QUARTERLY, some.contact, other)
        contact_ids, account_ids = record_ids("Contact", contact), record_ids("Account", account)
        rule = np.where(asked, 0, np.where(left_out, 1, 2))
        as_of = rounds[place]
        rows = pa.table({
            "evaluation_id": ids.take(pa.array(place)), "contact_id": contact_ids, "account_id": account_ids,
            "person_key": company.keys.take(pa.array(contact)), "survey_id": labels(SURVEYS, some.survey),
            "wave_id": join(labels(SURVEYS, some.survey), ":", dates(as_of)),
            "trigger_event": labels(EVENTS, some.survey), "trigger_record_id": _records(some, contact_ids),
            "due_at": pa.array(some.due * 1_000_000, micros), "decision": labels(("ask", "skip", "skip"), rule),
            "deciding_rule": labels(("passed", "audience", "cooldown"), rule),
            "all_failed_rules": labels(("[]", '["audience"]', '["cooldown"]'), rule),
            "decided_as_of": pa.array(as_of * 1_000_000, micros),
            "facts": join('{"asked_at":"', dates(as_of - 95 * DAY), ' 05:04:00","cooldown_days":', whole(
                np.array([90, 30, 180, 30, 90])[some.survey]), ',"cooldown_over":"all","rest_days":90}'),
        })  # fmt: skip
        self.con.register("rows", rows)
        rows = self.con.execute(
            "select md5(survey_id || '|' || contact_id || '|' || trigger_event || '|' || trigger_record_id) "
            "as candidate_id, * from rows"
        ).fetch_arrow_table()
        self.append("ledger.decisions", rows, END - HOUR)
        chosen = np.flatnonzero(asked)
        self.mails(rows.take(pa.array(chosen)), as_of[chosen] + 240)

    def mails(self, asks: pa.Table, sealed: np.ndarray) -> None:
        """What became of each invitation; a few of the last round still wait."""
        chance, count = self.chance, len(sealed)
        luck = chance.random(count)
        state = np.select([luck < 0.003, luck < 0.008, luck < 0.009, luck < 0.011], [1, 2, 3, 4], 0)  # 4: pending
        sent = sealed + chance.integers(60, 1800, count)
        reached = (state == 0) | (state == 3)
        parts = [(np.flatnonzero(state < 4), state[state < 4], sent[state < 4], '{"message_kind":"invitation"}')]

        def later(share: float, kind: int, most: int, payload: str) -> tuple[np.ndarray, np.ndarray]:
            who = np.flatnonzero(reached & (chance.random(count) < share))
            at = sent[who] + chance.integers(30, most, len(who))
            parts.append((who, np.full(len(who), kind), at, payload))
            return who, at

        later(0.95, 4, 120, '{"message_kind":"invitation"}')
        later(0.004, 5, 600, '{"message_kind":"invitation","hard":true}')
        later(0.004, 5, 600, '{"message_kind":"invitation","hard":false}')
        later(0.0015, 6, 9 * DAY, "{}")
        later(0.35, 7, 9 * DAY, "{}")
        who, at = later(0.13, 8, 9 * DAY, '{"score":9,"hidden":false}')
        parts.append((who, np.full(len(who), 9), at + 20, '{"message_kind":"invitation","score":9,"judged":"human",'
                      '"visible_ms":4000,"channel":"email","comment":null,"answers":{},"completed":false}'))  # fmt: skip
        more = np.flatnonzero(chance.random(len(who)) < 0.1)
        parts.append((who[more], np.full(len(more), 9), at[more] + 90, '{"message_kind":"invitation","score":9,"judged":'
                      '"human","visible_ms":9000,"channel":"email","comment":"Good","completed":true}'))  # fmt: skip
        # Answers without a real gesture: they count where the page was seen, and the mail's link clicked.
        who, at = later(0.01, 8, 5 * DAY, '{"score":3,"hidden":false}')
        for some, seen in ((who[::2], 5000), (who[1::2], 900)):
            parts.append((some, np.full(len(some), 9), at[:: 2 if seen == 5000 else 1][: len(some)] + 25,
                          f'{{"message_kind":"invitation","score":3,"judged":"provisional","visible_ms":{seen}}}'))  # fmt: skip
        place = np.concatenate([part[0] for part in parts])
        kind = np.concatenate([part[1] for part in parts])
        when = np.concatenate([part[2] for part in parts])
        texts = labels([part[3] for part in parts], np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts]))
        order = np.argsort(when, kind="stable")
        order = order[when[order] < END - 2 * HOUR]
        named = asks.take(pa.array(place[order]))
        kinds = ("sent", "rejected", "suppressed", "uncertain", "delivered", "bounced", "unsubscribed", "opened",
                 "clicked", "answered")  # fmt: skip
        self.happened(
            labels(kinds, kind[order]), when[order], texts.take(pa.array(order)), named["candidate_id"],
            named["survey_id"], named["contact_id"], named["account_id"],
        )  # fmt: skip

    def happened(self, kind: pa.Array, at: np.ndarray, payload: pa.Array, *ids: object) -> None:
        nothing = pa.nulls(len(at), pa.string())
        invitation, survey, contact, account = ids or (nothing,) * 4
        moments = pa.array(at * 1_000_000, pa.timestamp("us"))
        self.append("ledger.events", pa.table({
            "seq": np.arange(len(at)) + self.seq + 1, "kind": kind, "message_id": invitation, "invitation_id": invitation,
            "survey_id": survey, "contact_id": contact, "account_id": account, "occurred_at": moments,
            "recorded_at": moments, "payload": payload,
        }))  # fmt: skip
        self.seq += len(at)

    def lists(self, company: Company) -> None:
        """The exclusion list and the suppression list of another tool."""
        chance, accounts = self.chance, len(company.tier)
        for subject, ids in (
            ("account", record_ids("Account", np.flatnonzero(chance.random(accounts) < 0.005))),
            ("contact", record_ids("Contact", np.flatnonzero(chance.random(self.count) < 0.002))),
        ):
            at = START + chance.integers(0, END - 5 * DAY - START, len(ids))
            until = at + chance.integers(20, 400, len(ids)) * DAY
            ends = pc.if_else(pa.array(np.arange(len(ids)) % 2 == 0), "null", join('"', times(until), '"'))
            text = join(
                f'{{"subject":"{subject}","subject_id":"', ids, '","reason":"contract dispute","until":', ends, "}"
            )
            self.happened(pa.repeat("excluded", len(ids)), at, text)
            fourth = ids.take(pa.array(np.arange(0, len(ids), 4)))
            text = join(f'{{"subject":"{subject}","subject_id":"', fourth, '"}')
            self.happened(pa.repeat("exclusion_removed", len(fourth)), at[::4] + DAY, text)
        keys = company.keys.filter(pa.array(chance.random(self.count) < 0.001)).drop_null()
        at = START + chance.integers(0, END - 5 * DAY - START, len(keys))
        text = join('{"reason":"imported","person_key":"', keys, '"}')
        self.happened(pa.repeat("suppressed_address", len(keys)), at, text)


def _records(some: Occasions, contact_ids: pa.Array) -> pa.Array:
    """The records' ids, as the models name them: a schedule's is the contact and its day."""
    records = record_ids("Opportunity", some.record)
    for survey, name in ((TICKET, "Case"), (ORDER, "Order")):
        records = pc.if_else(pa.array(some.survey == survey), record_ids(name, some.record), records)
    marks = join(record_ids("Account", some.record), "@12m")
    days = join(contact_ids, "@", dates(some.record * DAY))
    records = pc.if_else(pa.array(some.survey == ANNIVERSARY), marks, records)
    return pc.if_else(pa.array(some.survey == QUARTERLY), days, records)
