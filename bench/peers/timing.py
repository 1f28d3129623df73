"""Runs something again and again; the least and the median time."""
import json
import time


def measure(run, seconds):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    times.sort()
    return times[0], times[len(times) // 2]


def report(ms):
    print(json.dumps({"least_ms": ms[0], "p50_ms": ms[1]}))
