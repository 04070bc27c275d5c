"""Measuring within a budget: what fits is measured, what does not is named, nothing is lost."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from analysis.errors import InputError
from analysis.files import keep, locked
from analysis.measured import machine
from analysis.measured.run import Run, load_run, local_path, reusable, save_run
from analysis.measured.timing import Budget, Key, Task, budget_named

AIM = 0.8  # of a budget's wall time; the rest is for the last point to be late in
SILENT = 60  # seconds after which a process that says nothing is given up
LINK = Key("link")  # why there are no links, where there are none
ENDED = "the process was ended while it measured this; --fresh tries again"

Progress = Callable[[str, int, int, float], object]  # point, points done, of how many, seconds left


def measure_machine(
    budget_name: str = "quick",
    device: str = "auto",
    threads: int | None = None,
    out: Path | None = None,
    fresh: bool = False,
    progress: Progress = lambda key, done, of, left: None,
) -> Run:
    """This machine's run at that budget: read if it is there, resumed if it was interrupted, or
    else measured; saved in `out`, by default `run.local_path`, before and after every point.

    What is replaced, with `fresh` or by default where machine, method, budget or schema is another,
    is kept (`files.keep`). Raises InputError for an unknown budget, an absent device, a file that
    cannot be used or that another process writes, or an `out` of another machine, method or budget.
    """
    start, budget = time.monotonic(), budget_named(budget_name)
    machine.keep_memory()
    device, threads = machine.choose_device(device), machine.set_threads(threads)
    here = machine.describe(device, threads)
    path = out or local_path(here, budget.name)
    with locked(path):
        run = None if fresh else _resumable(path, here, budget.name, asked=out is not None)
        if run is None:
            keep(path)
            run = Run.new(here, budget.name)
        elif run.finished:
            return run
        before = run.wall_seconds

        def save(run: Run) -> None:
            run.wall_seconds = round(before + time.monotonic() - start, 3)
            save_run(run, path)

        save(run)  # where it cannot be written, nothing is measured in vain
        tasks, remedies, ladder = all_tasks(device, budget, threads, here.fast_paths)
        gc.freeze()  # all that was imported needs no look at before each point
        measure = partial(run_tasks, free_memory=partial(machine.free_memory_bytes, device))
        measure(tasks, run, budget, save, progress, used=time.monotonic() - start)
        measure(remedies, run, budget.part("remedies", budget.remedy_seconds), save, progress)
        del tasks, remedies  # and the networks that they keep: processes need memory, too
        measure(ladder, run, budget.part("ladder", budget.ladder_seconds), save, progress)
        if run.crashed(LINK):
            run.skip(LINK, ENDED)
        elif budget.link_seconds and not any(point.what == LINK.what for point in run.points):
            progress(str(LINK), 0, 1, budget.link_seconds)
            run = with_links(run, path, device, budget)
            progress("", 1, 1, 0)
        run.finish()
        save(run)
    return run


def with_links(run: Run, path: Path, device: str, budget: Budget) -> Run:
    """The run that `path` holds, with the links between two processes of this machine added, or
    the reason why they, or the rest of them, are not there."""
    from analysis.measured.launch import launch
    from analysis.measured.links import BETWEEN, device_for

    machine.free_memory_bytes(device)  # gives back what torch and the C library keep
    try:
        run.begin(LINK)
        save_run(run, path)
        if device == "mps" or (run.machine.usable_cores or run.machine.cores or 1) < 2:
            raise InputError(f"links need two processes, each with a core and its own {device}")
        device_for(2, device)
        launch(2, path, SILENT, device=device, budget=budget.name, most=budget.link_seconds)
    except (OSError, ValueError) as error:
        run = load_run(path)
        run.skip(LINK, error)
        return run
    except (KeyboardInterrupt, SystemExit):  # no crash: the next process measures them all
        run = load_run(path)
        run.points = [point for point in run.points if point.what not in BETWEEN]
        run.end(LINK)
        save_run(run, path)
        raise
    return load_run(path)


def _resumable(path: Path, here, budget: str, asked: bool) -> Run | None:
    if not path.exists():
        return None
    try:
        run = load_run(path)
        if reusable(run, here, budget):
            return run
        fault = f"{path}: measured on another machine, or by another method or budget"
    except InputError as error:
        fault = str(error)
    if asked or not path.is_file():
        raise InputError(f"{fault}; --fresh measures anew and keeps it as a copy")
    return None


def all_tasks(
    device: str, budget: Budget, threads: int, fast_paths: Sequence[str]
) -> tuple[list[Task], ...]:
    """The machine and the models on it, the remedies, and the ladder. The peak ceilings come first,
    as every other point is compared with them; the models at short lengths, then other data types;
    last what takes longest."""
    from analysis.measured.byte_model import quality_tasks
    from analysis.measured.ceilings import ceiling_tasks
    from analysis.measured.ladder import ladder_tasks
    from analysis.measured.pairs import pair_tasks
    from analysis.measured.profile import SHORT, profile_tasks
    from analysis.measured.serving import serving_tasks, weights_task, zeros_task
    from analysis.measured.speculative import byte_task
    from analysis.measured.training import LENGTHS, training_tasks

    how = device, budget, threads
    main, types = ceiling_tasks(*how)
    early, late = [], []
    pairs, *longer = pair_tasks(*how)
    for task in [pairs, *profile_tasks(*how), *longer]:
        waits = task.key.tokens > max(SHORT) or task.key.what == "generation"
        (late if waits else early).append(task)
    trained, lengthy = (training_tasks(*how, n) for n in LENGTHS)
    remedies = [*trained, weights_task(*how), *quality_tasks(*how), *serving_tasks(*how)]
    remedies += budget.of([byte_task(*how), zeros_task(*how), *lengthy], [])
    ladder = ladder_tasks(*how, fast_paths)
    return main + early + types + late, remedies, ladder


class Pace:
    """How many times longer than estimated tasks take here: by kind once one has finished, and
    else over all kinds, if that is longer."""

    def __init__(self):
        self.took, self.estimated = Counter(), Counter()

    def add(self, task: Task, seconds: float) -> None:
        for kind in (task.key.what, ""):
            self.took[kind] += seconds
            self.estimated[kind] += task.estimate_seconds

    def seconds(self, task: Task) -> float:
        kind, all = (self.took[k] / (self.estimated[k] or 1) for k in (task.key.what, ""))
        return task.estimate_seconds * (kind or max(1, all))


def run_tasks(
    tasks: Iterable[Task],
    run: Run,
    budget: Budget,
    save: Callable[[Run], object],
    progress: Progress = lambda key, done, of, left: None,
    clock: Callable[[], float] = time.monotonic,
    free_memory: Callable[[], int] = lambda: 2**63,
    used: float = 0,
) -> None:
    """Measure `tasks` in their order into `run`, and visit them again while the budget lasts.

    The first of `budget.visits` has that share of the time, and so on: what it has no time for is
    tried again after the points of the next. Visits that `run` has are kept. A task that does not
    fit into the time that is left, the budget's memory or the free memory, or that fails, is in the
    end noted as not measured, with the reason in one line; the next, which may be smaller, is
    tried. What a process before this one began and did not end is not tried again. `save(run)` is
    called before and after each that is tried; whoever calls saves at the end.
    `progress(key, done, of, seconds left)` is called before each that is tried and, with key "",
    at the end. `used` are seconds of the budget that went before.
    """
    tasks = list({task.key: task for task in tasks}.values())
    begun, pace = clock() - used, Pace()
    reasons = {task.key: ENDED for task in tasks if run.crashed(task.key)}
    failed = set(reasons)
    whole, of = AIM * budget.wall_seconds, len(tasks) * budget.visits
    for visit in range(1, budget.visits + 1):
        # What no visit has measured yet comes after what one has.
        order = sorted(tasks, key=lambda task: visit > 1 and not run.visits(task.key))
        todo = [t for t in order if run.visits(t.key) < visit and t.key not in failed]
        for i, task in enumerate(todo):
            done = visit * len(tasks) - len(todo) + i
            left = begun + whole * visit / budget.visits - clock()
            reason = _no_room(task, budget, free_memory()) or _no_time(task, budget, pace, left)
            if reason is not None:
                reasons[task.key] = reason
                continue
            ahead = todo[i:] + tasks * (budget.visits - visit)
            needed = min(begun + whole - clock(), sum(map(pace.seconds, ahead)))
            progress(str(task.key), done, of, max(0, needed))
            try:
                run.begin(task.key)
                save(run)
                start = clock()
                try:
                    run.add(task.key, task.run(budget.seconds_per_point))
                except (RuntimeError, MemoryError, InputError) as error:
                    reasons[task.key] = error
                    failed.add(task.key)
                else:  # what failed early says nothing of the pace
                    pace.add(task, clock() - start)
            finally:  # an interrupt is no crash
                run.end(task.key)
                save(run)
    for task in tasks:
        if not run.visits(task.key):
            run.skip(task.key, reasons[task.key])
    progress("", of, of, 0)


def _no_room(task: Task, budget: Budget, free: int) -> str | None:
    for limit, text in ((budget.memory_bytes, f"budget {budget.name} allows"), (free, "free are")):
        if limit is not None and task.memory_bytes > limit:
            return f"needs {task.memory_bytes / 1e9:.2f} GB of memory; {text} {limit / 1e9:.2f} GB"
    return None


def _no_time(task: Task, budget: Budget, pace: Pace, left: float) -> str | None:
    if (needed := pace.seconds(task)) <= left:
        return None
    return (
        f"budget {budget.name} of {budget.wall_seconds:g} s: would take {needed:.3g} s and "
        f"{max(left, 0):.3g} s are left"
    )
