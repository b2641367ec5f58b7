"""The stages of a run, each at its own pace, over a bounded number of items and bytes in flight.

    items ─ CheckReferences ─┬─ unchanged ──────────────────────────────────────────────────────────── outcomes
                             └─ fetch, hash ─ CheckImages ─┬─ new ─── EmbedStream, several ─┬─ IndexImages ─┘
                                                           └─ known ────────────────────────┘

What is unchanged since it was indexed is not even read; what the project holds is not embedded. What fails by chance,
or because its host is down, is put off and tried again when all else is done.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from lookalike._concurrency.batches import batched
from lookalike._concurrency.budget import Budget, Room
from lookalike._concurrency.task_group import task_group
from lookalike._operations import source
from lookalike.errors import LookalikeError
from lookalike.fetch import Fetcher, TransientFailure
from lookalike.indexing.attempts import Attempts
from lookalike.indexing.calls import Calls
from lookalike.indexing.embedding import Embedding
from lookalike.indexing.hashing import sha256_of
from lookalike.indexing.job import Job, Stage, Watch
from lookalike.indexing.spool import Attempt, first_attempts
from lookalike.indexing.storing import Storing
from lookalike.records import END_MISSING, Item, Outcome, Status
from lookalike.v1 import embedder_pb2 as embedder

MAX_ITEMS: Final = 1024
"""Items in flight: enough to keep a GPU's batches full while the searcher gathers a transaction and commits it."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes of images in flight."""
_CHECKED: Final = 256
"""References in one CheckReferences, or hashes in one CheckImages: at most."""
_ASKED_AT_ONCE: Final = 2
"""CheckReferences at once: while the searcher answers one, the next one is made."""

Items = Iterable[Item] | AsyncIterable[Item]


