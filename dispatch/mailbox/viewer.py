"""The mails of the embedded sink in a browser. It fetches nothing from outside but pictures of the collector."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from closedloop.settings import Settings
from dispatch.mailbox.store import MailStore

PAGE_SIZE = 50
VIEWS = {"html": "Mail", "phone": "Phone width", "text": "Text part", "source": "Source"}
# Opened links leave the sandbox, so that the survey page works; the mail itself runs no script and sees no page around it.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def create_app(settings: Settings) -> Starlette:
    """`/` lists the mails, `/mail/<key>` shows one, `/mail/<key>/html` is its body for the frame."""
    store = MailStore(settings.mailbox_dir)
    collector = urlsplit(settings.collector_url)
    body_policy = (
        f"default-src 'none'; img-src data: {collector.scheme}://{collector.netloc}; style-src 'unsafe-inline'; "
        f"frame-ancestors 'self'; sandbox {SANDBOX}"
    )
    css = (Path(__file__).parent / "templates" / "mailbox.css").read_text(encoding="utf-8")

    def index(request: Request) -> Response:
        wanted = request.query_params.get("to", "")
        number = request.query_params.get("page", "1")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 1
        mails = store.newest(wanted)
        pages = max(1, -(-len(mails) // PAGE_SIZE))
        page = min(max(page, 1), pages)
        view = {
            "mails": mails[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
            "total": len(mails),
            "wanted": wanted,
            "newer": _address(wanted, page - 1) if page > 1 else "",
            "older": _address(wanted, page + 1) if page < pages else "",
            "page": page,
            "pages": pages,
        }
        return _page("list.html", view)

    def mail(request: Request) -> Response:
        found = store.read(request.path_params["key"])
        if found is None:
            return _page("missing.html", {}, 404)
        first = "html" if found.html else "text"
        view = request.query_params.get("view", first)
        views = {name: label for name, label in VIEWS.items() if found.html or name in {"text", "source"}}
        return _page(
            "mail.html", {"mail": found, "view": view if view in views else first, "views": views, "sandbox": SANDBOX}
        )

    def body(request: Request) -> Response:
        found = store.read(request.path_params["key"])
        if found is None:
            return PlainTextResponse("no such mail", 404)
        # Links open beside the mailbox; without a head of its own the mail gets one.
        base = '<base target="_blank">'
        html, heads = re.subn(r"(?i)<head[^>]*>", lambda match: match[0] + base, found.html, count=1)
        return HTMLResponse(html if heads else base + html, headers=_HEADERS | {"Content-Security-Policy": body_policy})

    def style(request: Request) -> Response:
        return Response(css, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    return Starlette(
        routes=[
            Route("/", index),
            Route("/mail/{key}", mail),
            Route("/mail/{key}/html", body),
            Route("/mailbox.css", style),
            Route("/healthz", lambda request: PlainTextResponse("ok")),
        ]
    )


def _address(wanted: str, page: int) -> str:
    return "/?" + urlencode({"to": wanted, "page": page} if wanted else {"page": page})


def _page(template: str, view: dict[str, object], status: int = 200) -> Response:
    html = _TEMPLATES.get_template(template).render(view)
    return HTMLResponse(html, status, headers=_HEADERS | {"Content-Security-Policy": _PAGE_POLICY})
