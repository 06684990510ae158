"""How numbers and people are written on the page: small pieces of HTML, everything from outside escaped."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Sequence
from typing import Any

SIGNS = {"promoter": "▲", "passive": "●", "detractor": "▼"}
STATUSES = {
    "resolved": ("promoter", "✓", "Resolved"),
    "in_progress": ("passive", "→", "In progress"),
    "unresolved": ("detractor", "○", "Unresolved"),
}
PLURALS = {"promoter": "Promoters", "passive": "Passives", "detractor": "Detractors"}

STYLE = """
<style>
.block-container { padding-top: 3.2rem; max-width: 78rem; }
.cl-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .9rem; margin: .2rem 0 1rem; }
.cl-facts { grid-template-columns: repeat(auto-fit, minmax(max(9.5rem, 30%), 1fr)); }
.cl-card { border: 1px solid #d5dae1; border-radius: .6rem; padding: .9rem 1.1rem; background: #fff; }
.cl-card h3 { font-size: .95rem; font-weight: 600; margin: 0; padding: 0; color: #414b59; }
.cl-big { font-size: 2.6rem; font-weight: 700; line-height: 1.15; color: #1c2430; font-variant-numeric: tabular-nums; }
.cl-few .cl-big { color: #737b86; font-weight: 500; }
.cl-note { color: #4d5765; font-size: .9rem; margin: 0; }
.cl-bands { display: flex; height: 1.5rem; border-radius: .3rem; overflow: hidden; margin: .6rem 0 .25rem; gap: 2px; }
.cl-bands span { color: #fff; font-size: .8rem; text-align: center; line-height: 1.5rem; overflow: hidden; white-space: nowrap; }
.cl-detractor { background: #b8410f; } .cl-passive { background: #646c77; } .cl-promoter { background: #0b63a5; }
.cl-few .cl-bands { opacity: .75; }
.cl-scroll { overflow-x: auto; }
.cl-table { border-collapse: collapse; width: 100%; font-size: .92rem; }
.cl-table th { text-align: left; color: #414b59; font-weight: 600; border-bottom: 2px solid #d5dae1; padding: .3rem .6rem .3rem 0; }
.cl-table td { border-bottom: 1px solid #e6e9ee; padding: .35rem .6rem .35rem 0; vertical-align: top; }
.cl-table .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .cl-table tr.cl-few td { color: #656d78; }
.cl-table tr.cl-total td { font-weight: 600; }
.cl-answer { display: grid; grid-template-columns: 4.2rem 1fr; gap: .2rem .9rem; border-bottom: 1px solid #e6e9ee; padding: .7rem 0; }
.cl-score { color: #fff; border-radius: .4rem; text-align: center; font-weight: 700; padding: .3rem 0; align-self: start; font-size: 1.05rem; }
.cl-answer p { margin: 0; overflow-wrap: anywhere; } .cl-verbatim { margin-top: .25rem !important; }
.cl-meter { position: relative; height: .8rem; background: #e6e9ee; border-radius: .3rem; margin: .2rem 0 .1rem; }
.cl-meter b { position: absolute; inset: 0 auto 0 0; background: #0b63a5; border-radius: .3rem; }
.cl-meter i { position: absolute; top: -.2rem; bottom: -.2rem; border: 2px solid #1c2430; border-width: 0 2px; background: #1c243018; }
.cl-footer { color: #4d5765; font-size: .85rem; border-top: 1px solid #d5dae1; margin-top: 2rem; padding-top: .8rem; overflow-wrap: anywhere; }
</style>
"""


def points(value: float | None) -> str:
    """An NPS, rounded, with its sign."""
    return "–" if value is None else f"{round(value) + 0:+d}".replace("-", "−").replace("+0", "0")


def interval(row: dict[str, Any]) -> str:
    return f"{points(row['nps_low'])} to {points(row['nps_high'])}"


def percent(part: float | None, whole: float | None) -> str:
    """A share; a share of nothing is no number."""
    return f"{100 * part / whole:.0f} %" if part is not None and whole else "–"


def note(text: str) -> str:
    """A remark in small type; plain text."""
    return f"<p class='cl-note'>{html.escape(text)}</p>"


def hours(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} h" if value >= 10 else f"{value:.1f} h"


def money(value: float | None) -> str:
    """An amount in the CRM's currency, of which only the size matters."""
    if value is None:
        return "–"
    for size, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}" if abs(value) < size * 999.5 else f"{value / size:,.0f}{unit}"
    return f"{value:,.0f}"


def change(value: float) -> str:
    """A mean change of scores, with its sign."""
    return f"{round(value, 1) + 0:+.1f}".replace("-", "−").replace("+0.0", "0.0")


def counted(count: int, one: str, many: str) -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def answers(count: int) -> str:
    return f"{count:,} answer{'' if count == 1 else 's'}"


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """How long ago, roughly; a moment of a clock that runs ahead is 'just now'."""
    minutes = int((now - then).total_seconds() // 60)
    for size, word in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            count = minutes // size
            return f"{count} {word}{'' if count == 1 else 's'} ago"
    return "just now"


def moment(value: dt.datetime) -> str:
    return f"{value:%d %b %Y, %H:%M}"


def readable(name: str) -> str:
    """The name of a segment or a trigger as people write it."""
    return "CSM" if name == "csm" else name.replace("_", " ").capitalize()


def score_card(title: str, row: dict[str, Any] | None, lines: Iterable[str]) -> str:
    """NPS with its interval and n; grey, and saying why, under the minimum n."""
    if row is None:
        return f"<div class='cl-card cl-few'><h3>{html.escape(title)}</h3><div class='cl-big'>–</div><p class='cl-note'>No answers in this period.</p></div>"
    few = "" if row["is_reportable"] else " cl-few"
    notes = [f"95 % interval {interval(row)}, {answers(row['responses'])}"]
    notes += ["Too few answers to rely on this number."] if few else []
    said = "".join(f"<p class='cl-note'>{html.escape(note)}</p>" for note in (*notes, *lines))
    return (
        f"<div class='cl-card{few}'><h3>{html.escape(title)}</h3>"
        f"<div class='cl-big'>{points(row['nps'])}</div>{said}{bands(row)}</div>"
    )


def bands(row: dict[str, Any]) -> str:
    """The share bar of detractors, passives and promoters, with the same in words below."""
    return _shares((band, SIGNS[band], PLURALS[band], row[f"{band}s"]) for band in ("detractor", "passive", "promoter"))


def statuses(row: dict[str, Any]) -> str:
    """The share bar of what is resolved, in progress and unresolved, with the same in words below."""
    return _shares((*STATUSES[status], row[status]) for status in STATUSES)


def _shares(parts: Iterable[tuple[str, str, str, int]]) -> str:
    """A bar of parts (class of the colour, sign, name, count), and each of them in words."""
    shown = list(parts)
    total = sum(count for *_, count in shown)
    bars = "".join(
        f"<span class='cl-{colour}' style='flex:{count}'>{sign if count / total > 0.08 else ''}</span>"
        for colour, sign, _, count in shown
        if count
    )
    said = " · ".join(
        f"<span style='white-space:nowrap'>{sign} {name} {count:,} ({percent(count, total)})</span>"
        for _, sign, name, count in shown
    )
    return f"<div class='cl-bands' aria-hidden='true'>{bars}</div><p class='cl-note'>{said}</p>"


def fact_cards(facts: Iterable[tuple[str, str, str]]) -> str:
    """Cards of one number each: what it is, the number, and a note."""
    return "<div class='cl-cards cl-facts'>{}</div>".format(
        "".join(
            f"<div class='cl-card'><h3>{html.escape(name)}</h3><div class='cl-big' style='font-size:1.8rem'>{html.escape(value)}</div>"
            f"<p class='cl-note'>{html.escape(note)}</p></div>"
            for name, value, note in facts
        )
    )


def meter(name: str, part: int, whole: int, target: tuple[int, int] | None, basis: str) -> str:
    """A share as a bar with its target range marked, and in words whether it lies in it."""
    share = 100 * part / whole if whole else 0.0
    verdict, mark = "", ""
    if target and whole:
        low, high = target
        place = "below" if share < low else "above" if share > high else "on"
        verdict = f" — {place} target {low}–{high} %"
        mark = f"<i style='left:{low}%;width:{high - low}%'></i>"
    return (
        f"<p class='cl-note'><strong>{html.escape(name)}</strong> {percent(part, whole)} ({part:,} of {whole:,} {html.escape(basis)}){verdict}</p>"
        f"<div class='cl-meter' aria-hidden='true'><b style='width:{min(share, 100):.1f}%'></b>{mark}</div>"
    )


def table(head: Sequence[str], rows: Iterable[tuple[str, Sequence[Any]]], *, numbers: Iterable[int] = ()) -> str:
    """A plain table (readable by screen readers and on phones); each row has a class, cells are escaped."""
    right = set(numbers)

    def line(tag: str, cells: Sequence[Any], kind: str = "") -> str:
        inner = "".join(
            f"<{tag}{' class=n' if i in right else ''}>{html.escape(str(cell))}</{tag}>" for i, cell in enumerate(cells)
        )
        return f"<tr class='{kind}'>{inner}</tr>"

    body = "".join(line("td", cells, kind) for kind, cells in rows)
    return f"<div class='cl-scroll'><table class='cl-table'><thead>{line('th', head)}</thead><tbody>{body}</tbody></table></div>"


def answer(row: dict[str, Any]) -> str:
    """One answer: score, who, where, when, and what was said."""
    sign = SIGNS[row["category"]]
    who = html.escape(" · ".join(part for part in (row["contact"], row["account"]) if part) or "Unknown")
    what = " · ".join(
        part
        for part in (
            row["survey"],
            row["trigger_event"] and readable(row["trigger_event"]),
            row["owner"] and f"owner {row['owner']}",
        )
        if part
    )
    comment = f"<p class='cl-verbatim'>“{html.escape(row['comment'])}”</p>" if row["comment"] else ""
    return (
        f"<div class='cl-answer'><div class='cl-score cl-{row['category']}' title='{row['category']}'>{sign} {row['score']}</div>"
        f"<div><p><strong>{who}</strong></p><p class='cl-note'>{moment(row['submitted_at'])} UTC · {html.escape(what)}</p>{comment}</div></div>"
    )
