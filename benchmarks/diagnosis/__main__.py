"""Plant faults in small networks and see what unbend says of them, and of healthy ones.

    python -m benchmarks.diagnosis [--seeds 0 1] [--only WORD ...] [--json FILE] [--all] [--check]

Every seed plants each fault in one of its networks, in turn; `--all` in each. A fault counts only if it harms: on the
rows of the world the same network without it is better by `MARGIN`, or, where test rows were seen or a feature leaks,
the held-out score promises `MARGIN` more than fresh rows keep. The rest is printed as harmless and left out.
"""

import argparse
import json
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace

import torch
from benchmarks.diagnosis import faults_of_data, faults_of_structure, faults_of_training  # noqa: F401  they register
from benchmarks.diagnosis.fault import FAULTS
from benchmarks.diagnosis.healthy import ZOO, raise_well
from benchmarks.diagnosis.judge import breadth, holds, is_true, judge
from benchmarks.diagnosis.networks import score

import unbend

MARGIN = 0.04
"""Of accuracy or of R²."""
TURN = 1
"""Networks a seed plants each fault in."""


@dataclass(slots=True)
class Answer:
    """What was said of one network.

    Attributes:
        name: of the fault, or of the healthy kind.
        kind: the network.
        seed: of all.
        verdict: named, symptom, silent, wrong or harmless; of a healthy one: well, false or badly trained.
        is_leading: whether the first loud finding is right.
        loud: problems and warnings.
        right: those that name the cause.
        near: those that name a symptom.
        false: problems and warnings on a healthy network that are not true.
        harm: score lost by the fault.
        seconds: that the study took.
        said: severity, layer, title and mark of every loud finding.
        error: with which the study ended.
    """

    name: str
    kind: str
    seed: int
    verdict: str = ""
    is_leading: bool = False
    loud: int = 0
    right: int = 0
    near: int = 0
    false: list[str] = field(default_factory=list)
    harm: float = 0.0
    seconds: float = 0.0
    said: list[tuple[str, str, str, str]] = field(default_factory=list)
    error: str = ""


def look(made):
    """(findings, the error it ended with)."""
    try:
        study = unbend.study(made.net, made.train, held_out=made.test, loss=made.loss)
    except Exception as error:  # noqa: BLE001  whatever a study ends with is its answer
        return [], f"{type(error).__name__}: {error}"
    return list(study.findings), ""


def harm(fault, kind, seed, made):
    here = score(made.net, made.world, made.task)
    if made.is_flattered:
        return score(made.net, made.test, made.task) - here
    twin = fault.plant(kind, seed, is_faulty=False)
    return score(twin.net, twin.world, twin.task) - here


def ask(fault, kind, seed):
    """What unbend says of one planted fault."""
    made = fault.plant(kind, seed)
    answer = Answer(fault.name, kind, seed, harm=harm(fault, kind, seed, made))
    if answer.harm < MARGIN:
        answer.verdict = "harmless"
        return answer
    start = time.perf_counter()
    findings, answer.error = look(made)
    answer.seconds = time.perf_counter() - start
    loud, right, near = judge(findings, fault, made.places)
    answer.loud, answer.right, answer.near = len(loud), len(right), len(near)
    answer.is_leading = bool(loud) and loud[0] in right
    is_near = near or holds(answer.error, [*fault.causes, *fault.symptoms])
    answer.verdict = (
        "named" if right else "symptom" if is_near else "wrong" if loud else "crashed" if answer.error else "silent"
    )
    answer.said = [(f.severity, f.layer or "", f.title, "*" if f in right else "~" if f in near else " ") for f in loud]
    return answer


def examine(name, seed):
    """What unbend says of one healthy network."""
    made, floor = raise_well(name, seed)
    answer = Answer(name, "healthy", seed)
    start = time.perf_counter()
    findings, answer.error = look(made)
    answer.seconds = time.perf_counter() - start
    loud = [f for f in findings if f.severity in ("problem", "warning")]
    marks = ["t" if is_true(f, made) else "F" for f in loud]
    answer.false = [f.severity for f, mark in zip(loud, marks, strict=True) if mark == "F"]
    answer.loud = len(loud)
    answer.said = [(f.severity, f.layer or "", f.title, mark) for f, mark in zip(loud, marks, strict=True)]
    is_well = score(made.net, made.world, made.task) >= floor
    answer.verdict = (
        "crashed" if answer.error else "badly trained" if not is_well else "false" if answer.false else "well"
    )
    return answer


