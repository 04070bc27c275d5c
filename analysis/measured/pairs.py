"""BERT-Base's passes and GPT-2's steps timed in turn, so that a ratio of them is pair by pair.

A claim sets one model over the other. Timed minutes apart their ratio would hold the drift of both;
timed repetition by repetition, all see the same machine. Attention is fused, the batch is one.
"""

from analysis.measured.networks import Decoder, Encoder
from analysis.measured.timing import Budget, Key, Task
from analysis.measured.works import DRAWN, Works, in_turn
from analysis.predicted.architectures import BERT_BASE, GPT2
from analysis.predicted.operations import FUSED
from analysis.predicted.transformer import pass_or_step

# Lengths of passes, and contexts of steps that a generation as long is integrated from.
TURNS = {
    "short": ((128, 256, 512), (1, 64, 128, 256, 512)),
    "long": ((128, 1024, 2048, 4096), (1, 512, 1024, 2048, 3072, 4096)),
}
BRIEF = {"short": ((128,), (1, 64, 128))}


def pair_task(turn: str, passes: tuple[int, ...], contexts: tuple[int, ...], *how) -> Task:
    """One turn: a pass over each of `passes` tokens, and a step at each of `contexts`; `how` are
    device, budget and threads."""
    longest = max(contexts)
    points = {Key("pair", "bert-base", n, how=turn): BERT_BASE for n in passes}
    points |= {Key("pair", "gpt2", n, how=turn): GPT2 for n in contexts}

    def prepare(works: Works) -> None:
        encoder = Encoder(BERT_BASE, max_length=longest, device=works.device)
        decoder = Decoder(GPT2, max_length=longest, device=works.device)
        for key, arch in points.items():
            work = works.model(key, encoder if arch is BERT_BASE else decoder, arch)
        # Not timed: in a generation a step follows a step, not seconds of passes.
        works.timed.insert(len(passes), lambda: work() or ())

    costs = [pass_or_step(arch, key.tokens, FUSED)["total"] for key, arch in points.items()]
    numbers = 2 * BERT_BASE.n_parameters + GPT2.n_parameters + GPT2.cached(longest)
    numbers += max(passes) * (8 * BERT_BASE.d_model + 2 * BERT_BASE.d_ff)
    before = DRAWN * numbers
    return in_turn(next(iter(points)), prepare, costs, 4 * numbers, *how, before=before, share=1)


def pair_tasks(device: str, budget: Budget, threads: int) -> list[Task]:
    turns = budget.of(TURNS, BRIEF).items()
    return [pair_task(turn, *of, device, budget, threads) for turn, of in turns]
