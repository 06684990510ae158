"""What kind of program asked for a picture or a page: a coarse word, never the whole header, which may single out a person."""

from __future__ import annotations

import re

_PREFETCH = "Mozilla/5.0"
"""All that Apple's mail privacy says of itself: it fetches the pictures of every mail, read or not."""
_PROXIES = {"GoogleImageProxy": "google-proxy", "YahooMailProxy": "yahoo-proxy", "ggpht.com": "google-proxy"}
"""They fetch a picture when a person opens the mail."""
_ROBOT = re.compile(
    r"bot\b|crawl|spider|curl/|wget/|python-|httpx/|go-http|java/|libwww|okhttp|headless|phantomjs|safelinks|barracuda|proofpoint|mimecast",
    re.IGNORECASE,
)


def agent_of(user_agent: str) -> tuple[str, bool]:
    """A word for the program, and whether it is surely no person's: ('apple-prefetch', True), ('google-proxy', False),
    ('robot', True), ('none', True) where it says nothing, else ('browser', False)."""
    said = user_agent.strip()
    if not said:
        return "none", True
    if said == _PREFETCH:
        return "apple-prefetch", True
    for mark, label in _PROXIES.items():
        if mark in said:
            return label, False
    return ("robot", True) if _ROBOT.search(said) else ("browser", False)
