#!/usr/bin/env python3
"""Tributary beside other ways to upsert rows into Postgres: same rows, same table, same server, one run.

    python3 tests/peers/run.py --database-url postgres://postgres@127.0.0.1/postgres

Needs Python 3.9 and pip; the peers come in a virtual environment under target/peers, versions pinned in
requirements.txt. The tools take turns within each repetition and the order rotates; figures are medians. It writes to
the schemas `peers` and `peers_dlt` of the database, and drops them at the end.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import venv

import rows

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "peers"
SLOW_ROWS = 1000

# Name of the script, whether it is slow and gets the first 1 000 rows only.
PEERS = (("psycopg2_row", True), ("psycopg2_values", False), ("psycopg3_copy", False), ("dlt_upsert", False))


def python():
    """The interpreter of the virtual environment, which is made when it is missing or the versions changed."""
    home, wanted = WORK / "venv", (HERE / "requirements.txt").read_bytes()
    stamp, binary = home / "requirements.sha256", home / "bin" / "python"
    digest = hashlib.sha256(wanted).hexdigest()
    if not (stamp.exists() and stamp.read_text() == digest):
        note("installing the peers")
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([binary, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(digest)
    return str(binary)


def tributary(binary):
    """The command of our own side; None when it cannot be had."""
    if binary:
        return [binary, "peer"]
    build = ["cargo", "build", "--quiet", "--release", "-p", "tributary-tests", "--bin", "write-path"]
    if subprocess.run(build, cwd=ROOT).returncode != 0:
        return None
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return [str(ROOT / target / "release" / "write-path"), "peer"]


def note(text):
    print(text, file=sys.stderr, flush=True)


def run(command, environment):
    """Runs a command; the last line it prints is JSON."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    whole = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command[:3]))} … exited with {done.returncode}")
    lines = done.stdout.strip().splitlines()
    return (json.loads(lines[-1]) if lines else {}) | {"whole": whole}


def measure(args, tools, interpreter):
    environment = os.environ | {"PEERS_DIR": str(WORK)}
    all_rows, few_rows, seed = WORK / "rows.jsonl", WORK / "few-rows.jsonl", WORK / "seed.jsonl"
    rows.write(seed, all_rows, args.table_rows, args.rows)
    with open(all_rows) as source, open(few_rows, "w") as few:
        few.writelines(line for _, line in zip(range(SLOW_ROWS), source))

    def table(action, *more):
        command = [interpreter, HERE / "table.py", action, "--database-url", args.database_url, *more]
        return run(command, environment)

    table("seed", "--rows-file", seed)
    results = {name: [] for name, _, _ in tools}
    try:
        for repetition in range(args.repetitions):
            turn = repetition % len(tools)
            for name, command, slow in tools[turn:] + tools[:turn]:
                file = few_rows if slow else all_rows
                table("reset")
                result = run([*command, "--rows-file", file, "--database-url", args.database_url, "--batch", str(args.batch)], environment)
                result |= table("verify", "--rows-file", file, "--table", result.get("table", "peers.peer_rows"))
                if result["wrong"]:
                    sys.exit(f"{name}: {result['wrong']} rows are not what was sent")
                results[name].append(result)
                note(f"{repetition + 1}/{args.repetitions} {name}: {result['rows'] / result['seconds']:,.0f} rows/s")
    finally:
        table("drop")
    return results


def medians(runs):
    middle = {key: statistics.median(r[key] for r in runs) for key in ("rows", "seconds", "client_cpu_us_per_row", "peak_rss_mb", "regressed")}
    return middle | {"tool": runs[0]["tool"], "rate": middle["rows"] / middle["seconds"]}


def show(results):
    tools = sorted((medians(runs) for runs in results.values()), key=lambda tool: -tool["rate"])
    ours = next((tool["rate"] for tool in tools if tool["tool"] == "tributary"), None)
    print("| tool | rows | rows/s | tributary is × faster | client CPU µs/row | peak RSS MB | rows regressed |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for tool in tools:
        ratio = f"{ours / tool['rate']:.1f}" if ours else "–"
        print(
            f"| {tool['tool']} | {tool['rows']:,.0f} | {tool['rate']:,.0f} | {ratio} | {tool['client_cpu_us_per_row']:.1f} "
            f"| {tool['peak_rss_mb']:.0f} | {tool['regressed']:,.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--table-rows", type=int, default=100_000, help="rows in the table before")
    parser.add_argument("--binary", help="our side, already built; else cargo builds it")
    parser.add_argument("--only", help="comma-separated names of peers")
    args = parser.parse_args()
    if args.table_rows < args.rows:
        parser.error("--table-rows must be at least --rows: 70 % of the changes touch a row that is there")
    unknown = set(filter(None, (args.only or "").split(","))) - {name for name, _ in PEERS}
    if unknown:
        parser.error(f"--only: no peer named {', '.join(sorted(unknown))}")
    WORK.mkdir(parents=True, exist_ok=True)
    interpreter = python()
    chosen = [peer for peer in PEERS if not args.only or peer[0] in args.only.split(",")]
    tools = [(name, [interpreter, HERE / f"{name}.py"], slow) for name, slow in chosen]
    ours = tributary(args.binary)
    if ours:
        tools.insert(0, ("tributary", ours, False))
    else:
        note("the binary write-path could not be built: tributary is left out")
    show(measure(args, tools, interpreter))


if __name__ == "__main__":
    main()
