"""Staff, products, accounts, contacts, leads and sign-ups as objects of Salesforce."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo import people
from demo.activity import MAIN_PRODUCTS, PRODUCTS
from demo.columns import DAY, HOUR, NEVER, dates, flags, join, labels, money, record_ids, whole
from demo.dice import Dice, office_hours, pick
from demo.names import COMPANY_FIRST, COMPANY_SECOND, FIRST_NAMES, LAST_NAMES, TITLES, slug
from demo.people import Accounts, Contacts, Era, Staff
from demo.versions import Columns, CrmObject, versions_of

FIRST_SLUGS = tuple(slug(name) for name in FIRST_NAMES)
LAST_SLUGS = tuple(slug(name) for name in LAST_NAMES)
PLANS = ("Starter", "Team", "Business", "Enterprise")
SEGMENTS = ("Strategic", "Growth", "Core")


def user_object(era: Era, staff: Staff) -> CrmObject:
    names, emails = pa.array(staff.names), pa.array(staff.emails)

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        return {
            "Name": names.take(pa.array(record)),
            "Email": emails.take(pa.array(record)),
            "ManagerId": record_ids("User", staff.manager[record]),
            "IsActive": flags(at < staff.left_at[record]),
            "Region__c": labels(people.REGIONS, staff.region[record]),
            "Team__c": labels(people.TEAMS, staff.team[record]),
        }

    return CrmObject("User", staff.created, versions_of(staff.created, staff.left_at, until=era.end), fields)


def product_object(era: Era) -> CrmObject:
    """The catalogue; the last of the main products is withdrawn half a year before the end."""
    count = len(PRODUCTS)
    created = np.full(count, era.start - 1500 * DAY) + np.arange(count) * HOUR
    withdrawn = np.full(count, NEVER)
    withdrawn[MAIN_PRODUCTS - 1] = era.end - 180 * DAY

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        name, code, family, _ = (list(column) for column in zip(*PRODUCTS, strict=True))
        return {
            "Name": labels(name, record),
            "ProductCode": labels(code, record),
            "Family": labels(family, record),
            "IsActive": flags(at < withdrawn[record]),
        }

    return CrmObject("Product2", created, versions_of(created, withdrawn, until=era.end), fields)


MILESTONES = ("Kick-off", "Live", "Rolled out")


def account_object(era: Era, accounts: Accounts) -> CrmObject:
    names = pa.array(accounts.names)
    # Adoption, renewal and lifetime value are looked at once a quarter, each account on its own day.
    count = len(accounts)
    reviews = era.start + (np.arange(count)[:, None] % 91 + np.arange(9)[None, :] * 91) * DAY + 5 * HOUR
    # A custom field of this company, as every CRM has some: how far the product is in use.
    live = accounts.customer_since + (40 + np.arange(count) * 37 % 60) * DAY + 9 * HOUR
    everywhere = live + (200 + np.arange(count) * 53 % 300) * DAY

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        kind, tier = accounts.type_at(record, at), accounts.tier_at(record, at)
        since = accounts.customer_since[record]
        never = (since > at) | accounts.partner[record]
        years = np.where(never, 0, (at - since) // (365 * DAY))
        value = accounts.value[record] * 1.05**years
        parent = accounts.parent[record]
        return {
            "Name": names.take(pa.array(record)),
            "Type": labels(people.ACCOUNT_TYPES, kind),
            "Industry": labels(people.INDUSTRIES, accounts.industry[record]),
            "Tier__c": labels(people.TIERS, tier),
            "Segment__c": labels(SEGMENTS, np.where(tier == 0, 0, np.where(accounts.adoption_drift[record] > 4, 1, 2))),
            "Region__c": labels(people.REGIONS, accounts.region[record]),
            "Plan__c": labels(PLANS, np.where(never, -1, np.clip(3 - tier - (accounts.adoption[record] < 45), 0, 3))),
            "OwnerId": record_ids("User", accounts.owner_at(record, at)),
            "CSM__c": record_ids("User", accounts.csm[record], never),
            "ContractValue__c": money(value, never),
            "LifetimeValue__c": money(accounts.value[record] * np.maximum((at - since) / (365 * DAY), 0), never),
            "AdoptionScore__c": whole(np.rint(accounts.adoption_at(record, at)), never),
            "CustomerSince__c": dates(since, never),
            "RenewalDate__c": dates(since + (years + 1) * 365 * DAY, never | (kind == people.FORMER)),
            "ParentId": record_ids("Account", parent, accounts.created[parent] > at),
            "Milestone__c": labels(
                MILESTONES, np.where(never, -1, (live[record] <= at).astype(np.int64) + (everywhere[record] <= at))
            ),
        }

    versions = versions_of(
        accounts.created, accounts.owner_changes_at, accounts.tier_changes_at, accounts.customer_since,
        accounts.churned_at, reviews, live, everywhere, deleted=accounts.deleted, until=era.end,
    )  # fmt: skip
    return CrmObject("Account", accounts.created, versions, fields)


def email_of(accounts: Accounts, contacts: Contacts, record: np.ndarray) -> pa.Array:
    """The address as the CRM has it: one person's two records share it, now and then in other letters' case."""
    person = contacts.person[record]
    ordinal = contacts.ordinal[record]
    number = pc.if_else(pa.array(ordinal > 1), pc.cast(pa.array(ordinal), pa.string()), "")
    first, last = contacts.first[person], contacts.last[person]
    lower = join(labels(FIRST_SLUGS, first), ".", labels(LAST_SLUGS, last))
    box = pc.if_else(pa.array((record % 50 == 7) | (person != record)), pc.utf8_title(lower), lower)
    domain = pa.array(accounts.domains).take(pa.array(contacts.account[person]))
    address = join(box, number, "@", domain)
    return pc.if_else(pa.array(contacts.has_email[record]), address, pa.scalar(None, pa.string()))


def contact_object(era: Era, accounts: Accounts, contacts: Contacts) -> CrmObject:
    titles = [title for role in people.ROLES for title in TITLES[role]]

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        role = contacts.role_at(record, at)
        return {
            "AccountId": record_ids("Account", contacts.account[record]),
            "FirstName": labels(FIRST_NAMES, contacts.first[record]),
            "LastName": labels(LAST_NAMES, contacts.last[record]),
            "Email": email_of(accounts, contacts, record),
            "Role__c": labels(people.ROLES, role),
            "Title": labels(titles, role * 4 + contacts.title[record]),
            "IsPrimary__c": flags(contacts.is_primary[record]),
            "TimeZone__c": labels(people.ZONES, contacts.zone[record]),
            "Language__c": labels(people.LANGUAGES, contacts.language[record]),
            "HasOptedOutOfEmail": flags(at >= contacts.opted_out_at[record]),
        }

    versions = versions_of(
        contacts.created, contacts.opted_out_at, contacts.role_changes_at, deleted=contacts.deleted, until=era.end
    )
    return CrmObject("Contact", contacts.created, versions, fields)


@dataclass(frozen=True)
class Leads:
    contact: np.ndarray  # what it became, -1: nothing
    created: np.ndarray
    converted: np.ndarray
    first: np.ndarray
    last: np.ndarray
    source: np.ndarray
    working: np.ndarray  # when someone first called
    opted_out_at: np.ndarray


LEAD_SOURCES = ("Web", "Webinar", "Referral", "Trade show", "Partner")


def find_leads(dice: Dice, era: Era, contacts: Contacts) -> Leads:
    """A third of the contacts that came within the era began as a lead; as many more leads became nobody."""
    chance = dice("leads")
    became = np.flatnonzero((contacts.created > era.start) & (chance.random(len(contacts)) < 0.33))
    became = became[contacts.person[became] == became]
    open_count = int(len(contacts) * 0.3)
    contact = np.concatenate([became, np.full(open_count, -1)])
    count = len(contact)
    created = np.concatenate([
        contacts.created[became] - chance.integers(2 * DAY, 70 * DAY, len(became)),
        office_hours(era.start + (chance.random(open_count) * (era.end - era.start)).astype(np.int64), chance,
                     latest=era.end),
    ])  # fmt: skip
    first, last = chance.integers(0, len(FIRST_NAMES), count), chance.integers(0, len(LAST_NAMES), count)
    known = contact >= 0
    out = created + chance.integers(1, 200, count) * DAY
    return Leads(
        contact, created, np.where(known, contacts.created[contact], NEVER),
        np.where(known, contacts.first[contact], first), np.where(known, contacts.last[contact], last),
        pick((45, 20, 15, 12, 8), count, chance), created + chance.integers(HOUR, 2 * DAY, count),
        np.where((chance.random(count) < 0.06) & ~known, out, NEVER),
    )  # fmt: skip


def lead_object(era: Era, accounts: Accounts, contacts: Contacts, leads: Leads) -> CrmObject:
    pairs = len(COMPANY_FIRST) * len(COMPANY_SECOND)
    first_words = [word for word in COMPANY_FIRST for _ in COMPANY_SECOND]
    second_words = list(COMPANY_SECOND) * len(COMPANY_FIRST)
    account_names = pa.array(accounts.names)

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        contact, converted = leads.contact[record], leads.converted[record] <= at
        known = pa.array(contact >= 0)
        some = (record * 7919) % pairs
        head, tail = labels(first_words, some), labels(second_words, some)
        box = join(labels(FIRST_SLUGS, leads.first[record]), ".", labels(LAST_SLUGS, leads.last[record]))
        stranger = join(box, "@", pc.utf8_lower(head), "-", tail, ".example")  # a hyphen: never an account's domain
        gone = contacts.deleted[contact] <= at
        return {
            "FirstName": labels(FIRST_NAMES, leads.first[record]),
            "LastName": labels(LAST_NAMES, leads.last[record]),
            "Company": pc.if_else(
                known, account_names.take(pa.array(contacts.account[contact])), join(head, " ", pc.utf8_title(tail))
            ),
            "Email": pc.if_else(known, email_of(accounts, contacts, contact), stranger),
            "Status": labels(
                ("Open - Not Contacted", "Working", "Qualified"),
                np.where(converted, 2, np.where(at >= leads.working[record], 1, 0)),
            ),
            "IsConverted": flags(converted),
            "ConvertedContactId": record_ids("Contact", contact, ~converted | gone),
            "ConvertedDate": dates(leads.converted[record], ~converted),
            "LeadSource": labels(LEAD_SOURCES, leads.source[record]),
            "HasOptedOutOfEmail": flags(at >= leads.opted_out_at[record]),
        }

    left = np.where(leads.contact >= 0, contacts.deleted[leads.contact], NEVER)
    versions = versions_of(leads.created, leads.working, leads.converted, leads.opted_out_at, left, until=era.end)
    return CrmObject("Lead", leads.created, versions, fields)


def sign_up_object(dice: Dice, era: Era, contacts: Contacts, leads: Leads) -> CrmObject:
    """Every other lead signed up for a trial or for reading matter; a contact stands there once the lead became one."""
    chance = dice("sign-ups")
    lead = np.flatnonzero((chance.random(len(leads.created)) < 0.5) & (leads.created < era.end))
    created = leads.created[lead] + 60
    kind = pick((40, 60), len(lead), chance)
    contact, converted = leads.contact[lead], leads.converted[lead]
    left = np.where(contact >= 0, contacts.deleted[contact], NEVER)

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        unknown = (converted[record] > at) | (left[record] <= at)
        return {
            "Lead__c": record_ids("Lead", lead[record]),
            "Contact__c": record_ids("Contact", contact[record], unknown),
            "Kind__c": labels(("trial", "content"), kind[record]),
            "SignedUpDate__c": dates(created[record]),
        }

    return CrmObject("SignUp__c", created, versions_of(created, converted, left, until=era.end), fields)
