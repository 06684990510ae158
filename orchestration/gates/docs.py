"""Data Docs: what Great Expectations found, as pages that open without a network and hold no personal value.

The sections are rendered by Great Expectations itself; the frame is ours, because its own pages load scripts, styles and
pictures from other people's servers.
"""

from __future__ import annotations

import datetime as dt
import html
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from orchestration.gates.runner import Finding

TITLES = {
    "arrived": "What arrived",
    "sending": "What is about to be sent",
    "published": "What is about to be published",
}
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; } th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } pre, code { white-space: pre-wrap; font-size: .85em; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; padding: .4rem .8rem; } summary { cursor: pointer; }
.badge { background: var(--soft); border-radius: .3rem; padding: 0 .3rem; } .text-success::before { content: "passed"; } .text-danger::before { content: "failed"; }
.scroll { overflow-x: auto; } h5, h6 { margin: .4rem 0; font-size: 1rem; } i { font-style: normal; }
.failed { font-weight: 700; } .failed::before { content: "\\2717 "; } .passed::before { content: "\\2713 "; } .warned::before { content: "! "; }
"""


def write_page(folder: Path, gate: str, *, build_id: str, as_of: dt.datetime, findings: Iterable[Finding]) -> Path:
    """Write `<gate>.html` of this run, and the index. Returns the page's path."""
    findings = list(findings)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = [outcome for finding in findings for outcome in finding.outcomes]
    failed = sum(not outcome.passed and outcome.required for outcome in outcomes)
    warned = sum(not outcome.passed and not outcome.required for outcome in outcomes)
    state = f"{len(outcomes)} checks, {failed} failed, {warned} warned"
    body = "".join(
        (
            f"<p><a href='index.html'>All gates</a></p><h1>{TITLES[gate]}</h1>",
            f"<p>Build <code>{html.escape(build_id)}</code>, data as of {as_of:%Y-%m-%d %H:%M} UTC: <strong>{state}</strong>.</p>",
            _summary(findings),
            "<h2>By table</h2>",
            *_details(findings),
        )
    )
    page = folder / f"{gate}.html"
    _write(page, _frame(TITLES[gate], body))
    _write(folder / "index.html", _frame("Checks that guard", _index(folder)))
    return page


def _summary(findings: list[Finding]) -> str:
    lines = []
    for finding in findings:
        meanings = {check.name: (check.meaning, check.none_is_fine) for check in finding.suite.checks}
        for outcome in finding.outcomes:
            meaning, none_is_fine = meanings.get(
                outcome.name.rsplit(".", 1)[-1], ("The table exists and has checks.", None)
            )
            if outcome.passed and not outcome.details.get("evaluated"):
                meaning += f" (Nothing to look at: {none_is_fine or finding.suite.empty_is_fine}.)"
            word = "passed" if outcome.passed else "failed" if outcome.required else "warned"
            counts = ", ".join(f"{key} {value}" for key, value in outcome.details.items())
            lines.append(
                f"<tr><td class='{word}'>{word}</td><td>{html.escape(finding.suite.name)}</td>"
                f"<td>{html.escape(meaning)}</td><td class='number'>{html.escape(counts)}</td></tr>"
            )
    return (
        "<div class='scroll'><table><thead><tr><th>Result</th><th>Table</th><th>Check</th><th>Counts</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _details(findings: list[Finding]) -> Iterator[str]:
    """The sections that Great Expectations renders for each suite, without its overview of links and run times."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaSectionView

    renderer, view = ValidationResultsPageRenderer(), DefaultJinjaSectionView()  # one view: it keeps compiled templates
    for finding in findings:
        if finding.result is None:
            continue
        sections = "".join(
            view.render({"section": section, "section_loop": {"index": 1}})
            for section in renderer.render(finding.result).to_json_dict()["sections"]
            if section.get("section_name") != "Overview"
        )
        yield f"<details><summary>{html.escape(finding.suite.table)}</summary><div class='scroll'>{sections}</div></details>"


def _index(folder: Path) -> str:
    known = [gate for gate in TITLES if (folder / f"{gate}.html").exists()]
    listed = "".join(f"<li><a href='{gate}.html'>{TITLES[gate]}</a></li>" for gate in known)
    return f"<h1>Checks that guard</h1><p>The last run of each gate.</p><ul>{listed}</ul>"


def _frame(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
