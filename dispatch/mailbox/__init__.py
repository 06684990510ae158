"""The embedded mail sink and its viewer: what a demo, a test or a careful first run sends to."""

from dispatch.mailbox.serve import serve_mailbox
from dispatch.mailbox.sink import MailSink

__all__ = ["MailSink", "serve_mailbox"]
