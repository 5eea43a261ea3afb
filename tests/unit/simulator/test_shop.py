from itertools import islice, pairwise

from bridge.simulator.shop import Shop, Step


def _day(seed: int, steps: int = 3000) -> list[Step]:
    return list(islice(Shop(seed).steps(), steps))


def test_the_same_seed_gives_the_same_day() -> None:
    """A day can be had again, bodies and times included, and another seed gives another."""
    assert _day(7, 300) == _day(7, 300)
    assert _day(7, 300) != _day(8, 300)


def test_a_ticket_is_opened_ordered_on_and_closed_in_this_order() -> None:
    """No ticket changes before it is opened or after it is closed or cancelled."""
    lives: dict[str, list[str]] = {}
    for step in _day(1):
        if step.resource == "tickets":
            lives.setdefault(step.id, []).append(str(step.body.get("state", step.action)))

    for life in lives.values():
        assert life[0] == "Opened"
        assert set(life[1:-1]) <= {"Opened"}
    assert {life[-1] for life in lives.values()} == {"Opened", "Closed", "deleted"}
    assert max(map(len, lives.values())) > 3


def test_each_order_belongs_to_the_ticket_that_changed_just_before() -> None:
    """An order follows the update of its ticket at once."""
    day = _day(2)

    pairs = [(before, step) for before, step in pairwise(day) if step.resource == "orders"]

    assert len(pairs) > 100
    assert all((before.resource, before.id) == ("tickets", step.body["ticketId"]) for before, step in pairs)


def test_a_step_never_changes_after_it_was_given() -> None:
    """Bodies are values of their own: what a later step does shows in no earlier one."""
    shop = Shop(3)
    steps = []
    seen = []
    for step in islice(shop.steps(), 500):
        steps.append(step)
        seen.append(repr(step.body))

    assert [repr(step.body) for step in steps] == seen


def test_the_shop_has_names_that_are_hard_on_topics() -> None:
    """Natural keys have spaces, diacritics and slashes, as Slovak shops do."""
    keys = {step.id for step in Shop(0).inventory()}

    assert {"mPOS Link", "Výčap č. 2", "Kuchyňa / tlačiareň"} <= keys


def test_everything_a_shop_has_moves() -> None:
    """A day touches each kind of resource that a bridge may be asked to watch."""
    touched = {step.resource for step in _day(4)}

    assert touched == {"tickets", "orders", "stocktransfers", "plus", "devices", "stocks", "customers"}
