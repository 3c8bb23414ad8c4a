-- The tables that Tributary keeps for itself. Every statement may run again.
create schema if not exists tributary;

-- How far each pipeline has read its source; commits with the rows.
create table if not exists tributary.checkpoint (
  pipeline     text not null,
  partition    text not null,
  position     text not null,
  source_at    timestamptz,
  committed_at timestamptz not null default now(),
  -- False when the lease under which the batch was read has passed to somebody else: then the commit fails.
  lease_held   boolean not null constraint lease_held check (lease_held),
  primary key (pipeline, partition)
) with (fillfactor = 50);

-- One runner a name. Each new holder gets a higher fence.
create table if not exists tributary.lease (
  name       text primary key,
  holder     text not null,
  fence      bigint not null,
  expires_at timestamptz not null
);

-- What could not be applied, with the record as it arrived.
create table if not exists tributary.dead_letter (
  id        bigint generated always as identity primary key,
  pipeline  text not null,
  position  text not null,
  key       text not null,
  tables    text[] not null,
  error     text not null,
  payload   bytea not null,
  attempts  integer not null default 1,
  first_at  timestamptz not null default now(),
  last_at   timestamptz not null default now(),
  -- When it is tried again without being asked: errors that depend on the order of arrival.
  retry_at  timestamptz,
  unique (pipeline, position)
);
-- When it came in, where the version is that time: a replay is no newer than it was.
alter table tributary.dead_letter add column if not exists received_at timestamptz;

-- Versions of keys whose row may be gone: hard deletes, and parents of child rows.
create table if not exists tributary.ledger (
  relation  text not null,
  key       text not null,
  version   numeric not null check (version <> 'NaN'),
  deleted   boolean not null,
  synced_at timestamptz not null default now(),
  primary key (relation, key)
) with (fillfactor = 90);

-- Deliveries that were taken, by the sender's id of each; in the transaction of their rows, kept for a week.
create table if not exists tributary.receipt (
  pipeline    text not null,
  sender_id   text not null,
  received_at timestamptz not null default now(),
  primary key (pipeline, sender_id)
);
create index if not exists receipt_pipeline_at on tributary.receipt (pipeline, received_at);

-- What became of the changes of each batch; for `tributary status`, written after the commit.
create table if not exists tributary.tally (
  pipeline text not null,
  at       timestamptz not null default now(),
  applied  bigint not null,
  stale    bigint not null,
  dead     bigint not null
);
create index if not exists tally_pipeline_at on tributary.tally (pipeline, at);
