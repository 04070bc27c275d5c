"""The command line: `python -m analysis --help`. Each command calls what the chapters call."""

import json
import sys
from pathlib import Path

import click

from analysis.errors import InputError

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Read the tables from DIR instead of the project's data/.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Rebuild the results of "AI and Memory Wall" (Gholami et al., IEEE Micro 2024)."""


@cli.command()
@DATA
@JSON
def trends(data: Path | None, as_json: bool) -> None:
    """Refit the growth rates of the paper's figures from the authors' points."""
    from analysis.compared.page import between, times
    from analysis.compared.scaling import fit_trends, trends_json

    growths = fit_trends(data)
    if as_json:
        click.echo(json.dumps(trends_json(growths), indent=2))
        return
    for trend, g in growths.items():
        click.echo(
            f"{trend:30}{times(g.over(2), 4):>10} per 2 years "
            f"(95 %: {between(g.interval_over(2))}), "
            f"{times(g.over(20), 4)} per 20 years, n = {g.n}"
        )


@cli.command()
@DATA
@JSON
def verdicts(data: Path | None, as_json: bool) -> None:
    """Judge every claim of the paper."""
    from analysis.compared.page import number, percent
    from analysis.compared.verdicts import all_verdicts, verdicts_json

    judged = all_verdicts(data)
    if as_json:
        click.echo(json.dumps(verdicts_json(judged), indent=2))
        return
    for v in judged:
        ours = "-" if v.ours is None else f"{number(v.ours)} ({percent(v.deviation, sign=True)})"
        click.echo(f"{v.verdict:14}{v.id:40}paper {number(v.published):>8}   ours {ours}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    try:
        cli.main(arguments, prog_name="python -m analysis", standalone_mode=False)
    except (InputError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"error: {' '.join(text.split())}", err=True)
        return 2
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
