"""The command line: `python -m analysis --help`. Each command calls what the chapters call."""

import json
import os
import signal
import sys
from pathlib import Path

import click

from analysis.arithmetic import FILE, JSON, MOST, count, predict
from analysis.terminal import echo, told

YEARS = {2: "two", 20: "twenty"}
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Read the tables from DIR instead of the project's data/.",
)
BUDGET = click.option(
    "--budget",
    type=click.Choice(["smoke", "quick", "full"]),
    default="quick",
    help="What measuring may cost: 3, 15 or 90 minutes.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def cli() -> None:
    """Rebuild the results of "AI and Memory Wall" (Gholami et al., IEEE Micro 2024)."""


cli.add_command(count)
cli.add_command(predict)


@cli.command()
@DATA
@JSON
def trends(data: Path | None, as_json: bool) -> None:
    """Refit the growth rates of the paper's figures from the authors' points."""
    from analysis.compared.growth import fit_trends
    from analysis.compared.page import between, times

    growths = fit_trends(data)
    if as_json:
        shown = {
            name: {
                **{f"per_{word}_years": g.over(n) for n, word in YEARS.items()},
                **{f"interval_{word}_years": list(g.interval_over(n)) for n, word in YEARS.items()},
                "n": g.n,
            }
            for name, g in growths.items()
        }
        echo(json.dumps(shown, indent=2))
        return
    for name, g in growths.items():
        echo(
            f"{name:30}{times(g.over(2), 4):>10} per 2 years "
            f"(95 %: {between(g.interval_over(2))}), "
            f"{times(g.over(20), 4)} per 20 years, n = {g.n}"
        )


@cli.command()
@DATA
@click.option(
    "--run",
    "run_name",
    metavar="NAME|FILE",
    help="Judge the claims about machines by this run too, archived or your own file.",
)
@JSON
def verdicts(data: Path | None, run_name: str | None, as_json: bool) -> None:
    """Judge every claim of the paper: by data, by the reference run, and by another."""
    from analysis.compared import shown
    from analysis.compared.claims import accepted, printed, verdicts, with_interval
    from analysis.measured.run import find_run, load_run

    runs = {"reference": shown.reference()}
    if run_name is not None:
        runs["here"] = load_run(find_run(run_name))
    judged = verdicts(runs, data)
    if as_json:
        echo(judged.to_json(orient="records", indent=2))
        return
    for row in judged.itertuples():
        echo(f"{row.verdict:14}{row.id:40}{row.run:10}paper {printed(row):12} accepted "
                   f"{accepted(row):18} ours {with_interval(row)}")  # fmt: skip


@cli.command()
def shown() -> None:
    """Say which runs the measured chapters show."""
    from analysis.compared import shown

    runs, fault = shown.found()
    for name, run in runs.items():
        echo(f"{name}: {shown.described(run)}, {run.started:%Y-%m-%d}, budget {run.budget}")
    if fault:
        echo(f"here: {fault}")


@cli.command()
@BUDGET
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    help="What is measured; auto is an accelerator if there is one.",
)
@click.option("--threads", type=click.IntRange(1, MOST), help="CPU threads [default: torch's].")
@click.option(
    "--out", type=FILE, metavar="FILE", help="Keep the run in FILE instead of the project's runs/."
)
@click.option("--fresh", is_flag=True, help="Measure anew, whatever was measured before.")
@JSON
def measure(budget, device, threads, out, fresh, as_json) -> None:
    """Measure this machine: its ceilings, BERT and GPT-2 on it, remedies and links.

    An interrupted run goes on where it was; a finished one is shown, and not measured again.
    """
    from tqdm import tqdm

    from analysis.measured.driver import measure_machine
    from analysis.measured.run import local_path

    bars = []  # one, once there is something to show; a mistake stays one line

    def progress(key: str, done: int, of: int, left: float) -> None:
        if not bars:
            bars.append(tqdm(total=of, leave=False, bar_format="{n}/{total} {bar:20} {desc}"))
        bars[0].n, bars[0].total = done, of
        bars[0].set_description_str(f"{key}, at most {left:.0f} s left" if key else "done")

    try:
        run = measure_machine(budget, device, threads, out, fresh, progress)
    finally:
        for bar in bars:
            bar.close()
    if as_json:
        echo(run.model_dump_json(indent=2))
        return
    for point in run.points:
        echo(in_one_line(point))
    for each in run.not_measured:
        echo(f"{str(each.key):40}not measured: {each.reason}")
    echo(f"run: {out or local_path(run.machine, run.budget)}")


def in_one_line(point) -> str:
    """A point as the command line shows it: its name, time with interval, and rates."""
    sample, rates = point.sample, []
    if point.bytes:
        rates.append(f"{point.bytes / sample.median / 1e9:.4g} GB/s")
    if point.flops:
        rates.append(f"{point.flops / sample.median / 1e9:.4g} GFLOP/s")
    low, high = (1e3 * end for end in sample.interval)
    return (
        f"{str(point.key):40}{1e3 * sample.median:>11.4g} ms (95 %: {low:.4g} to {high:.4g}, "
        f"n = {sample.n})  {', '.join(rates)}"
    )


@cli.command()
@click.option(
    "--processes",
    "-n",
    type=click.IntRange(2, 1024),
    default=2,
    help="How many, on this machine; for several machines see chapter 8 of the book.",
)
@click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Add to the run in FILE, or keep one there [default: this machine's run of BUDGET].",
)
@BUDGET
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=60,
    help="Seconds after which a process that is silent is given up.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where messages are; auto is a GPU for each process if there are enough.",
)
def links(processes: int, out: Path | None, budget: str, timeout: float, device: str) -> None:
    """Measure the links between processes, models split over them, and training state divided.

    Started by torchrun it is one of the processes, which may be on several machines.
    """
    from analysis.measured.launch import launch
    from analysis.measured.links import BETWEEN, measure_links, own_file
    from analysis.measured.run import load_run

    out = out or own_file(budget, int(os.environ.get("LOCAL_WORLD_SIZE", processes)), device)
    if "RANK" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which ends it also while it waits
        if code := told(lambda: measure_links(out, timeout, device, budget)):
            os._exit(code)  # a process group that lost a member may hang when it is taken down
        return
    launch(processes, out, timeout, device=device, budget=budget)
    for point in load_run(out).points:
        if point.what in BETWEEN:
            echo(in_one_line(point))
    echo(f"run: {out}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; what ends it otherwise than well is `terminal.told`'s to say."""
    return told(lambda: cli.main(arguments, prog_name="python -m analysis", standalone_mode=False))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # as for an interrupt
    sys.exit(main())
