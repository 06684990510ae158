"""Names and thresholds that SQL, Python and pages share."""

from __future__ import annotations

from enum import StrEnum

DETRACTOR_MAX = 6
PROMOTER_MIN = 9
CRITICAL_MAX = 4
"""The owner's manager is in copy of the alert up to this score."""
ESCALATION_MAX = 3
"""The manager takes over the follow-up up to this score, where the survey says so."""


class Band(StrEnum):
    """The category of a score."""

    PROMOTER = "promoter"
    PASSIVE = "passive"
    DETRACTOR = "detractor"


def band_of(score: int) -> Band:
    """0-6 detractor, 7-8 passive, 9-10 promoter. Raises ValueError outside 0..10."""
    if not 0 <= score <= 10:
        raise ValueError(f"a score is a whole number from 0 to 10, not {score}")
    if score <= DETRACTOR_MAX:
        return Band.DETRACTOR
    return Band.PROMOTER if score >= PROMOTER_MIN else Band.PASSIVE


class TriggerEvent(StrEnum):
    """What makes a contact due. Events come from record state and from changes of fields, the rest from the calendar."""

    DEAL_WON = "deal_won"
    TICKET_RESOLVED = "ticket_resolved"
    SCHEDULE_QUARTERLY = "schedule_quarterly"

    DEAL_LOST = "deal_lost"
    PURCHASE = "purchase"
    ORDER_DELIVERED = "order_delivered"
    CONTRACT_RENEWED = "contract_renewed"
    ONBOARDING_COMPLETED = "onboarding_completed"
    PROJECT_FINISHED = "project_finished"
    SUPPORT_CONTACT = "support_contact"
    SIGN_UP = "sign_up"
    CUSTOMER_LOST = "customer_lost"
    FIELD_CHANGED = "field_changed"

    SCHEDULE_MONTHLY = "schedule_monthly"
    SCHEDULE_BIANNUAL = "schedule_biannual"
    SCHEDULE_ANNUAL = "schedule_annual"
    CUSTOMER_AGE = "customer_age"
    CUSTOMER_ANNIVERSARY = "customer_anniversary"
    BEFORE_RENEWAL = "before_renewal"
    FIXED_DATES = "fixed_dates"


SCHEDULE_DAYS = {TriggerEvent.SCHEDULE_QUARTERLY: 90, TriggerEvent.SCHEDULE_BIANNUAL: 180}
"""Days between two occurrences, for the schedules that count days; the others count months."""


class Rule(StrEnum):
    """The rules about who may be asked, in the order in which the deciding one is named. They skip."""

    CONTACT_GONE = "contact_gone"
    """The contact or its account was deleted in the CRM."""
    NO_ADDRESS = "no_address"
    """The contact has no usable mail address."""
    EXCLUDED = "excluded"
    """The contact or its account is on the exclusion list."""
    OPTED_OUT = "opted_out"
    """The CRM says that this contact does not want mail."""
    SUPPRESSED = "suppressed"
    """The address unsubscribed, complained or bounced, or its owner does not want this survey."""
    AUDIENCE = "audience"
    """The survey's filter does not take this contact."""
    NOT_SAMPLED = "not_sampled"
    """The survey asks a sample of its audience, and this contact was not drawn."""
    EXPIRED = "expired"
    """The event is older than the survey's `max_age_days`."""
    COOLDOWN = "cooldown"
    """The person was asked less than `cooldown.days` days ago, or less than they chose to be asked at most."""
    RECENT_RESPONSE = "recent_response"
    """The person answered a survey less than `skip_after_response_days` days ago."""
    ACCOUNT_CAP = "account_cap"
    """As many of the account were asked as the survey's `account_cap` allows in its days."""
    ONE_PER_WAVE = "one_per_wave"
    """Another survey, or another event, takes precedence for the same person in this evaluation."""
    PASSED = "passed"
    """Nothing speaks against asking."""


class WaitingRule(StrEnum):
    """The rules about when, in the order in which the deciding one is named. They defer, until `max_age_days` is over."""

    WAVE_SLOT = "wave_slot"
    """The audience is spread over days, and this contact's day has not come."""
    BUSINESS_HOURS = "business_hours"
    """It is outside the business hours, on a weekend or holiday, where the recipient is."""
