"""The state store against a dictionary: whatever comes, is repeated and crashes, what is published is the newest."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.message import Message
from bridge.state.numbers import Numbers, Publication
from bridge.state.store import StateStore
from tests.unit.state.conftest import change, rows

PUBLISHERS = {"kafka": "k", "mqtt": "m"}

_CHANGES = st.builds(
    change,
    st.sampled_from("abcd"),
    st.one_of(st.integers(1, 6), st.integers(1, 6), st.none()),
    st.sampled_from(["created", "updated", "deleted"]),
    at=st.just(1.5),
    reset=st.integers(0, 9).map(lambda dice: dice == 0),
)
_FEED = st.lists(_CHANGES, min_size=1, max_size=6)
_PUBLISH = st.tuples(st.sampled_from(sorted(PUBLISHERS)), st.integers(1, 3), st.booleans())
_STEPS = st.lists(st.one_of(_FEED, _PUBLISH, st.just("crash"), st.just("repeat")), max_size=25)


@dataclass
class Model:
    """What should be: the newest of each resource, and what each broker holds of it."""

    newest: dict[str, Message] = field(default_factory=dict)
    held: dict[str, dict[str, Message]] = field(default_factory=lambda: {name: {} for name in PUBLISHERS})

    def take(self, changes: Sequence[Message]) -> None:
        for one in changes:
            key = one.resource_id or ""
            before = self.newest.get(key)
            known = before.version if before is not None and not one.flags else None
            if known is None or one.version is None or one.version >= known:
                self.newest[key] = one


def opened(path: Path) -> StateStore:
    return StateStore(path, 2**22, PUBLISHERS, Numbers({name: Publication() for name in PUBLISHERS}))


async def publish(store: StateStore, model: Model, name: str, limit: int, *, confirmed: bool = True) -> int:
    """Publish a page; what is handed over has to be the newest just then, whether or not it is ever confirmed."""
    place = await store.place(name)
    page = await store.after(place, limit)
    for one in page.messages:
        newest = model.newest[one.resource_id or ""]
        assert (one.id, one.version, bool(one.body)) == (newest.id, newest.version, newest.action != "deleted")
        model.held[name][one.resource_id or ""] = one
    if confirmed:
        await store.settle(place, page.upto)
    return len(page.messages)


async def play(steps: Sequence[object], path: Path) -> None:
    store, model, fed, last = opened(path), Model(), 0, [change("a", 1)]
    model.take(last)
    await store.feed(rows(*last), "journal", fed, 1.0)
    for step in steps:
        match step:
            case list():
                last, fed = step, fed + 1
                model.take(last)
                await store.feed(rows(*last), "journal", fed, 1.0)
            case (str(name), int(limit), bool(confirmed)):
                await publish(store, model, name, limit, confirmed=confirmed)
            case "crash":
                store._give_back()  # a kill: nothing is recorded on the way out
                store = opened(path)
                assert await store.fed() == ("journal", fed)
            case _:
                # What was taken is not fed again (`Feeding`); what is newest may be, and changes nothing.
                await store.feed(rows(*model.newest.values()), "journal", fed, 1.0)
    for name in PUBLISHERS:
        while await publish(store, model, name, 3):
            pass
        assert {key: one.id for key, one in model.held[name].items()} == {
            key: one.id for key, one in model.newest.items()
        }
    await store.close()


@settings(max_examples=30)
@given(_STEPS)
def test_what_is_published_is_always_the_newest_and_in_the_end_all_of_it(steps: Sequence[object]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(play(steps, Path(folder) / "journal.state.db"))
