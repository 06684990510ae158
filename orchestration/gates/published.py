"""Gate 3, before publication: the marts are complete, and their numbers agree with each other and with the ledger."""

from __future__ import annotations

from orchestration.gates.arrived import CONTEXT
from orchestration.gates.checks import Check, Suite, columns, never_null, one_of, rule, suite, unique, within

MART_COLUMNS: dict[str, str] = {
    "dim_accounts": "account_id account_name account_type tier industry segment region plan owner_id csm_id contract_value "
    "lifetime_value adoption_score customer_since renewal_date is_in_crm is_deleted won_deals orders products cases open_cases "
    "last_score last_category last_response_at nps_responses open_followups health_change health",
    "dim_contacts": "contact_id account_id person_key first_name last_name email role title is_primary time_zone language "
    "is_opted_out is_in_crm is_deleted created_at last_invited_at last_responded_at last_score last_category is_advocate "
    "advocate_since",
    "dim_users": "user_id user_name email manager_id region team is_active",
    "dim_custom_fields": "subject subject_id field value",
    "dim_surveys": "survey_id survey_name survey_type status in_headline is_external company cooldown_days cooldown_scope "
    "max_age_days priority target_nps target_response_rate target_half_width definition_hash first_known_at",
    "fct_invitations": "invitation_id survey_id survey_type wave_id contact_id account_id channel trigger_event "
    "trigger_record_id owner_id_at_planning planned_at sent_at delivered_at opened_at clicked_at responded_at completed_at "
    "unsubscribed_at bounced_at shown_at dismissed_at machine_opens score category delivery_state status",
    "fct_responses": "response_id invitation_id survey_id survey_type contact_id account_id score category channel "
    "trigger_event trigger_record_id comment answers submitted_at owner_id_at_response owner_id_current person_key "
    "is_imported attributes tier region industry plan segment hours_to_response",
    "fct_response_candidates": "response_id invitation_id survey_id contact_id score judged reason submitted_at",
    "fct_followups": "response_id survey_id contact_id account_id owner_id_at_response score opened_at assignee_id "
    "assignment_rule acknowledge_due_at due_at first_contact_at hours_to_first_contact sla_hours within_sla "
    "acknowledged_in_time step status resolution reopened outcome closed_at",
    "fct_score_changes": "response_id previous_response_id survey_type survey_id previous_survey_id contact_id account_id "
    "previous_submitted_at submitted_at days_between previous_score score score_change previous_category category path "
    "previous_followed_up previous_contacted_within_sla owner_id_at_response team_at_response tier contract_value",
    "fct_eligibility_decisions": "candidate_id contact_id survey_id trigger_event trigger_record_id due_at decision "
    "deciding_rule all_failed_rules facts decided_as_of",
    "survey_queue": "candidate_id contact_id account_id person_key survey_id wave_id trigger_event trigger_record_id due_at "
    "expires_at decision deciding_rule all_failed_rules facts decided_as_of priority definition_hash",
    "survey_withdrawals": "invitation_id contact_id survey_id delivery_state deciding_rule all_failed_rules",
    "rpt_nps": "survey_type survey_id period_grain period_start segment segment_value responses promoters passives "
    "detractors nps nps_low nps_high respondents nps_respondents is_reportable",
    "rpt_nps_change": "survey_type survey_id period_grain period_start previous_period_start responses previous_responses "
    "nps previous_nps change z p_value is_significant verdict",
    "rpt_nps_by_judgement": "survey_type survey_id period_grain period_start judgement responses promoters passives detractors "
    "nps nps_low nps_high",
    "rpt_survey_funnel": "survey_id survey_type channel period_grain period_start planned sent rejected suppressed uncertain "
    "delivered opened clicked responded completed unsubscribed bounced response_rate open_rate click_rate completion_rate "
    "target_response_rate",
    "rpt_closed_loop": "period_grain period_start segment segment_value detractors to_follow_up contacted "
    "acknowledged_in_time share_acknowledged_in_time contacted_within_sla share_within_sla open in_progress closed resolved "
    "unresolved reopened mean_hours_to_first_contact median_hours_to_first_contact overdue repeat_detractors "
    "repeat_detractor_rate detractors_answered_again converted converted_to_promoter conversion_rate accounts_at_risk "
    "money_at_risk accounts_kept money_kept",
    "rpt_score_paths": "survey_type period_grain period_start segment segment_value follow_up from_category to_category changes "
    "contacts mean_change share",
    "rpt_goals": "scope survey_type survey_id segment segment_value period_grain period_start target_nps actual_nps nps_low "
    "nps_high target_half_width half_width responses gap is_on_track verdict",
    "rpt_benchmarks": "survey_type industry benchmark_quarter source median_nps top_quartile_nps own_nps own_responses position",
    "rpt_themes": "survey_type period_grain period_start theme mentions promoters passives detractors comments share",
    "rpt_fatigue": "survey_id period_grain period_start contacts_asked asked_once asked_twice asks asks_per_contact most_asks "
    "contacts_asked_again contacts_answered",
    "rpt_quarantine": "row_key source object file line field reason problem remedy quarantined_at",
    "publication_audit": "publication_id build_id as_of known_at definitions_hash code_version checks_passed published_at",
}

