-- How long a job may hold a slot, what a wait that is no failure costs, and what was charged for a worker that was not dead.

-- Running time that a worker gives one run of a job.
alter table quire.workers add column job_deadline interval not null default '1 hour';

alter table quire.jobs
    add column ran          interval not null default '0',  -- running time of the ended attempts of this run
    add column deadline_at  timestamptz,                    -- when the running attempt has used up what is left of the run's time
    add column snoozes      integer not null default 0,     -- how often this run was put off without having failed
    add column crashed      text;                           -- the worker whose death the last crash was counted for

-- Whoever was taken for dead and is not looks for what it was charged with.
create index jobs_crashed on quire.jobs (crashed) where crashed is not null;
