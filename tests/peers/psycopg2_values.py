"""psycopg2 with execute_values, its fastest upsert: one statement and one commit a batch, with a version guard."""

import psycopg2
from psycopg2.extras import execute_values

from measure import ON_CONFLICT, Clock, arguments, batches, values
from rows import NAMES

SQL = f"insert into peers.peer_rows as t ({', '.join(NAMES)}) values %s {ON_CONFLICT}"

args = arguments()
clock = Clock()
connection = psycopg2.connect(args.database_url)
cursor = connection.cursor()
rows = 0
for batch in batches(args.rows_file, args.batch):
    execute_values(cursor, SQL, [values(row) for row in batch], page_size=args.batch)
    connection.commit()
    rows += len(batch)
clock.report("psycopg2 execute_values", rows)
