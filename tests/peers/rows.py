"""The rows of the comparison: what stands in the table before, and the changes that every tool applies.

Plain Python and deterministic: the same arguments give the same bytes. Called by run.py.
"""

import json
import random
import uuid

COLUMNS = (
    ("id", "text primary key"),
    ("name", "text"),
    ("email", "text"),
    ("city", "text"),
    ("status", "text"),
    ("note", "text"),
    ("amount", "numeric(14,2)"),
    ("quantity", "integer"),
    ("score", "double precision"),
    ("active", "boolean"),
    ("created_at", "timestamptz"),
    ("attributes", "jsonb"),
    ("ref", "uuid"),
    ("version", "numeric not null"),
    ("deleted", "boolean not null"),
)
NAMES = tuple(name for name, _ in COLUMNS)

SEEDED_VERSION = 1_000_000
WORDS = "amber birch cedar delta ember fjord grove heron inlet jetty knoll larch marsh north ocean pearl".split()


def row(rng, key, version, deleted=False):
    """One row as it stands in the file: about 345 bytes in Postgres' binary format."""
    words = rng.choices(WORDS, k=12)
    attributes = {"tags": words[:3], "rank": rng.randrange(1000), "source": {"region": words[3], "shard": rng.randrange(64)}}
    return {
        "id": key,
        "name": f"{words[4].title()} {words[5].title()}",
        "email": f"{words[6]}.{words[7]}{rng.randrange(10_000)}@example.org",
        "city": f"{words[8]} upon {words[9]}",
        "status": rng.choice(("active", "invited", "suspended")),
        "note": f"seen near the {words[10]} and the {words[11]} of {words[0]}",
        "amount": f"{rng.randrange(10**9)}.{rng.randrange(100):02}",
        "quantity": rng.randrange(100_000),
        "score": round(rng.random() * 100, 6),
        "active": rng.random() < 0.8,
        "created_at": f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:07.125Z",
        "attributes": attributes,
        "ref": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "version": version,
        "deleted": deleted,
    }


def keys(rng, count):
    return [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]


def write(seed_file, rows_file, table_rows, rows):
    """Writes both files: 30 % of the changes insert, 50 % update, 10 % are stale, 10 % delete. No key comes twice."""
    rng = random.Random(20_260_101)
    stored = keys(rng, table_rows)
    with open(seed_file, "w") as out:
        for key in stored:
            out.write(json.dumps(row(rng, key, SEEDED_VERSION + rng.randrange(1000)), separators=(",", ":")) + "\n")
    inserts, stale, deletes = rows * 3 // 10, rows // 10, rows // 10
    touched = rng.sample(stored, rows - inserts)
    changes = [row(rng, key, 2_000_000 + at) for at, key in enumerate(keys(rng, inserts))]
    for at, key in enumerate(touched):
        version = SEEDED_VERSION - 1 - at if at < stale else 2_000_000 + at
        changes.append(row(rng, key, version, deleted=stale <= at < stale + deletes))
    rng.shuffle(changes)
    with open(rows_file, "w") as out:
        for change in changes:
            out.write(json.dumps(change, separators=(",", ":")) + "\n")
