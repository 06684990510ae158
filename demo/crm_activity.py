"""Deals, cases, orders and everything else that happens, as objects of Salesforce."""

from __future__ import annotations

import numpy as np

from demo.activity import (
    ONBOARDING,
    PRIORITIES,
    PRODUCTS,
    REASONS,
    TASK_TYPES,
    Cases,
    Deals,
    Visits,
)
from demo.columns import DAY, HOUR, NEVER, dates, flags, join, labels, money, record_ids, times, whole
from demo.dice import Dice, pick
from demo.people import Accounts, Contacts, Era
from demo.versions import Columns, CrmObject, versions_of

STAGES = ("Qualification", "Proposal", "Negotiation", "Closed Lost", "Closed Won")
CONTACT_ROLES = ("Decision Maker", "Evaluator", "Economic Buyer", "Influencer")
PRICES = np.array([24_000, 12_000, 9_600, 7_200, 15_000, 4_500, 6_000, 1_800], float)


def opportunity_object(era: Era, deals: Deals) -> CrmObject:
    closed = deals.closed
    end = np.minimum(closed, era.end)
    proposal = deals.created + (end - deals.created) // 3
    negotiation = deals.created + (end - deals.created) * 2 // 3

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        is_closed, won = closed[record] <= at, deals.won[record]
        underway = (at >= proposal[record]).astype(np.int64) + (at >= negotiation[record])
        product = labels([name for name, *_ in PRODUCTS], deals.product[record])
        return {
            "AccountId": record_ids("Account", deals.account[record]),
            "Name": join(product, " - ", whole(record + 1)),
            "OwnerId": record_ids("User", deals.owner[record]),
            "StageName": labels(STAGES, np.where(is_closed, 3 + won, underway)),
            "IsWon": flags(is_closed & won),
            "IsClosed": flags(is_closed),
            "Amount": money(deals.amount[record]),
            "CloseDate": dates(np.where(is_closed, closed[record], deals.planned[record])),
            "Product2Id__c": record_ids("Product2", deals.product[record]),
        }

    versions = versions_of(deals.created, proposal, negotiation, closed, deleted=deals.deleted, until=era.end)
    return CrmObject("Opportunity", deals.created, versions, fields)


def contact_role_object(dice: Dice, era: Era, deals: Deals, contacts: Contacts) -> CrmObject:
    """One primary contact for each deal, and for most one or two others of the account."""
    chance = dice("contact roles")
    count = len(deals.account)
    other = np.repeat(np.arange(count), pick((35, 45, 20), count, chance))
    second = contacts.some_of(deals.account[other], deals.created[other], chance)
    differs = second != deals.contact[other]
    other, second = other[differs], second[differs]
    _, once = np.unique(other * 2**31 + second, return_index=True)
    deal = np.concatenate([np.arange(count), other[once]])
    contact = np.concatenate([deals.contact, second[once]])
    primary = np.arange(len(deal)) < count
    role = np.where(primary, 0, 1 + pick((40, 25, 35), len(deal), chance))
    created = deals.created[deal] + HOUR // 2
    gone = np.minimum(deals.deleted[deal], contacts.deleted[contact])

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        return {
            "OpportunityId": record_ids("Opportunity", deal[record]),
            "ContactId": record_ids("Contact", contact[record]),
            "Role": labels(CONTACT_ROLES, role[record]),
            "IsPrimary": flags(primary[record]),
        }

    gone = np.where(gone <= created, created + 1, gone)
    return CrmObject("OpportunityContactRole", created, versions_of(created, deleted=gone, until=era.end), fields)


