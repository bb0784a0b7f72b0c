"""The therapy machine: first fit wins, stop rows stand first."""

from typing import Final

from dermalink_simulator.therapy.row import Row

TABLE: Final[tuple[Row, ...]] = ()
