"""What kind of program fetched a picture."""

import pytest

from ingestion.collector.agents import agent_of


@pytest.mark.parametrize(
    ("said", "label", "is_machine"),
    [
        ("Mozilla/5.0", "apple-prefetch", True),
        (
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "google-proxy",
            False,
        ),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "yahoo-proxy", False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15", "browser", False),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; ms-office; MSOffice 16)", "browser", False),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0", "robot", True),
        ("python-requests/2.31", "robot", True),
        ("Barracuda Sentinel (EE)", "robot", True),
        ("", "none", True),
    ],
)
def test_the_program_is_told_by_what_it_says(said: str, label: str, is_machine: bool):
    assert agent_of(said) == (label, is_machine)
