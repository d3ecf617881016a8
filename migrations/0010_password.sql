-- Passwords of encrypted files, from the upload to the end of the extraction and no longer.
--
-- They lie in a table of their own: a statement that breaks a rule of quire.jobs has its whole row written to the server's log.
-- The flag in the job's row makes the trigger free for the jobs that have none, which are nearly all.

create table quire.passwords (
    job_id      uuid primary key references quire.jobs (id) on delete cascade,
    password    text not null
);

alter table quire.jobs
    add column has_password boolean not null default false,
    add constraint password_is_for_extraction check (not has_password or (stage = 'extract' and finished_at is null));

-- Whatever ends the extraction or the job, forgets the password in the same transaction: no statement has to think of it.
create function quire.forget_password() returns trigger language plpgsql as $$
begin
    delete from quire.passwords where job_id = new.id;
    new.has_password := false;
    return new;
end $$;

create trigger forget_password before update of state, stage on quire.jobs
    for each row when (new.has_password and (new.stage <> 'extract' or new.finished_at is not null))
    execute function quire.forget_password();

-- A document that was read with a password is no cache: who gives the same bytes has to open them again.
alter table quire.documents add column locked boolean not null default false;
