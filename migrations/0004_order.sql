-- The order of the queue: priority, turns between owners, slots of one owner, pause.
--
-- The rule, which apalis.get_jobs below carries out and store/src/jobs/position.rs counts by:
--   1. The waiting jobs of one priority are a class. The class with the highest effective priority is served: its priority, plus
--      one level for every 30 seconds since it was last served (or since its oldest job came, if that was later), at most 200
--      levels. Clients may ask for -100 to 100, so no class waits for ever; and a backlog that is being served does not age,
--      so it never stands in the way of a new urgent job.
--   2. Inside a class the owners take turns, in the order of their ids.
--   3. The jobs of one owner in one class come in the order they were queued.
-- A paused queue hands nothing out. An owner who has all his slots in use is passed over until one is free.

create table quire.queues (
    name        text primary key,
    paused_at   timestamptz,                            -- null: not paused
    owner_slots integer not null default 0 check (owner_slots >= 0) -- of one owner at the same time, all processes together; 0: any number
);

insert into quire.queues (name) values ('quire.extract'), ('quire.answer');

-- Whose turn it was, and when. Unlogged: it is written at fetches, and a crash that empties it costs one turn.
create unlogged table quire.turns (
    queue       text not null,
    priority    integer not null,
    owner       uuid not null,
    served_at   timestamptz not null,
    primary key (queue, priority)
)
with (fillfactor = 50);

-- Queue entries name their owner. Ours are written with it by store/src/queue.rs.
alter table apalis.jobs add column owner uuid not null default '00000000-0000-0000-0000-000000000000';

create index quire_jobs_turn on apalis.jobs (job_type, priority desc, owner, run_at, id)
    where status = 'Pending' or (status = 'Failed' and attempts < max_attempts);

-- The same order in the table of the truth, for positions.
create index jobs_turn on quire.jobs (stage, priority desc, owner, queued_at, ticket) where state = 'queued';
drop index quire.jobs_waiting;

-- What estimates are made of: how long each stage of a finished job took, and how many jobs a worker runs at once.
alter table quire.jobs
    add column extract_took interval,                   -- the attempt that succeeded, of the present run
    add column answer_took  interval;
create index jobs_completed on quire.jobs (finished_at) where state = 'completed';
alter table quire.workers
    add column extract_slots integer not null default 1 check (extract_slots >= 0),
    add column answer_slots  integer not null default 1 check (answer_slots >= 0);

-- Tells the workers of a queue to look. The id is read by apalis and by nobody else; being constant, repetitions in one
-- transaction become one notification.
create function quire.wake_queue(queue text) returns void language sql volatile
begin atomic
    select pg_notify('apalis::job::insert', json_build_object('job_type', queue, 'id', repeat('0', 26))::text);
end;

-- apalis notifies once per row, under a lock of the whole server; once per statement is enough.
create function quire.wake_workers() returns trigger language plpgsql as $$
begin
    perform quire.wake_queue(a.job_type) from (select distinct job_type from added where run_at <= now()) a;
    return null;
end $$;

drop trigger if exists notify_workers on apalis.jobs;
create trigger quire_wake_workers after insert on apalis.jobs
    referencing new table as added
    for each statement execute function quire.wake_workers();

-- An owner at his limit has a slot again: his next job may go, and no other event says so.
create function quire.free_slot() returns trigger language plpgsql as $$
begin
    if exists (select from quire.queues q where q.name = new.job_type and q.owner_slots > 0 and q.paused_at is null) then
        perform quire.wake_queue(new.job_type);
    end if;
    return null;
end $$;

create trigger quire_free_slot after update of status on apalis.jobs
    for each row when (old.status in ('Queued', 'Running') and new.status not in ('Queued', 'Running'))
    execute function quire.free_slot();

-- What apalis notes about a ticket in hand is no state: the job's own row says who runs it and how it ended, and a note that a
-- crash of the server takes back is met by a stale ticket. So nobody waits for the disk on its account. Of our own
-- transactions, none makes these two changes.
create function quire.is_no_state() returns trigger language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    return new;
end $$;

create trigger quire_no_state before update of status on apalis.jobs
    for each row when (old.status in ('Queued', 'Running') and new.status in ('Running', 'Done'))
    execute function quire.is_no_state();

-- When the first job of a class came whose owner is none of `passed`. Not the oldest of all those, which would be a look for each
-- owner: what ages here is one owner's job until it is served, so the class does not starve.
create function quire.waiting_since(queue text, class integer, passed uuid[]) returns timestamptz
language plpgsql stable as $$
declare
    entry record;
    after uuid := null;
begin
    -- Owner by owner, so that no long row of jobs of an owner at his limit has to be read.
    loop
        if after is null then
            select j.owner, j.run_at into entry
            from apalis.jobs j
            where (j.status = 'Pending' or (j.status = 'Failed' and j.attempts < j.max_attempts))
              and j.job_type = queue and j.priority = class and j.run_at < now()
            order by j.priority desc, j.owner, j.run_at, j.id
            limit 1;
        else
            select j.owner, j.run_at into entry
            from apalis.jobs j
            where (j.status = 'Pending' or (j.status = 'Failed' and j.attempts < j.max_attempts))
              and j.job_type = queue and j.priority = class and j.run_at < now() and j.owner > after
            order by j.priority desc, j.owner, j.run_at, j.id
            limit 1;
        end if;
        if not found then
            return null;
        elsif entry.owner <> all (passed) then
            return entry.run_at;
        end if;
        after := entry.owner;
    end loop;
