"""Staging, sealing, withdrawing: a decision is a fact once, and only once."""

from __future__ import annotations

import datetime as dt
import multiprocessing

import pytest
from ledger_world import NOW, candidate, plan, publish, seal_arguments
from sqlalchemy import func, select

from closedloop.errors import BadInput, Refused
from closedloop.ledger import Ledger, delivery, planning
from closedloop.ledger.books import books
from closedloop.ledger.schema import decisions, evaluations, events, messages, stagings


def _count(ledger: Ledger, table) -> int:
    with ledger.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def test_what_is_staged_does_not_count_until_it_is_sealed(ledger: Ledger):
    rows = [candidate("ann"), candidate("bob"), candidate("cyd", decision="skip", deciding_rule="cooldown")]
    publication = publish(ledger)
    planning.stage(ledger, publication, rows, rows[:2], chunk=1)
    assert books(ledger) == []
    assert planning.last_evaluation(ledger) == "genesis"

    sealed = planning.seal(ledger, **seal_arguments(publication, "genesis", rows))

    assert (sealed.asks, sealed.skips) == (2, 1)
    assert planning.last_evaluation(ledger) == publication
    [wave] = books(ledger)
    assert (wave.planned, wave.pending, wave.balanced) == (2, 2, True)
    assert _count(ledger, stagings) == 0


def test_sealing_the_same_publication_again_is_refused(ledger: Ledger):
    rows = [candidate("ann")]
    plan(ledger, rows)
    publication = planning.last_evaluation(ledger)
    with pytest.raises(Refused, match="sealed already"):
        planning.stage(ledger, publication, rows, rows)
    with pytest.raises(Refused, match="sealed already"):
        planning.seal(ledger, **seal_arguments(publication, "genesis", rows))
    with pytest.raises(Refused, match="sealed already"):
        planning.discard(ledger, publication)


def test_a_build_that_stands_on_an_older_evaluation_is_refused(ledger: Ledger):
    first, second = publish(ledger), publish(ledger)
    planning.stage(ledger, first, [candidate("ann")], [candidate("ann")])
    planning.seal(ledger, **seal_arguments(first, "genesis", [candidate("ann")]))
    planning.stage(ledger, second, [candidate("bob")], [candidate("bob")])
    with pytest.raises(Refused, match="another evaluation was sealed"):
        planning.seal(ledger, **seal_arguments(second, "genesis", [candidate("bob")]))


def test_sealing_needs_a_publication_and_all_rows(ledger: Ledger):
    rows = [candidate("ann"), candidate("bob")]
    with pytest.raises(Refused, match="not published"):
        planning.seal(ledger, **seal_arguments("nothing", "genesis", rows))
    publication = publish(ledger)
    with pytest.raises(Refused):
        planning.seal(ledger, **seal_arguments(publication, "genesis", rows))
    planning.stage(ledger, publication, rows, rows[:1])
    with pytest.raises(Refused, match="2 of 2 asks with 1 messages"):
        planning.seal(ledger, **seal_arguments(publication, "genesis", rows))
    assert _count(ledger, evaluations) == 0


def test_leftovers_of_others_are_removed_and_their_builder_is_refused(ledger: Ledger):
    old, new = publish(ledger), publish(ledger)
    rows = [candidate(name) for name in ("ann", "bob", "cyd")]

    def half_way():
        yield rows[0]
        planning.stage(ledger, new, rows, rows)  # another builder comes in between
        yield from rows[1:]

    with pytest.raises(Refused, match="another builder"):
        planning.stage(ledger, old, half_way(), rows, chunk=1)
    with pytest.raises(Refused):
        planning.seal(ledger, **seal_arguments(old, "genesis", rows))
    assert planning.seal(ledger, **seal_arguments(new, "genesis", rows)).asks == 3
    with ledger.read() as conn:
        assert set(conn.scalars(select(decisions.c.evaluation_id))) == {new}


def test_a_candidate_with_a_sealed_decision_cannot_be_decided_again(ledger: Ledger):
    plan(ledger, [candidate("ann")])
    publication = publish(ledger)
    with pytest.raises(Refused, match="another builder"):
        planning.stage(ledger, publication, [candidate("ann")], [candidate("ann")])


