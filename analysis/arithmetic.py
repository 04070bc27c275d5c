"""The commands that only calculate: `count` and `predict`."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from analysis.errors import InputError
from analysis.terminal import echo

MOST = 10**9  # beyond any sequence or batch; keeps a slip of the hand from printing nonsense
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.Path(path_type=Path)
COUNT = click.IntRange(1, MOST)
BITS = click.Choice(["4", "8", "16", "32"])
BYTES = click.Choice(["1", "2", "4"])
CONVENTION = click.Choice(["published", "unfused", "fused"])
PHASE = click.Choice(["encode", "prefill", "step", "generate"])


class Positive(click.FloatRange):
    """A number above 0; NaN is none."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        return number if number == number else self.fail(f"{value} is no number.", param, ctx)


POSITIVE = Positive(0, 1e15, min_open=True)
TASK = click.option("--task", help="Whose head to count, instead of what `architectures` names.")


@click.command()
@click.argument("arch", required=False)
@click.option("--config", type=FILE, metavar="FILE", help="A config.json instead of ARCH.")
@TASK
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Such as n_heads=4.")
@click.option(
    "--sequence-length", "-l", type=COUNT, required=True, help="Tokens, or a step's context."
)
@click.option("--phase", type=PHASE, help="Default: an encoder encodes, a decoder generates.")
@click.option("--convention", type=CONVENTION, help="Default: published; unfused for --config.")
@click.option("--bytes", "element_bytes", type=BYTES, help="Of each number, for all alike.")
@click.option("--batch", type=COUNT, default=1, show_default=True)
@JSON
def count(
    arch, config, task, settings, sequence_length, phase, convention, element_bytes, batch, as_json
) -> None:  # fmt: skip
    """Count FLOPs, bytes and arithmetic intensity of ARCH by operator class, parameters and cache.

    A config that no formula covers is counted by tracing, as transformers builds it (in float32,
    every operator reading and writing memory).
    """
    from analysis.predicted.architectures import override
    from analysis.predicted.chips import model_named
    from analysis.predicted.counted import OPERATOR_CLASSES, count_json, default_phase
    from analysis.predicted.operations import CONVENTIONS

    if (arch is None) == (config is None):
        raise InputError("count needs an ARCH or a --config FILE, and not both")
    counted_as = CONVENTIONS[convention or ("unfused" if config else "published")]
    if element_bytes:
        counted_as = counted_as.with_bytes(int(element_bytes))

    def traced(mapping: Mapping):
        from analysis.measured.traced_models import traced_json

        if settings or convention or element_bytes:
            raise InputError("what is traced takes no --set, --convention or --bytes")
        return traced_json(mapping, task, phase, sequence_length, batch)

    if config:
        architecture, shown = _from_file(config, task, traced)
    else:
        architecture = model_named(arch)
    if architecture:
        architecture = override(architecture, settings)
        phase = phase or default_phase(architecture)
        shown = count_json(architecture, phase, sequence_length, counted_as, batch)
    if as_json:
        echo(json.dumps(shown, indent=2))
        return
    echo(
        f"{shown['architecture']}, {shown['phase']}, {sequence_length} tokens, batch {batch}, "
        f"convention {shown['convention']}"
    )
    echo(f"{'Parameters':28}{shown['parameters']:>22,}, of a token "
               f"{shown['active_parameters']:,}")  # fmt: skip
    if shown["cached"] is not None:
        echo(f"{'Cache':28}{shown['cached']:>22,} elements of a sequence")
    for name, label in OPERATOR_CLASSES.items():
        row = shown["operators"].get(name, shown["total"])
        echo(
            f"{label:28}{row['flops']:>22,} FLOPs {row['bytes']:>20,} bytes "
            f"{row['intensity']:>10.2f} FLOP/byte"
        )


