-- What is kept how long, and whose files the file store holds.

-- Which database the files of a store belong to: a store is swept only by the database that is noted in it, so that a mistaken
-- DATABASE_URL never makes every file look like one that nobody needs. next_shard is how far the sweep has come.
create table quire.file_store (
    only_row    boolean primary key default true check (only_row),
    id          uuid not null default gen_random_uuid(),
    next_shard  smallint not null default 0 check (next_shard between 0 and 255)
);
insert into quire.file_store default values;

alter table quire.files
    add column missing_since timestamptz,               -- the sweep did not find the bytes
    add column unused_since  timestamptz;               -- its job was deleted without its file
create index files_missing on quire.files (missing_since) where missing_since is not null;
create index files_unused on quire.files (unused_since) where unused_since is not null;

-- Retention goes by the end of a job, whoever owns it.
create index jobs_by_end on quire.jobs (finished_at) where finished_at is not null;

-- Each queue entry is written five times and deleted within seconds: at the default pace (a fifth of the table, once a minute)
-- dead rows would outnumber the live ones by far.
alter table apalis.jobs set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