NOTHING_YET = "this home has nothing of the kind yet; what the ledger or the lake has is compared by its own check"
SURVEY_TYPES = ("transactional", "relationship")
BANDS = ("promoter", "passive", "detractor")
DELIVERY_STATES = ("pending", "sent", "rejected", "suppressed", "uncertain")
STATUSES = (
    *("planned", "rejected", "suppressed", "uncertain"),
    *("sent", "delivered", "opened", "clicked", "responded", "completed", "bounced"),
)
PERSONAL = ("email", "first_name", "last_name", "comment", "raw", "person_key", "contact_name")


def suites(*, last_publication: bool) -> list[Suite]:
    """The suites of this gate. With `last_publication` the file that readers see now is attached as `last`."""
    checks = {
        "dim_accounts": (*_key("account_id"), within("health", 0, 100)),
        "dim_contacts": (*_key("contact_id"), _advocates()),
        "dim_users": _key("user_id"),
        "dim_surveys": (*_key("survey_id"), one_of("survey_type", SURVEY_TYPES)),
        "fct_invitations": _invitations(),
        "fct_responses": (*_responses(), *(_not_fewer() if last_publication else ())),
        "fct_followups": _followups(),
        "fct_score_changes": _score_changes(),
        "fct_eligibility_decisions": _decisions(),
        "survey_queue": _key("candidate_id"),
        "survey_withdrawals": _withdrawals(),
        "rpt_nps": _nps(),
        "rpt_survey_funnel": _funnel(),
        "rpt_closed_loop": _closed_loop(),
        "rpt_score_paths": _score_paths(),
        "publication_audit": _key("publication_id"),
    }
    return [
        suite(
            f"shop.marts.{mart}",
            columns(names.split()),
            *checks.get(mart, ()),
            *(_no_persons(mart) if mart.startswith("rpt_") else ()),
            empty_is_fine=None if mart == "dim_surveys" else NOTHING_YET,
        )
        for mart, names in MART_COLUMNS.items()
    ]


def _key(column: str) -> tuple[Check, ...]:
    return never_null(column), unique(column)


def _advocates() -> Check:
    return rule(
        "advocates_are_promoters",
        "Whoever is on the list of advocates said so in the latest answer.",
        "select 1 from this where is_advocate and last_category is distinct from 'promoter'",
    )


def _no_persons(mart: str) -> tuple[Check, ...]:
    listed = ", ".join(f"'{name}'" for name in PERSONAL)
    return (
        rule(
            "no_persons",
            "Reports are kept for good, so no column of theirs holds a person.",
            f"""
            select 1 from information_schema.columns
            where table_catalog = 'shop' and table_schema = 'marts' and table_name = '{mart}' and column_name in ({listed})
            """,
            none_is_fine="columns can be seen without rows",
        ),
    )


