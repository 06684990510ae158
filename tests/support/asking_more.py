"""A programme that uses all that its pages can show: further questions, a way onward, other languages."""

from __future__ import annotations

from typing import Any

from closedloop.programme import Survey
from tests.support.ledger_world import survey

QUESTIONS = [
    {
        "id": "reason",
        "kind": "choice",
        "text": "What went wrong?",
        "scores": "0-6",
        "choices": [{"id": "price", "label": "The price"}, {"id": "support", "label": "The support"}],
    },
    {
        "id": "reason",
        "kind": "choice",
        "several": True,
        "text": "What went well?",
        "scores": "9-10",
        "choices": [{"id": "people", "label": "The people"}, {"id": "speed", "label": "The speed"}],
    },
    {"id": "idea", "text": "What would you change?"},
]
GERMAN = {
    "question": {"text": "Würden Sie {{ company }} weiterempfehlen?", "low_label": "Nein"},
    "follow_up_questions": {"detractor": "Was können wir besser machen?"},
    "thank_you": {"promoter": "Das freut uns, {{ first_name }}!"},
    "email": {"subject": "{{ first_name }}, eine Frage von {{ company }}"},
    "questions": {
        "reason:0-6": {"text": "Was lief schief?", "choices": {"price": "Der Preis"}},
        "reason": {"text": "Was lief gut?", "choices": {"people": "Die Menschen"}},
    },
}


def asking_more(**over: Any) -> Survey:
    facts = {
        "questions": QUESTIONS,
        "languages": {
            "de": GERMAN,
            "de-CH": {"fallback": "de", "question": {"high_label": "Sicher"}},
            "ar": {"question": {"text": "هل توصي بنا؟"}},
        },
        "redirect": {"promoter": "https://reviews.example/northwind?from=nps&x=1"},
    }
    return survey(**facts | over)