def test_one_contact_never_twice_in_one_wave(ledger: Ledger):
    twice = [candidate("ann"), candidate("ann", message_id="other", candidate_id="other", invitation_id="other")]
    with pytest.raises(Refused):
        plan(ledger, twice)


def test_deferrals_and_unknown_states_are_bad_input(ledger: Ledger):
    publication = publish(ledger)
    with pytest.raises(BadInput):
        planning.stage(ledger, publication, [candidate("ann", decision="defer")], [])
    with pytest.raises(BadInput):
        planning.stage(ledger, publication, [], [candidate("ann", state="lost")])


def test_withdrawing_closes_only_what_is_pending(ledger: Ledger):
    ids = plan(ledger, [candidate("ann"), candidate("bob"), candidate("cyd")])
    with ledger.write() as conn:
        conn.execute(messages.update().where(messages.c.message_id == ids[1]).values(state="sent"))
    reasons = {ids[0]: "opted_out", ids[1]: "opted_out", "unknown": "contact_gone"}
    assert planning.withdraw(ledger, reasons, now=NOW) == 1
    assert planning.withdraw(ledger, reasons, now=NOW) == 0
    [wave] = books(ledger)
    assert (wave.pending, wave.sent, wave.suppressed, wave.balanced) == (1, 1, 1, True)
    with ledger.read() as conn:
        [said] = conn.execute(select(events).where(events.c.kind == "suppressed")).mappings()
    assert said["message_id"] == ids[0]
    assert '"opted_out"' in said["payload"]


def test_staged_messages_are_not_withdrawn(ledger: Ledger):
    publication = publish(ledger)
    planning.stage(ledger, publication, [candidate("ann")], [candidate("ann")])
    assert planning.withdraw(ledger, {candidate("ann")["invitation_id"]: "opted_out"}, now=NOW) == 0


def test_unsealed_waves_are_not_claimed(ledger: Ledger, settings):
    publication = publish(ledger)
    planning.stage(ledger, publication, [candidate("ann")], [candidate("ann")])
    for wave in delivery.pending_waves(ledger):
        claim = delivery.claim(ledger, wave, surveys={}, settings=settings, owner="o", now=NOW)
        assert not claim.messages
        assert not any(claim.held.values())


def _seal_in_process(url: str, publication: str, names: list[str], gate, outcomes) -> None:
    rows = [candidate(name) for name in names]
    with Ledger.open(url) as ledger:
        gate.wait(30)
        try:
            planning.stage(ledger, publication, rows, rows, chunk=5)
            planning.seal(ledger, **seal_arguments(publication, "genesis", rows))
            outcomes.put("sealed")
        except Refused:
            outcomes.put("refused")


@pytest.mark.slow
@pytest.mark.parametrize("overlap", ["same publication", "two publications"])
def test_of_seals_at_once_exactly_one_wins(ledger: Ledger, ledger_url: str, overlap: str):
    publications = [publish(ledger)] * 3 if overlap == "same publication" else [publish(ledger) for _ in range(3)]
    ledger.close()
    context = multiprocessing.get_context("fork")
    gate, outcomes = context.Barrier(3), context.Queue()
    names = [f"person{number}" for number in range(40)]
    running = [
        context.Process(target=_seal_in_process, args=(ledger_url, publication, names, gate, outcomes))
        for publication in publications
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert sorted(outcomes.get(timeout=5) for _ in running).count("sealed") == 1
    [wave] = books(ledger)
    assert (wave.planned, wave.pending, wave.balanced) == (40, 40, True)
    assert _count(ledger, evaluations) == 1


def test_an_empty_evaluation_can_be_sealed(ledger: Ledger):
    assert plan(ledger, []) == []
    assert plan(ledger, [candidate("ann", decision="skip", deciding_rule="audience")]) == []
    assert planning.last_evaluation(ledger) != "genesis"


def test_times_come_back_aware_and_in_utc(ledger: Ledger):
    elsewhere = NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))
    plan(ledger, [candidate("ann", planned_at=elsewhere)])
    with ledger.read() as conn:
        found = conn.execute(select(messages.c.planned_at)).scalar_one()
    assert found == NOW
    assert found.utcoffset() == dt.timedelta(0)
