"""Keep how far the tuning of a project has come, so that any searcher can go on with it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from lookalike.records import Learning, Tuning, TuningPolicy, TuningStage
from lookalike_searcher.database.pool import Database
from lookalike_searcher.database.statement import Connection, statement
from lookalike_searcher.errors import FailedPrecondition
from lookalike_searcher.projects import learning as learnings
from lookalike_searcher.projects import registry
from lookalike_searcher.tuning.live_quality import LiveQuality


@dataclass(frozen=True)
class State:
    """The state is a row of the registry.

    Attributes:
        stage: how far it has come.
        step: the last step; empty before the first.
        detail: why.
        step_time: when.
        image_count: how many images there were when it was last learned.
        feedback_count: on how many searches there was feedback then.
        space: what is proposed, built or watched, by name; empty if nothing is.
        source: the space that it is derived from.
        matrix: of its projection: 32-bit floats, little-endian.
        centre: the same.
        neighbours: its vectors are drawn towards so many of their nearest.
        learning: what it was learned from.
        previous: the space that served before it.
        baseline: how good searches were then.
    """

    stage: TuningStage = TuningStage.IDLE
    step: str = ""
    detail: str = ""
    step_time: datetime | None = None
    image_count: int = 0
    feedback_count: int = 0
    space: str = ""
    source: str = ""
    matrix: bytes | None = None
    centre: bytes | None = None
    neighbours: int = 0
    learning: Learning | None = None
    previous: str = ""
    baseline: LiveQuality | None = None

    @property
    def shown(self) -> Tuning:
        """Return what users see of it."""
        return Tuning(self.stage, self.space, self.learning, self.step, self.detail, self.step_time)

    def after(self, step: str, detail: str, stage: TuningStage) -> "State":
        """Return the state after a step that is taken now."""
        return replace(self, stage=stage, step=step, detail=detail, step_time=datetime.now(UTC))

    def ended(self, step: str, detail: str) -> "State":
        """Return the state after a step with which nothing is under way any more."""
        kept = State(image_count=self.image_count, feedback_count=self.feedback_count)
        return kept.after(step, detail, TuningStage.IDLE)


async def read(database: Database, project_id: int) -> State:
    """Return the state of a project's tuning."""
    async with database.reading() as connection:
        return await _read(connection, project_id)


async def _read(connection: Connection, project_id: int) -> State:
    row = await connection.fetchrow(statement("tuning_read"), project_id)
    if row is None:
        return State()
    stored = dict(row)
    return State(
        **stored
        | {
            "stage": TuningStage(row["stage"]),
            "learning": learnings.of_json(row["learning"]),
            "baseline": LiveQuality.of_json(row["baseline"]),
        }
    )


async def write(connection: Connection, project_id: int, state: State) -> None:
    """Store the state of a project's tuning, in the caller's transaction."""
    await connection.execute(
        statement("tuning_write"),
        project_id,
        state.stage,
        state.step,
        state.detail,
        state.step_time,
        state.image_count,
        state.feedback_count,
        state.space,
        state.source,
        state.matrix,
        state.centre,
        learnings.to_json(state.learning),
        state.previous,
        state.baseline.to_json() if state.baseline else "{}",
        state.neighbours,
    )


async def accept(database: Database, project_name: str, space: str) -> None:
    """Let the proposed space be built, and serve then. Raises NotFound, or FailedPrecondition if it is not."""
    async with registry.writing(database, project_name) as (connection, project):
        state = await _read(connection, project.id)
        waits = state.stage is TuningStage.PROPOSED and project.tuning_policy is not TuningPolicy.OFF
        proposed = state.space if waits else ""
        if space != proposed:
            raise FailedPrecondition.not_proposed(project_name, space, proposed)
        accepted = state.after("accepted", "the proposal was accepted", TuningStage.BUILDING)
        await write(connection, project.id, accepted)
