"""A published file with invented answers: the tables of the dbt contracts, filled with a few hundred rows.

Relationship answers: 400 in twelve months, none in the fifth month back; transactional ones: 12, below the minimum n.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import yaml

ROOT = Path(__file__).resolve().parents[2]
AS_OF = dt.datetime(2026, 3, 2, 9, 0)  # noqa: DTZ001 - files hold naive UTC
TYPES = {"string": "varchar"}


def contract_columns() -> dict[str, dict[str, str]]:
    """Columns and types of each public mart, as its dbt contract says."""
    marts: dict[str, dict[str, str]] = {}
    for path in sorted((ROOT / "dbt_project" / "models" / "marts").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            marts[model["name"]] = {c["name"]: TYPES.get(c["data_type"], c["data_type"]) for c in model["columns"]}
    return marts


def write_marts(
    path: Path, *, answers: bool = True, publication_id: str = "p-1", published_at: dt.datetime = AS_OF
) -> Path:
    """A marts file at `path`; without `answers` every table but the audit is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(f"attach '{path}' as file; use file; create schema marts")
        for mart, columns in contract_columns().items():
            con.execute(f"create table marts.{mart} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        if answers:
            con.execute(PEOPLE)
            con.execute(ANSWERS, {"as_of": AS_OF})
            con.execute(REPORTS)
        con.execute(
            "insert into marts.publication_audit (publication_id, build_id, as_of, known_at, code_version, checks_passed, "
            "published_at) values (?, ?, ?, ?, '0.1', 250, ?)",
            [publication_id, publication_id, AS_OF, AS_OF, published_at],
        )
    return path


def publish(home: Path, **options) -> Path:
    """Write a publication into a home and let its link point there."""
    name = f"marts-{options.get('publication_id', 'p-1')}.duckdb"
    write_marts(home / "published" / name, **options)
    link = home / "published" / "marts.duckdb"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    return link


PEOPLE = """
insert into marts.dim_users by name
select 'U' || i as user_id, (['Ana Silva', 'Ben Okoro', 'Cleo Marsh'])[i] as user_name from range(1, 4) as t(i);
insert into marts.dim_accounts by name
select 'A' || i as account_id, (['Acme <b>Ltd</b>', 'Beta Works', 'Gamma AG', 'Delta Co'])[i + 1] as account_name,
    (['Enterprise', 'Mid-Market', 'SMB', 'SMB'])[i + 1] as tier, (['EMEA', 'AMER'])[i % 2 + 1] as region,
    (['120000', '48500', '9000', null])[i + 1]::double as contract_value, 60 + 10 * i as health from range(4) as t(i);
insert into marts.dim_contacts by name
select 'C' || i as contact_id, 'A' || i % 4 as account_id, 'Person' as first_name, 'Number ' || i as last_name from range(60) as t(i);
insert into marts.dim_surveys by name
select * from (values ('relationship', 'Quarterly Relationship', 'relationship', true), ('support', 'Support Ticket Resolved', 'transactional', true))
    as t(survey_id, survey_name, survey_type, in_headline);
"""

# Scores by a fixed stride: about half promoters, a fifth detractors; Enterprise (every fourth) somewhat worse.
ANSWERS = """
insert into marts.fct_responses by name
select 'R' || i as response_id, 'R' || i as invitation_id, survey_id, survey_type, 'C' || i % 60 as contact_id,
    'A' || i % 4 as account_id, score, case when score <= 6 then 'detractor' when score <= 8 then 'passive' else 'promoter' end as category,
    case when i % 3 = 0 then 'Comment ' || i || ' <script>alert(1)</script> *fine*' end as comment, 'email' as channel,
    'schedule_quarterly' as trigger_event, submitted_at, 'U' || 1 + i % 3 as owner_id_at_response, 'Sales' as team_at_response,
    (['Enterprise', 'Mid-Market', 'SMB', 'SMB'])[i % 4 + 1] as tier, (['EMEA', 'AMER'])[i % 2 + 1] as region,
    false as is_imported, true as in_headline
from (
    select i, 'relationship' as survey_id, 'relationship' as survey_type,
        cast(case when i % 4 = 0 and i % 3 = 0 then 3 when i % 7 = 0 then 5 when i % 11 = 0 then 6 when i % 5 = 0 then 8 when i % 6 = 0 then 7
            when i % 2 = 0 then 10 else 9 end as bigint) as score,
        $as_of - to_hours(cast(i * 21 as integer)) as submitted_at
    from range(400) as t(i)
    union all
    select 1000 + i, 'support', 'transactional', cast((i * 7) % 11 as bigint), $as_of - to_days(cast(i * 9 as integer)) from range(12) as t(i)
)
where not (survey_type = 'relationship' and date_trunc('month', submitted_at) = date_trunc('month', $as_of - interval '5' month));
"""

REPORTS = """
create temp table counted as
with segmented as (
    select *, unnest([{'s': 'all', 'v': 'all'}, {'s': 'tier', 'v': tier}, {'s': 'region', 'v': region}, {'s': 'owner', 'v': owner_id_at_response}, {'s': 'tenure', 'v': '0-90'}]) as seg
    from marts.fct_responses
), expanded as (
    select *, unnest(['all', 'year', 'quarter', 'month', 'week']) as grain, unnest([survey_id, survey_id, survey_id, survey_id, survey_id]) as sid from segmented
    union all
    select *, unnest(['all', 'year', 'quarter', 'month', 'week']), unnest(['all', 'all', 'all', 'all', 'all']) from segmented
)
select survey_type, sid as survey_id, grain as period_grain,
    cast(case grain when 'all' then null else date_trunc(case grain when 'all' then 'day' else grain end, submitted_at) end as date) as period_start,
    seg.s as segment, seg.v as segment_value, count(*) as n,
    count(*) filter (where category = 'promoter') as p, count(*) filter (where category = 'passive') as a, count(*) filter (where category = 'detractor') as d
from expanded group by all;

insert into marts.rpt_nps by name
select survey_type, survey_id, period_grain, period_start, segment, segment_value, n as responses, p as promoters, a as passives, d as detractors,
    100.0 * (p - d) / n as nps,
    greatest(-100, 100 * (c - 1.959964 * sqrt(((p + d + 1.5) / (n + 3) - c * c) / (n + 3)))) as nps_low,
    least(100, 100 * (c + 1.959964 * sqrt(((p + d + 1.5) / (n + 3) - c * c) / (n + 3)))) as nps_high,
    n as respondents, 100.0 * (p - d) / n as nps_respondents, n >= 30 as is_reportable
from (select *, (p - d) / (n + 3) as c from counted);

insert into marts.rpt_nps_change by name
select survey_type, survey_id, period_grain, max(period_start) as period_start, 4.2 as change, 0.4 as p_value, false as is_significant,
    case when count(distinct period_start) < 3 then 'too few periods' else 'no significant change' end as verdict
from marts.rpt_nps where segment = 'all' and period_grain <> 'all' group by survey_type, survey_id, period_grain;

insert into marts.rpt_survey_funnel by name
select survey_type, survey_id, 'email' as channel, period_grain, period_start, n * 5 as planned, n * 4 as sent, n * 4 as delivered, n * 2 as opened,
    cast(n * 1.2 as bigint) as clicked, n as responded, cast(n * 0.7 as bigint) as completed, n // 20 as bounced, n // 40 as unsubscribed
from counted where segment = 'all';

insert into marts.fct_followups by name
select response_id, survey_id, contact_id, account_id, owner_id_at_response, score, submitted_at as opened_at, owner_id_at_response as assignee_id,
    'account_owner' as assignment_rule, 48 as sla_hours, submitted_at + interval '1' day as acknowledge_due_at, submitted_at + interval '2' day as due_at,
    case when submitted_at < timestamp '2026-02-20' then submitted_at + interval '20' hour end as first_contact_at,
    case when submitted_at < timestamp '2026-02-20' then true end as within_sla,
    case when submitted_at < timestamp '2026-02-20' then 'closed' else 'open' end as status
from marts.fct_responses where category = 'detractor';

update marts.fct_followups set step = status, resolution = case when status = 'open' then 'unresolved' else 'resolved' end, reopened = 0;

insert into marts.rpt_closed_loop by name
select period_grain, period_start, seg.s as segment, seg.v as segment_value, count(*) as detractors, count(*) as to_follow_up,
    count(first_contact_at) as contacted, count(*) filter (where within_sla) as contacted_within_sla, 0.87 as share_within_sla,
    count(first_contact_at) as acknowledged_in_time, 0.79 as share_acknowledged_in_time,
    count(*) filter (where status = 'open') as open, 0 as in_progress, count(*) filter (where status = 'closed') as closed,
    count(*) filter (where status = 'closed') as resolved, count(*) filter (where status = 'open') as unresolved, 1 as reopened,
    20.0 as mean_hours_to_first_contact, 18.5 as median_hours_to_first_contact, 2 as overdue, 5 as repeat_detractors, 0.1 as repeat_detractor_rate,
    40 as detractors_answered_again, 18 as converted, 7 as converted_to_promoter, 0.45 as conversion_rate,
    3 as accounts_at_risk, 1234567.0 as money_at_risk, 2 as accounts_kept, 340500.0 as money_kept
from (
    select *, unnest([{'s': 'all', 'v': 'all'}, {'s': 'team', 'v': 'Sales'}, {'s': 'owner', 'v': owner_id_at_response}, {'s': 'tier', 'v': 'SMB'}]) as seg,
        'all' as period_grain, null::date as period_start
    from marts.fct_followups
) group by all;

insert into marts.rpt_score_paths by name
select 'relationship' as survey_type, 'all' as period_grain, 'all' as segment, 'all' as segment_value, follow_up, from_category, to_category,
    changes, changes as contacts, mean_change, changes / sum(changes) over (partition by follow_up, from_category) as share
from (values ('all', 'detractor', 'detractor', 30, 0.2), ('all', 'detractor', 'passive', 14, 3.5), ('all', 'detractor', 'promoter', 16, 6.1),
    ('within_sla', 'detractor', 'detractor', 16, 0.4), ('within_sla', 'detractor', 'passive', 10, 3.5), ('within_sla', 'detractor', 'promoter', 14, 6.2),
    ('not_within_sla', 'detractor', 'detractor', 9, -0.3), ('not_within_sla', 'detractor', 'promoter', 2, 5.5),
    ('all', 'passive', 'passive', 20, 0.0), ('all', 'passive', 'promoter', 20, 1.5), ('all', 'promoter', 'promoter', 90, 0.1), ('all', 'promoter', 'detractor', 10, -5.0))
    as t(follow_up, from_category, to_category, changes, mean_change);

insert into marts.rpt_goals by name
select * from (values ('company', 'relationship', 'all', 'all', date '2026-01-01', 35.0, 41.0, 60, 'on track'),
    ('segment', 'relationship', 'tier', 'Enterprise', date '2026-01-01', 42.0, 12.0, 31, 'behind'),
    ('segment', 'relationship', 'tier', 'SMB', date '2026-01-01', 30.0, 55.0, 12, 'too few responses'),
    ('company', 'relationship', 'all', 'all', date '2027-01-01', 40.0, null, null, 'no responses'))
    as t(scope, survey_type, segment, segment_value, period_start, target_nps, actual_nps, responses, verdict);
insert into marts.rpt_goals by name
select 'survey' as scope, 'relationship' as survey_type, 'relationship' as survey_id, 'all' as segment, 'all' as segment_value,
    date '2026-01-01' as period_start, 45.0 as target_nps, 41.0 as actual_nps, 60 as responses, 'behind' as verdict;
update marts.rpt_goals set survey_id = 'all' where survey_id is null;
"""
