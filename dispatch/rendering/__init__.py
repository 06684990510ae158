"""Mails, rendered: what a respondent or an account owner gets, as text, HTML and safe headers."""

from dispatch.rendering.alert import render_alert
from dispatch.rendering.block import render_score_block
from dispatch.rendering.invitation import render_invitation
from dispatch.rendering.parts import EmailParts

__all__ = ["EmailParts", "render_alert", "render_invitation", "render_score_block"]
