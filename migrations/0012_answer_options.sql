-- How a job is to be answered, when its upload says so.

alter table quire.jobs
    add column model  text check (length(model) between 1 and 255),   -- name of an engine or model; null: what the process is set to
    add column schema jsonb;                                          -- JSON schema of the answer; null: text