def _invitations() -> tuple[Check, ...]:
    return (
        *_key("invitation_id"),
        one_of("status", STATUSES),
        one_of("delivery_state", DELIVERY_STATES),
        rule(
            "sent_has_its_time",
            "What was sent has its time of sending; what is pending, rejected or suppressed has none.",
            """
            select 1 from this
            where (delivery_state = 'sent' and sent_at is null)
               or (delivery_state in ('pending', 'rejected', 'suppressed') and sent_at is not null)
            """,
        ),
        rule(
            "stages_in_order",
            "Nothing is sent before it is planned, or answered before it is sent.",
            "select 1 from this where sent_at < planned_at or responded_at < sent_at or completed_at < responded_at",
        ),
        rule(
            "books_balance",
            "Per wave: planned (as sealed in the ledger) = pending + sent + rejected + suppressed + uncertain.",
            f"""
            select 1 from (
                select wave_id, count(*) as planned
                from warehouse.lake.ledger_decisions as decisions
                join warehouse.lake.ledger_evaluations as evaluations on evaluations.evaluation_id = decisions.evaluation_id
                cross join {CONTEXT} as context
                where decisions.decision = 'ask'
                  and evaluations.as_of <= context.as_of and evaluations.sealed_at <= context.known_at
                group by wave_id
            ) as ledger
            full join (
                select wave_id,
                    count(*) filter (where delivery_state = 'pending') as pending,
                    count(*) filter (where delivery_state = 'sent') as sent,
                    count(*) filter (where delivery_state = 'rejected') as rejected,
                    count(*) filter (where delivery_state = 'suppressed') as suppressed,
                    count(*) filter (where delivery_state = 'uncertain') as uncertain
                from this where wave_id is not null group by wave_id
            ) as mart on mart.wave_id = ledger.wave_id
            where coalesce(ledger.planned, 0)
               <> coalesce(mart.pending + mart.sent + mart.rejected + mart.suppressed + mart.uncertain, 0)
            """,
        ),
    )


def _responses() -> tuple[Check, ...]:
    return (
        *_key("response_id"),
        never_null("score"),
        never_null("submitted_at"),
        within("score", 0, 10),
        one_of("category", BANDS),
        one_of("survey_type", SURVEY_TYPES),
        rule(
            "category_matches_score",
            "0-6 is a detractor, 7-8 a passive, 9-10 a promoter.",
            """
            select 1 from this
            where category is distinct from case when score <= 6 then 'detractor' when score <= 8 then 'passive' else 'promoter' end
            """,
        ),
        rule(
            "not_from_the_future",
            "No answer was given after the time that this build shows.",
            f"select 1 from this, {CONTEXT} as context where submitted_at > context.as_of",
        ),
        rule(
            "survey_known",
            "Every answer belongs to a survey that we know.",
            """
            select 1 from this left join shop.marts.dim_surveys as surveys on surveys.survey_id = this.survey_id
            where surveys.survey_id is null
            """,
        ),
        rule(
            "answers_arrive",
            "Where the ledger or an import has answers, the mart is not empty.",
            f"""
            select 1 from (select count(*) as responses from this) as mart
            cross join (
                select count(*) as answers from warehouse.lake.ledger_events as events, {CONTEXT} as context
                where kind = 'answered' and json_extract_string(payload, '$.judged') = 'human'
                  and recorded_at <= context.known_at and occurred_at <= context.as_of
                  and not exists (
                      select 1 from warehouse.lake.ledger_events as voided
                      where voided.kind = 'voided' and voided.invitation_id = events.invitation_id
                  )
            ) as ledger
            cross join (
                select count(*) as answers from warehouse.lake.responses_imported as imported, {CONTEXT} as context
                where coalesce(score, '') <> '' and coalesce(scale, '0-10') = '0-10'
                  and _ingested_at <= context.known_at and submitted_at <= context.as_of
            ) as imports
            where mart.responses = 0 and ledger.answers + imports.answers > 0
            """,
            evaluates="1",
        ),
    )


