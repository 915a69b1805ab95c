"""Runs of claims, some at a time, each in a worker of its own, kept on the disk as soon as they are there.

In: tasks. Out: their `Run`s as they end. It must not know pages or the terminal.
"""

import signal
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import process_time

import torch
from threadpoolctl import threadpool_limits

from unbend.errors import LoadError, MissingExtraError
from unbend.lab import films, pictures, results
from unbend.lab.claim import Budget, Claim
from unbend.lab.claims import N_SEEDS
from unbend.lab.claims import claim as claim_of
from unbend.lab.results import Run
from unbend.zoo.randomness import threads

HEAVY = ("neural_collapse", "topology", "double_descent", "lottery", "transfer")
"""Claims that take up to a minute; they get one seed."""
COMPILED = tuple(
    names.split()
    for names in (
        "regions_one_layer regions_depth",
        "affine_collapse born_dead double_descent must_be_separable sin_fit strip topology universal xor_trained",
        "bottleneck cover logistic_head must_be_separable strip xor_impossible",
        "neural_collapse regression_head separability_over_time separability_rises",
    )
)
"""Claims that use the same compiled code. On a machine that has not compiled it yet the first of them does it alone,
and the others come when it lies on the disk: two workers would compile the same at the same time."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run that is asked for.

    Attributes:
        claim: its name.
        seed: what chance begins with.
        budget: how large the experiment is.
        folder: where its files go.
        draws: whether to draw its figure.
        films: whether to make its film too.
        fresh: whether to run it even if a saved run would do.
    """

    claim: str
    seed: int
    budget: Budget
    folder: Path
    draws: bool = True
    films: bool = True
    fresh: bool = False


def tasks(
    names: Iterable[str],
    folder: Path,
    *,
    budget: Budget = "full",
    seeds: Sequence[int] | None = None,
    films: bool = True,
    fresh: bool = False,
) -> list[Task]:
    """The runs that these claims need: every claim's first seed, which is drawn, before anyone's second.

    Args:
        names: of the claims.
        folder: where the files go.
        budget: how large the experiments are.
        seeds: of every claim; when left out, 0 in a quick run and for the heavy claims, else 0, 1 and 2.
        films: whether to make films.
        fresh: whether to run what a saved run would answer.
    """
    wanted = {name: _seeds(name, budget) if seeds is None else tuple(seeds) for name in names}
    ordered = [
        Task(name, own[turn], budget, folder, draws=turn == 0, films=films and turn == 0, fresh=fresh)
        for turn in range(max(map(len, wanted.values()), default=0))
        for name, own in wanted.items()
        if turn < len(own)
    ]
    return sorted(ordered, key=lambda task: task.claim not in HEAVY)


def _seeds(name: str, budget: Budget) -> tuple[int, ...]:
    return tuple(range(1 if budget == "quick" or name in HEAVY else N_SEEDS))


def perform(task: Task) -> Run:
    """Run one task here, or take the saved run; whatever goes wrong is told by the `Run`.

    The experiment's numbers stay in the file.
    """
    try:
        claim = claim_of(task.claim)
        saved = None if task.fresh else results.open_run(claim, task.budget, task.seed, task.folder / "runs")
        run = _measure(claim, task) if saved is None else saved
        _draw(claim, run, task, again=saved is None)
    except (LoadError, MissingExtraError) as error:
        return Run(task.claim, task.seed, task.budget, "not run", str(error))
    except Exception as error:  # noqa: BLE001  a claim that breaks down is an outcome; the others go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
        return Run(task.claim, task.seed, task.budget, "error", reason)
    return replace(run, result=None)


def _measure(claim: Claim, task: Task) -> Run:
    start = process_time()
    result = claim.run(task.seed, task.budget)
    seconds = process_time() - start
    verdict = claim.holds(result)
    run = Run(
        claim=task.claim,
        seed=task.seed,
        budget=task.budget,
        status="passed" if verdict.passed else "failed",
        seconds=seconds,
        result=result,
        verdict=verdict,
        finding=claim.finding(result),
    )
    results.save(run, claim, task.folder / "runs")
    return run


def _draw(claim: Claim, run: Run, task: Task, *, again: bool) -> None:
    """The figure and the film, where they are wanted and not there yet."""
    figures, reel = task.folder / "figures", task.folder / "films"
    if task.draws and (again or not (figures / f"{run.stem}.png").exists()):
        pictures.save(claim, run.result, figures, run.stem)
    if task.films and claim.film is not None and (again or not (reel / f"{run.stem}.gif").exists()):
        films.save(claim, run.result, reel, run.stem, budget=task.budget)


def together(tasks: Sequence[Task], *, n_workers: int) -> Generator[Run, None, None]:
    """The runs of the tasks as they end, from so many worker processes with one thread each.

    One task, or one worker, is run right here. A worker that dies takes only its own task with it. Close the
    generator (or let an interrupt pass) and the workers end; what they had finished is on the disk.
    """
    left = deque(tasks)
    if min(len(left), n_workers) <= 1:
        for task in left:
            with threads(1), threadpool_limits(1):
                run = perform(task)
            yield run
        return
    hands = [_hire() for _ in range(min(n_workers, len(left)))]
    try:
        ready_code: set[int] = set()
        for hand in hands:
            hand.give(_next(left, hands, ready_code))
        while busy := {hand.connection: hand for hand in hands if hand.task is not None}:
            for ready in wait(list(busy)):
                hand = busy[ready]  # type: ignore[index]
                run = hand.take_run()
                ready_code |= _code_of(run.claim)
                if not hand.process.is_alive():
                    hands.remove(hand)
                    hand = _hire()
                    hands.append(hand)
                hand.task = None
                hand.give(_next(left, hands, ready_code))
                yield run
    finally:
        for hand in hands:
            hand.process.terminate()
        for hand in hands:
            hand.process.join()


@dataclass(slots=True)
class _Hand:
    """A worker process, the line to it, and what it is at."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None

    def give(self, task: Task | None) -> None:
        """Hand over a task, if there is one."""
        self.task = task
        if self.task is not None:
            self.connection.send(self.task)

    def take_run(self) -> Run:
        """What came of the task; an error where the worker died over it."""
        task = self.task
        if task is None:
            raise RuntimeError("a worker without a task has nothing to give")
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            reason = f"its process ended with status {self.process.exitcode}; too little memory?"
            return Run(task.claim, task.seed, task.budget, "error", reason)


def _next(left: deque[Task], hands: Sequence[_Hand], ready_code: set[int]) -> Task | None:
    """The first task that needs no code which another worker is just compiling; the first of all where each does."""
    compiling = {code for hand in hands if hand.task is not None for code in _code_of(hand.task.claim)} - ready_code
    for task in left:
        if not _code_of(task.claim) & compiling:
            left.remove(task)
            return task
    return left.popleft() if left else None


def _code_of(claim: str) -> set[int]:
    return {i for i, names in enumerate(COMPILED) if claim in names}


def _hire() -> _Hand:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Hand(process, ours)


def _serve(connection: Connection) -> None:
    """A worker: one task after the other, in one thread, until the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    with threadpool_limits(1), suppress(EOFError, BrokenPipeError):  # whoever asks has gone
        while True:
            connection.send(perform(connection.recv()))
