"""Define the embedder's Prometheus metrics. `docs/embedder.md` explains each; a test compares the two."""

from collections.abc import Callable
from functools import partial
from typing import Final

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from lookalike_embedder.job import Job, Lane
from lookalike_serving.arrivals import Arrivals
from lookalike_serving.errors import DomainError

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PREFIX: Final = "lookalike_embedder"
_MODEL_LABELS: Final = ("space", "device", "precision")


class Metrics:
    """The embedder has metrics of its own, and those of its process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        images = self._counter("images", "Images answered with a vector.", "lane", "source")
        self._computed = {lane: images.labels(lane, "computed") for lane in Lane}
        self._cached = {lane: images.labels(lane, "cache") for lane in Lane}
        texts = self._counter("texts", "Texts answered with a vector.", "source")
        self._texts = {cached: texts.labels("cache" if cached else "computed") for cached in (False, True)}
        self._errors = self._counter("errors", "Images and calls refused or failed.", "lane", "reason")
        self._refused = self._counter("refused", "Calls that ended with a refusal or a failure.", "reason")
        self._wait = self._histogram("queue_wait_seconds", "Time from arrival to answer, less work.", _SECONDS)
        self._decode = self._histogram("decode_seconds", "Decoding one image.", _SECONDS)
        self._compute = self._histogram("compute_seconds", "Computing one batch.", _SECONDS)
        self._text_compute = Histogram(
            f"{_PREFIX}_text_compute_seconds",
            "Computing one batch of texts.",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._batch = self._histogram("batch_size", "Images in one batch.", _BATCHES)
        self.stood_aside = self._counter("stood_aside_seconds", "Time that bulk work stood aside for interactive work.")
        self.out_of_memory = self._counter("out_of_memory", "Batches halved as memory ran out.")
        self._depth = self._gauge("queue_depth", "Images waiting.", "lane", "stage")
        self._in_flight = self._gauge("in_flight_bytes", "Bytes of image files from arrival to answer.", "lane")
        self._decoding = self._gauge("decoding_pixels", "Pixels being decoded.")
        self._cache_entries = self._gauge("cache_entries", "Answers in the cache.")
        self._cache = self._counter("cache_lookups", "Look-ups in the cache.", "result")
        self._hit, self._miss = self._cache.labels("hit"), self._cache.labels("miss")
        self.loop_lag = Histogram(
            f"{_PREFIX}_loop_lag_seconds", "How late the event loop wakes.", registry=self.registry, buckets=_SECONDS
        )
        self.arrivals = Arrivals(_PREFIX, self.registry, _SECONDS)
        self.streams = self._gauge("streams", "Streams open.")
        self.serving = self._gauge("serving", "1 while health says SERVING, else 0.")
        self._model = self._gauge("model_info", "Always 1; the labels say what runs.", *_MODEL_LABELS)
        self._trials = self._gauge(
            "trial_seconds", "Processor time of an image in each way that was measured.", "way", "chosen"
        )
        self._max_batch_size = self._gauge("max_batch_size", "Most images in a batch: the knee, or as told.")

    def answered(self, job: Job) -> None:
        """Count an image or a text that has a result, and observe its times."""
        lane = job.lane
        if job.result is None:
            return
        if job.is_text:
            self._texts[job.cached].inc()
            return
        (self._cached if job.cached else self._computed)[lane].inc()
        (self._hit if job.cached else self._miss).inc()
        self._wait[lane].observe(job.queue_seconds)
        if not job.cached:
            self._decode[lane].observe(job.decode_seconds)

    def failed(self, lane: Lane, reason: str) -> None:
        """Count an image or a call that was refused, or failed."""
        self._errors.labels(lane, reason).inc()

    def refusing(self, lane: Lane, error: DomainError) -> DomainError:
        """Count a call that is refused before there is a job. Returns the error, for the caller to raise."""
        self.failed(lane, error.reason)
        return error

    def rpc_ended(self, method: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
        """Count an RPC that was refused or failed; `reason` is empty if it succeeded."""
        if reason:
            self._refused.labels(reason).inc()

    def batch(self, lane: Lane, images: int, seconds: float) -> None:
        """Observe a computed batch: its images and its seconds."""
        self._batch[lane].observe(images)
        self._compute[lane].observe(seconds)

    def text_batch(self, seconds: float) -> None:
        """Observe the seconds of a computed batch of texts."""
        self._text_compute.observe(seconds)

    def describe(self, **labels: str) -> None:
        """Set the labels of the model that is served."""
        self._model.labels(*(labels[name] for name in _MODEL_LABELS)).set(1)

    def tried(self, way: str, seconds: float, *, chosen: bool) -> None:
        """Set what a way to compute was measured to take."""
        self._trials.labels(way, "yes" if chosen else "no").set(seconds)

    def watch(
        self,
        *,
        depth: Callable[[Lane], tuple[int, int]],
        in_flight_bytes: Callable[[Lane], int],
        decoding_pixels: Callable[[], int],
        cache_entries: Callable[[], int],
        max_batch_size: Callable[[], int],
    ) -> None:
        """Set the functions that are called whenever the metrics are read."""
        for lane in Lane:
            for position, stage in enumerate(("decode", "compute")):
                self._depth.labels(lane, stage).set_function(partial(_pick, depth, lane, position))
            self._in_flight.labels(lane).set_function(partial(in_flight_bytes, lane))
        self._decoding.set_function(decoding_pixels)
        self._cache_entries.set_function(cache_entries)
        self._max_batch_size.set_function(max_batch_size)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> dict[Lane, Histogram]:
        histogram = Histogram(f"{_PREFIX}_{name}", text, ["lane"], registry=self.registry, buckets=buckets)
        return {lane: histogram.labels(lane) for lane in Lane}


def _pick(depth: Callable[[Lane], tuple[int, int]], lane: Lane, position: int) -> int:
    return depth(lane)[position]
