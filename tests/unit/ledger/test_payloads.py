"""A payload is read as JSON is, however its definition stands in it."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from closedloop.ledger.rows import payload_from, to_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("definition"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text() | st.sampled_from(["definition", "email"]), VALUES, max_size=5))
@example({"definition": {"id": "s"}})
@example({"comment": '"definition":', "definition": {"id": "s"}, "after": 1})
@example({"before": {"x": 1, "definition": 2}, "definition": {"id": "s"}})
@example({"comment": "it ends in a comma, ", "definition": {}})
def test_the_same_as_json(payload) -> None:
    for text in (json.dumps(payload), json.dumps(payload, ensure_ascii=False), to_json(payload)):
        assert payload_from(text) == json.loads(text)


def test_each_payload_is_a_dict_of_its_own() -> None:
    text = json.dumps({"email": "a", "definition": {"id": "s"}})
    first = payload_from(text)
    first["email"] = "b"
    assert payload_from(text)["email"] == "a"
