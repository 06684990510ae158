"""The dashboard reads what was published: one publication a page, gaps kept, nothing pooled."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from published_marts import publish

from dashboard.queries import (
    NothingPublished,
    Period,
    Scope,
    Unreadable,
    current_target,
    open_publication,
)

RELATIONSHIP, TRANSACTIONAL = Scope("relationship"), Scope("transactional")
YEAR = Period("year", dt.date(2026, 1, 1))


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("dashboard"))


@pytest.fixture
def publication(marts: Path):
    with open_publication(marts) as publication:
        yield publication


def test_nothing_published_and_a_broken_file_are_told_apart(tmp_path: Path) -> None:
    link = tmp_path / "marts.duckdb"
    with pytest.raises(NothingPublished), open_publication(link):
        pass
    link.write_bytes(b"not a database" * 100)
    with pytest.raises(Unreadable), open_publication(link):
        pass


def test_a_file_without_the_marts_is_unreadable_too(tmp_path: Path) -> None:
    import duckdb

    duckdb.connect(str(tmp_path / "marts.duckdb")).close()
    with pytest.raises(Unreadable), open_publication(tmp_path / "marts.duckdb") as publication:
        publication.audit()


def test_a_page_stays_with_its_publication_and_the_next_sees_the_new_one(tmp_path: Path) -> None:
    link = publish(tmp_path, publication_id="p-1")
    with open_publication(link) as old:
        publish(tmp_path, publication_id="p-2", answers=False)
        (tmp_path / "published" / "marts-p-1.duckdb").unlink()
        assert old.audit().publication_id == "p-1"
        assert old.nps(RELATIONSHIP) is not None
        with open_publication(link) as new:
            assert new.audit().publication_id == "p-2"
            assert new.nps(RELATIONSHIP) is None
    assert current_target(link) == "marts-p-2.duckdb"
    assert current_target(tmp_path / "nowhere") is None


def test_audit_times_are_aware_utc(publication) -> None:
    assert publication.audit().as_of == dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def test_types_are_never_pooled(publication) -> None:
    relationship, transactional = publication.nps(RELATIONSHIP), publication.nps(TRANSACTIONAL)
    assert relationship["responses"] == 364
    assert transactional["responses"] == 12
    assert (relationship["is_reportable"], transactional["is_reportable"]) == (True, False)


def test_trend_keeps_a_gap_where_nobody_answered(publication) -> None:
    rows = publication.trend(RELATIONSHIP, "month")
    assert [f"{start:%m}" for start in rows["period_start"]] == [
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
        "11",
        "12",
        "01",
        "02",
        "03",
    ]
    gap = rows[rows["responses"] == 0]
    assert len(gap) == 1
    assert gap["nps"].isna().all()
    assert len(publication.trend(RELATIONSHIP, "week", periods=5)) == 5


def test_distribution_shows_all_eleven_scores_and_agrees_with_the_report(publication) -> None:
    for scope in (
        RELATIONSHIP,
        Scope("relationship", "relationship"),
        Scope("relationship", period=YEAR),
        Scope("relationship", segment="tier", segment_value="Enterprise"),
        Scope("relationship", segment="owner", segment_value="U1", period=YEAR),
    ):
        rows = publication.distribution(scope)
        assert list(rows["score"]) == list(range(11))
        assert rows["responses"].sum() == publication.nps(scope)["responses"]
    assert publication.distribution(Scope("relationship", segment="tenure", segment_value="0-90")) is None


def test_segments_that_divide_the_answers_with_names_of_owners(publication) -> None:
    assert publication.segments(RELATIONSHIP) == ["tier", "region", "owner"], "tenure has one value only"
    assert set(publication.segment_rows(RELATIONSHIP, "owner")["label"]) == {"Ana Silva", "Ben Okoro", "Cleo Marsh"}


def test_the_trend_begins_with_a_grain_that_tells_something(publication) -> None:
    assert publication.telling_grain(RELATIONSHIP) == "month"
    assert publication.telling_grain(TRANSACTIONAL) == "quarter"


def test_periods_newest_first(publication) -> None:
    periods = publication.periods()
    assert periods[0] == Period()
    assert [period.label for period in periods[:4]] == ["All time", "2026", "2025", "Q1 2026"]
    assert periods[3].end == dt.date(2026, 4, 1)
    assert sum(period.grain == "month" for period in periods) == 12


@pytest.mark.parametrize(("grain", "start", "end"), [
    ("year", dt.date(2025, 1, 1), dt.date(2026, 1, 1)),
    ("quarter", dt.date(2025, 10, 1), dt.date(2026, 1, 1)),
    ("month", dt.date(2025, 12, 1), dt.date(2026, 1, 1)),
    ("week", dt.date(2025, 12, 29), dt.date(2026, 1, 5)),
])  # fmt: skip
def test_end_of_a_period(grain: str, start: dt.date, end: dt.date) -> None:
    assert Period(grain, start).end == end


def test_funnel_adds_channels_and_is_none_where_nothing_was_sent(publication) -> None:
    funnel = publication.funnel(RELATIONSHIP)
    assert (funnel["sent"], funnel["responded"]) == (1456, 364)
    assert publication.funnel(Scope("relationship", period=Period("year", dt.date(2001, 1, 1)))) is None


def test_recent_answers_newest_first_with_names(publication) -> None:
    rows = publication.recent(RELATIONSHIP, limit=3)
    assert [row["contact"] for row in rows] == ["Person Number 0", "Person Number 1", "Person Number 2"]
    assert all(row["category"] == "detractor" for row in publication.recent(RELATIONSHIP, category="detractor"))
    assert publication.waiting()[0]["due_at"] == min(row["due_at"] for row in publication.waiting())


def test_who_follows_up_is_named_and_the_busiest_comes_first(publication) -> None:
    rows = publication.closed_loop_by(Period(), "owner")
    assert {row["label"] for row in rows} == {"Ana Silva", "Ben Okoro", "Cleo Marsh"}
    assert [row["to_follow_up"] for row in rows] == sorted((row["to_follow_up"] for row in rows), reverse=True)
    assert sum(row["to_follow_up"] for row in rows) == publication.closed_loop(Period())["to_follow_up"]
    assert [row["label"] for row in publication.closed_loop_by(Period(), "team")] == ["Sales"]
    assert publication.closed_loop_by(YEAR, "team") == []


def test_score_paths_add_up_to_all_who_came_from_a_category(publication) -> None:
    paths = {(row["from_category"], row["follow_up"]): row for row in publication.score_paths("relationship", Period())}
    detractors = paths["detractor", "all"]
    assert (detractors["to_detractor"], detractors["to_passive"], detractors["to_promoter"]) == (30, 14, 16)
    assert detractors["changes"] == 60
    assert detractors["mean_change"] == pytest.approx((30 * 0.2 + 14 * 3.5 + 16 * 6.1) / 60)
    assert paths["detractor", "not_within_sla"]["to_passive"] == 0
    assert ("passive", "within_sla") not in paths
    assert publication.score_paths("transactional", Period()) == []


def test_goals_are_those_of_the_newest_year_with_answers(publication) -> None:
    found = [(row["scope"], row["survey_id"], row["verdict"]) for row in publication.goals("relationship")]
    assert found == [
        ("company", "all", "on track"),
        ("segment", "all", "behind"),
        ("segment", "all", "too few responses"),
        ("survey", "relationship", "behind"),
    ]
    assert publication.goals("transactional") == []


def test_an_empty_publication_answers_every_question(tmp_path: Path) -> None:
    with open_publication(publish(tmp_path, answers=False)) as empty:
        assert empty.nps(RELATIONSHIP) is None
        assert empty.trend(RELATIONSHIP, "month").empty
        assert empty.change(RELATIONSHIP, "month") is None
        assert empty.distribution(RELATIONSHIP)["responses"].sum() == 0
        assert empty.funnel(RELATIONSHIP) is None
        assert empty.closed_loop(Period()) is None
        assert empty.closed_loop_by(Period(), "owner") == empty.score_paths("relationship", Period()) == []
        assert empty.segments(RELATIONSHIP) == empty.waiting() == empty.recent(RELATIONSHIP) == []
        assert empty.periods() == [Period()]
