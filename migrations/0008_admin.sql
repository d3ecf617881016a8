-- What the admin API and /metrics show, cheap at any number of ended jobs.
--
-- Jobs that live are counted where they are: partial indexes hold only them. Jobs that have ended are counted as they end, in the
-- transaction that ends them, so that a count is what any snapshot of the table would count. Each database session adds to rows of
-- its own: no two job ends ever wait for each other. quire.compact_tallies() folds those rows together, about once a minute.

create table quire.tallies (
    slot        timestamptz not null,                   -- five seconds of time; -infinity: long ago, or a time that nobody asks for
    what        text not null check (what in
        ('completed', 'failed', 'cancelled', 'dead', 'attempt', 'retry', 'rescue', 'crash')),
    stage       text not null check (stage in ('extract', 'answer')),
    wait_class  smallint not null default 0,            -- of completed jobs: bounds of quire.time_bounds() that the wait exceeds
    run_class   smallint not null default 0,
    backend     integer not null,                       -- the session that writes the row; 0: folded
    present     bigint not null,                        -- jobs that are in the table now
    total       bigint not null,                        -- what has happened, ever: never falls
    waited      double precision not null default 0,    -- seconds of completed jobs, ever
    ran         double precision not null default 0,
    primary key (slot, what, stage, wait_class, run_class, backend)
)
-- Room for in-page updates: a busy session changes its newest row hundreds of times a second.
with (fillfactor = 50);

-- Upper bounds, in seconds, of the histograms of wait and run.
create function quire.time_bounds() returns double precision[] language sql immutable parallel safe
    return array[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]::double precision[];

-- How many bounds are below the time: width_bucket alone counts those that equal it, too.
create function quire.time_class(seconds double precision) returns smallint language sql immutable parallel safe
    return (14 - width_bucket(-seconds,
        array[-1800, -300, -60, -30, -10, -5, -2.5, -1, -0.5, -0.25, -0.1, -0.05, -0.025, -0.01]::double precision[]))::smallint;

create function quire.tally_slot(at timestamptz) returns timestamptz language sql immutable parallel safe
    return date_bin('5 seconds', at, '2000-01-01 00:00:00+00');

-- Seconds from the moment that the job could have begun, to its first start: its upload, the time it was scheduled for, or the
-- retry by hand. (Upload times are those of another clock.) Plain arguments, so that the planner can take the body in.
create function quire.waited_seconds(
    started_at timestamptz, created_at timestamptz, scheduled_at timestamptz, queued_at timestamptz, run integer)
    returns double precision language sql immutable parallel safe
    return greatest(0, date_part('epoch',
        started_at - greatest(created_at, scheduled_at, case when run > 0 then queued_at end)));

-- A job changes its state.
create function quire.tally_update() returns trigger language plpgsql as $$
declare
    move text;
    waited double precision := 0;
    ran double precision := 0;
begin
    if old.finished_at is not null then
        insert into quire.tallies as t (slot, what, stage, backend, present, total)
        values (quire.tally_slot(old.finished_at), old.state, old.stage, pg_backend_pid(), -1, 0)
        on conflict (slot, what, stage, wait_class, run_class, backend) do update set present = t.present - 1;
    end if;
    if new.finished_at is not null then
        if new.state = 'completed' then
            waited := quire.waited_seconds(new.started_at, new.created_at, new.scheduled_at, new.queued_at, new.run);
            ran := date_part('epoch', new.finished_at - new.started_at);
        end if;
        insert into quire.tallies as t (slot, what, stage, wait_class, run_class, backend, present, total, waited, ran)
        values (quire.tally_slot(new.finished_at), new.state, new.stage, quire.time_class(waited), quire.time_class(ran),
                pg_backend_pid(), 1, 1, waited, ran)
        on conflict (slot, what, stage, wait_class, run_class, backend) do update
        set present = t.present + 1, total = t.total + 1, waited = t.waited + excluded.waited, ran = t.ran + excluded.ran;
    end if;
    -- Jobs that are taken from their worker are counted where that is decided: store/src/admin/tallies.rs.
    move := case when old.state = 'queued' and new.state = 'running' then 'attempt'
                 when new.state = 'scheduled' and new.failures > old.failures then 'retry' end;
    if move is not null then
        insert into quire.tallies as t (slot, what, stage, backend, present, total)
        values ('-infinity', move, new.stage, pg_backend_pid(), 0, 1)
        on conflict (slot, what, stage, wait_class, run_class, backend) do update set total = t.total + 1;
    end if;
    return null;
