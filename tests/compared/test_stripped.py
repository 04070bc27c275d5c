"""A run from elsewhere, whose points have no more than the schema demands of them."""

import importlib
import inspect
import pkgutil

import pandas as pd
import pytest

from analysis import compared
from analysis.compared.claims import COMPUTED
from analysis.compared.shown import reference as archived
from analysis.errors import InputError
from analysis.measured.run import Run
from analysis.measured.schema import demanded
from analysis.published.claims import load_claims

# What functions want besides a run; of claims that share one the registry knows it.
OTHERS = {
    "ladder.by_round": {"model": "gpt2", "tokens": 64},
    "latency.gpt2_over_bert": {"tokens": 128},
    "memory.every_layer": {"factor": "factor"},
    "quality.more_bits": {"how": "int row", "n": 4},
    "regimes.follows_bytes": {"model": "GPT-2"},
}
DETAILS = {name for point in archived().points for name in point.details} | {"flops", "bytes"}


def of_one_run():
    """Calls of every public function of the room that takes a run, and of every such claim."""
    for _, name, package in pkgutil.walk_packages(compared.__path__, "analysis.compared."):
        module = importlib.import_module(name)
        for function in () if package else vars(module).values():
            if inspect.isfunction(function) and function.__module__ == name:
                first = next(iter(inspect.signature(function).parameters.values()), None)
                if first and first.annotation is Run and not function.__name__.startswith("_"):
                    name_ = f"{name.split('.')[-1]}.{function.__name__}"
                    yield name_, lambda run, f=function, n=name_: f(run, **OTHERS.get(n, {}))
    machine = [claim.id for claim in load_claims().values() if claim.basis == "machine"]
    yield from ((id, COMPUTED[id]) for id in machine)


@pytest.fixture(scope="module", params=["all", "every second", "every third"])
def stripped(request, reference):
    """The reference, or a part of its points, without what is not demanded."""
    points, step = [], {"all": 1, "every second": 2, "every third": 3}[request.param]
    for i, point in enumerate(reference.points):
        kept, row = demanded(point.what, point.how), point.model_dump(exclude_defaults=True)
        if i % step == 0:
            row["details"] = {k: v for k, v in point.details.items() if k in kept}
            row |= {name: None for name in ("flops", "bytes") if name not in kept}
        points.append(row)
    data = reference.model_dump(mode="python") | {"points": points}
    return Run.model_validate(data)


@pytest.mark.parametrize(("name", "of"), list(of_one_run()), ids=lambda each: str(each)[:40])
def test_nothing_else_is_read(name, of, stripped, reference):
    """Without it nothing fails otherwise than by an InputError, and no number is another."""
    try:
        found, whole = of(stripped), of(reference)
    except InputError:
        return
    if isinstance(whole, pd.DataFrame):
        pd.testing.assert_frame_equal(kept(found), kept(whole), check_dtype=False)
    elif isinstance(whole, pd.Series):
        pd.testing.assert_frame_equal(kept(found.to_frame().T), kept(whole.to_frame().T))
    else:
        assert found == whole


def kept(rows):
    """Without the columns that were stripped."""
    return rows[[name for name in rows if name not in DETAILS]]
