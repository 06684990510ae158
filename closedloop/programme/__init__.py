"""Survey programmes: typed definitions read from `surveys/*.yml`, names of rules and thresholds."""

from closedloop.programme.definitions import Survey, Trigger, load_surveys, stored_survey
from closedloop.programme.rules import Band, Rule, TriggerEvent, band_of

__all__ = ["Band", "Rule", "Survey", "Trigger", "TriggerEvent", "band_of", "load_surveys", "stored_survey"]
