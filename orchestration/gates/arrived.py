"""Gate 1, before dbt: what the lake holds for this build can be read, is whole, and is not from the future.

Rows are demanded only of what has landed: an object that no export ever brought is a typed empty view. How fresh the
data is, and how much went to quarantine, warns and never blocks.
"""

from __future__ import annotations

from closedloop.lake.catalogue import CATALOGUE
from orchestration.gates.checks import Check, Suite, columns, never_null, one_of, rule, suite, unique

CONTEXT = "warehouse.lake.build_context"

CORE = ("crm.account", "crm.contact")
"""Without these no CRM export means anything: they are demanded as soon as any object of the CRM has landed."""

ESSENTIAL = {
    "crm.account": ("Name",),
    "crm.contact": ("AccountId",),
    "crm.user": ("Name",),
    "crm.opportunity": ("AccountId", "CloseDate"),
}
"""Columns that some row must fill: one that is null throughout was lost or renamed on the way."""


def suites(landed: frozenset[str]) -> list[Suite]:
    """The suites of this gate; `landed` are the lake's tables in this build's cut, such as 'crm.account'."""
    any_crm = any(name.startswith("crm.") for name in landed)
    crm = (name for name in CATALOGUE if name.startswith("crm."))
    return [
        *(_crm(name, demanded=name in landed or (any_crm and name in CORE)) for name in crm),
        _imported(demanded="responses.imported" in landed),
        _quarantine(),
        *_ledger(),
        _definitions(),
    ]


def _suite(name: str, *checks: Check, empty_is_fine: str | None = None) -> Suite:
    table = CATALOGUE[name]
    return suite(f"warehouse.lake.{table.view}", columns(table.columns), *checks, empty_is_fine=empty_is_fine)


def _crm(name: str, *, demanded: bool) -> Suite:
    return _suite(
        name,
        never_null("Id"),
        rule("id_not_blank", "No record has a blank Id.", """select 1 from this where trim("Id") = ''"""),
        # One export brings one version of a record; the same version in a later export is history, not a duplicate.
        unique("Id", "SystemModstamp", "_op", "_exported_at"),
        rule(
            "operation_known",
            "Each row inserts, updates or deletes.",
            "select 1 from this where _op is null or _op not in ('upsert', 'delete')",
        ),
        _time_is_sane("SystemModstamp"),
        never_null("_ingested_at"),
        *(_filled(column) for column in ESSENTIAL.get(name, ())),
        *((_fresh(),) if name == "crm.account" else ()),
        empty_is_fine=None if demanded else "no export brought this object",
    )


def _time_is_sane(column: str) -> Check:
    return rule(
        f"{column.lower()}_sane",
        f"{column} is a time, and not after what we knew (a day of slack for clocks and zones).",
        f"""
        select 1 from this, {CONTEXT} as context
        where this._ingested_at <= context.known_at and coalesce(this."{column}", '') <> ''
          and coalesce(try_cast(this."{column}" as timestamp), timestamp '9999-12-31')
              > context.known_at + interval '1' day
        """,
        # A source that says for no row when it changed is judged by its export's own time instead.
        evaluates=f"""count("{column}")""",
        none_is_fine="this source does not say when its records changed",
    )


def _filled(column: str) -> Check:
    return rule(
        f"{column.lower()}_filled",
        f"Some record has a value in {column}.",
        f"""select 1 from (select count("{column}") as filled, count(*) as rows from this) as counted
        where filled = 0 and rows > 0""",
    )


def _fresh() -> Check:
    return rule(
        "fresh",
        "The newest CRM export is at most three days older than this build's knowledge.",
        f"""
        select 1 from (select max(_exported_at) as newest from this) as export, {CONTEXT} as context
        where export.newest < context.known_at - interval '3' day
        """,
        required=False,
    )


def _imported(*, demanded: bool) -> Suite:
    return _suite(
        "responses.imported",
        never_null("external_id"),
        never_null("survey"),
        # A later file may bring another version of an answer, also one that says again what an earlier one said.
        unique("external_id", "_batch_id"),
        rule(
            "score_clean",
            "On the 0-10 scale a score is one of the eleven whole numbers, or empty: invited, not answered.",
            """
            select 1 from this
            where coalesce(scale, '0-10') = '0-10'
              and coalesce(score, '') not in ('', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10')
            """,
        ),
        rule(
            "answer_has_time",
            "Every answer says when it was given, and not after what we knew (a day of slack).",
            f"""
            select 1 from this, {CONTEXT} as context
            where coalesce(this.score, '') <> '' and this._ingested_at <= context.known_at
              and (this.submitted_at is null or this.submitted_at > context.known_at + interval '1' day)
            """,
        ),
        empty_is_fine=None if demanded else "no answers of other tools were imported",
    )


def _quarantine() -> Suite:
    objects = {name: ("crm", name.removeprefix("crm.")) for name in CATALOGUE if name.startswith("crm.")}
    objects["responses.imported"] = ("responses", "response")
    loaded = " union all ".join(
        f"select '{source}' as source, '{kind}' as object, count(*) as rows from warehouse.lake.{CATALOGUE[name].view}"
        for name, (source, kind) in objects.items()
    )
    return _suite(
        "quarantine.rows",
        never_null("reason"),
        unique("row_key"),
        rule(
            "little_held_back",
            "Of no object was more than a twentieth held back.",
            f"""
            select 1 from (select source, object, count(*) as held from this group by source, object) as held
            left join ({loaded}) as loaded on loaded.source = held.source and loaded.object = held.object
            where held.held > 0.05 * (held.held + coalesce(loaded.rows, 0))
            """,
            required=False,
        ),
        empty_is_fine="nothing had to be held back",
    )


def _ledger() -> list[Suite]:
    def table(name: str, *checks: Check) -> Suite:
        return _suite(f"ledger.{name}", *checks, empty_is_fine="nothing was decided, sent or published yet")

    return [
        table("evaluations", unique("evaluation_id"), never_null("sealed_at")),
        table(
            "decisions",
            unique("candidate_id"),
            never_null("candidate_id"),
            one_of("decision", ("ask", "skip")),
            rule(
                "sealed",
                "Every decision belongs to a sealed evaluation.",
                """
                select 1 from this left join warehouse.lake.ledger_evaluations as evaluations
                    on evaluations.evaluation_id = this.evaluation_id
                where evaluations.evaluation_id is null
                """,
            ),
        ),
        table(
            "events",
            unique("seq"),
            never_null("kind"),
            rule(
                "times_sane",
                "Nothing is recorded a day or more before it happened.",
                """
                select 1 from this
                where occurred_at is null or recorded_at is null or occurred_at > recorded_at + interval '1' day
                """,
            ),
        ),
        table("publications", unique("publication_id"), never_null("published_at")),
    ]


def _definitions() -> Suite:
    return _suite(
        "definitions.surveys",
        never_null("survey_id"),
        never_null("definition_hash"),
        one_of("status", ("draft", "active", "paused", "removed")),
    )
