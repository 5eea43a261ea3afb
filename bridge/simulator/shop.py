"""A lively shop: guests open tickets, order, pay; stock goes down, prices change, devices are set up.

Pure and deterministic: the same seed gives the same steps, times included, since the shop has a clock of its own.
The shapes are those of the vendor's documentation; names have the diacritics and spaces that Slovak shops have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from bridge.simulator.notation import moment
from bridge.simulator.notification import Actor

__all__ = ["Shop", "Step"]

Fields = dict[str, object]

_OPENING = 1_741_075_200.0  # 2025-03-04 08:00 UTC
_MOST_OPEN = 12
_WAITERS = (("1", "P01", "Žofia Ďuríčková"), ("2", "P02", "Ľubomír Šťastný"), ("7", "mPOS Link", "Kristína Kňažková"))
_TABLES = (("Terasa", "T4"), ("Terasa", "T5"), ("Výčap", "Bar 1"), ("Salónik", "Okrúhly stôl"), ("Záhrada", "Z 12"))
_STOCKS = {"S01": "Hlavný sklad", "Výčap č. 2": "Nápoje", "Sklad Žilina": "Pobočka"}
_CATEGORIES = {"KAV": "Káva a čaj", "POL": "Polievky", "HL": "Hlavné jedlá", "NAP": "Nápoje", "DEZ": "Dezerty"}
_ARTICLES = (
    ("Espresso", "KAV", 1.8, "Bar"),
    ("Bryndzové halušky", "HL", 8.9, "Kuchyňa"),
    ("Kapustnica s klobásou", "POL", 5.4, "Kuchyňa"),
    ("Vyprážaný syr, hranolčeky", "HL", 9.5, "Kuchyňa"),
    ("Kofola čapovaná 0,5 l", "NAP", 2.2, "Bar"),
    ("Zlatý Bažant '73 0,5 l", "NAP", 2.6, "Bar"),
    ("Čučoriedkový koláč", "DEZ", 4.1, "Bar"),
    ('Dreveník "domáci" pstruh', "HL", 14.5, "Kuchyňa"),
)
_DEVICES = (("P01", "CashRegister"), ("P02", "CashRegister"), ("mPOS Link", "PDA"), ("Kuchyňa / tlačiareň", "Tool"))
_CUSTOMERS = ("Ján Novák", "Zuzana Kováčová", "Hotel Tatra, s. r. o.", "Štefan Őry")


@dataclass(frozen=True, slots=True)
class Step:
    """One change that the shop makes, without its version."""

    resource: str
    action: str
    id: str
    body: Fields
    actor: Actor


class Shop:
    """What is going on in the shop; `steps` is the day, `inventory` what is there before it opens."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(seed)  # noqa: S311 - a shop, not a secret
        self._now = _OPENING
        self._open: dict[str, Fields] = {}
        self._orders = 0
        self._closed = 0
        self._stock = dict.fromkeys(range(len(_ARTICLES)), 500)

    def inventory(self) -> Iterator[Step]:
        """Give what a shop has on the shelf and on the wall."""
        back_office = ("admin", "BackOffice")
        for name, description in _STOCKS.items():
            yield Step("stocks", "created", name, {"name": name, "description": description}, back_office)
        for number, (label, description) in enumerate(_CATEGORIES.items()):
            category = {"label": label, "description": description, "color": "#AABBCC", "sortHint": number, "tags": []}
            yield Step("articlecategories", "created", label, category, back_office)
        for name, _ in _DEVICES:
            yield self._device(name, "created")
        for number in range(len(_ARTICLES)):
            yield self._article(number, "created", back_office)

    def steps(self) -> Iterator[Step]:
        """Give change after change, without end."""
        while True:
            self._now += self._dice.uniform(1, 30)
            match self._dice.choices(("ticket", "article", "device", "stock", "customer"), (80, 8, 5, 3, 4))[0]:
                case "ticket":
                    yield from self._serve()
                case "article":
                    yield self._article(self._dice.randrange(len(_ARTICLES)), "updated", ("admin", "BackOffice"))
                case "device":
                    yield self._device(self._dice.choice(_DEVICES)[0], "updated")
                case "stock":
                    name, description = self._dice.choice(tuple(_STOCKS.items()))
                    body: Fields = {"name": name, "description": f"{description}, inventúra {moment(self._now)[:10]}"}
                    yield Step("stocks", "updated", name, body, ("admin", "BackOffice"))
                case _:
                    yield self._customer()

    def _serve(self) -> Iterator[Step]:
        """Open a ticket, order on one, close one, or cancel one that is empty."""
        if not self._open or (len(self._open) < _MOST_OPEN and self._dice.random() < 0.25):  # noqa: PLR2004 - a taste
            yield self._opened()
            return
        identity = self._dice.choice(tuple(self._open))
        items = self._open[identity]["items"]
        if not isinstance(items, list) or not items or len(items) < self._dice.randint(1, 5):
            if not items and self._dice.random() < 0.1:  # noqa: PLR2004 - a taste
                yield Step("tickets", "deleted", identity, {}, self._owner(self._open.pop(identity)))
                return
            yield from self._ordered(identity)
        else:
            yield from self._paid(identity)

    def _opened(self) -> Step:
        user, device, name = self._dice.choice(_WAITERS)
        zone, table = self._dice.choice(_TABLES)
        identity = self._identity()
        ticket: Fields = {
            "id": identity,
            "externalId": None,
            "state": "Opened",
            "type": "CashRegister",
            "name": str(self._dice.randint(1, 99)),
            "openDate": moment(self._now),
            "closeDate": None,
            "closeInfo": None,
            "purchaseType": "WalkIn",
            "location": {"zoneName": zone, "tableName": table},
            "customer": None,
            "originDeviceName": device,
            "employee": {"name": name, "userName": user, "featureName": None},
            "discountRate": 0.0,
            "currencyLabel": "EUR",
            "items": [],
        }
        self._open[identity] = ticket
        return Step("tickets", "created", identity, ticket, (user, device))

    def _ordered(self, identity: str) -> Iterator[Step]:
        number = self._dice.randrange(len(_ARTICLES))
        amount = float(self._dice.randint(1, 4))
        before = self._open[identity]
        items = before["items"]
        lines = list(items) if isinstance(items, list) else []
        line = {"id": len(lines) + 1, "type": "Positive", "plu": _plu(number), "comment": None}
        lines.append(
            line | {"unitPrice": {"amount": _ARTICLES[number][2]}, "quantity": {"amount": amount, "unit": "x"}}
        )
        ticket = before | {"items": lines}
        self._open[identity] = ticket
        self._orders += 1
        order: Fields = {
            "id": self._identity(),
            "number": self._orders,
            "ticketId": identity,
            "orderEndpointName": _ARTICLES[number][3],
            "createdAt": moment(self._now),
            "items": [{"name": _ARTICLES[number][0], "quantity": {"amount": amount, "unit": "x"}}],
        }
        yield Step("tickets", "updated", identity, ticket, self._owner(ticket))
        yield Step("orders", "created", str(order["id"]), order, self._owner(ticket))

    def _paid(self, identity: str) -> Iterator[Step]:
        self._closed += 1
        ticket = self._open.pop(identity)
        actor = self._owner(ticket)
        close = {"number": self._closed, "dailySalesReportNumber": 301, "fiscalName": "eKasa", "deviceName": actor[1]}
        closed = ticket | {"state": "Closed", "closeDate": moment(self._now), "closeInfo": close}
        yield Step("tickets", "updated", identity, closed, actor)
        transfer = self._identity()
        sale: Fields = {"id": transfer, "type": "Sale", "ticketId": identity, "createdAt": moment(self._now)}
        yield Step("stocktransfers", "created", transfer, sale, actor)
        number = self._dice.randrange(len(_ARTICLES))
        self._stock[number] -= 1
        yield self._article(number, "updated", actor)

    def _article(self, number: int, action: str, actor: Actor) -> Step:
        price = round(_ARTICLES[number][2] * self._dice.uniform(0.9, 1.1), 2)
        quantity = {"amount": float(self._stock[number]), "unit": "x"}
        body = _plu(number) | {"stockQuantity": quantity, "retailPriceIncludingVat": price, "isActive": True}
        identity = f"67c6c5a1f0b2d4e6a80a{number:04x}"
        return Step("plus", action, identity, {"id": identity} | body, actor)

    def _device(self, name: str, action: str) -> Step:
        body: Fields = {
            "name": name,
            "isActive": action == "created" or self._dice.random() < 0.9,  # noqa: PLR2004 - a taste
            "envName": dict(_DEVICES)[name],
            "description": f"Zariadenie „{name}“",
            "roles": ["sale", "storno"],
            "settings": {"MaxQuantity": str(self._dice.choice((50, 100, 200))), "DefaultStockName": "S01"},
        }
        return Step("devices", action, name, body, ("admin", "BackOffice"))

    def _customer(self) -> Step:
        identity, name = self._identity(), self._dice.choice(_CUSTOMERS)
        body: Fields = {"id": identity, "isActive": True, "status": "Valid", "fullName": name, "creditRate": None}
        return Step("customers", "created", identity, body, ("admin", "BackOffice"))

    def _identity(self) -> str:
        return f"{self._dice.getrandbits(96):024x}"

    @staticmethod
    def _owner(ticket: Fields) -> Actor:
        device = str(ticket["originDeviceName"])
        return next((user, till) for user, till, _ in _WAITERS if till == device)


def _plu(number: int) -> Fields:
    name, category, _, endpoint = _ARTICLES[number]
    return {
        "name": name,
        "code": number + 1,
        "stockName": "S01",
        "articleCategoryLabel": category,
        "vatInfo": {"category": 1, "rate": 23.0},
        "orderEndpointNames": [endpoint],
        "type": "Recipe",
    }
