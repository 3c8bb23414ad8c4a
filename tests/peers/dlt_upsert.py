"""dlt, write disposition merge with the upsert strategy, files in CSV (which it sends with COPY).

dlt has a table of its own in the dataset `peers_dlt`. It is made by a first load of no interest, filled from peers.seed
and given an index on `id`, without which dlt is slower; only the second load is measured.
"""

import os
import sys

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
os.environ["DLT_DATA_DIR"] = os.path.join(os.environ["PEERS_DIR"], "dlt")
# dlt insists on a password, also where the server asks for none. The one in the URL takes precedence.
os.environ.setdefault("DESTINATION__POSTGRES__CREDENTIALS__PASSWORD", "none")

import dlt
import psycopg2

from measure import Clock, arguments, batches
from rows import NAMES

TYPES = {
    "amount": {"data_type": "decimal", "precision": 14, "scale": 2},
    "quantity": {"data_type": "bigint"},
    "score": {"data_type": "double"},
    "active": {"data_type": "bool"},
    "created_at": {"data_type": "timestamp"},
    "attributes": {"data_type": "json"},
    "version": {"data_type": "bigint"},
    "deleted": {"data_type": "bool"},
}
TEXT = {"data_type": "text"}

args = arguments()


@dlt.resource(
    name="peer_rows",
    primary_key="id",
    write_disposition={"disposition": "merge", "strategy": "upsert"},
    columns={name: TYPES.get(name, TEXT) for name in NAMES},
)
def rows_of(pages):
    yield from pages


pipeline = dlt.pipeline(
    "peers",
    destination=dlt.destinations.postgres(args.database_url),
    dataset_name="peers_dlt",
)
pipeline.drop()


def load(pages):
    pipeline.run(rows_of(pages), loader_file_format="csv").raise_on_failed_jobs()


load([next(batches(args.rows_file, 1))])
connection = psycopg2.connect(args.database_url)
connection.autocommit = True
cursor = connection.cursor()
names = ", ".join(NAMES)
cursor.execute("truncate peers_dlt.peer_rows")
cursor.execute("create index if not exists peer_rows_id on peers_dlt.peer_rows (id)")
cursor.execute(
    f"insert into peers_dlt.peer_rows ({names}, _dlt_load_id, _dlt_id) select {names}, '0', md5(id) from peers.seed"
)
cursor.execute("vacuum analyze peers_dlt.peer_rows")
cursor.execute("checkpoint")
connection.close()

clock = Clock()
count = 0


def counted():
    global count
    for page in batches(args.rows_file, args.batch):
        count += len(page)
        yield page


load(counted())
sys.stdout.flush()
clock.report("dlt upsert", count, table="peers_dlt.peer_rows")