def project_object(era: Era, projects: Visits, deals: Deals, accounts: Accounts) -> CrmObject:
    deal = projects.contact
    revenue = np.rint(deals.amount[deal] * 0.4)
    cost = np.rint(revenue * (100 - projects.number) / 100)

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        done = projects.done[record] <= at
        product = labels([name for name, *_ in PRODUCTS], deals.product[deal[record]])
        return {
            "Account__c": record_ids("Account", projects.account[record]),
            "Opportunity__c": record_ids("Opportunity", deal[record]),
            "Name": join(product, " rollout"),
            "Status__c": labels(("In Progress", "Finished"), done.astype(np.int64)),
            "Cost__c": money(cost[record] * np.where(done, 1, 0.5)),
            "Revenue__c": money(revenue[record]),
            "StartDate__c": dates(projects.created[record]),
            "FinishedDate__c": dates(projects.done[record], ~done),
            "Manager__c": record_ids("User", accounts.csm[projects.account[record]]),
        }

    versions = versions_of(projects.created, projects.done, deleted=projects.deleted, until=era.end)
    return CrmObject("Project__c", projects.created, versions, fields)


def order_objects(dice: Dice, era: Era, orders: Visits, accounts: Accounts, contacts: Contacts) -> list[CrmObject]:
    chance = dice("order items")
    order = np.repeat(np.arange(len(orders.account)), orders.kind)
    line = np.arange(len(order)) - np.repeat(np.cumsum(orders.kind) - orders.kind, orders.kind)
    product = np.where(
        line == 0, accounts.product[orders.account[order]], chance.integers(0, len(PRODUCTS), len(order))
    )
    quantity = chance.integers(1, 12, len(order))
    price = PRICES[product] * np.array([1.0, 0.4, 0.1])[accounts.tier_before[orders.account[order]]]
    total = np.bincount(order, weights=quantity * price, minlength=len(orders.account))
    owner = accounts.owner_at(orders.account, orders.created)
    left = contacts.deleted[orders.contact]

    def order_fields(record: np.ndarray, at: np.ndarray) -> Columns:
        done = orders.done[record] <= at
        return {
            "AccountId": record_ids("Account", orders.account[record]),
            "BillToContactId": record_ids("Contact", orders.contact[record], left[record] <= at),
            "OwnerId": record_ids("User", owner[record]),
            "Status": labels(("Activated", "Delivered"), done.astype(np.int64)),
            "EffectiveDate": dates(orders.created[record]),
            "DeliveredDate__c": dates(orders.done[record], ~done),
            "TotalAmount": money(total[record]),
        }

    def item_fields(record: np.ndarray, at: np.ndarray) -> Columns:
        return {
            "OrderId": record_ids("Order", order[record]),
            "Product2Id": record_ids("Product2", product[record]),
            "Quantity": whole(quantity[record]),
            "UnitPrice": money(price[record]),
            "ProductCategory__c": labels([category for *_, category in PRODUCTS], product[record]),
        }

    versions = versions_of(orders.created, orders.done, left, deleted=orders.deleted, until=era.end)
    created = orders.created[order]
    items = versions_of(created, deleted=orders.deleted[order], until=era.end)
    return [
        CrmObject("Order", orders.created, versions, order_fields),
        CrmObject("OrderItem", created, items, item_fields),
    ]


def contract_object(era: Era, contracts: Visits, accounts: Accounts) -> CrmObject:
    start, year = contracts.done, contracts.number
    end = start + 365 * DAY
    renewed = contracts.kind == 1

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        active = start[record] <= at
        over = end[record] <= at
        account = contracts.account[record]
        return {
            "AccountId": record_ids("Account", account),
            "Status": labels(("Draft", "Activated", "Expired"), active.astype(np.int64) + over),
            "StartDate": dates(start[record]),
            "EndDate": dates(end[record]),
            "ActivatedDate": dates(start[record], ~active),
            "IsRenewal__c": flags(renewed[record]),
            "RenewedDate__c": dates(contracts.created[record], ~renewed[record]),
            "ContractValue__c": money(accounts.value[account] * 1.05 ** year[record]),
        }

    versions = versions_of(contracts.created, start, end, deleted=contracts.deleted, until=era.end)
    return CrmObject("Contract", contracts.created, versions, fields)


