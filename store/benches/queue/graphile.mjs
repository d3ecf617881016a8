// graphile-worker on the database of DATABASE_URL: enqueue in batches, then drain. Prints `what<TAB>measured` lines.
// Run by benches/queue/peers.rs from target/peers, where scripts/bench-peers.sh has installed it.
import pg from "pg";
import { Logger, run, runMigrations } from "graphile-worker";

const address = new URL(process.env.DATABASE_URL);
const settings = {
  host: address.searchParams.get("host") ?? address.hostname,
  user: address.username,
  database: address.pathname.slice(1),
};

const logger = new Logger(() => () => {});
const JOBS = 20000;
const BATCH = 1000;

const pgPool = new pg.Pool({ ...settings, max: 20 });
pgPool.on("error", () => {});
await runMigrations({ pgPool, logger });

async function enqueue(writers) {
  const started = process.hrtime.bigint();
  const write = async () => {
    for (let n = 0; n < JOBS / writers; n += BATCH) {
      const jobs = Array.from({ length: BATCH }, () => ({ identifier: "nothing", payload: {} }));
      await pgPool.query("select graphile_worker.add_jobs(array(select json_populate_recordset(null::graphile_worker.job_spec, $1::json)))", [
        JSON.stringify(jobs),
      ]);
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  return seconds(started);
}

async function drain(preset, concurrency) {
  let left = JOBS;
  const started = process.hrtime.bigint();
  await new Promise((resolve, reject) => {
    let runner;
    const nothing = async () => {
      left -= 1;
      if (left === 0) resolve(runner);
    };
    run({
      pgPool,
      logger,
      noHandleSignals: true,
      preset: { worker: { ...preset, concurrentJobs: concurrency, pollInterval: 1000 } },
      taskList: { nothing },
    }).then((r) => (runner = r), reject);
  }).then((runner) => runner?.stop());
  return seconds(started);
}

function seconds(since) {
  return Number(process.hrtime.bigint() - since) / 1e9;
}

function tell(what, jobs, took) {
  console.log(`${what}\t${Math.round(jobs / took)}/s (${jobs} jobs)`);
}

tell("entries in batches of 1,000, 4 writers", JOBS, await enqueue(4));
tell("drain, one at a time as it is shipped, 24 at once", JOBS, await drain({}, 24));
await enqueue(4);
tell(
  "drain, its fastest setting (local queue 500, completions in batches)",
  JOBS,
  await drain({ localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }, 24),
);
await pgPool.end();
process.exit(0);
