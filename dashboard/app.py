"""The first page of the dashboard: how customers feel, how sure that is, and what happens about it."""

from __future__ import annotations

import html
import logging
import re
from typing import Any

import streamlit as st

from closedloop.settings import load_settings
from dashboard import charts, words
from dashboard.queries import (
    ALL,
    GRAINS,
    SEGMENT_COLUMNS,
    SURVEY_TYPES,
    NothingPublished,
    Period,
    Publication,
    Scope,
    Unreadable,
    current_target,
    open_publication,
)

SETTINGS = load_settings()
MARTS = SETTINGS.marts_file
BANDS = ("detractor", "passive", "promoter")
LOOP_SEGMENTS = ("team", "owner", "tier")
PATH_ROWS = (
    ("all", None),
    ("within_sla", "– contacted within the SLA"),
    ("not_within_sla", "– not contacted in time"),
)
FEW = 30
"""So few pairs of answers say little."""
TARGETS = {"opened": (40, 60), "clicked": (20, 35), "completed": (15, 30), "follow-up": (60, 80)}


def main() -> None:
    st.set_page_config(page_title="Customer loyalty", page_icon="📈", layout="wide")
    st.html(words.STYLE)
    st.title("Customer loyalty", anchor=False)
    try:
        shown = current_target(MARTS)
        with open_publication(MARTS) as publication:
            page(publication)
        watch(shown)
    except NothingPublished:
        st.info(
            "**Nothing is published yet.** Run `make demo` to see the platform at work with an invented company, or "
            "`closedloop ingest crm` with your own export and then `closedloop build`. This page appears by itself."
        )
        watch(None)
    except Unreadable as error:
        logging.getLogger("closedloop.dashboard").error("the published file cannot be read: %s", error)
        st.error(
            "**The published file cannot be read.** It may be damaged, or of another version of this program. "
            "Run `closedloop build` to publish again; what was published before is kept beside it in `published/`."
        )
        watch(current_target(MARTS))


@st.fragment(run_every=10)
def watch(shown: str | None) -> None:
    """Shows the next publication as soon as there is one."""
    if current_target(MARTS) != shown:
        st.rerun()


