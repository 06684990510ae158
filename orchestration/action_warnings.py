"""Actions of workflows that can reach nobody as the settings are: said when programmes are checked, not when an answer waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from closedloop.errors import BadInput
from closedloop.programme import Survey
from closedloop.programme.workflows import ChatAction, NotifyAction
from closedloop.settings import Settings
from closedloop.yamlfile import line_in
from orchestration.programme_fields import files_by_survey


def action_warnings(settings: Settings, surveys: Iterable[Survey]) -> list[BadInput]:
    """A chat that `CLOSEDLOOP_CHAT_WEBHOOKS` does not name, and push messages that the CRM's mapping leaves out; each with its
    place in the programme's file."""
    found = [(survey.id, *one) for survey in surveys for one in _of(survey, settings)]
    files = files_by_survey(settings) if found else {}
    return [
        BadInput(
            problem,
            file=files[survey_id],
            line=line_in(files[survey_id], *place),
            field=".".join(map(str, place)),
            remedy=remedy,
        )
        for survey_id, place, problem, remedy in found
    ]


def _of(survey: Survey, settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for number, workflow in enumerate(survey.workflows):
        for at, action in enumerate(workflow.actions):
            place = ("workflows", number, "actions", at)
            if isinstance(action, ChatAction) and action.channel not in settings.chat_webhooks:
                known = ", ".join(sorted(settings.chat_webhooks)) or "none"
                yield (
                    (*place, "channel"),
                    f"no chat '{action.channel}' is set (there is: {known}): nothing is posted",
                    "name it in CLOSEDLOOP_CHAT_WEBHOOKS",
                )
            elif isinstance(action, NotifyAction) and not _notifies(settings):
                yield (
                    (*place, "do"),
                    "the mapping for the CRM has no notification: nobody gets a push message",
                    "add one to CLOSEDLOOP_WRITE_BACK (docs/write-back.md), or use alert or chat",
                )


def _notifies(settings: Settings) -> bool:
    from dispatch.crm import load_write_back

    return load_write_back(settings.write_back).notification is not None
