"""Mails, rendered: what a respondent or an account owner gets, as text, HTML and safe headers."""

from dispatch.rendering.alert import render_alert
from dispatch.rendering.block import render_score_block
from dispatch.rendering.invitation import render_invitation
from dispatch.rendering.parts import EmailParts
from dispatch.rendering.reply import render_reply
from dispatch.rendering.text_message import TextParts, render_text_message

__all__ = [
    "EmailParts",
    "TextParts",
    "render_text_message",
    "render_alert",
    "render_invitation",
    "render_reply",
    "render_score_block",
]