end $$;

create trigger tally_update after update of state on quire.jobs
    for each row when (old.state is distinct from new.state and new.state <> 'streaming')
    execute function quire.tally_update();

-- Jobs are deleted by the thousand, and only test data is born ended: once per statement.
create function quire.tally_delete() returns trigger language plpgsql as $$
begin
    insert into quire.tallies as t (slot, what, stage, backend, present, total)
    select quire.tally_slot(finished_at), state, stage, pg_backend_pid(), -count(*), 0
    from gone
    where finished_at is not null
    group by 1, 2, 3
    on conflict (slot, what, stage, wait_class, run_class, backend) do update set present = t.present + excluded.present;
    return null;
end $$;

create trigger tally_delete after delete on quire.jobs referencing old table as gone
    for each statement execute function quire.tally_delete();

create function quire.tally_insert() returns trigger language plpgsql as $$
begin
    insert into quire.tallies as t (slot, what, stage, backend, present, total)
    select quire.tally_slot(finished_at), state, stage, pg_backend_pid(), count(*), count(*)
    from born
    where finished_at is not null
    group by 1, 2, 3
    on conflict (slot, what, stage, wait_class, run_class, backend) do update
    set present = t.present + excluded.present, total = t.total + excluded.total;
    return null;
end $$;

create trigger tally_insert after insert on quire.jobs referencing new table as born
    for each statement execute function quire.tally_insert();

-- Folds what the sessions have counted, and what is older than any window, into few rows. Waits for nobody: a row that is being
-- written stays until the next time.
create function quire.compact_tallies() returns bigint language plpgsql as $$
declare
    folded bigint;
begin
    -- The key is "quiretly" in ASCII. Rows of session 0 have one writer.
    if not pg_try_advisory_xact_lock(x'7175697265746c79'::bigint) then
        return 0;
    end if;
    with due as materialized (
        select slot, what, stage, wait_class, run_class, backend
        from quire.tallies
        where (backend <> 0 and slot < now() - interval '15 seconds')
           or (slot <> '-infinity' and slot < now() - interval '16 minutes')
        for update skip locked
    ),
    taken as (
        delete from quire.tallies t
        using due d
        where (t.slot, t.what, t.stage, t.wait_class, t.run_class, t.backend)
            = (d.slot, d.what, d.stage, d.wait_class, d.run_class, d.backend)
        returning t.*
    ),
    merged as (
        insert into quire.tallies as t (slot, what, stage, wait_class, run_class, backend, present, total, waited, ran)
        select case when slot < now() - interval '16 minutes' then '-infinity' else slot end as since,
               what, stage, wait_class, run_class, 0, sum(present), sum(total), sum(waited), sum(ran)
        from taken
        group by since, what, stage, wait_class, run_class
        on conflict (slot, what, stage, wait_class, run_class, backend) do update
        set present = t.present + excluded.present, total = t.total + excluded.total,
            waited = t.waited + excluded.waited, ran = t.ran + excluded.ran
    )
    select count(*) into folded from taken;
    return folded;
end $$;

-- Jobs from before there were tallies. Nobody may end one meanwhile.
lock table quire.jobs in share row exclusive mode;
insert into quire.tallies (slot, what, stage, wait_class, run_class, backend, present, total, waited, ran)
select case when j.finished_at < now() - interval '16 minutes' then '-infinity' else quire.tally_slot(j.finished_at) end,
       j.state, j.stage, t.wait_class, t.run_class, 0, count(*), count(*), sum(t.waited), sum(t.ran)
from quire.jobs j,
     lateral (select case when j.state = 'completed' then quire.waited_seconds(
                         j.started_at, j.created_at, j.scheduled_at, j.queued_at, j.run) else 0 end as waited,
                     case when j.state = 'completed' then date_part('epoch', j.finished_at - j.started_at) else 0 end as ran) m,
     lateral (select m.waited, m.ran, quire.time_class(m.waited) as wait_class, quire.time_class(m.ran) as run_class) t
where j.finished_at is not null
group by 1, 2, 3, 4, 5;

-- The dead letters, newest first. (The newest completed jobs, whose times the percentiles are of, have jobs_completed.)
create index jobs_dead on quire.jobs (finished_at desc, id desc) where state in ('failed', 'dead');

-- Counts of scheduled jobs by stage need no row. (The stage lies beside the key.)
drop index quire.jobs_due;
create index jobs_due on quire.jobs (due_at) include (stage) where state = 'scheduled';
