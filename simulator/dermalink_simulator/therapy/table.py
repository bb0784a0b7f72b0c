"""The therapy machine as a table: the first row that fits is taken, else it is a refusal. Stop rows stand first."""

from typing import Final

from dermalink_simulator.therapy import rows_pass, rows_pen, rows_session, rows_stop
from dermalink_simulator.therapy.row import Row

TABLE: Final[tuple[Row, ...]] = (*rows_stop.ROWS, *rows_session.ROWS, *rows_pass.ROWS, *rows_pen.ROWS)
