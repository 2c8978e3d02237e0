"""What the API processes of a machine count and measure, for Prometheus."""

import os
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from projections.follow.lag import ProcessLag
from rim_ledger.version import VERSION

disable_created_metrics()  # A second series for each, which nobody asks for.

SHARED: Final = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
"""The directory where API processes share what they count; None if each counts alone. The library
reads it at its import."""
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What this process counts. Routes are named by their template, so that there are few."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        gauge = partial(Gauge, registry=registry, multiprocess_mode="mostrecent")
        words = "The version of the program."
        gauge("rim_build_info", words, ["version"]).labels(VERSION).set(1)
        answered = ["method", "route", "status"]
        words = "Answers given."
        self._requests = Counter("rim_http_requests_total", words, answered, registry=registry)
        self._seconds = Histogram(
            "rim_http_request_seconds",
            "From the request's head to the answer's end.",
            ["method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        words = "Answers with status 500."
        self.errors = Counter("rim_unexpected_errors_total", words, registry=registry)
        self.head = gauge("rim_ledger_head", "Last position that the answering process knows.")
        self.read = gauge("rim_read_position", "Position of the read tables.")
        words = "How long the next event has waited for a process that works behind the log."
        self._behind = gauge("rim_process_behind_seconds", words, ["process"])
        words = "Seconds since a process gave a sign of life."
        self._silent = gauge("rim_process_silent_seconds", words, ["process"])
        words = "Airtime of a tracked network that was bought and not yet sold."
        self._float = gauge("rim_float_balance_naira", words, ["network"])
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def text(self) -> bytes:
        """All of it in Prometheus' text format, summed over the processes that share it."""
        registry = self._registry
        if SHARED:
            MultiProcessCollector(registry := CollectorRegistry(), SHARED)
        return generate_latest(registry)

    def note_late(self, every: Iterable[ProcessLag]) -> None:
        """How late each process is, as was found just now."""
        for each in every:
            self._behind.labels(each.name).set(each.behind_seconds)
            if each.silent_seconds is not None:
                self._silent.labels(each.name).set(each.silent_seconds)

    def note_floats(self, balances: Iterable[tuple[str, Decimal]]) -> None:
        """What the float of each tracked network has, in naira."""
        for network, balance in balances:
            self._float.labels(network).set(float(balance))

    def note(self, method: str, route: str, status: int, started: float) -> None:
        """Count one answer."""
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._requests.labels(method, route, str(status))
            self._counters[method, route, status] = counter
        counter.inc()
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._seconds.labels(method, route)
            self._timers[method, route] = timer
        timer.observe(perf_counter() - started)
