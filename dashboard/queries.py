"""What the dashboard asks of the published marts. Pure reading: every number was computed by the models.

One `Publication` is one file: a page opens it, reads all it shows, and closes it, so no page mixes two publications, and
the next page sees the newest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

ALL = "all"
GRAINS = ("week", "month", "quarter")
SURVEY_TYPES = ("relationship", "transactional")

# Segments by which single answers can be picked out; for the others only the counted report exists.
SEGMENT_COLUMNS = {
    "tier": "tier",
    "industry": "industry",
    "segment": "segment",
    "region": "region",
    "plan": "plan",
    "owner": "owner_id_at_response",
    "csm": "csm_id_at_response",
    "team": "team_at_response",
    "channel": "channel",
    "trigger_event": "trigger_event",
}


class NothingPublished(Exception):
    """This home has no publication yet."""


class Unreadable(Exception):
    """The published file is there and cannot be read."""


@dataclass(frozen=True)
class Period:
    """A period of the reports: a grain and its first UTC day; the whole time has none."""

    grain: str = ALL
    start: dt.date | None = None

    @property
    def end(self) -> dt.date | None:
        """The first day after it."""
        if self.start is None:
            return None
        if self.grain == "week":
            return self.start + dt.timedelta(days=7)
        months = self.start.year * 12 + self.start.month - 1 + {"year": 12, "quarter": 3, "month": 1}[self.grain]
        return dt.date(months // 12, months % 12 + 1, 1)

    @property
    def label(self) -> str:
        if self.start is None:
            return "All time"
        return {
            "year": f"{self.start:%Y}",
            "quarter": f"Q{(self.start.month + 2) // 3} {self.start:%Y}",
            "month": f"{self.start:%B %Y}",
            "week": f"Week of {self.start:%d %b %Y}",
        }[self.grain]


@dataclass(frozen=True)
class Scope:
    """What a reader looks at. `survey` 'all' means all headline surveys of the type; never both types together."""

    survey_type: str
    survey: str = ALL
    period: Period = Period()
    segment: str = ALL
    segment_value: str = ALL


@dataclass(frozen=True)
class Audit:
    """Which publication this is; times are aware UTC."""

    publication_id: str
    as_of: dt.datetime
    published_at: dt.datetime
    code_version: str
    checks_passed: int


@contextmanager
def open_publication(marts_file: Path) -> Iterator[Publication]:
    """The newest publication, read-only. Raises NothingPublished or Unreadable."""
    if not marts_file.exists():
        raise NothingPublished
    try:
        # The link is resolved first: the connection stays with that file when the link moves on.
        con = duckdb.connect(str(marts_file.resolve()), read_only=True)
    except (duckdb.Error, OSError) as error:
        raise Unreadable(type(error).__name__) from error
    try:
        yield Publication(con)
    except duckdb.Error as error:
        raise Unreadable(type(error).__name__) from error
    finally:
        con.close()


def current_target(marts_file: Path) -> str | None:
    """The name of the file that readers would open now."""
    return marts_file.resolve().name if marts_file.exists() else None


class Publication:
    """Questions to one published file."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def _frame(self, sql: str, **values: Any) -> pd.DataFrame:
        return self._con.execute(sql, values).df()

    def _rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        cursor = self._con.execute(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    # What there is ------------------------------------------------------------------
    def audit(self) -> Audit | None:
        """The newest row of the publications' audit: this file's own."""
        rows = self._rows(
            "select publication_id, as_of, published_at, code_version, checks_passed "
            "from marts.publication_audit order by published_at desc limit 1"
        )
        if not rows:
            return None
        row = rows[0]
        utc = {name: row[name].replace(tzinfo=dt.UTC) for name in ("as_of", "published_at")}
        return Audit(**{**row, **utc})

    def surveys(self, survey_type: str) -> dict[str, str]:
        """Names of the surveys of a type that have answers, by id."""
        rows = self._rows(
            """
            select distinct rpt_nps.survey_id, coalesce(survey_name, rpt_nps.survey_id) as name
            from marts.rpt_nps left join marts.dim_surveys using (survey_id)
            where rpt_nps.survey_type = $type and rpt_nps.survey_id <> 'all' order by name
            """,
            type=survey_type,
        )
        return {row["survey_id"]: row["name"] for row in rows}

    def periods(self) -> list[Period]:
        """The whole time, then years, the last eight quarters and the last twelve months, newest first."""
        rows = self._rows(
            """
            select period_grain, cast(period_start as date) as start from (
                select distinct period_grain, period_start,
                    dense_rank() over (partition by period_grain order by period_start desc) as age
                from marts.rpt_nps where period_grain in ('year', 'quarter', 'month')
            )
            where age <= case period_grain when 'month' then 12 else 8 end
            order by case period_grain when 'year' then 1 when 'quarter' then 2 else 3 end, start desc
            """
        )
        return [Period(), *(Period(row["period_grain"], row["start"]) for row in rows)]

    def segments(self, scope: Scope) -> list[str]:
        """Names of the segments that divide this survey's answers; those of the account first."""
        rows = self._rows(
            "select segment from marts.rpt_nps where survey_type = $type and survey_id = $survey and segment <> 'all' "
            "group by segment having count(distinct segment_value) > 1",
            type=scope.survey_type,
            survey=scope.survey,
        )
        order = {name: place for place, name in enumerate(SEGMENT_COLUMNS)}
        return sorted((row["segment"] for row in rows), key=lambda name: (order.get(name, len(order)), name))

    # Numbers ------------------------------------------------------------------------
    def nps(self, scope: Scope) -> dict[str, Any] | None:
        """The report's row of this scope (nps, nps_low, nps_high, responses, bands, is_reportable), if it has answers."""
        rows = self._rows(
            f"select * from marts.rpt_nps where {_SCOPE} and {_PERIOD}", **_values(scope), **_period(scope.period)
        )
        return rows[0] if rows else None

    def trend(self, scope: Scope, grain: str, periods: int = 24) -> pd.DataFrame:
        """The last periods in order, one row each; those without answers are there with nulls, so a line has gaps."""
        return self._frame(
            f"""
            with found as (
                select cast(period_start as date) as start, nps, nps_low, nps_high, responses, is_reportable
                from marts.rpt_nps where {_SCOPE} and period_grain = $grain
            ),
            calendar as (
                select cast(unnest(generate_series(min(start), max(start), interval 1 {grain})) as date) as start from found
            )
            select * from (
                select calendar.start as period_start, nps, nps_low, nps_high, coalesce(responses, 0) as responses,
                    coalesce(is_reportable, false) as is_reportable
                from calendar left join found using (start) order by period_start desc limit {int(periods)}
            ) order by period_start
            """,
            **_values(scope),
            grain=grain if grain in GRAINS else "month",
        )

    def telling_grain(self, scope: Scope) -> str:
        """The month, unless most months have too few answers to rely on."""
        rows = self.trend(scope, "month")
        return "month" if rows.empty or rows["is_reportable"].mean() >= 0.5 else "quarter"

    def change(self, scope: Scope, grain: str) -> dict[str, Any] | None:
        """The newest comparison of a period with the one before, with its verdict; for a whole survey only."""
        if scope.segment != ALL:
            return None
        rows = self._rows(
            """
            select * from marts.rpt_nps_change
            where survey_type = $type and survey_id = $survey and period_grain = $grain order by period_start desc limit 1
            """,
            type=scope.survey_type,
            survey=scope.survey,
            grain=grain,
        )
        return rows[0] if rows else None

    def distribution(self, scope: Scope) -> pd.DataFrame | None:
        """Answers by score 0..10 (all eleven); None where the segment is known to the report only."""
        if scope.segment != ALL and scope.segment not in SEGMENT_COLUMNS:
            return None
        return self._frame(
            f"""
            select scores.score, count(answers.score) as responses
            from (select unnest(range(11)) as score) as scores
            left join (select score from marts.fct_responses where {_answers_of(scope)}) as answers using (score)
            group by scores.score order by scores.score
            """,
            **_answer_values(scope),
        )

    def segment_rows(self, scope: Scope, segment: str) -> pd.DataFrame:
        """One row per value of a segment: label, nps with interval, responses; the largest first."""
        return self._frame(
            f"""
            select segment_value, {_name_of("segment_value", segment)} as label, responses, nps, nps_low, nps_high, is_reportable
            from marts.rpt_nps left join marts.dim_users on user_id = segment_value
            where survey_type = $type and survey_id = $survey and segment = $segment and {_PERIOD}
            order by responses desc, label
            """,
            type=scope.survey_type,
            survey=scope.survey,
            segment=segment,
            **_period(scope.period),
        )

    def funnel(self, scope: Scope) -> dict[str, Any] | None:
        """Counts of the cohort sent in the period, over all channels; rates are the reader's to divide."""
        rows = self._rows(
            f"""
            select sum(planned) as planned, sum(sent) as sent, sum(delivered) as delivered, sum(opened) as opened,
                sum(clicked) as clicked, sum(responded) as responded, sum(completed) as completed,
                sum(bounced) as bounced, sum(unsubscribed) as unsubscribed
            from marts.rpt_survey_funnel where survey_type = $type and survey_id = $survey and {_PERIOD}
            """,
            type=scope.survey_type,
            survey=scope.survey,
            **_period(scope.period),
        )
        return {name: int(value) for name, value in rows[0].items()} if rows and rows[0]["sent"] else None

    # Work ---------------------------------------------------------------------------
    def closed_loop(self, period: Period) -> dict[str, Any] | None:
        """Follow-ups of all surveys whose answer came in the period."""
        rows = self._rows(f"select * from marts.rpt_closed_loop where segment = 'all' and {_PERIOD}", **_period(period))
        return rows[0] if rows else None

    def closed_loop_by(self, period: Period, segment: str, limit: int = 20) -> list[dict[str, Any]]:
        """The same for each owner, team or tier of that time, with its `label`; who has most to follow up first."""
        return self._rows(
            f"""
            select loop.*, {_name_of("segment_value", segment)} as label
            from marts.rpt_closed_loop as loop left join marts.dim_users on user_id = segment_value
            where segment = $segment and {_PERIOD} order by to_follow_up desc, label limit {int(limit)}
            """,
            segment=segment,
            **_period(period),
        )

    def score_paths(self, survey_type: str, period: Period) -> list[dict[str, Any]]:
        """Where contacts went who answered again in the period, by `from_category` and `follow_up`: counts `to_detractor`,
        `to_passive`, `to_promoter`, all `changes`, and the `mean_change` of their scores."""
        return self._rows(
            f"""
            select follow_up, from_category, sum(changes) as changes, sum(changes * mean_change) / sum(changes) as mean_change,
                coalesce(sum(changes) filter (where to_category = 'detractor'), 0) as to_detractor,
                coalesce(sum(changes) filter (where to_category = 'passive'), 0) as to_passive,
                coalesce(sum(changes) filter (where to_category = 'promoter'), 0) as to_promoter
            from marts.rpt_score_paths where survey_type = $type and segment = 'all' and {_PERIOD}
            group by follow_up, from_category
            """,
            type=survey_type,
            **_period(period),
        )

    def waiting(self, limit: int = 8) -> list[dict[str, Any]]:
        """Follow-ups that nobody has made contact for, the most urgent first."""
        return self._rows(
            f"""
            select score, due_at, {_CONTACT} as contact, account_name as account, contract_value, health, user_name as assignee
            from marts.fct_followups as followups
            left join marts.dim_contacts as contacts using (contact_id)
            left join marts.dim_accounts as accounts on accounts.account_id = followups.account_id
            left join marts.dim_users on user_id = assignee_id
            where followups.status = 'open' order by due_at, response_id limit {int(limit)}
            """
        )

    def recent(self, scope: Scope, *, category: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """The latest answers of this scope with who gave them; all of the type where the segment cannot be picked out."""
        return self._rows(
            f"""
            select score, category, comment, submitted_at, coalesce(survey_name, responses.survey_id) as survey, channel,
                {_CONTACT} as contact, account_name as account, trigger_event, user_name as owner
            from (
                select * from marts.fct_responses where {_answers_of(scope)} and (cast($category as varchar) is null or category = $category)
                order by submitted_at desc, response_id limit {int(limit)}
            ) as responses
            left join marts.dim_contacts as contacts using (contact_id)
            left join marts.dim_accounts as accounts on accounts.account_id = responses.account_id
            left join marts.dim_surveys as surveys on surveys.survey_id = responses.survey_id
            left join marts.dim_users on user_id = owner_id_at_response
            order by submitted_at desc, response_id
            """,
            **_answer_values(scope),
            category=category,
        )

    def goals(self, survey_type: str) -> list[dict[str, Any]]:
        """The goals of the newest year that has begun and has answers; else of the first."""
        return self._rows(
            """
            select * replace (cast(period_start as date) as period_start)
            from marts.rpt_goals
            where survey_type = $type and period_start = (
                select coalesce(max(period_start) filter (where responses > 0), min(period_start))
                from marts.rpt_goals where survey_type = $type
            )
            order by case scope when 'company' then 1 when 'team' then 2 when 'segment' then 3 else 4 end, segment_value,
                target_nps desc
            """,
            type=survey_type,
        )


_SCOPE = "survey_type = $type and survey_id = $survey and segment = $segment and segment_value = $value"
_PERIOD = "period_grain = $grain and period_start is not distinct from cast($start as date)"
_CONTACT = "coalesce(nullif(trim(concat_ws(' ', contacts.first_name, contacts.last_name)), ''), contacts.contact_id)"


def _values(scope: Scope) -> dict[str, Any]:
    return {"type": scope.survey_type, "survey": scope.survey, "segment": scope.segment, "value": scope.segment_value}


def _period(period: Period) -> dict[str, Any]:
    return {"grain": period.grain, "start": period.start}


def _name_of(column: str, segment: str) -> str:
    return f"coalesce(user_name, {column})" if segment in ("owner", "csm") else column


def _answers_of(scope: Scope) -> str:
    """The condition on fct_responses that picks the answers which the report counted for this scope."""
    survey = "in_headline" if scope.survey == ALL else "survey_id = $survey"
    column = SEGMENT_COLUMNS.get(scope.segment)
    segment = f" and coalesce({column}, '(none)') = $value" if column else ""
    return (
        f"survey_type = $type and {survey}{segment} and (cast($start as date) is null "
        "or (submitted_at >= cast($start as date) and submitted_at < cast($end as date)))"
    )


def _answer_values(scope: Scope) -> dict[str, Any]:
    values: dict[str, Any] = {"type": scope.survey_type, "start": scope.period.start, "end": scope.period.end}
    if scope.survey != ALL:
        values["survey"] = scope.survey
    if scope.segment in SEGMENT_COLUMNS:
        values["value"] = scope.segment_value
    return values
