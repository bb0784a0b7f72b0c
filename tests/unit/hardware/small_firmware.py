"""A firmware of a few lines behind the seam: the proof that any firmware fits, and a hand on each part for tests.

It has none of the pen's safeguards. Bytes on a port are words: `o<hz>,<um>` orders the drive until told otherwise,
`s` stops, `w<address>,<hex>` writes flash, `e<address>` erases, `t` asks for the tag, `?` asks for a line of sensors,
`v<n>` has n values sent one by one.
"""

from contextlib import suppress

from dermalink_simulator.seam import DriveOrder, FlashOp, Indicator, Kept, PortKind, PowerCause, Sensors, Tag


class SmallFirmware:
    """What a test wants of a firmware and no more; everything that came is kept."""

    def __init__(self) -> None:
        self.order = DriveOrder()
        self.calls: list[tuple[str, int]] = []
        self.guards: list[Sensors] = []
        self.ticks: list[Sensors] = []
        self.flash = b""
        self.cause: PowerCause | None = None
        self.seed = 0
        self.ops: list[FlashOp] = []
        self.done: list[bool] = []
        self.tags: list[Tag | None] = []
        self.handled: list[tuple[int, bytes]] = []
        self.out: dict[int, bytes] = {}
        self.values: dict[int, list[bytes]] = {}
        self.told: list[tuple[str, int, int]] = []
        self.now_ms = 0
        self.wants_tag = False
        self.set_s = 0
        self.sleep_ms = 1_000
        self.kept = 0

    def power_on(self, flash: bytes, cause: PowerCause, seed: int) -> None:
        self.flash, self.cause, self.seed = flash, cause, seed

    def link_up(self, port: int, kind: PortKind) -> None:
        self.out[port] = b""

    def link_down(self, port: int) -> None:
        self.out.pop(port, None)

    def keeps(self, port: int) -> bool:
        return port == self.kept

    def handle(self, port: int, data: bytes) -> None:
        self.handled.append((port, data))
        for word in data.decode("ascii", "replace").split():
            with suppress(ValueError):  # a line may have spoilt it
                self._obey(port, word)

    def _obey(self, port: int, word: str) -> None:
        letter, rest = word[:1], word[1:]
        if letter == "o":
            hz, um = rest.split(",")
            self.order = DriveOrder(int(hz), int(um), 50)
        elif letter == "x":
            self.order = DriveOrder(0, 0, 50, 1)
        elif letter == "s":
            self.order = DriveOrder()
        elif letter == "w":
            address, data = rest.split(",")
            self.ops.append(FlashOp(int(address), bytes.fromhex(data)))
        elif letter == "e":
            self.ops.append(FlashOp(int(rest), b""))
        elif letter == "t":
            self.wants_tag = True
        elif letter == "v":
            self.values[port] = [b"%d" % number for number in range(int(rest))]
        elif letter == "?":
            self.out[port] += f"{self.now_ms}\n".encode()

    def link_mtu(self, port: int, att_mtu: int) -> None:
        self.told.append(("mtu", port, att_mtu))

    def gatt_subscribe(self, port: int, channel: int, on: int) -> int:
        self.told.append(("subscribe", port, channel * 2 + on))
        return 0

    def bonding_open(self) -> int:
        return 0

    def bonding_begin(self) -> int:
        return 0

    def link_encrypted(self, port: int, key: bytes) -> None:
        self.told.append(("encrypted", port, len(key)))

    def bond_key(self) -> bytes:
        return bytes(16)

    def gatt_error(self, port: int, data: bytes) -> int:
        return 0x82 if data.startswith(b"no") else 0

    def gatt_read(self, uuid16: int) -> bytes:
        return f"{uuid16:04x} at {self.now_ms}".encode()

    def tick(self, dt_ms: int, sensors: Sensors) -> None:
        self.now_ms += dt_ms
        self.calls.append(("tick", dt_ms))
        self.ticks.append(sensors)

    def guard_tick(self, dt_ms: int, sensors: Sensors) -> None:
        self.calls.append(("guard", dt_ms))
        self.guards.append(sensors)

    def tag_read(self, tag: Tag | None) -> None:
        self.wants_tag = False
        self.tags.append(tag)

    def tag_wanted(self) -> bool:
        return self.wants_tag

    def flash_done(self, ok: bool) -> None:
        self.done.append(ok)

    def flash_next(self) -> FlashOp | None:
        return self.ops.pop(0) if self.ops else None

    def drive(self) -> DriveOrder:
        return self.order

    def clock_set(self) -> int:
        set_s, self.set_s = self.set_s, 0
        return set_s

    def tx(self, port: int) -> bytes:
        if self.values.get(port):
            return self.values[port].pop(0)
        data = self.out.get(port, b"")
        if data:
            self.out[port] = b""
        return data

    def indicator(self) -> Indicator:
        return Indicator(1, 0)

    def wake_ms(self) -> int:
        return self.sleep_ms

    def kept_bits(self, variable: int) -> int:
        return 16 if variable == Kept.SETTING else 0

    def kept_flip(self, variable: int, bit: int) -> None:
        self.order = self.order._replace(target_um=self.order.target_um ^ 1 << bit)

    def snapshot(self) -> bytes:
        return repr((self.order, self.now_ms)).encode()

    def restore(self, snapshot: bytes) -> None:
        raise NotImplementedError
