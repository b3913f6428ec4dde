"""What a reader of a consumer group has under way: handed out and not acknowledged, or acknowledged and not written."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from gleaner_core.errors import Finding, InvalidRequest
from gleaner_repo import LoggedEvent


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way. `number` counts the deliveries of the stream; `replay` is one that was parked before."""

    number: int
    position: str
    logged: LoggedEvent
    tries: int
    replay: bool


class Window:
    """Deliveries of one stream, in their order. `term` tells its positions from those of other streams."""

    def __init__(self, term: int) -> None:
        self._term = term
        self._last = 0
        self._under_way: deque[Delivery] = deque()
        self._handled: list[Delivery] = []

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and all that was acknowledged is written."""
        return not self._under_way and not self._handled

    def add(self, events: Iterable[LoggedEvent], *, tries: int = 0, replay: bool = False) -> list[Delivery]:
        """The events are under way; `tries` are the first one's."""
        made = []
        for logged in events:
            self._last += 1
            made.append(Delivery(self._last, f"{self._term}-{self._last}", logged, tries, replay))
            tries = 0
        self._under_way += made
        return made

    def ack(self, position: str) -> None:
        """Everything up to a position was handled. Raises InvalidRequest for a position that is not of this stream."""
        self._handle(self._number(position, "ack.position"))

    def nack(self, position: str) -> Delivery | None:
        """Everything before a position was handled; what is there was refused, and all from there on is void.

        None if it was void already. Raises InvalidRequest for a position that is not of this stream.
        """
        number = self._number(position, "nack.position")
        self._handle(number - 1)
        if not self._under_way or self._under_way[0].number != number:
            return None
        refused = self._under_way[0]
        self._under_way.clear()
        return refused

    def holds(self, delivery: Delivery) -> bool:
        """Whether it is under way, not acknowledged nor void."""
        return bool(self._under_way) and self._under_way[0].number <= delivery.number

    def under_way(self) -> list[Delivery]:
        """What was handed out and is neither acknowledged nor void."""
        return list(self._under_way)

    def handled(self) -> tuple[Delivery, ...]:
        """What was acknowledged and is not written."""
        return tuple(self._handled)

    def written(self, deliveries: tuple[Delivery, ...]) -> None:
        """These, which `handled` told of, are written."""
        del self._handled[: len(deliveries)]

    def _handle(self, number: int) -> None:
        while self._under_way and self._under_way[0].number <= number:
            self._handled.append(self._under_way.popleft())

    def _number(self, position: str, field: str) -> int:
        term, _, number = position.partition("-")
        if term == str(self._term) and number.isascii() and number.isdigit() and int(number) <= self._last:
            return int(number)
        raise InvalidRequest([Finding(field, "UNKNOWN_POSITION", "was not given by this stream")])
