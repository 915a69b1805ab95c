"""Ten runs in one file, each killed at a random moment; prints how many snapshots can be read after each."""

import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.study.watch.runs import perceptron, train

import unbend

LONGEST = 60


def n_snapshots(place):
    return len(unbend.open_history(place).snapshots) if place.exists() and place.stat().st_size else 0


def main(place):
    train(perceptron(), n=2, every=1)  # whatever is compiled or loaded lazily is there now
    chance = random.Random(0)
    for _ in range(10):
        before = n_snapshots(place)
        child = os.fork()
        if child == 0:
            train(perceptron(), n=10**6, every=1, file=place)
            os._exit(1)
        end = time.monotonic() + LONGEST
        while n_snapshots(place) <= before + 1 and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        steps = unbend.open_history(place).steps.tolist()
        assert steps == list(range(1, len(steps) + 1))
        sys.stdout.write(f"{len(steps)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
