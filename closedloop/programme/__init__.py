"""Survey programmes: typed definitions read from `surveys/*.yml`, names of rules and thresholds."""

from closedloop.programme.definitions import Survey, stored_survey
from closedloop.programme.files import load_survey, load_surveys
from closedloop.programme.rules import Band, Rule, TriggerEvent, WaitingRule, band_of
from closedloop.programme.triggers import Trigger

__all__ = [
    "Band",
    "Rule",
    "Survey",
    "Trigger",
    "TriggerEvent",
    "WaitingRule",
    "band_of",
    "load_survey",
    "load_surveys",
    "stored_survey",
]