def task_object(era: Era, tasks: Visits, accounts: Accounts, contacts: Contacts) -> CrmObject:
    subjects = (*(f"Onboarding: {step}" for step in ONBOARDING), *TASK_TYPES[1:])
    subject = np.where(tasks.kind == 0, tasks.number, len(ONBOARDING) + tasks.kind - 1)
    left = contacts.deleted[tasks.contact]
    owner = np.where(tasks.kind == 0, accounts.csm[tasks.account], accounts.owner_at(tasks.account, tasks.created))

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        done = tasks.done[record] <= at
        return {
            "WhatId": record_ids("Account", tasks.account[record]),
            "WhoId": record_ids("Contact", tasks.contact[record], left[record] <= at),
            "OwnerId": record_ids("User", owner[record]),
            "Subject": labels(subjects, subject[record]),
            "Type": labels(TASK_TYPES, tasks.kind[record]),
            "Status": labels(("Not Started", "Completed"), done.astype(np.int64)),
            "IsClosed": flags(done),
            "ActivityDate": dates(np.minimum(tasks.done[record], tasks.created[record] + 7 * DAY)),
            "CompletedDateTime": times(tasks.done[record], ~done),
        }

    versions = versions_of(tasks.created, tasks.done, left, deleted=tasks.deleted, until=era.end)
    return CrmObject("Task", tasks.created, versions, fields)


def case_object(era: Era, cases: Cases, contacts: Contacts) -> CrmObject:
    left = contacts.deleted[cases.contact]
    working = cases.created + np.minimum((np.minimum(cases.closed, era.end) - cases.created) // 2, 2 * HOUR)

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        done = cases.closed[record] <= at
        return {
            "CaseNumber": whole(record + 10_001),
            "AccountId": record_ids("Account", cases.account[record]),
            "ContactId": record_ids("Contact", cases.contact[record], left[record] <= at),
            "OwnerId": record_ids("User", cases.agent[record]),
            "Status": labels(("New", "Working", "Closed"), np.where(done, 2, (at >= working[record]).astype(np.int64))),
            "Priority": labels(PRIORITIES, cases.priority[record]),
            "IsClosed": flags(done),
            "ClosedDate": times(cases.closed[record], ~done),
            "Reason": labels(REASONS, cases.reason[record]),
        }

    versions = versions_of(cases.created, working, cases.closed, left, deleted=cases.deleted, until=era.end)
    return CrmObject("Case", cases.created, versions, fields)


def asset_object(era: Era, assets: Visits, contacts: Contacts) -> CrmObject:
    left = contacts.deleted[assets.contact]

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        return {
            "AccountId": record_ids("Account", assets.account[record]),
            "ContactId": record_ids("Contact", assets.contact[record], left[record] <= at),
            "Product2Id": record_ids("Product2", assets.kind[record]),
            "Status": labels(("Installed", "Obsolete"), (assets.done[record] <= at).astype(np.int64)),
            "InstallDate": dates(assets.created[record]),
            "Quantity": whole(assets.number[record]),
        }

    versions = versions_of(assets.created, assets.done, left, deleted=assets.deleted, until=era.end)
    return CrmObject("Asset", assets.created, versions, fields)


def adoption_object(era: Era, accounts: Accounts, contacts: Contacts) -> CrmObject:
    """One row per customer and month of the era, written once the month is over."""
    months = np.arange(
        np.datetime64(int(era.start), "s").astype("M8[M]"), np.datetime64(int(era.end), "s").astype("M8[M]")
    )
    begin = months.astype("M8[s]").astype(np.int64)
    written = (months + 1).astype("M8[s]").astype(np.int64) + HOUR
    gone = np.minimum(accounts.churned_at, accounts.deleted)
    month, account = np.nonzero((accounts.customer_since < begin[:, None]) & (gone > written[:, None]))
    created = written[month]
    people = np.bincount(contacts.account, minlength=len(accounts))

    def fields(record: np.ndarray, at: np.ndarray) -> Columns:
        who = account[record]
        share = accounts.adoption_at(who, begin[month[record]])
        return {
            "Account__c": record_ids("Account", who),
            "Month__c": dates(begin[month[record]]),
            "ActiveUsers__c": whole(np.rint(people[who] * (2 + share / 12))),
            "FeatureAdoption__c": whole(np.rint(share)),
        }

    deleted = np.where(accounts.deleted[account] < NEVER, accounts.deleted[account], NEVER)
    return CrmObject("Adoption__c", created, versions_of(created, deleted=deleted, until=era.end), fields)
