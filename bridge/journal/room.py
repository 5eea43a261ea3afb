"""How much more the journal takes, and whether it is so full that what comes is stored short.

Pure. Used by `bridge.journal.log`.
"""

__all__ = ["Room"]

_CROWDED = 7 / 8  # of the capacity; the rest is for what tells of changes whose bodies are shed
_ROOMY = 3 / 4
_LETTERS = 61 / 60  # a sixtieth beyond the capacity, which is a quarter of what is kept free behind it
_ROOM_AGAIN = 0.9  # a full journal takes nothing until this share of it is used, or it would go back and forth


class Room:
    """See the module; `used_bytes` is how much of the file is in use, `lacking` why the last change was refused.

    `blocks`: what comes has to wait for room, and nothing is stored short. `folder` is where the file lies,
    `growth` what to do for a larger capacity.
    """

    def __init__(self, capacity_bytes: int, *, blocks: bool = False, folder: str = "") -> None:
        self.capacity_bytes = capacity_bytes
        self.folder = folder
        self.blocks = blocks
        self.used_bytes = 0
        self.lacking = ""
        self.growth = "raise JOURNAL__MAX_BYTES"
        self._over = False

    @property
    def full(self) -> bool:
        """Whether the last that came was refused, and nothing has shown since that there is room."""
        return self._over or bool(self.lacking)

    @property
    def closed(self) -> bool:
        """Whether nothing is taken, however little: there is no room yet worth the name."""
        return bool(self.lacking) or (self._over and self.used_bytes >= self.capacity_bytes * _ROOM_AGAIN)

    def takes(self, size: int) -> bool:
        """Say whether so many bytes more are taken."""
        if self.closed:
            return False
        self._over = self.used_bytes + size >= self.capacity_bytes
        return not self._over

    def ever_takes(self, size: int) -> bool:
        """Say whether so many bytes are taken for sure once all else is settled: a quarter may be dead letters."""
        return size < self.capacity_bytes // 2

    def crowded(self, size: int) -> bool:
        """Say whether so many bytes more would leave too little for what is stored short."""
        return not self.blocks and self.used_bytes + size >= self.capacity_bytes * _CROWDED

    @property
    def for_letters(self) -> int:
        """How many bytes of dead letters are kept with their events, when there is no other limit."""
        return int(self.capacity_bytes * _LETTERS) - self.used_bytes

    @property
    def roomy(self) -> bool:
        """Whether it is no longer crowded, by far."""
        return self.used_bytes < self.capacity_bytes * _ROOMY
