"""The table of the comparison: made anew before each run, checked after it. Called by run.py with the venv's Python.

    table.py seed    --database-url URL --rows-file SEED    the rows that stand in the table before, kept in peers.seed
    table.py reset   --database-url URL                     peers.peer_rows as a fresh copy of peers.seed
    table.py verify  --database-url URL --rows-file ROWS --table NAME
    table.py drop    --database-url URL

`verify` prints how many rows went back to an older version, and how many hold neither that nor the newest one.
"""

import argparse
import io
import json

import psycopg2

from rows import COLUMNS, NAMES

# The last two belong to Tributary, which fills them in; the peers leave them empty, which is less work.
COLUMN_LIST = ", ".join(f"{name} {kind}" for name, kind in COLUMNS) + ", _synced_at timestamptz, _source_at timestamptz"


def seed(cursor, rows_file):
    drop(cursor)
    cursor.execute("create schema peers")
    cursor.execute(f"create table peers.seed ({COLUMN_LIST})")
    cursor.execute("create temporary table incoming (line json)")
    text = io.StringIO()
    with open(rows_file) as lines:
        for line in lines:
            text.write(line.replace("\\", "\\\\"))
    text.seek(0)
    cursor.copy_expert("copy incoming from stdin", text)
    cursor.execute(
        f"insert into peers.seed ({', '.join(NAMES)}) select r.{', r.'.join(NAMES)} from incoming,"
        " json_populate_record(null::peers.seed, line) r"
    )
    cursor.execute("vacuum analyze peers.seed")


def reset(cursor):
    cursor.execute("drop table if exists peers.peer_rows")
    cursor.execute(f"create table peers.peer_rows ({COLUMN_LIST}) with (fillfactor = 90)")
    cursor.execute("insert into peers.peer_rows select * from peers.seed")
    cursor.execute("vacuum analyze peers.peer_rows")
    cursor.execute("checkpoint")


def verify(cursor, rows_file, table):
    with open(rows_file) as lines:
        sent = {r["id"]: (r["version"], r["deleted"]) for r in map(json.loads, lines)}
    cursor.execute("select id, version, deleted from peers.seed where id = any(%s)", (list(sent),))
    before = {key: (version, deleted) for key, version, deleted in cursor}
    cursor.execute(f"select id, version, deleted from {table} where id = any(%s)", (list(sent),))
    after = {key: (version, deleted) for key, version, deleted in cursor}
    regressed = sum(1 for key, (version, _) in before.items() if key in after and after[key][0] < version)
    newest = {key: max(change, before.get(key, change)) for key, change in sent.items()}
    right = sum(1 for key, expected in newest.items() if after.get(key) == expected)
    return {"regressed": regressed, "wrong": len(sent) - right - regressed}


def drop(cursor):
    cursor.execute("drop schema if exists peers cascade")
    cursor.execute("drop schema if exists peers_dlt cascade")
    cursor.execute("drop schema if exists peers_dlt_staging cascade")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("seed", "reset", "verify", "drop"))
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--rows-file")
    parser.add_argument("--table", default="peers.peer_rows")
    args = parser.parse_args()
    connection = psycopg2.connect(args.database_url)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("set client_min_messages = warning")
    if args.action == "seed":
        seed(cursor, args.rows_file)
    elif args.action == "reset":
        reset(cursor)
    elif args.action == "drop":
        drop(cursor)
    else:
        print(json.dumps(verify(cursor, args.rows_file, args.table)))


if __name__ == "__main__":
    main()
