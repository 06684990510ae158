"""The short form of `make proof-scanners`: machines that open mails never vote and never unsubscribe anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from scanner_proof import play

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_scanners_leave_raw_hits_and_no_answer_that_counts(tmp_path: Path, browser) -> None:
    found = play(
        tmp_path / "home",
        mails=12,
        browser_mails=3,
        dwelling_mails=2,
        single_mails=1,
        browser=browser,
        say=lambda _: None,
    )
    assert found.raw_hits > 12 * 11 * 2
    assert found.provisional >= 3, "pages that stayed open posted by themselves"
    assert (found.judged_human, found.unsubscribes) == (0, 0)
    assert (found.counted["strict"], found.counted["standard"]) == (0, 0)
    # What no rule can tell from a person who just looks is known, and the strict judgement leaves it out.
    assert found.counted_of_single == {"strict": 0, "standard": 1, "lenient": 1}
