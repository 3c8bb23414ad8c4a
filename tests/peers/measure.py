"""What every peer shares: its arguments, the batches of the file, and the line of figures that it prints.

The clock starts when interpreter and imports are ready, and stops after the last commit: reading the file, connecting
and writing count.
"""

import argparse
import itertools
import json
import resource
import time

from rows import NAMES

ASSIGNMENTS = ", ".join(f"{name} = excluded.{name}" for name in NAMES if name != "id")
ON_CONFLICT = f"on conflict (id) do update set {ASSIGNMENTS} where t.version < excluded.version"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows-file", required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--batch", type=int, default=1000)
    return parser.parse_args()


def batches(rows_file, size):
    with open(rows_file) as lines:
        rows = map(json.loads, lines)
        while batch := list(itertools.islice(rows, size)):
            yield batch


def values(row):
    """The row's values in the order of the columns, jsonb as text."""
    fields = [row[name] for name in NAMES]
    fields[NAMES.index("attributes")] = json.dumps(row["attributes"])
    return fields


class Clock:
    def __init__(self):
        self.began, self.cpu = time.perf_counter(), self.used()

    @staticmethod
    def used():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def report(self, tool, rows, **more):
        seconds, cpu = time.perf_counter() - self.began, self.used() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        line = {"tool": tool, "rows": rows, "seconds": seconds, "client_cpu_us_per_row": cpu / rows * 1e6, "peak_rss_mb": peak}
        print(json.dumps(line | more))