def page(publication: Publication) -> None:
    scope = choose(publication)
    headline(publication, scope.period)
    st.subheader(_title(publication, scope), anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        trend(publication, scope)
    with right:
        distribution(publication, scope)
    left, right = st.columns(2, gap="large")
    with left:
        funnel(publication, scope)
    with right:
        goals(publication, scope)
    segments(publication, scope)
    follow_up(publication, scope.period)
    score_paths(publication, scope)
    recent(publication, scope)
    footer(publication)


def choose(publication: Publication) -> Scope:
    """The selectors; on a phone they are behind the arrow at the top."""
    with st.sidebar:
        st.header("What to look at", anchor=False)
        kinds = [kind for kind in SURVEY_TYPES if publication.surveys(kind)] or list(SURVEY_TYPES)
        kind = st.radio("Survey type", kinds, format_func=str.capitalize, help="The two are never added up.")
        names = {ALL: "All headline surveys", **publication.surveys(kind)}
        survey = st.selectbox("Survey", list(names), format_func=lambda key: names[key])
        period = st.selectbox("Period", publication.periods(), format_func=lambda period: period.label)
        scope = Scope(kind, survey, period)
        segment = st.selectbox(
            "Segment",
            [ALL, *publication.segments(scope)],
            format_func=lambda name: "No segment" if name == ALL else words.readable(name),
        )
        if segment == ALL:
            return scope
        values = publication.segment_rows(scope, segment)
        labels = dict(zip(values["segment_value"], values["label"], strict=True))
        value = st.selectbox(
            "Only", [ALL, *labels], format_func=lambda key: "All of them" if key == ALL else labels[key]
        )
        st.session_state["segment"] = segment
        return scope if value == ALL else Scope(kind, survey, period, segment, value)


def headline(publication: Publication, period: Period) -> None:
    """One card for each survey type: NPS, interval, n, response rate."""
    cards = []
    for kind in SURVEY_TYPES:
        scope = Scope(kind, period=period)
        sent = publication.funnel(scope)
        lines = (
            [f"Response rate {words.percent(sent['responded'], sent['sent'])} of {sent['sent']:,} sent"] if sent else []
        )
        cards.append(words.score_card(f"{kind.capitalize()} NPS · {period.label}", publication.nps(scope), lines))
    st.html(f"<div class='cl-cards'>{''.join(cards)}</div>")


def trend(publication: Publication, scope: Scope) -> None:
    st.markdown("##### Trend")
    usual = publication.telling_grain(scope)
    grain = st.segmented_control("Points by", GRAINS, default=usual, format_func=str.capitalize) or usual
    rows = publication.trend(scope, grain)
    if rows.empty:
        say("No answers yet.")
        return
    st.altair_chart(charts.trend(rows, grain), width="stretch", theme=None)
    change = publication.change(scope, grain)
    say(_verdict(change, grain) + " The band is the 95 % interval; a gap is a period without answers.")


def _verdict(change: dict | None, grain: str) -> str:
    """What may be said about the newest move: nothing under three periods."""
    if change is None or change["verdict"] == "too few periods":
        return "No verdict yet: a trend needs three periods."
    words_of = {
        "up": "a significant rise",
        "down": "a significant fall",
        "no significant change": "no significant change",
    }
    moved = words.points(change["change"])
    return f"The newest {grain} (so far) against the one before: {moved} points, {words_of[change['verdict']]}."


def distribution(publication: Publication, scope: Scope) -> None:
    st.markdown("##### Scores")
    row = publication.nps(scope)
    if row is None:
        say("No answers in this period.")
        return
    say(f"NPS {words.points(row['nps'])}, 95 % interval {words.interval(row)}, {words.answers(row['responses'])}.")
    if scope != Scope(scope.survey_type, period=scope.period):  # the headline's card above shows this bar already
        st.html(f"<div class='{'' if row['is_reportable'] else 'cl-few'}'>{words.bands(row)}</div>")
    rows = publication.distribution(scope)
    if rows is None:
        say(f"Single scores cannot be picked out by {words.readable(scope.segment).lower()}.")
    else:
        st.altair_chart(charts.distribution(rows), width="stretch", theme=None)


def funnel(publication: Publication, scope: Scope) -> None:
    st.markdown("##### From mail to answer")
    counts = publication.funnel(scope)
    if counts is None:
        say("Nothing was sent in this period.")
        return
    sent = counts["sent"]
    st.html(
        words.meter("Opened", counts["opened"], sent, TARGETS["opened"], "sent")
        + words.meter("Clicked a score", counts["clicked"], sent, TARGETS["clicked"], "sent")
        + words.meter("Answered", counts["responded"], sent, None, "sent: the response rate")
        + words.meter("Completed", counts["completed"], sent, TARGETS["completed"], "sent")
        + words.meter(
            "Follow-up question answered", counts["completed"], counts["responded"], TARGETS["follow-up"], "answered"
        )
    )
    note = f"{counts['bounced']:,} bounced, {counts['unsubscribed']:,} unsubscribed. By day of sending"
    say(note + (", all segments together." if scope.segment != ALL else "."))


def goals(publication: Publication, scope: Scope) -> None:
    rows = publication.goals(scope.survey_type)
    st.markdown(f"##### Goals {rows[0]['period_start']:%Y}" if rows else "##### Goals")
    if not rows:
        say("No goal is set for this type of survey.")
        return
    signs = {"on track": "✓", "behind": "✗"}
    names = publication.surveys(scope.survey_type)
    st.html(
        words.table(
            ("Goal", "Target", "Actual", "Answers", "Verdict"),
            [
                (
                    "" if row["verdict"] in signs else "cl-few",
                    (
                        _goal(row, names),
                        words.points(row["target_nps"]),
                        words.points(row["actual_nps"]),
                        f"{row['responses'] or 0:,}",
                        f"{signs.get(row['verdict'], '')} {row['verdict']}".strip(),
                    ),
                )
                for row in rows
            ],
            numbers=(1, 2, 3),
        )
    )


def _goal(row: dict[str, Any], names: dict[str, str]) -> str:
    """What a goal is of, in words."""
    if row["scope"] == "company":
        return "Company"
    if row["scope"] == "survey":
        return f"Survey: {names.get(row['survey_id'], row['survey_id'])}"
    return f"{words.readable(row['segment'])}: {row['segment_value']}"


def segments(publication: Publication, scope: Scope) -> None:
    st.markdown("##### Segments")
    names = publication.segments(scope)
    total = publication.nps(Scope(scope.survey_type, scope.survey, scope.period))
    if not names or total is None:
        say("No answers in this period.")
        return
    chosen = st.session_state.get("segment", names[0])
    segment = st.selectbox(
        "Compare by", names, index=names.index(chosen) if chosen in names else 0, format_func=words.readable
    )
    rows = publication.segment_rows(scope, segment).head(20)
    sure = rows[rows["is_reportable"]].sort_values("nps")
    if len(sure) > 1:
        low, high = sure.iloc[0], sure.iloc[-1]
        st.markdown(
            f"The total of **{words.points(total['nps'])}** hides a range: from **{words.points(low['nps'])}** "
            f"({_plain(low['label'])}) to **{words.points(high['nps'])}** ({_plain(high['label'])})."
        )
    left, right = st.columns(2, gap="large")
    with left:
        st.altair_chart(charts.segments(rows, total["nps"]), width="stretch", theme=None)
    lines = [("cl-total", ("Total", words.points(total["nps"]), words.interval(total), f"{total['responses']:,}"))]
    lines += [
        (
            "" if row["is_reportable"] else "cl-few",
            (row["label"], words.points(row["nps"]), words.interval(row), f"{row['responses']:,}"),
        )
        for row in rows.to_dict("records")
    ]
    with right:
        st.html(words.table((words.readable(segment), "NPS", "95 % interval", "Answers"), lines, numbers=(1, 2, 3)))
    if not rows["is_reportable"].all():
        say("Grey, and hollow in the chart: too few answers to rely on.")


def follow_up(publication: Publication, period: Period) -> None:
    st.subheader("Closing the loop", anchor=False)
    loop = publication.closed_loop(period)
    if loop is None:
        say("No detractor needs a follow-up in this period.")
        return
    say(
        f"{words.counted(loop['to_follow_up'], 'answer', 'answers')} to follow up, of all surveys, by the date of the answer."
    )
    st.html(words.statuses(loop))
    mean = words.hours(loop["mean_hours_to_first_contact"])
    again = words.counted(loop["detractors_answered_again"], "detractor", "detractors")
    st.html(
        words.fact_cards(
            (
                ("Contacted within the SLA", words.percent(loop["share_within_sla"], 1), "of those contacted or past their time"),
                ("Acknowledged in time", words.percent(loop["share_acknowledged_in_time"], 1), "first contact by the time to acknowledge"),
                ("No contact in time", f"{loop['overdue']:,}", "past their time without a first contact"),
                ("Time to first contact", words.hours(loop["median_hours_to_first_contact"]), f"median; mean {mean}"),
                ("Detractor again", words.percent(loop["repeat_detractor_rate"], 1), f"{loop['repeat_detractors']:,} had been one the time before"),
                ("Converted", words.percent(loop["conversion_rate"], 1), f"of {again} who answered again; {loop['converted_to_promoter']:,} now promoters"),
                ("Money at risk", words.money(loop["money_at_risk"]), f"yearly contracts of {words.counted(loop['accounts_at_risk'], 'account', 'accounts')} whose latest answer is an unresolved detractor’s"),
                ("Money kept", words.money(loop["money_kept"]), f"yearly contracts of {words.counted(loop['accounts_kept'], 'account', 'accounts')} with a converted detractor"),
                ("Reopened", f"{loop['reopened']:,}", "taken up again after they were closed"),
            )
        )
    )  # fmt: skip
    who_follows_up(publication, period)
    waiting = publication.waiting()
    if waiting:
        st.markdown("**Next to call**")
        st.html(
            words.table(
                ("Score", "Contact", "Account", "Assigned to", "Due (UTC)", "Contract", "Health"),
                [
                    ("", (row["score"], row["contact"] or "–", row["account"] or "–", row["assignee"] or "nobody yet", words.moment(row["due_at"]) if row["due_at"] else "–", words.money(row["contract_value"]), "–" if row["health"] is None else f"{row['health']:.0f}"))
                    for row in waiting
                ],
                numbers=(5, 6),
            )
        )  # fmt: skip


def who_follows_up(publication: Publication, period: Period) -> None:
    """The same by owner, team or tier, where there is more than one of them."""
    segment = st.segmented_control("Follow-up by", LOOP_SEGMENTS, default="team", format_func=words.readable) or "team"
    rows = publication.closed_loop_by(period, segment)
    if not rows:
        say("Nothing to compare.")
        return
    st.html(
        words.table(
            (words.readable(segment), "To follow up", "Within SLA", "Resolved", "In progress", "Unresolved", "Median time", "Converted", "At risk"),
            [
                (
                    "",
                    (
                        row["label"], f"{row['to_follow_up']:,}", words.percent(row["share_within_sla"], 1), f"{row['resolved']:,}",
                        f"{row['in_progress']:,}", f"{row['unresolved']:,}", words.hours(row["median_hours_to_first_contact"]),
                        words.percent(row["conversion_rate"], 1), words.money(row["money_at_risk"]),
                    ),
                )
                for row in rows
            ],
            numbers=range(1, 9),
        )
    )  # fmt: skip


def score_paths(publication: Publication, scope: Scope) -> None:
    """Where those went who answered again, and whether closing the loop goes along with it."""
    st.markdown("##### From one answer to the next")
    found = {
        (row["from_category"], row["follow_up"]): row
        for row in publication.score_paths(scope.survey_type, scope.period)
    }
    lines = []
    for band in BANDS:
        for follow_up, name in PATH_ROWS[: 3 if band == "detractor" else 1]:
            row = found.get((band, follow_up))
            if row is not None:
                label = name or f"{words.SIGNS[band]} {words.PLURALS[band]}"
                shares = [words.percent(row[f"to_{to}"], row["changes"]) for to in BANDS]
                few = "cl-few" if row["changes"] < FEW else ""
                lines.append((few, (label, *shares, words.change(row["mean_change"]), f"{int(row['changes']):,}")))
    if not lines:
        say(f"Nobody has answered a {scope.survey_type} survey in this period who had answered one before.")
        return
    then = (f"then {words.SIGNS[to]} {to}" for to in BANDS)
    st.html(words.table(("Before", *then, "Mean change", "Pairs"), lines, numbers=range(1, 6)))
    say(
        f"Each pair is an answer and the same contact’s next one to any {scope.survey_type} survey, by the date of the later one, all segments together. "
        "Those who were contacted in time may differ in more than the call: this is an association, not a cause."
        + (f" Grey: under {FEW} pairs." if any(kind for kind, _ in lines) else "")
    )


def recent(publication: Publication, scope: Scope) -> None:
    st.subheader("Recent answers", anchor=False)
    only = st.segmented_control(
        "Show",
        BANDS,
        format_func=lambda band: f"{words.SIGNS[band]} {words.PLURALS[band]}",
    )
    rows = publication.recent(scope, category=only)
    if scope.segment != ALL and scope.segment not in SEGMENT_COLUMNS:
        say(f"Answers of all segments: single ones cannot be picked out by {words.readable(scope.segment).lower()}.")
    st.html("".join(words.answer(row) for row in rows) or "<p class='cl-note'>No answers.</p>")


def footer(publication: Publication) -> None:
    audit = publication.audit()
    if audit is None:
        return
    st.html(
        f"<div class='cl-footer'>Data as of {words.moment(audit.as_of)} UTC · published "
        f"{words.ago(audit.published_at, SETTINGS.clock().now())} ({words.moment(audit.published_at)} UTC) · publication "
        f"{html.escape(audit.publication_id)} · {audit.checks_passed} checks passed · version {html.escape(audit.code_version)}</div>"
    )


def say(text: str) -> None:
    st.html(words.note(text))


def _title(publication: Publication, scope: Scope) -> str:
    name = publication.surveys(scope.survey_type).get(scope.survey, "all headline surveys")
    parts = [f"{scope.survey_type.capitalize()}: {name}", scope.period.label]
    if scope.segment != ALL:
        rows = publication.segment_rows(scope, scope.segment)
        label = dict(zip(rows["segment_value"], rows["label"], strict=True)).get(
            scope.segment_value, scope.segment_value
        )
        parts.append(f"{words.readable(scope.segment)} {label}")
    return _plain(" · ".join(parts))


def _plain(text: str) -> str:
    """Text from data where Streamlit reads Markdown, which makes links of bare addresses too: a mark that is not seen parts them."""
    text = re.sub(r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", "\u2060", text)
    return "".join(f"\\{char}" if char in r"\`*_{}[]()#+-!$<>|~:" else char for char in text)


main()
