"""psycopg2, a statement and a commit a row: what a hand-written consumer usually does, with a version guard."""

import psycopg2

from measure import ON_CONFLICT, Clock, arguments, batches, values
from rows import NAMES

SQL = f"insert into peers.peer_rows as t ({', '.join(NAMES)}) values ({', '.join(['%s'] * len(NAMES))}) {ON_CONFLICT}"

args = arguments()
clock = Clock()
connection = psycopg2.connect(args.database_url)
cursor = connection.cursor()
rows = 0
for batch in batches(args.rows_file, args.batch):
    for row in batch:
        cursor.execute(SQL, values(row))
        connection.commit()
    rows += len(batch)
clock.report("psycopg2 row by row", rows)