end $$;

-- The class to serve now, rule 1; `passed` are owners who get nothing, `tried` are classes in which nothing could be had.
create function quire.next_class(queue text, passed uuid[], tried integer[]) returns integer
language plpgsql stable as $$
declare
    most_levels constant integer := 200;
    seconds_a_level constant integer := 30;
    class record;
    served timestamptz;
    best integer;
    best_level double precision;
    level double precision;
    below bigint := 2147483648;
begin
    loop
        select j.priority, j.owner, j.run_at into class
        from apalis.jobs j
        where (j.status = 'Pending' or (j.status = 'Failed' and j.attempts < j.max_attempts))
          and j.job_type = queue and j.priority < below and j.run_at < now()
        order by j.priority desc, j.run_at, j.id
        limit 1;
        exit when not found or class.priority::double precision + most_levels < best_level;
        below := class.priority;
        continue when class.priority = any (tried);
        if class.owner = any (passed) then
            class.run_at := quire.waiting_since(queue, class.priority, passed);
            continue when class.run_at is null;
        end if;
        select t.served_at into served from quire.turns t where t.queue = next_class.queue and t.priority = class.priority;
        level := class.priority::double precision
            + least(most_levels, trunc(extract(epoch from now() - greatest(class.run_at, served)) / seconds_a_level));
        if best is null or level > best_level then
            best := class.priority;
            best_level := level;
        end if;
    end loop;
    return best;
end $$;

-- The entry of a class whose turn it is, rules 2 and 3, locked; `passed` are owners who get nothing.
create function quire.next_in_class(queue text, class integer, passed uuid[]) returns apalis.jobs
language plpgsql volatile as $$
declare
    entry apalis.jobs;
    after uuid;
    is_second_round boolean := false;
begin
    select t.owner into after from quire.turns t where t.queue = next_in_class.queue and t.priority = class;
    loop
        if after is null then
            -- The second round, from the first owner on.
            is_second_round := true;
            select j.* into entry
            from apalis.jobs j
            where (j.status = 'Pending' or (j.status = 'Failed' and j.attempts < j.max_attempts))
              and j.job_type = queue and j.priority = class and j.run_at < now()
            order by j.priority desc, j.owner, j.run_at, j.id
            limit 1
            for update skip locked;
        else
            select j.* into entry
            from apalis.jobs j
            where (j.status = 'Pending' or (j.status = 'Failed' and j.attempts < j.max_attempts))
              and j.job_type = queue and j.priority = class and j.run_at < now() and j.owner > after
            order by j.priority desc, j.owner, j.run_at, j.id
            limit 1
            for update skip locked;
        end if;
        if found and entry.owner <> all (passed) then
            return entry;
        end if;
        if not found and is_second_round then
            return null;
        end if;
        after := case when found then entry.owner end;
    end loop;
end $$;

-- Notes whose turn it was. Nobody waits for it: while another fetch is at it, that one's word will do. Where one owner is alone
-- it is written once a second.
create function quire.note_turn(queue text, class integer, owner uuid) returns void language plpgsql as $$
begin
    perform from quire.turns t
    where t.queue = note_turn.queue and t.priority = class and t.owner = note_turn.owner and t.served_at > now() - interval '1 second';
    if found then
        return;
    end if;
    perform from quire.turns t where t.queue = note_turn.queue and t.priority = class for update skip locked;
    if found then
        update quire.turns t set owner = note_turn.owner, served_at = now()
        where t.queue = note_turn.queue and t.priority = class;
    else
        insert into quire.turns values (queue, class, owner, now()) on conflict do nothing;
    end if;
end $$;

-- As plans are kept for the life of a session, those that are good for an empty table only are ruled out.
create or replace function apalis.get_jobs(worker_id text, v_job_type text, v_job_count integer default 5)
returns setof apalis.jobs language plpgsql volatile
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $get_jobs$
declare
    q quire.queues;
    passed uuid[] := '{}';
    tried integer[] := '{}';
    class integer;
    entry apalis.jobs;
    handed_out integer := 0;
begin
    select * into q from quire.queues where name = v_job_type;
    if q.paused_at is not null then
        return;
    end if;
    -- apalis's fetch is a transaction of its own, and tickets are no state: one that a crash brings back is stale or still good.
    perform set_config('synchronous_commit', 'off', true);
    if q.owner_slots > 0 then
        -- One fetch at a time counts and takes, so that two cannot give an owner the same last slot.
        perform pg_advisory_xact_lock(hashtextextended('quire.queue/' || v_job_type, 0));
    end if;
    while handed_out < v_job_count loop
        if q.owner_slots > 0 then
            passed := array(
                select j.owner from apalis.jobs j
                where j.status in ('Queued', 'Running') and j.job_type = v_job_type
                group by j.owner having count(*) >= q.owner_slots);
        end if;
        class := quire.next_class(v_job_type, passed, tried);
        exit when class is null;
        entry := quire.next_in_class(v_job_type, class, passed);
        if entry.id is null then
            tried := tried || class;                    -- others are taking all there is
            continue;
        end if;
        perform quire.note_turn(v_job_type, class, entry.owner);
        return query
            update apalis.jobs j set status = 'Queued', lock_by = worker_id, lock_at = now()
            where j.id = entry.id
            returning j.*;
        handed_out := handed_out + 1;
    end loop;
end $get_jobs$;
