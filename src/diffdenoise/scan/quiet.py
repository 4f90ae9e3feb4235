"""Keep the readers' libraries from printing to the user's terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    """Keep records instead of printing them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def quiet(logger_name: str) -> Iterator[list[logging.LogRecord]]:
    """Silence warnings and one library's logger; give what it would have logged.

    nibabel's own `LoggingOutputSuppressor` does not put its handler back (5.4), hence this.
    """
    logger = logging.getLogger(logger_name)
    collector = _Collector()
    before = (logger.handlers, logger.propagate)
    logger.handlers, logger.propagate = [collector], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield collector.records
    finally:
        logger.handlers, logger.propagate = before
