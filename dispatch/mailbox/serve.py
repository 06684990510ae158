"""Sink and viewer together, until SIGTERM or Ctrl-C."""

from __future__ import annotations

from urllib.parse import urlsplit

from closedloop.serving import listen, run
from closedloop.settings import Settings
from dispatch.mailbox.sink import MailSink
from dispatch.mailbox.viewer import create_app

DEFAULT_SMTP_PORT = 25


def serve_mailbox(
    settings: Settings, http_port: int = 8081, *, smtp_port: int | None = None, host: str = "127.0.0.1"
) -> None:
    """The sink at the host and port of `CLOSEDLOOP_SMTP_URL` (or `smtp_port`) and the viewer at `http_port`.

    Returns when told to stop. Raises BadInput when a port is in use.
    """
    settings.ensure_home()
    smtp = urlsplit(settings.smtp_url)
    port = smtp_port if smtp_port is not None else (smtp.port or DEFAULT_SMTP_PORT)
    web = listen(host, http_port, remedy="stop what uses it, or choose another with --port")
    try:
        with MailSink(settings.mailbox_dir, smtp.hostname or "127.0.0.1", port):
            print(f"mailbox: http://{host}:{web.getsockname()[1]}  (mail to {smtp.hostname}:{port})", flush=True)
            run(create_app(settings), web)
    finally:
        web.close()
