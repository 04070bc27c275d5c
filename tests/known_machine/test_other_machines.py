"""Known machines of other ridge points, or of costly launches: other regimes, other verdicts."""

import pytest
from arithmetic import BANDWIDTH, DIGITS, near
from machine import Known, made, measured

from analysis.compared import claims, regimes, roofs
from analysis.measured import profile


@pytest.mark.parametrize(
    "ridge, launch, decoding, encoding",
    [
        (0.1, 0, "differs", "reproduced"),  # even a step, at half a FLOP a byte, computes
        (16, 0, "reproduced", "reproduced"),
        (300, 0, "reproduced", "differs"),  # even 512 tokens wait for memory
        (16, 1e-2, "differs", "reproduced"),  # launches are most of both, and bytes of neither
    ],
)
def test_another_ridge_point_or_launch_gives_other_verdicts(
    ridge, launch, decoding, encoding, monkeypatch
):
    monkeypatch.setattr(profile, "BRIEF", profile.PLAN[:5])  # all that is short
    known = Known(BANDWIDTH, ridge * BANDWIDTH, launch=launch)
    whats = ("bandwidth", "matmul", "encode", "step", "batch", "heads", "size")
    run = measured(known, made(brief=True, whats=whats))
    if launch:
        assert set(regimes.regimes(run)["regime"]) == {"overhead-bound"}
    else:
        near("ridge point", roofs.ceilings(run).ridge_point, ridge, 2 * DIGITS)
    judged = claims.verdicts({"reference": run}, page="05_this_machine")
    judged = judged.set_index("id")["verdict"]
    assert judged["decoding_is_memory_bound"] == decoding
    assert judged["encoding_is_not_memory_bound"] == encoding
