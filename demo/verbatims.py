"""What customers write: a theme, said in one of many ways, for each band of scores."""

from __future__ import annotations

from random import Random

from closedloop.programme import Band

THEMES: dict[str, dict[Band, tuple[str, ...]]] = {
    "support": {
        Band.DETRACTOR: (
            "We waited {days} days for a first answer from support.",
            "Support closed our ticket although the problem was not solved.",
            "Every support ticket starts from zero, we explain the same thing {times} times.",
            "Support is far too slow when something urgent breaks.",
        ),
        Band.PASSIVE: (
            "Support is friendly, but an answer can take {days} days.",
            "Tickets get solved in the end, only faster would be better.",
            "Support quality depends a lot on who picks up the ticket.",
        ),
        Band.PROMOTER: (
            "Support answered within the hour and knew what they were talking about.",
            "Fast and friendly support, every single time.",
            "Our ticket was solved the same day. That is rare.",
        ),
    },
    "price": {
        Band.DETRACTOR: (
            "The renewal came with a price increase of {percent} % and no explanation.",
            "Too expensive for what we use of it.",
            "The invoice never matches the offer, billing has been wrong {times} times.",
        ),
        Band.PASSIVE: (
            "Good product, but the price per seat is hard to defend in our budget round.",
            "Pricing tiers do not fit a company of our size.",
            "A bit expensive once you need more than the basic plan.",
        ),
        Band.PROMOTER: (
            "Fair price, and we earned it back in {months} months.",
            "Good value for money compared with what we had before.",
            "Transparent pricing without surprises on the invoice.",
        ),
    },
    "onboarding": {
        Band.DETRACTOR: (
            "Onboarding took {months} months instead of the promised weeks.",
            "Nobody trained our people after the kick-off.",
            "The data import during onboarding failed {times} times.",
        ),
        Band.PASSIVE: (
            "Onboarding was fine, the training could go deeper.",
            "Setting it up needed more help than we expected.",
            "It took a while until the whole team was on board.",
        ),
        Band.PROMOTER: (
            "Onboarding was the smoothest that we ever had.",
            "We were live after {days} days, thanks to a great training.",
            "The kick-off was well prepared and the import simply worked.",
        ),
    },
    "bugs": {
        Band.DETRACTOR: (
            "The same bug has come back {times} times since spring.",
            "Crashes in the middle of the month-end close.",
            "Errors on saving, and we lose what we entered.",
        ),
        Band.PASSIVE: (
            "Mostly stable, but small bugs after each release.",
            "A few errors in the export that we work around.",
            "The mobile app still has bugs.",
        ),
        Band.PROMOTER: (
            "Rock solid, not one outage in {months} months.",
            "Hardly any bugs, and those get fixed quickly.",
            "It is reliable: we forgot what downtime is.",
        ),
    },
    "account manager": {
        Band.DETRACTOR: (
            "Our account manager changed {times} times this year and nobody told us.",
            "We only hear from our account manager when the renewal is due.",
            "Promises made by sales were not kept.",
        ),
        Band.PASSIVE: (
            "Our account manager is nice but hard to reach.",
            "A regular check-in with our account manager would help.",
            "Sales knows our business, the handover to the next person less so.",
        ),
        Band.PROMOTER: (
            "Our account manager understands our business and thinks ahead.",
            "The account manager always calls back, even for small questions.",
            "Honest sales people who told us what we do not need.",
        ),
    },
    "usability": {
        Band.DETRACTOR: (
            "The new interface is confusing, it needs {times} more clicks for the same job.",
            "Hard to use, our colleagues go back to spreadsheets.",
            "Nothing is where you look for it.",
        ),
        Band.PASSIVE: (
            "Powerful, but not easy to learn.",
            "The interface feels dated in places.",
            "Search could be better, otherwise easy to use.",
        ),
        Band.PROMOTER: (
            "Easy to use: new colleagues need no training.",
            "Clean interface, everything is where one expects it.",
            "Intuitive, it saves us {days} hours every week.",
        ),
    },
    "reporting": {
        Band.DETRACTOR: (
            "Reports show other numbers than the dashboard.",
            "Reporting is too limited, we export everything to a spreadsheet.",
            "A simple report takes {days} minutes to load.",
        ),
        Band.PASSIVE: (
            "Reporting does the job, custom dashboards would make it better.",
            "I miss scheduled reports.",
            "Reports are fine, exporting them is clumsy.",
        ),
        Band.PROMOTER: (
            "The dashboards give our board exactly what it asks for.",
            "Reporting that used to take {days} days is now one click.",
            "Great reports, and the export works with everything.",
        ),
    },
    "integrations": {
        Band.DETRACTOR: (
            "The integration with our ERP breaks with every update.",
            "The API is badly documented and changes without notice.",
            "Sync stopped {times} times and nobody noticed but us.",
        ),
        Band.PASSIVE: (
            "The integrations we need exist, but the API has limits.",
            "Connecting our CRM took some custom work.",
            "More ready-made integrations would make it a 9.",
        ),
        Band.PROMOTER: (
            "The API is a pleasure, we integrated it in {days} days.",
            "Connects with everything that we use.",
            "Integration with our CRM just works.",
        ),
    },
    "performance": {
        Band.DETRACTOR: (
            "Pages load slowly, in the afternoon it is unusable.",
            "Too slow with more than {percent} thousand records.",
            "Performance has become worse with each release.",
        ),
        Band.PASSIVE: (
            "Fast enough most of the time, slow at month end.",
            "Large lists load slowly.",
            "Performance is okay.",
        ),
        Band.PROMOTER: (
            "Fast, even with our amount of data.",
            "Performance is impressive since the last release.",
            "It loads in a blink.",
        ),
    },
}

