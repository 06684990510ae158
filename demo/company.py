"""A demo company: 24 months of a CRM, as the exports that it would have written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from closedloop.errors import BadInput
from demo import activity, crm_activity, crm_people, people
from demo.dice import Dice
from demo.versions import CrmObject, Export, write_export

MONTHS = 24
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Company:
    """All that exists and happens in the demo, as arrays; the exports are views of it. Moments: epoch seconds, UTC."""

    seed: int
    today: dt.date
    dice: Dice
    era: people.Era
    staff: people.Staff
    accounts: people.Accounts
    contacts: people.Contacts
    deals: activity.Deals
    cases: activity.Cases
    folder: Path | None = None
    rows: dict[str, int] = field(default_factory=dict)
    """Rows per object in the last, full export."""
    exports: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """How many contacts it has."""
        return len(self.contacts)


def make_company(
    folder: Path, *, contacts: int = 1500, seed: int = 7, today: dt.date, progress: Progress | None = None
) -> Company:
    """Write the company's exports into `folder`: a full one 24 months before `today`, a delta each month, a full one.

    The same (contacts, seed, today) gives the same bytes. The last export is of `today` at 00:00 UTC and knows
    nothing later: whenever on that day the demo runs, it lies in the past. Raises BadInput for a size that makes no
    company.
    """
    company, objects = imagine_company(contacts=contacts, seed=seed, today=today)
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    exports = _exports(today)
    for number, export in enumerate(exports, 1):
        rows = write_export(folder, export, objects)
        if progress:
            progress(f"export {number} of {len(exports)}: {export.folder}, {sum(rows.values()):,} rows")
    paths = tuple(folder / export.folder for export in exports)
    return Company(**{**vars(company), "folder": folder, "rows": rows, "exports": paths})


def imagine_company(*, contacts: int, seed: int, today: dt.date) -> tuple[Company, list[CrmObject]]:
    """The company and its CRM objects, nothing written."""
    if contacts < 20:
        raise BadInput("a demo company has at least 20 contacts", field="contacts", remedy="ask for 20 or more")
    dice, exports = Dice(seed, contacts), _exports(today)
    era = people.Era(exports[0].at, exports[-1].at)
    staff = people.hire_staff(dice, era)
    accounts = people.found_accounts(dice, era, staff, activity.MAIN_PRODUCTS)
    who = people.meet_contacts(dice, era, accounts)
    deals = activity.strike_deals(dice, era, accounts, who)
    cases = activity.raise_cases(dice, era, accounts, who, staff)
    company = Company(seed, today, dice, era, staff, accounts, who, deals, cases)
    return company, _objects(company)


def _objects(company: Company) -> list[CrmObject]:
    """In the order in which one refers to the other."""
    dice, era, accounts, contacts = company.dice, company.era, company.accounts, company.contacts
    deals = company.deals
    leads = crm_people.find_leads(dice, era, contacts)
    projects = activity.run_projects(dice, era, deals)
    return [
        crm_people.user_object(era, company.staff),
        crm_people.product_object(era),
        crm_people.account_object(era, accounts),
        crm_people.contact_object(era, accounts, contacts),
        crm_people.lead_object(era, accounts, contacts, leads),
        crm_people.sign_up_object(dice, era, contacts, leads),
        crm_activity.opportunity_object(era, deals),
        crm_activity.contact_role_object(dice, era, deals, contacts),
        crm_activity.project_object(era, projects, deals, accounts),
        *crm_activity.order_objects(
            dice, era, activity.place_orders(dice, era, accounts, contacts), accounts, contacts
        ),
        crm_activity.contract_object(era, activity.sign_contracts(era, accounts), accounts),
        crm_activity.task_object(era, activity.assign_tasks(dice, era, accounts, contacts), accounts, contacts),
        crm_activity.case_object(era, company.cases, contacts),
        crm_activity.asset_object(era, activity.install_assets(dice, era, accounts, contacts), contacts),
        crm_activity.adoption_object(era, accounts, contacts),
    ]


def _exports(today: dt.date) -> list[Export]:
    """A full export, monthly deltas, and a full one today: the same day of each month, or the month's last."""
    moments = [_midnight(np.datetime64(today, "M") - back, today.day) for back in range(MONTHS, -1, -1)]
    *earlier, last = moments
    deltas = [Export(at, since) for since, at in zip(earlier, earlier[1:], strict=False)]
    return [Export(earlier[0], None), *deltas, Export(last, None)]


def _midnight(month: np.datetime64, day: int) -> int:
    """00:00 UTC of a day of a month, or of its last day where the month is shorter; epoch seconds."""
    days_in_month = int(((month + 1).astype("M8[D]") - month.astype("M8[D]")).astype(int))
    date = month.astype("M8[D]") + (min(day, days_in_month) - 1)
    return int(date.astype("M8[s]").astype(np.int64))
