import json

from bridge.simulator.store import Change, Ledger, Store


def _change(store: Store, action: str, key: str | None = "x", body: dict[str, object] | None = None, skip: int = 0):
    return store.change("tickets", action, key, body, size=300, skip_versions=skip)


def test_versions_grow_by_one_with_each_change() -> None:
    """Every change, the deletion too, has the next version, and a new life begins at 1."""
    store = Store()

    versions = [_change(store, action)[1].version for action in ("created", "updated", "deleted", "created")]

    assert versions == [1, 2, 3, 1]
    assert store.truth() == {"tickets": {"x": 1}}


def test_versions_can_be_skipped() -> None:
    """A hole in the versions is made on demand."""
    store = Store()
    _change(store, "created")

    assert _change(store, "updated", skip=3)[1].version == 5


def test_a_body_is_kept_with_its_version() -> None:
    """The version is written into the body as `_v`."""
    store = Store()

    _, resource = _change(store, "updated", body={"id": "x", "name": "Žofia", "_v": 9, "z": 1})

    assert resource.body.decode() == '{"id":"x","name":"Žofia","_v":1,"z":1}'
    assert store.of("tickets")["x"].body == resource.body


def test_a_sample_has_the_size_asked_for() -> None:
    """Without a body the resource is filled up."""
    _, resource = Store().change("stocks", "created", "Výčap č. 2", None, size=1000, skip_versions=0)

    fields = json.loads(resource.body)
    assert (fields["name"], fields["_v"]) == ("Výčap č. 2", 1)
    assert abs(len(resource.body) - 1000) < 40


def test_a_deletion_keeps_the_last_body_and_of_nothing_has_none() -> None:
    """What is deleted is gone from the store; what it was is given once more."""
    store = Store()
    _, last = _change(store, "created")

    assert _change(store, "deleted")[1].body == last.body
    assert _change(store, "deleted", key="never there")[1].body == b""
    assert store.of("tickets") == {}


def test_an_id_is_made_up_where_none_is_given() -> None:
    """Ids made up are those of the vendor's tickets: 24 hexadecimal digits."""
    key, _ = _change(Store(), "created", key=None)

    assert len(key) == 24
    int(key, 16)


def test_the_ledger_gives_what_came_after_a_number() -> None:
    """A reader asks for what it has not seen; only the newest are kept."""
    ledger = Ledger(3)
    for seq in range(1, 6):
        ledger.append(Change(seq, 0.0, "tickets", "x", seq, "updated", 1, None))

    assert [change.seq for change in ledger.since()] == [3, 4, 5]
    assert [change.seq for change in ledger.since(4)] == [5]
    assert ledger.last_seq == 5
