"""psycopg 3, COPY into a staging table, then one guarded upsert, one transaction a batch: the careful script.

The temporary table is made once a connection; a server-side prepared statement moves the rows over.
"""

import psycopg

from measure import ON_CONFLICT, Clock, arguments, batches, values
from rows import NAMES

COLUMNS = ", ".join(NAMES)

args = arguments()
clock = Clock()
rows = 0
with psycopg.connect(args.database_url, autocommit=True) as connection:
    cursor = connection.cursor()
    cursor.execute(f"create temporary table stage on commit delete rows as select {COLUMNS} from peers.peer_rows with no data")
    for batch in batches(args.rows_file, args.batch):
        with connection.transaction():
            with cursor.copy(f"copy stage ({COLUMNS}) from stdin") as copy:
                for row in batch:
                    copy.write_row(values(row))
            cursor.execute(f"insert into peers.peer_rows as t ({COLUMNS}) select * from stage {ON_CONFLICT}", prepare=True)
        rows += len(batch)
clock.report("psycopg 3 copy + upsert", rows)