class Pipeline:
    """The pipeline is one run of indexing.

    Args:
        calls: to the servers.
        fetcher: reads images.
        watch: is told what the run is doing.
    """

    def __init__(self, calls: Calls, fetcher: Fetcher, watch: Watch) -> None:
        self._calls, self._fetcher, self._watch = calls, fetcher, watch
        self._finished: asyncio.Queue[list[tuple[Outcome, Room]] | None] = asyncio.Queue()
        self._places = Budget(MAX_ITEMS, 0)  # bounds all the queues
        self._bytes = Budget(None, MAX_BYTES)
        self._attempts = Attempts(watch)

    async def outcomes(self, items: Items) -> AsyncGenerator[Outcome, None]:
        """Yield an outcome for each item, as it is acknowledged. A caller who is slow to take them slows the run.

        Raises:
            LookalikeError: the run cannot go on; items without an outcome may or may not be stored.
        """
        running = asyncio.create_task(self._run(items))
        running.add_done_callback(lambda _: self._finished.put_nowait(None))
        try:
            while (finished := await self._finished.get()) is not None:
                for outcome, room in finished:
                    yield outcome
                    self._leave(room)
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            self._attempts.close()

    async def _run(self, items: Items) -> None:
        """Pass the items through all stages, and those that were put off again, until there are none."""
        await self._pass(first_attempts(source.batches(items, _CHECKED)))
        while self._attempts:
            self._watch.waiting = self._fetcher.waiting()
            await asyncio.sleep(self._fetcher.seconds_until_up())
            self._watch.waiting = ()
            await self._pass(source.batches(self._attempts.next_round(), _CHECKED))

    async def _pass(self, batches: AsyncGenerator[list[Attempt], None]) -> None:
        self._to_check: asyncio.Queue[Job | None] = asyncio.Queue()
        self._embedding, self._storing = Embedding(self._calls), Storing(self._calls)
        async with task_group() as stages:
            stages.create_task(self._fetch_all(batches))
            stages.create_task(self._check_all())
            stages.create_task(self._embed_all())
            stages.create_task(self._store_all())

    async def _fetch_all(self, batches: AsyncGenerator[list[Attempt], None]) -> None:
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        async with task_group() as fetching, aclosing(batches):
            async for batch in batches:
                jobs = await self._admitted(batch)
                await turns.acquire()
                fetching.create_task(self._fetch_changed(jobs, fetching, turns))
        self._to_check.put_nowait(None)

    async def _fetch_changed(self, jobs: Sequence[Job], fetching: asyncio.TaskGroup, turns: asyncio.Semaphore) -> None:
        for job in await self._changed(jobs):
            self._move(job, Stage.FETCHING)
            fetching.create_task(self._fetch(job))
        turns.release()

    async def _admitted(self, batch: Iterable[Attempt]) -> list[Job]:
        """The items of the batch that can be sent, as jobs."""
        jobs = []
        for attempt in batch:
            await self._places.acquire(0)
            try:
                jobs.append(Job(attempt, source.reference(attempt.item), Room(self._bytes)))
            except LookalikeError as error:
                self._give_up(attempt.item, Room(self._bytes), error)
            else:
                self._attempts.begin(jobs[-1])
        return jobs

    async def _changed(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs whose images must be fetched, or asked after; the others are done, or on their way."""
        checked = [job for job in jobs if not job.image_lost and not isinstance(job.item.image, bytes)]
        states = await self._calls.check_references([job.reference for job in checked]) if checked else []
        stamps = await self._fetcher.stamps([job.item for job in checked])
        unchanged: list[Job] = []
        for job, state, stamp in zip(checked, states, stamps, strict=True):
            job.stored_sha256, job.stamp, job.same_labels = state.sha256, state.stamp, state.same_labels
            if job.stored_sha256 and job.stamp and job.stamp == stamp:
                unchanged.append(job)
        self._keep(unchanged)
        done = set(map(id, unchanged))
        return [job for job in jobs if id(job) not in done]

    def _keep(self, jobs: Sequence[Job]) -> None:
        """Settle jobs whose images are those that the project holds."""
        if same := [job for job in jobs if job.same_labels]:
            self._done(same, Status.UNCHANGED)
        for job in jobs:
            if not job.same_labels:
                job.sha256 = job.stored_sha256
                self._store(job, None)

    async def _fetch(self, job: Job) -> None:
        """Read the image, and hash it."""
        try:
            fetched = await self._fetcher.fetch(job.item, job.stamp if job.stored_sha256 else "", job.room)
        except TransientFailure as error:
            self._fail(job, error, tried=error.image_failed)
            return
        except LookalikeError as error:
            self._fail(job, error)
            return
        if fetched is None:
            self._keep([job])
            return
        self._watch.fetched += 1
        job.room.settle(len(fetched.data))
        job.data, job.size, job.stamp = fetched.data, len(fetched.data), fetched.stamp
        job.sha256 = fetched.sha256 or await sha256_of(job.data)
        self._move(job, Stage.CHECKING)
        self._to_check.put_nowait(job)

    async def _check_all(self) -> None:
        """Send each image on to where it belongs: to be embedded, or straight to be stored."""
        async for batch in batched(source.drain(self._to_check), _CHECKED):
            hashes = list({job.sha256 for job in batch if not job.image_lost})
            with self._storing.remembered() as newly_stored:
                stored_hashes = await self._calls.check_images(hashes) if hashes else set()
            for job in batch:
                held = not job.image_lost and (job.sha256 in stored_hashes or job.sha256 in newly_stored)
                if held or self._storing.has_pending(job.sha256):
                    self._store(job, None)
                else:
                    self._move(job, Stage.EMBEDDING)
                    self._embedding.put(job)
        self._embedding.end()

    async def _embed_all(self) -> None:
        async with aclosing(self._embedding.results()) as results:
            async for jobs, result in results:
                if isinstance(result, LookalikeError):
                    for job in jobs:
                        self._fail(job, result)
                else:
                    self._watch.embedded += 1
                    for job in jobs:
                        job.note = END_MISSING if result.image_info.end_missing else ""
                        self._store(job, result)
        self._storing.end()  # checking ended before embedding could: nothing more will come

    def _store(self, job: Job, answer: embedder.EmbedStreamResponse | None) -> None:
        if answer is not None:
            self._calls.check_space(answer.embedding.space)
        job.data = b""
        self._move(job, Stage.STORING)
        self._storing.put(job, answer)

    async def _store_all(self) -> None:
        async with aclosing(self._storing.results()) as results:
            async for jobs in results:
                for status in (Status.INDEXED, Status.UNCHANGED):
                    if done := [job for job, result in jobs if result is status]:
                        self._done(done, status)
                for job, result in jobs:
                    if isinstance(result, LookalikeError):
                        self._fail(job, result)

    def _fail(self, job: Job, error: LookalikeError, *, tried: bool = True) -> None:
        """Let the item fail, or put it off where another try may help."""
        self._move(job, None)
        if self._attempts.put_off(job, error, tried=tried):
            self._leave(job.room)
        else:
            self._give_up(job.item, job.room, error)

    def _give_up(self, item: Item, room: Room, error: LookalikeError) -> None:
        self._finished.put_nowait([(Outcome(item.uri, Status.FAILED, error, item), room)])

    def _done(self, jobs: Sequence[Job], status: Status) -> None:
        for job in jobs:
            self._move(job, None)
            self._attempts.end(job)
        self._finished.put_nowait([(Outcome(job.item.uri, status, None, job.item, job.note), job.room) for job in jobs])

    def _leave(self, room: Room) -> None:
        room.give_back()
        self._places.release(0)

    def _move(self, job: Job, stage: Stage | None) -> None:
        if job.stage:
            self._watch.stages[job.stage] -= 1
        if stage:
            self._watch.stages[stage] += 1
        job.stage = stage
