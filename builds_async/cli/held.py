"""Holds back the position of a tail until the commands of `--exec` have been run.

A tail that resumes at a position does not get the ends before it again. So the end of a build whose command
has not been run yet is taken out of each position that is saved: a tail that resumes there gets it again.
"""

from collections.abc import Callable, Collection, Sequence

from builds_async import LogPosition, TailEnd, TailItem, TailLine, TailLog, TailPosition
from builds_async.cli.batches import BatchPrinter, WorkerBatches
from builds_async.cli.executing import Commands, Finished
from builds_async.cli.resume import Checkpoint
from builds_async.session.ids import normalized_id


class TailCommands:
    """The commands for the builds of a tail. If `commands` is None, there are none, and this does nothing.

    A command is run at least once: the saved position moves past the end of a build only once its command has
    ended.
    """

    def __init__(self, commands: Commands | None, start: TailPosition | None) -> None:
        self._commands = commands
        self._held = HeldEnds(() if commands is None else commands.pending, start)

    @property
    def wanted(self) -> bool:
        """Whether there are commands to run."""
        return self._commands is not None

    def take(self, item: TailItem, worker: str | None, reason: str | None) -> None:
        """Take an item before it counts as printed. For the end of a build, add its command."""
        if self._commands is None:
            return
        if isinstance(item, TailEnd):
            self._commands.add(Finished(item.build, worker, reason))
        self._held.see(item)

    async def print(
        self,
        batches: WorkerBatches,
        write: Callable[[Sequence[TailItem], Callable[[int], None]], None],
        checkpoint: Checkpoint[TailPosition],
    ) -> None:
        """Print all batches as `BatchPrinter` does, and end the commands."""
        if self._commands is None:
            await BatchPrinter(batches, write, checkpoint).run()
            return
        try:
            async with self._commands:
                holding = _HoldingBatches(batches, self._commands, self._held)
                await BatchPrinter(holding, write, checkpoint).run()
        finally:
            if checkpoint.position is not None:  # some commands have ended since it was noted
                checkpoint.note(self._held.without(checkpoint.position))
                checkpoint.close()


class HeldEnds:
    """Which ends are held back, and the position after the last line of each open log."""

    def __init__(self, pending: Collection[str], start: TailPosition | None = None) -> None:
        self._pending = pending
        self._places = {} if start is None else {uuid: log.position for uuid, log in start.logs.items()}
        self._held: dict[str, TailLog] = {}

    def see(self, item: TailItem) -> None:
        """Take an item before it counts as printed, and before an end is removed from `pending`."""
        uuid = item.build.build_uuid
        if isinstance(item, TailLine):
            self._places[uuid] = self._after(item)
        elif uuid in self._pending:
            place = self._places.pop(uuid, LogPosition())
            self._held[uuid] = TailLog(normalized_id(item.external_script_id), place)
        else:
            self._places.pop(uuid, None)

    def without(self, position: TailPosition) -> TailPosition:
        """The position without the ends whose command has not been run."""
        if not self._held:
            return position
        # The command of such a build has ended since: from now on, positions mark its end as delivered.
        done = {uuid for uuid in self._held if uuid not in self._pending}
        logs = dict(position.logs)
        for uuid in done & logs.keys():
            logs[uuid] = TailLog(logs[uuid].external_script_id, logs[uuid].position, ended=True)
        for uuid in done:
            del self._held[uuid]
        return TailPosition(position.workers, logs | self._held)

    def _after(self, item: TailLine) -> LogPosition:
        """The position after a line. An offset may reach beyond its page, into the next ones."""
        before = self._places.get(item.build.build_uuid)
        if before is None:
            return LogPosition(None, item.number, item.number)
        return before.after(1)


class _HoldingBatches:
    """The batches of a tail, with positions that hold back the ends whose command has not been run.

    Reading waits while too many builds wait for their command.
    """

    def __init__(self, batches: WorkerBatches, commands: Commands, held: HeldEnds) -> None:
        self._batches = batches
        self._commands = commands
        self._held = held

    async def ready(self) -> bool:
        """Wait until there are lines or ends, and room for the commands of the ends."""
        await self._commands.room()
        return await self._batches.ready()

    async def read(self) -> Sequence[TailItem]:
        """The lines and ends that are there."""
        return await self._batches.read()

    @property
    def position(self) -> TailPosition | None:
        """The position after the last batch; None before the first lookup."""
        position = self._batches.position
        return None if position is None else self._held.without(position)

    def after(self, lines: Sequence[TailItem]) -> TailPosition:
        """The position after these items."""
        return self._held.without(self._batches.after(lines))
