"""A plan and a what-if for people: as a table in the terminal, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SIGNS = {"new": "+", "changed": "~", "unchanged": " ", "removed": "-"}


def plan_as_text(found: Mapping[str, Any]) -> str:
    """The plan as it reads in a terminal."""
    parts = [f"plan as of {found['as_of'][:16].replace('T', ' ')} UTC, to {found['until']}"]
    for one in found["surveys"]:
        parts.append(_survey_text(one))
    if not found["surveys"]:
        parts.append("no survey to plan")
    return "\n\n".join(parts)


def _survey_text(one: Mapping[str, Any]) -> str:
    told = {"new": "new", "changed": "changed against the version in force", "unchanged": "as in force"}[one["change"]]
    lines = [f"{SIGNS[one['change']]} {one['survey_id']}  {one['name']}  ({one['status']}, {told})"]
    lines += [f"    ~ {row['field']}: {_value(row['before'])} -> {_value(row['after'])}" for row in one["changes"][:20]]
    if len(one["changes"]) > 20:
        lines.append(f"    ... and {len(one['changes']) - 20} more fields")
    before = one["before"]["ask"] if one["before"] else None
    lines.append(
        f"    {'':<34}{'now':>9}{'in all':>9}{'before':>9}" if one["before"] else f"    {'':<34}{'now':>9}{'in all':>9}"
    )
    for name, now, later, old in _table(one):
        lines.append(f"    {name:<34}{now:>9,}{later:>9,}" + (f"{old:>9,}" if before is not None else ""))
    for rule, contacts in sorted(one["examples"].items(), key=lambda item: item[0] != "passed"):
        lines.append(f"    e.g. {rule}: {', '.join(contacts)}")
    for row in one["collisions"]:
        lines.append(f"    {row['contacts']:,} stand back for '{row['survey_id']}' ({row['rule']})")
    if one["next_days"]["ask"]:
        lines.append(f"    {'to expect':<34}{'asks':>9}{'answers':>9}{'interval':>11}")
        for row in one["expected"]:
            name = "all" if row["segment"] == "all" else f"{row['segment']} {row['segment_value']}"
            lines.append(
                f"      {name:<32}{row['asks']:>9,}{row['answers']:>9,.0f}{'±':>5}{row['half_width']:>4.0f} pts"
            )
    lines += [f"    ! {warning}" for warning in one["warnings"]]
    return "\n".join(lines)


def _table(one: Mapping[str, Any]) -> Iterable[tuple[str, int, int, int]]:
    now, later, before = one["now"], one["next_days"], one["before"] or {"ask": 0, "skip": {}, "defer": {}}
    yield "would be asked", now["ask"], later["ask"], before["ask"]
    for kind, verb in (("defer", "waits"), ("skip", "not asked")):
        for rule in dict.fromkeys([*later[kind], *now[kind], *before[kind]]):
            yield (
                f"{verb}: {rule}",
                now[kind].get(rule, 0),
                later[kind].get(rule, 0),
                before[kind].get(rule, 0),
            )


def plan_as_markdown(found: Mapping[str, Any]) -> str:
    """The plan for a pull request."""
    parts = [f"### Plan as of {found['as_of'][:16].replace('T', ' ')} UTC, to {found['until']}"]
    for one in found["surveys"]:
        parts.append(f"#### `{one['survey_id']}` {one['name']} ({one['status']}, {one['change']})")
        if one["changes"]:
            parts.append(
                _markdown(
                    ("field", "before", "after"),
                    ([r["field"], _value(r["before"]), _value(r["after"])] for r in one["changes"]),
                )
            )
        head = ["", "now", "in all"] + (["before"] if one["before"] else [])
        rows = (
            [name, f"{now:,}", f"{later:,}"] + ([f"{old:,}"] if one["before"] else [])
            for name, now, later, old in _table(one)
        )
        parts.append(_markdown(head, rows))
        if one["collisions"]:
            parts.append(
                _markdown(
                    ("stands back for", "rule", "contacts"),
                    ([r["survey_id"], r["rule"], f"{r['contacts']:,}"] for r in one["collisions"]),
                )
            )
        if one["next_days"]["ask"]:
            parts.append(
                _markdown(
                    ("to expect of", "asks", "answers", "interval", "rate from"),
                    (
                        [
                            "all" if r["segment"] == "all" else f"{r['segment']} {r['segment_value']}",
                            f"{r['asks']:,}",
                            f"{r['answers']:,.0f}",
                            f"±{r['half_width']:.0f}",
                            f"{r['response_rate']:.0%} ({r['rate_from']})",
                        ]
                        for r in one["expected"]
                    ),
                )
            )
        if one["warnings"]:
            parts.append("\n".join(f"- ⚠ {warning}" for warning in one["warnings"]))
    return "\n\n".join(parts)


def what_if_as_text(found: Mapping[str, Any]) -> str:
    """Both replays side by side."""
    rules = ", ".join(f"{name} = {value}" for name, value in found["rules"].items()) or "nothing changed"
    today = found["today"]
    lines = [
        f"what if {rules}: '{found['survey']}' from {found['from']} to {found['to']}"
        + (", alone" if found["alone"] else ""),
        f"{'':<36}{'what if':>10}{'today':>10}",
        f"{'asked':<36}{found['asked']:>10,}{today['asked']:>10,}",
    ]
    for kind, verb in (("skipped", "not asked"), ("waiting", "still waits")):
        for rule in dict.fromkeys([*found[kind], *today[kind]]):
            lines.append(f"{f'{verb}: {rule}':<36}{found[kind].get(rule, 0):>10,}{today[kind].get(rule, 0):>10,}")
    for name, key in (("people asked", "people_asked"), ("most asks of one person", "most_asks_of_one")):
        lines.append(f"{name:<36}{found[key]:>10,}{today[key]:>10,}")
    lines.append(f"{'answers to expect':<36}{found['expected_answers']:>10,.0f}{today['expected_answers']:>10,.0f}")
    widths = [f"±{one['expected_half_width']:.1f}" if one["expected_half_width"] else "-" for one in (found, today)]
    lines.append(f"{'interval to expect (95 %, points)':<36}{widths[0]:>10}{widths[1]:>10}")
    lines.append("people asked by month")
    for month in sorted(found["people_asked_by_month"].keys() | today["people_asked_by_month"].keys()):
        counts = [one["people_asked_by_month"].get(month, 0) for one in (found, today)]
        lines.append(f"  {month:<34}{counts[0]:>10,}{counts[1]:>10,}")
    return "\n".join(lines)


def _markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _value(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