def _not_fewer() -> tuple[Check, ...]:
    return (
        rule(
            "not_fewer_than_last_time",
            "Not fewer answers than in the last publication, but for those voided since.",
            """
            select 1 from (select count(*) as responses from this) as now
            cross join (select count(*) as responses from last.marts.fct_responses) as before
            cross join (select count(*) as voided from warehouse.lake.ledger_events where kind = 'voided') as lake
            where now.responses + lake.voided < before.responses
            """,
            evaluates="1",
            required=False,
        ),
    )


def _followups() -> tuple[Check, ...]:
    return (
        *_key("response_id"),
        rule(
            "clocks_in_order",
            "Acknowledging is due no later than the first contact's deadline, both after the answer.",
            "select 1 from this where acknowledge_due_at > due_at or due_at < opened_at or first_contact_at < opened_at",
        ),
        rule(
            "within_sla_means_in_time",
            "Within the SLA is exactly: contacted, and not after it was due.",
            """
            select 1 from this where status <> 'not_tracked' and first_contact_at is not null
               and within_sla is distinct from (first_contact_at <= due_at)
            """,
        ),
        rule(
            "resolution_matches_outcome",
            "Resolved is exactly: closed with the outcome resolved or partially resolved.",
            """
            select 1 from this where status <> 'not_tracked'
               and (resolution = 'resolved') is distinct from
                   (status = 'closed' and coalesce(outcome, '') in ('resolved', 'partially_resolved'))
            """,
        ),
    )


def _score_changes() -> tuple[Check, ...]:
    return (
        *_key("response_id"),
        within("score_change", -10, 10),
        rule(
            "between_two_answers",
            "Both answers of a change are in the mart of responses, by one contact, of one type of survey, in their order.",
            """
            select 1 from this
            left join shop.marts.fct_responses as later on later.response_id = this.response_id
            left join shop.marts.fct_responses as earlier on earlier.response_id = this.previous_response_id
            where later.contact_id is distinct from this.contact_id or earlier.contact_id is distinct from this.contact_id
               or later.survey_type is distinct from earlier.survey_type or earlier.submitted_at > later.submitted_at
               or this.score_change is distinct from later.score - earlier.score
            """,
        ),
    )


def _decisions() -> tuple[Check, ...]:
    return (
        *_key("candidate_id"),
        one_of("decision", ("ask", "skip")),
        rule(
            "as_sealed",
            "Exactly the decisions that the ledger sealed.",
            f"""
            select 1 from this
            full join (
                select decisions.candidate_id, decisions.decision, decisions.deciding_rule
                from warehouse.lake.ledger_decisions as decisions
                join warehouse.lake.ledger_evaluations as evaluations on evaluations.evaluation_id = decisions.evaluation_id
                cross join {CONTEXT} as context
                where evaluations.as_of <= context.as_of and evaluations.sealed_at <= context.known_at
            ) as sealed on sealed.candidate_id = this.candidate_id
            where this.decision is distinct from sealed.decision or this.deciding_rule is distinct from sealed.deciding_rule
            """,
        ),
    )


def _withdrawals() -> tuple[Check, ...]:
    return (
        *_key("invitation_id"),
        rule(
            "of_what_may_yet_go_out",
            "Only invitations that are planned, or that were sent, are withdrawn or reminded of no more.",
            """
            select 1 from this
            left join shop.marts.fct_invitations as invitations on invitations.invitation_id = this.invitation_id
            where invitations.delivery_state is distinct from this.delivery_state
               or this.delivery_state not in ('pending', 'sent')
            """,
        ),
    )


