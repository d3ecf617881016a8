-- The event log: what every subscriber is told, in order, once.
--
-- Partitioned by the UTC day on which the *job* was created, not the event: that is constant for a job, so the primary key and
-- the one-end-per-run index, which must contain the partition key, really hold. Retention is dropping a partition.

create table quire.job_events (
    job_id          uuid not null,
    seq             bigint not null check (seq >= 0),
    job_day         date not null,
    job_created_at  timestamptz not null,
    owner           uuid not null,
    run             integer not null,
    at              timestamptz not null default clock_timestamp(),
    origin          bigint not null,                    -- the process that wrote it, and therefore need not be told
    body            jsonb not null,
    kind            text not null generated always as (body ->> 'kind') stored,
    primary key (job_id, seq, job_day),
    constraint known_kind check (kind in
        ('queued', 'progress', 'restarted', 'chunk', 'completed', 'failed', 'cancelled')),
    constraint day_of_job check (job_day = (job_created_at at time zone 'UTC')::date)
)
partition by range (job_day);

create unique index job_events_one_end on quire.job_events (job_id, run, job_day)
    where kind in ('completed', 'failed', 'cancelled');
create index job_events_at on quire.job_events (at);

-- Events of days without a partition: jobs that outlived theirs, or a housekeeping that has not run for days.
create table quire.job_events_default partition of quire.job_events default;

-- Makes the partitions of today and the next `ahead` days. Rows of such a day that fell into the default partition move along.
create function quire.ensure_event_partitions(ahead integer) returns integer language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    made integer := 0;
    d date;
    part text;
begin
    for d in select today + n from generate_series(0, ahead) as n loop
        part := 'job_events_' || to_char(d, 'YYYYMMDD');
        continue when to_regclass('quire.' || part) is not null;
        execute format('create table quire.%I (like quire.job_events including all)', part);
        if exists (select from quire.job_events_default e where e.job_day = d) then
            lock table quire.job_events in access exclusive mode;
            execute format(
                'with moved as (delete from quire.job_events_default where job_day = %L returning *)
                 insert into quire.%I (job_id, seq, job_day, job_created_at, owner, run, at, origin, body)
                 select job_id, seq, job_day, job_created_at, owner, run, at, origin, body from moved', d, part);
        end if;
        execute format('alter table quire.job_events attach partition quire.%I for values from (%L) to (%L)', part, d, d + 1);
        made := made + 1;
    end loop;
    return made;
end $$;

-- Drops the partitions of days more than `keep` days ago. A day waits while a job of it is being worked on.
create function quire.drop_event_partitions(keep integer) returns integer language plpgsql as $$
declare
    first_kept date := (now() at time zone 'UTC')::date - keep;
    dropped integer := 0;
    part text;
    d date;
begin
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'quire.job_events'::regclass and c.relname ~ '^job_events_\d{8}$'
    loop
        d := to_date(right(part, 8), 'YYYYMMDD');
        continue when d >= first_kept;
        continue when exists (select from quire.jobs j where j.worker is not null and j.job_day = d);
        execute format('drop table quire.%I', part);
        dropped := dropped + 1;
    end loop;
    delete from quire.job_events_default e
    where e.job_day < first_kept and e.at < now() - make_interval(days => keep);
    return dropped;
end $$;

select quire.ensure_event_partitions(3);
