"""How numbers and people are written, and how the server is started."""

from __future__ import annotations

import datetime as dt
import socket

import pytest

from closedloop.errors import BadInput
from dashboard import words
from dashboard.serve import command, environment, run_dashboard

ROW = {"nps": 33.4, "nps_low": -26.7, "nps_high": 71.2, "responses": 6, "is_reportable": False}
COUNTS = {"promoters": 3, "passives": 2, "detractors": 1}
NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


@pytest.mark.parametrize(("value", "text"), [
    (33.4, "+33"), (-26.7, "−27"), (0.0, "0"), (-0.4, "0"), (0.4, "0"), (100, "+100"), (None, "–"),
])  # fmt: skip
def test_points(value: float | None, text: str) -> None:
    assert words.points(value) == text


@pytest.mark.parametrize(("minutes", "text"), [
    (0, "just now"), (-30, "just now"), (1, "1 minute ago"), (59, "59 minutes ago"), (60, "1 hour ago"), (3000, "2 days ago"),
])  # fmt: skip
def test_ago(minutes: int, text: str) -> None:
    assert words.ago(NOW - dt.timedelta(minutes=minutes), NOW) == text


@pytest.mark.parametrize(("value", "text"), [
    (None, "–"), (0.0, "0"), (999.4, "999"), (999.9, "1 k"), (1000, "1 k"), (48_500, "48.5 k"), (340_500, "340 k"), (999_499, "999 k"),
    (999_999, "1 M"), (1_234_567, "1.23 M"), (999_999_999, "1 bn"), (12_345_678_901, "12.3 bn"), (1.5e12, "1,500 bn"),
])  # fmt: skip
def test_money_is_told_by_its_size(value: float | None, text: str) -> None:
    assert words.money(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.54, "+2.5"), (-0.4, "−0.4"), (0.04, "0.0"), (-0.04, "0.0"), (10, "+10.0")]
)
def test_a_mean_change_has_its_sign(value: float, text: str) -> None:
    assert words.change(value) == text


def test_the_three_statuses_are_told_by_words_and_signs() -> None:
    said = words.statuses({"resolved": 3, "in_progress": 2, "unresolved": 1})
    assert "✓ Resolved 3 (50 %)" in said and "→ In progress 2 (33 %)" in said and "○ Unresolved 1 (17 %)" in said


def test_a_share_of_nothing_is_no_number() -> None:
    assert words.percent(0, 0) == words.percent(None, 5) == "–"
    assert words.percent(1, 3) == "33 %"


def test_a_card_has_the_interval_and_n_and_greys_a_number_of_few_answers() -> None:
    few = words.score_card("NPS", ROW | COUNTS, [])
    assert "cl-few" in few and "Too few answers" in few and "−27 to +71, 6 answers" in few
    enough = words.score_card("NPS", ROW | COUNTS | {"is_reportable": True}, [])
    assert "cl-few" not in enough and "Too few" not in enough
    assert "No answers" in words.score_card("NPS", None, [])


def test_bands_are_told_by_words_and_signs_not_only_by_colour() -> None:
    said = words.bands(COUNTS)
    assert "▼ Detractors 1 (17 %)" in said and "● Passives 2 (33 %)" in said and "▲ Promoters 3 (50 %)" in said


@pytest.mark.parametrize(("part", "word"), [(39, "below"), (40, "on"), (60, "on"), (61, "above")])
def test_a_rate_is_compared_with_its_target(part: int, word: str) -> None:
    assert f"— {word} target 40–60 %" in words.meter("Opened", part, 100, (40, 60), "sent")
    assert "target" not in words.meter("Opened", 0, 0, (40, 60), "sent")


def test_what_customers_wrote_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    row = {"score": 3, "category": "detractor", "submitted_at": NOW, "contact": evil, "account": evil, "comment": evil}
    said = words.answer(row | {"survey": evil, "trigger_event": evil, "owner": evil})
    said += words.table([evil], [("", [evil])]) + words.note(evil) + words.fact_cards([(evil, evil, evil)])
    assert "<script" not in said


def test_the_server_listens_on_loopback_and_tells_nobody(settings) -> None:
    line = command(8501)
    assert "--server.address=127.0.0.1" in line and "--browser.gatherUsageStats=false" in line
    assert "--server.headless=true" in line and "--server.port=8501" in line
    assert environment(settings)["CLOSEDLOOP_HOME"] == str(settings.home)


def test_a_port_in_use_is_a_clear_error(settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="--port"):
            run_dashboard(settings, taken.getsockname()[1])