def _nps() -> tuple[Check, ...]:
    key = ("survey_type", "survey_id", "period_grain", "period_start", "segment", "segment_value")
    return (
        unique(*key),
        *(never_null(column) for column in ("survey_type", "survey_id", "period_grain", "segment", "segment_value")),
        # Nulls count as different in a unique check, and the whole time has no start.
        rule(
            "one_row_for_all_time",
            "The whole time has one row for each survey and segment, and no start.",
            """
            select 1 from this where (period_grain = 'all') <> (period_start is null)
            union all
            select 1 from this where period_grain = 'all'
            group by survey_type, survey_id, segment, segment_value having count(*) > 1
            """,
        ),
        rule(
            "bands_add_up",
            "Promoters, passives and detractors are all the responses.",
            "select 1 from this where promoters + passives + detractors is distinct from responses or responses <= 0",
        ),
        rule(
            "nps_is_its_formula",
            "NPS = 100 (promoters - detractors) / responses.",
            "select 1 from this where nps is null or abs(nps - 100.0 * (promoters - detractors) / responses) > 0.01",
        ),
        within("nps", -100, 100),
        rule(
            "interval_in_order",
            "The interval has both ends, in order, on -100 to 100.",
            """
            select 1 from this
            where nps_low is null or nps_high is null or nps_low > nps_high or nps_low < -100 or nps_high > 100
            """,
        ),
        rule(
            "agrees_with_responses",
            "Each survey's total is the number of its answers.",
            """
            select 1 from (
                -- Another tool may have answers of both types under one survey's name: they are reported apart.
                select survey_id, sum(responses) as responses from this
                where period_grain = 'all' and segment = 'all' and survey_id <> 'all' group by survey_id
            ) as report
            full join (select survey_id, count(*) as responses from shop.marts.fct_responses group by survey_id) as facts
                on facts.survey_id = report.survey_id
            where facts.responses is distinct from report.responses
            """,
        ),
    )


def _funnel() -> tuple[Check, ...]:
    rates = ("response_rate", "open_rate", "click_rate", "completion_rate")
    outside = " or ".join(f"{rate} not between 0 and 1" for rate in rates)
    return (
        rule("rates_are_shares", "Every rate lies from 0 to 1.", f"select 1 from this where {outside}"),
        rule(
            "narrowing",
            "No more were answered than sent, or completed than answered.",
            "select 1 from this where responded > sent or completed > responded or delivered > sent",
        ),
        rule(
            "books_balance",
            "What was planned is pending, sent, rejected, suppressed or uncertain.",
            "select 1 from this where planned < sent + rejected + suppressed + uncertain",
        ),
    )


def _closed_loop() -> tuple[Check, ...]:
    return (
        rule(
            "statuses_add_up",
            "What is to be followed up is open, in progress or closed.",
            """
            select 1 from this where open + in_progress + closed is distinct from to_follow_up
               or resolved + in_progress + unresolved is distinct from to_follow_up
            """,
        ),
        rule(
            "contacts_nest",
            "Contacted within the SLA is part of contacted, which is part of what is to be followed up.",
            "select 1 from this where contacted_within_sla > contacted or contacted > to_follow_up",
        ),
        rule(
            "conversions_nest",
            "Promoters are part of the converted, who are part of the detractors that answered again.",
            """
            select 1 from this where converted_to_promoter > converted or converted > detractors_answered_again
               or detractors_answered_again > detractors
            """,
        ),
        rule(
            "money_counts_once",
            "No account's money is counted twice: owners, teams and tiers add up to the whole.",
            """
            select 1 from this as part
            join this as whole on whole.segment = 'all' and whole.period_grain = part.period_grain
                and whole.period_start is not distinct from part.period_start
            group by part.segment, part.period_grain, part.period_start, whole.money_at_risk, whole.money_kept
            having abs(sum(part.money_at_risk) - whole.money_at_risk) > 0.5 or abs(sum(part.money_kept) - whole.money_kept) > 0.5
            """,
        ),
    )


def _score_paths() -> tuple[Check, ...]:
    return (
        one_of("from_category", BANDS),
        one_of("to_category", BANDS),
        rule(
            "shares_add_up",
            "Wherever contacts came from, their paths are shares of one whole.",
            """
            select 1 from this
            group by survey_type, period_grain, period_start, segment, segment_value, follow_up, from_category
            having abs(sum(share) - 1) > 0.0001
            """,
        ),
    )
