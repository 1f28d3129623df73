"""Draw a run's log.csv: losses and, where it was measured, AP."""
import argparse
import csv

from .paths import RUNS, need


def draw(folder):
    """log.csv -> curves.png in the run's folder."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    rows = list(csv.DictReader(open(need(folder / "log.csv", "training log"))))
    fig, axes = plt.subplots(1, 2, figsize=(10, 4), dpi=110)
    for ax, keys, title in ((axes[0], ("loss", "face", "box", "label"), "loss"),
                            (axes[1], ("ap_easy", "ap_medium", "ap_hard"), "AP, %, val pictures, long side 640")):
        for k in keys:
            xy = [(int(r["seen"]) / 1000, float(r[k])) for r in rows if r.get(k)]
            if xy:
                ax.plot(*zip(*xy), marker="." if len(xy) < 40 else None, label=k)
        ax.set(xlabel="thousand pictures seen", title=title)
        if ax.lines:
            ax.legend()
        ax.grid(alpha=0.3)
    fig.tight_layout()
    fig.savefig(folder / "curves.png")
    plt.close(fig)
    return folder / "curves.png"


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--run", default="pretrain", help="name of the run under train/runs")
    print(draw(RUNS / ap.parse_args().run))


if __name__ == "__main__":
    main()