@click.command()
@click.option(
    "--config",
    required=True,
    metavar="FILE|MODEL",
    help="A config.json, or a model of data/models/.",
)
@TASK
@click.option("--chip", metavar="NAME", help="A chip of data/hardware/accelerators.csv.")
@click.option("--run", metavar="NAME|FILE", help="The machine of a run, archived or your own.")
@click.option("--bandwidth", type=POSITIVE, metavar="GB/s", help="Instead of the chip's.")
@click.option("--peak", type=POSITIVE, metavar="TFLOP/s", help="Instead of the chip's.")
@click.option("--memory", type=POSITIVE, metavar="GB", help="Instead of the chip's.")
@click.option("--link", type=POSITIVE, metavar="GB/s", help="In each direction, as above.")
@click.option("--chips", type=COUNT, default=1, show_default=True, help="Every matrix is split.")
@click.option("--batch", type=COUNT, default=1, show_default=True)
@click.option("--context", type=COUNT, default=2048, show_default=True, help="Tokens of a step.")
@click.option("--prompt", type=COUNT, help="Tokens before the first new one [default: context].")
@click.option("--weights", type=BITS, default="16", show_default=True, help="Bits of a weight.")
@click.option("--cache", type=BITS, default="16", show_default=True, help="Bits, cached numbers.")
@click.option("--activations", type=BITS, default="16", show_default=True, help="And products.")
@click.option("--price", type=POSITIVE, help="Of a chip's hour, in any currency.")
@JSON
def predict(
    config, task, chip, run, bandwidth, peak, memory, link, chips, batch, context, prompt, weights,
    cache, activations, price, as_json,
) -> None:  # fmt: skip
    """Say whether a model fits on a chip, what it waits for and how fast it can be at best."""
    from analysis.predicted.answer import Setting, answer
    from analysis.predicted.printed import lines

    machine = _chip(chip, run, bandwidth, peak, memory, link, chips)
    needs, arch = _model(config, task)
    bits = int(weights), int(cache), int(activations)
    found = answer(needs, machine, Setting(context, prompt or context, batch, *bits, price), arch)
    echo(json.dumps(found, indent=2) if as_json else "\n".join(lines(found)))


def _chip(name, run, bandwidth, peak, memory, link, n):
    """The chip of a name or a run, changed by what was typed."""
    from dataclasses import replace

    from analysis.predicted.chips import Chip, chip_named

    if name and run:
        raise InputError("predict takes a --chip or a --run, and not both")
    typed = {"bandwidth": bandwidth and 1e9 * bandwidth, "memory": memory and 1e9 * memory}
    typed |= {"link": link and 1e9 * link, "peaks": peak and {32: 1e12 * peak}}
    typed = {field: value for field, value in typed.items() if value}
    if name:
        return replace(chip_named(name), **typed, n=n)
    if run:
        from analysis.measured.run import Missing

        try:
            return replace(_chip_of(run), **typed, n=n)
        except Missing as missing:
            raise InputError(f"{run}: {missing}; type --bandwidth and --peak instead") from None
    if not (bandwidth and peak):
        raise InputError("predict needs a --chip, a --run, or both --bandwidth and --peak")
    return Chip("typed", **typed, n=n)


def _chip_of(name: str):
    """The machine of a run as a chip: what it reached, and the memory that it has."""
    from analysis.compared.roofs import ceilings
    from analysis.measured.run import find_run, load_run
    from analysis.predicted.chips import Chip

    run = load_run(find_run(name))
    roof, machine = ceilings(run), run.machine
    memory, peaks = machine.gpu_memory_bytes or machine.memory_bytes, {32: roof.peak_flop_per_s}
    return Chip(machine.device_name, float(roof.bandwidth_bytes_per_s), peaks, memory)


def _model(config: str, task: str | None):
    """The needs of a file or a known model, and its architecture where a formula counts it."""
    from analysis.predicted.chips import model_named
    from analysis.predicted.needs import needs_of

    path, traced = Path(config), None
    if path.exists() or path.suffix == ".json":
        architecture, traced = _from_file(path, task, lambda mapping: _traced(mapping, task))
    else:
        architecture = model_named(config)
    return traced or needs_of(architecture), architecture


def _traced(config: Mapping, task: str | None):
    from analysis.measured.traced_models import traced_needs

    return traced_needs(config, task)


def _from_file(path: Path, task: str | None, traced):
    """The architecture of a file, or what tracing gives; where neither does, why."""
    from analysis.predicted.configs import NotModelled, from_file, read

    try:
        return from_file(path, task), None
    except NotModelled as refused:
        try:
            return None, traced(read(path))
        except InputError as problem:
            raise InputError(f"{refused}; {problem}") from None
