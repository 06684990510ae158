"""Charts of the dashboard. Every colour has a word or a sign beside it; bands are blue, grey and vermilion, which differ
in lightness too and for all common kinds of colour blindness."""

from __future__ import annotations

import altair as alt
import pandas as pd

from closedloop.programme.rules import band_of

COLOURS = {"detractor": "#b8410f", "passive": "#7b818a", "promoter": "#0b63a5"}
INK, GREY, LINE, PALE = "#1c2430", "#4d5765", "#0b4f86", "#9aa3ad"
_BAND_SCALE = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
_PERIOD_FORMAT = {"week": "%d %b %Y", "month": "%b %Y", "quarter": "Q%q %Y"}


def trend(rows: pd.DataFrame, grain: str) -> alt.LayerChart:
    """NPS by period with its 95 % band. A period without answers is a gap; one under the minimum n is a hollow point."""
    data = rows.assign(
        period_start=pd.to_datetime(rows["period_start"]),
        kind=rows["is_reportable"].map({True: "enough answers", False: "too few answers"}),
    )
    base = alt.Chart(data).encode(
        x=alt.X(
            "period_start:T", title=None, axis=alt.Axis(format=_PERIOD_FORMAT[grain], labelOverlap=True, tickCount=6)
        ),
        tooltip=[
            alt.Tooltip("period_start:T", title=grain, format=_PERIOD_FORMAT[grain]),
            alt.Tooltip("nps:Q", title="NPS", format="+.0f"),
            alt.Tooltip("nps_low:Q", title="from", format="+.0f"),
            alt.Tooltip("nps_high:Q", title="to", format="+.0f"),
            alt.Tooltip("responses:Q", title="answers"),
        ],
    )
    y = alt.Y("nps:Q", title="NPS", scale=alt.Scale(domain=_room_for(data), nice=True))
    band = base.mark_area(opacity=0.18, color=LINE).encode(y=alt.Y("nps_low:Q", title="NPS"), y2="nps_high:Q")
    spans = base.mark_rule(opacity=0.25, color=LINE).encode(y="nps_low:Q", y2="nps_high:Q")
    line = base.mark_line(color=LINE, strokeWidth=2).encode(y=y)
    points = (
        base.transform_filter("isValid(datum.nps)")
        .mark_point(size=60, strokeWidth=2, filled=False, color=LINE)
        .encode(
            y=y,
            fill=alt.Fill(
                "kind:N",
                scale=alt.Scale(domain=["enough answers", "too few answers"], range=[LINE, "white"]),
                legend=alt.Legend(title=None, orient="top", symbolStrokeColor=LINE),
            ),
        )
    )
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(color=PALE, strokeDash=[4, 3]).encode(y="y:Q")
    return _plain(zero + band + spans + line + points, 280)


def distribution(rows: pd.DataFrame) -> alt.LayerChart:
    """Answers by score, coloured by band; each bar says its number."""
    data = rows.assign(band=[band_of(int(score)).value for score in rows["score"]])
    base = alt.Chart(data).encode(
        x=alt.X("score:O", title="Score", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("responses:Q", title="Answers", axis=alt.Axis(tickMinStep=1, format="d")),
        tooltip=["score:O", alt.Tooltip("responses:Q", title="answers"), "band:N"],
    )
    bars = base.mark_bar().encode(
        color=alt.Color("band:N", scale=_BAND_SCALE, legend=alt.Legend(title=None, orient="top"))
    )
    return _plain(bars + base.mark_text(dy=-7, color=INK, fontSize=11).encode(text="responses:Q"), 280)


def segments(rows: pd.DataFrame, total: float) -> alt.LayerChart:
    """Each value's NPS and interval on one scale, with the total as a line; hollow where answers are too few."""
    data = rows.assign(
        label=[f"{label} ({n:,})" for label, n in zip(rows["label"], rows["responses"], strict=True)],
        kind=rows["is_reportable"].map({True: "enough answers", False: "too few answers"}),
    )
    base = alt.Chart(data).encode(y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=180)))
    spans = base.mark_rule(strokeWidth=3, opacity=0.5, color=LINE).encode(
        x=alt.X("nps_low:Q", title="NPS with 95 % interval", scale=alt.Scale(domain=[-100, 100])), x2="nps_high:Q"
    )
    points = base.mark_point(size=80, strokeWidth=2, color=LINE).encode(
        x="nps:Q",
        fill=alt.Fill(
            "kind:N",
            scale=alt.Scale(domain=["enough answers", "too few answers"], range=[LINE, "white"]),
            legend=alt.Legend(title=None, orient="top", symbolStrokeColor=LINE),
        ),
        tooltip=[
            "label:N",
            alt.Tooltip("nps:Q", title="NPS", format="+.0f"),
            alt.Tooltip("responses:Q", title="answers"),
        ],
    )
    mark = alt.Chart(pd.DataFrame({"total": [total]})).mark_rule(strokeDash=[5, 3], color=INK).encode(x="total:Q")
    return _plain(mark + spans + points, 60 + 28 * len(data))


def _plain(chart: alt.LayerChart, height: int) -> alt.LayerChart:
    """The look that all charts share: labels dark enough to read, few lines."""
    text = {
        "labelColor": GREY,
        "titleColor": GREY,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return (
        chart.properties(height=height, background="transparent")
        .configure(font="Source Sans Pro, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(gridColor="#e6e9ee", domainColor=PALE, tickColor=PALE, **text)
        .configure_legend(**text)
    )


def _room_for(rows: pd.DataFrame) -> list[float]:
    """A scale that holds the intervals, never narrower than 40 points: small moves should look small."""
    low, high = rows["nps_low"].min(), rows["nps_high"].max()
    if pd.isna(low) or pd.isna(high):
        return [-100, 100]
    middle, half = (low + high) / 2, max((high - low) / 2 + 4, 20)
    return [max(-100.0, middle - half), min(100.0, middle + half)]
