"""Commands, tables and runs that chance made: no exception that is not one line."""

import io
import json
import random
from contextlib import redirect_stderr, redirect_stdout

import pytest

from analysis.__main__ import in_one_line, main
from analysis.errors import InputError
from analysis.measured import driver
from analysis.measured.run import find_run, load_run
from analysis.published.tables import DATA, described, load_table

NASTY = [
    b"", b"\0", b"\xff", b"\xed\xb2\x80", b'"', b",", b"\n", b"\r", b"=1+1", b"-1", b"0", b"1e400",
    b"sNaN", b"NaN", b"Infinity", b"9" * 316, b"9" * 4301, b"\x1b[2J", "\u202e".encode(), b"null",
    b"[" * 3000, b"{}", b"true", b"1999-02-30", b"x" * 200_000,
]  # fmt: skip
WORDS = [
    "count", "trends", "verdicts", "shown", "measure", "links", "gpt2", "bert-base", "--json", "-l",
    "--sequence-length", "--batch", "--bytes", "--phase", "step", "generate", "encode", "prefill",
    "--convention", "fused", "--config", "/dev/zero", "/dev/null", "/", "--set", "n_layers=3",
    "n_heads=5", "d_ff=", "norm=rmsnorm", "name=\x1b[2J", "kind=encoder", "--data", "--run",
    "--out", "--budget", "smoke", "--device", "cpu", "--threads", "--fresh", "--processes",
    "--timeout", "--help", "positions=rotary", "gated_ffn=true", "1", "2", "0", "-1", "1e9",
    "512", "a\udc80", "ü", "\0", "x" * 5000, "--", "-", "",
    *(f"{field}={value}" for field in ("n_layers", "d_ff", "n_heads", "d_model", "norm_eps")
      for value in ("9" * 316, "9" * 4290, "-1", "0", "nan", "1e400")),
]  # fmt: skip
PATHS = {name: DATA / each["path"] for name, each in described().items()}
TABLES = [name for name, path in PATHS.items() if path.stat().st_size < 20_000]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def a_run():
    """A real run of few points, as bytes."""
    run = json.loads(find_run("amd-epyc-2-cores").read_text("utf-8"))
    return json.dumps(run | {"points": run["points"][::80], "not_measured": []}).encode()


def damaged(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 3)):
        start = chance.randint(0, len(content))
        end = chance.choice((start, start + 1, start + chance.randint(0, 40), len(content)))
        content = content[:start] + chance.choice((*NASTY, content[start:end] * 2)) + content[end:]
    return content


def command(chance, folder, a_run):
    """A command line; few of them are right."""
    words = [chance.choice(WORDS) for _ in range(chance.randint(0, 7))]
    if chance.random() < 0.6:
        words = ["count", "gpt2", "-l", chance.choice(("1", "512", "1000000000")), *words[:1]]
        for _ in range(chance.randint(1, 3)):
            words += ["--set", chance.choice([word for word in WORDS if "=" in word])]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    if code:
        err.flush()
        said = err.buffer.getvalue().decode("utf-8").split("\r")[-1]
        assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, (words, said)
        assert said.rstrip("\n").isprintable()


def table(chance, folder, a_run):
    name = chance.choice(TABLES)
    lines = PATHS[name].read_bytes().splitlines(keepends=True)[:4]
    file = folder / PATHS[name].relative_to(DATA)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(damaged(b"".join(lines), chance))
    load_table(name, folder)


def run(chance, folder, a_run):
    file = folder / "run.json"
    file.write_bytes(damaged(a_run, chance))
    for point in load_run(file).points:
        assert in_one_line(point).isprintable()


@pytest.fixture
def idle(monkeypatch, folder):
    """Nothing is measured or judged, and what a command writes lies in a folder of its own."""
    from analysis.compared import claims
    from analysis.measured import launch
    from analysis.measured import run as runs

    def nothing(*_, **__):
        raise InputError("not here")

    monkeypatch.setattr(driver, "all_tasks", lambda *_: ([], [], []))
    monkeypatch.setattr(driver, "with_links", lambda run, *_: run)
    monkeypatch.setattr(claims, "verdicts", nothing)
    monkeypatch.setattr(runs, "LOCAL", folder / "runs")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(launch, "launch", nothing)


@pytest.mark.parametrize("inputs", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_chance_finds_no_traceback(inputs, idle, folder, a_run):
    for seed in range(inputs):
        chance = random.Random(seed)
        of = chance.choice((command, command, table, run, run))
        try:
            of(chance, folder, a_run)
        except InputError as error:
            assert "\n" not in str(error), (seed, str(error))
        except Exception as error:
            raise AssertionError(f"input {seed}, a {of.__name__}") from error
