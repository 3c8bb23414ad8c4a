-- Two roles for Tributary, each with as little as it needs. Plain SQL, may run again; run it as the database's
-- administrator, connected to the sink database.
--
--   tributary_migrate   `tributary migrate`: makes and extends tables, and owns what it made. For a deploy pipeline.
--   tributary_sync      what the Lambda functions log in as: reads and writes rows, and can change no table.
--
-- Neither can log in until it is told how:
--   alter role tributary_sync login password '…';
--   alter role tributary_sync login; grant rds_iam to tributary_sync;   -- `auth: iam` on RDS, without a password
--
-- With `auto_migrate: additive` the functions make tables and columns themselves: let them log in as tributary_migrate.
-- A table that was there before keeps its owner, who alone may add columns to it:
--   grant the_owner to tributary_migrate;
--   grant select, insert, update, delete on the_table to tributary_sync;
-- For tables in another schema than public, repeat the last three statements with its name.

do $$
begin
  if not exists (select from pg_roles where rolname = 'tributary_migrate') then
    create role tributary_migrate nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'tributary_sync') then
    create role tributary_sync nologin;
  end if;
  -- Without this an administrator who is no superuser, as on RDS, cannot hand things to the role.
  if not pg_has_role(current_user, 'tributary_migrate', 'usage') then
    execute format('grant tributary_migrate to %I', current_user);
  end if;
  execute format('grant connect on database %I to tributary_sync', current_database());
  -- `create schema if not exists` asks for this even where the schema exists.
  execute format('grant connect, create on database %I to tributary_migrate', current_database());
end
$$;

-- Tributary's own tables: checkpoints, leases, dead letters, the ledger, receipts, statistics.
create schema if not exists tributary authorization tributary_migrate;
grant usage on schema tributary to tributary_sync;
grant select, insert, update, delete on all tables in schema tributary to tributary_sync;
alter default privileges for role tributary_migrate in schema tributary
  grant select, insert, update, delete on tables to tributary_sync;

-- The sink tables. `update` also locks rows, `delete` is for hard deletes, children and the purge of tombstones.
grant usage, create on schema public to tributary_migrate;
grant usage on schema public to tributary_sync;
alter default privileges for role tributary_migrate in schema public
  grant select, insert, update, delete on tables to tributary_sync;
