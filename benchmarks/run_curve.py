"""A training's returns as a picture: means over equal stretches of its steps, as it reported them.

python benchmarks/run_curve.py league.db RUN docs/images/NAME.svg --title "Pong, PPO: return in training"
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from panels import Line, draw

from arena.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--key", default="charts/episodic_return")
    parser.add_argument("--points", type=int, default=40)
    options = parser.parse_args()
    with Store(options.db, create=False) as store:
        run = store.run(options.run)
        series = store.metrics(run.id, options.key)
    width = max(1, run.step // options.points)
    stretches: dict[int, list[float]] = {}
    for step, value in series:
        stretches.setdefault(step // width, []).append(value)
    means = [((stretch + 0.5) * width, statistics.fmean(values)) for stretch, values in sorted(stretches.items())]
    name = f"seed {run.seed}, means over {width:,} steps"
    options.out.write_text(draw([(options.title, [Line(name, [means])])]))


if __name__ == "__main__":
    main()