def show(answer):
    lead = "leading" if answer.is_leading else ""
    print(f"{answer.verdict:9} {lead:8} {answer.name:36} {answer.kind:18} seed {answer.seed}  harm {answer.harm:.2f} "
          f" {answer.seconds:.1f} s {answer.error[:160]}", flush=True)  # fmt: skip
    for severity, layer, title, mark in answer.said:
        print(f"        {mark} {severity}@{layer or '-'}: {title}")


def table(answers):
    """A row for each fault."""
    print("\n| fault | planted | named | leading | symptom | wrong | silent | harmless |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in dict.fromkeys(a.name for a in answers):
        of = [a for a in answers if a.name == name]
        count = Counter("silent" if a.verdict == "crashed" else a.verdict for a in of)
        ends = (count[verdict] for verdict in ("symptom", "wrong", "silent", "harmless"))
        cells = [len(of), count["named"], sum(a.is_leading for a in of), *ends]
        print("| " + " | ".join([name, *map(str, cells)]) + " |")


def share(part, whole):
    return f"{part}/{whole} = {part / max(whole, 1):.2f}"


def summary(answers, healthy):
    harmful = [a for a in answers if a.verdict != "harmless"]
    loud, right, near = (sum(getattr(a, k) for a in harmful) for k in ("loud", "right", "near"))
    print(f"\nnamed {share(sum(a.verdict == 'named' for a in harmful), len(harmful))}, leading "
          f"{share(sum(a.is_leading for a in harmful), len(harmful))}, named or a symptom "
          f"{share(sum(a.verdict in ('named', 'symptom') for a in harmful), len(harmful))}, silent "
          f"{share(sum(not a.loud for a in harmful), len(harmful))}")  # fmt: skip
    print(f"precision on faulty networks: causes {share(right, loud)}, causes or symptoms {share(right + near, loud)}; "
          f"{loud / max(len(harmful), 1):.1f} problems and warnings a network")  # fmt: skip
    well = [a for a in healthy if a.verdict in ("well", "false")]
    print(f"healthy networks with a false problem {share(sum('problem' in a.false for a in well), len(well))}, with a "
          f"false warning {share(sum('warning' in a.false for a in well), len(well))}; "
          f"badly trained {sum(a.verdict == 'badly trained' for a in healthy)}, crashed "
          f"{sum(a.verdict == 'crashed' for a in healthy)}")  # fmt: skip


def check():
    """Example sentences that the rule of judging would not count, or not for this fault only."""
    refused = []
    for fault in FAULTS.values():
        for text in fault.examples:
            one = SimpleNamespace(severity="warning", layer=None, title=text, evidence="", advice="")
            quiet = SimpleNamespace(severity="note", layer=None, title=text, evidence="", advice="")
            if not judge([one], fault, ())[1] or judge([quiet], fault, ())[1]:
                refused.append((fault.name, text, breadth(text)))
    return refused


def planted(seed, *, is_all):
    """(fault, kind) of one seed: one kind of each fault, in turn."""
    for fault in FAULTS.values():
        n = len(fault.kinds)
        turn = range(n) if is_all or n <= TURN else [(TURN * seed + i) % n for i in range(TURN)]
        for i in turn:
            yield fault, fault.kinds[i]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", help="parts of names of faults, of networks or `healthy`")
    parser.add_argument("--all", action="store_true", help="every network of every fault")
    parser.add_argument("--check", action="store_true", help="try the rule of judging on right sentences, and stop")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.check:
        for name, text, n in check():
            print("not counted:", name, "|", text, "|", n)
        return
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    answers, healthy = [], []
    for seed in args.seeds:
        for fault, kind in planted(seed, is_all=args.all):
            if not args.only or any(w in f"{fault.name} in {kind}" for w in args.only):
                answers.append(ask(fault, kind, seed))
                show(answers[-1])
        for name in ZOO:
            if not args.only or any(w in f"healthy {name}" for w in args.only):
                healthy.append(examine(name, seed))
                show(healthy[-1])
    table(answers)
    summary(answers, healthy)
    if args.json:
        args.json.write_text(json.dumps([asdict(a) for a in [*answers, *healthy]], indent=1))


if __name__ == "__main__":
    main()