_OPENERS = {
    Band.DETRACTOR: ("", "", "", "Disappointing. ", "Frankly: ", "Not what we were promised. ", "We expected more. "),
    Band.PASSIVE: ("", "", "", "Overall okay. ", "Solid, with room to improve. ", "Mostly happy. "),
    Band.PROMOTER: ("", "", "", "Very happy. ", "Great team! ", "We recommend it already. ", "Keep going. "),
}

_CLOSERS = {
    Band.DETRACTOR: (
        "", "", "", "", " Please call us.", " We are looking at alternatives.", " This has to change before we renew.",
        " I would not recommend it as it is.",
    ),
    Band.PASSIVE: ("", "", "", "", " Otherwise fine.", " Fix that and I score higher.", " Good so far."),
    Band.PROMOTER: ("", "", "", "", " Thank you!", " Would choose you again.", " Happy to be a reference."),
}  # fmt: skip

# What moves people differs by what they were asked about.
_LEANINGS: dict[str, dict[str, float]] = {
    "support": {"support": 9, "bugs": 3, "performance": 2, "usability": 1, "integrations": 1},
    "post-close": {"account manager": 7, "price": 5, "onboarding": 3, "usability": 1},
    "relationship": dict.fromkeys(THEMES, 2.0) | {"price": 3, "reporting": 3, "support": 3},
}


def write_comment(survey_id: str, band: Band, chance: Random, *, favour: str | None = None) -> str:
    """One verbatim. `favour` names a theme that is on everyone's mind just now (half of the comments)."""
    leaning = _LEANINGS.get(survey_id, _LEANINGS["relationship"])
    theme = chance.choices(list(leaning), list(leaning.values()))[0]
    if favour and chance.random() < 0.5:
        theme = favour
    said = chance.choice(THEMES[theme][band]).format(
        days=chance.randint(2, 9),
        times=chance.randint(2, 5),
        months=chance.randint(2, 8),
        percent=chance.randint(8, 30),
    )
    return chance.choice(_OPENERS[band]) + said + chance.choice(_CLOSERS[band])
