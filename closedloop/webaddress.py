"""Addresses on the web that a company gives us to send people to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_web_address(url: str) -> bool:
    """Whether `url` plainly leads to one https host: no user before an @, nothing that a browser reads in another way."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_plain = url.isascii() and not re.search(r"[\s\x00-\x1f\x7f\"'<>\\]", url) and "@" not in parts.netloc
    return is_plain and parts.scheme == "https" and bool(parts.hostname)
