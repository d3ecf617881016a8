// The page at "/admin": the whole queue as the socket's topic "admin" tells it, and the few things an operator does to it.
//
// Every text comes from outside and is set with textContent, never as markup.
"use strict";

// Pause before dialling again: short at first, so that a restart of the server is hardly seen.
const REDIAL_MS = [250, 1000, 3000];

// Frames come every two seconds at least; without one for so long, the numbers on the page are old.
const SILENCE_MS = 7000;

// Dead letters asked for at once, and the most that the page keeps.
const PAGE = 20;
const MOST = 200;

// How long a button that changes many jobs waits for the second click.
const SURE_MS = 4000;

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

// ---- the socket ----

let heardAt = Date.now();
let open = false;

function connect(tries) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`, "quire.v1");
  socket.onopen = () => {
    tries = 0;
    open = true;
    heardAt = Date.now();
    connection("Connected", true);
    socket.send(JSON.stringify({ type: "hello", topics: ["admin"] }));
  };
  socket.onmessage = (event) => {
    const frame = parsed(event.data);
    if (frame?.type !== "admin") return;
    heardAt = Date.now();
    connection("Live", true);
    show(frame.queue);
  };
  socket.onclose = () => {
    open = false;
    connection("Reconnecting…", false);
    setTimeout(connect, REDIAL_MS[Math.min(tries, REDIAL_MS.length - 1)], tries + 1);
  };
}

setInterval(() => {
  if (open && Date.now() - heardAt > SILENCE_MS) connection("The database does not answer", false);
}, 1000);

function connection(text, live) {
  const line = byId("connection");
  // Set only when it changes: it is read aloud.
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle("open", live);
  document.body.classList.toggle("old", !live);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// ---- the numbers ----

function show(queue) {
  const { jobs } = queue;
  const oldest = queue.oldest_waiting_seconds;
  put("waiting", number.format(jobs.queued));
  put("oldest", oldest === null ? "" : `oldest ${time(oldest)}`);
  put("running", number.format(jobs.running + jobs.streaming));
  put("streaming", jobs.streaming ? `${number.format(jobs.streaming)} answering` : "");
  put("scheduled", number.format(jobs.scheduled));
  put("completed", number.format(jobs.completed));
  put("cancelled", jobs.cancelled ? `${number.format(jobs.cancelled)} cancelled` : "");
  put("dead", number.format(queue.dead_letters));
  put("dead-split", queue.dead_letters ? `${number.format(jobs.failed)} failed, ${number.format(jobs.dead)} dead` : "");
  byId("dead-card").classList.toggle("bad", queue.dead_letters > 0);
  const rates = queue.completed_per_minute;
  put("rate", rate(rates["1m"]));
  put("rates", `5 min ${rate(rates["5m"])}, 15 min ${rate(rates["15m"])}`);
  spread("wait", queue.wait_seconds);
  spread("run", queue.run_seconds);
  showQueues(queue.queues);
  showWorkers(queue.workers, Date.parse(queue.at));
  deadLetters(queue.dead_letters);
}

function put(name, text) {
  document.querySelector(`[data-show="${name}"]`).textContent = text;
}

function spread(name, times) {
  put(name, times ? time(times.p50) : "–");
  put(`${name}95`, times ? `95 % within ${time(times.p95)}` : "nothing completed lately");
}

function rate(value) {
  return number.format(value < 10 ? Math.round(value * 10) / 10 : Math.round(value));
}

// Two digits are enough to see how long something is.
function time(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const [size, unit] = units.find(([size]) => seconds >= size);
  const value = seconds / size;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`;
}

// Keeps the rows of a table: those of known things are changed in place, so that focus and clicks are not lost.
function rows(body, template, things, fill) {
  const known = new Map([...body.children].map((row) => [row.dataset.name, row]));
  for (const thing of things) {
    let row = known.get(thing.name);
    if (!row) {
      row = byId(template).content.firstElementChild.cloneNode(true);
      row.dataset.name = thing.name;
      row.querySelector(".name").textContent = thing.name;
      body.append(row);
    }
    known.delete(thing.name);
    fill((part) => row.querySelector(`.${part}`), thing);
  }
  for (const row of known.values()) row.remove();
}

function showQueues(queues) {
  rows(byId("queues"), "queue-row", queues, (part, queue) => {
    part("waiting").textContent = number.format(queue.waiting);
    part("running").textContent = number.format(queue.running);
    part("scheduled").textContent = number.format(queue.scheduled);
    part("oldest").textContent = queue.oldest_waiting_seconds === null ? "–" : time(queue.oldest_waiting_seconds);
    part("mark").hidden = !queue.paused;
    const button = part("toggle");
    button.textContent = queue.paused ? "Resume" : "Pause";
    button.setAttribute("aria-label", `${button.textContent} ${queue.name}`);
    button.onclick = () => toggle(button, queue);
  });
}

async function toggle(button, queue) {
  button.disabled = true;
  const verb = queue.paused ? "resume" : "pause";
  // The next frame shows what came of it.
  await call("POST", `/api/admin/queues/${encodeURIComponent(queue.name)}/${verb}`);
  button.disabled = false;
}

function showWorkers(workers, now) {
  const since = (at) => time(Math.max(0, (now - Date.parse(at)) / 1000));
  byId("no-workers").hidden = workers.length > 0;
  rows(byId("workers"), "worker-row", workers, (part, worker) => {
    part("jobs").textContent = number.format(worker.jobs);
    part("seen").textContent = worker.responding ? "now" : `${since(worker.seen_at)} ago`;
    part("up").textContent = since(worker.started_at);
    part("mark").hidden = worker.responding;
  });
}

// ---- dead letters ----

let counted = null;
let shown = PAGE;
let loading = false;
let again = false;

// The list is asked for when their number has changed.
function deadLetters(count) {
  if (count === counted) return;
  counted = count;
  load();
}

async function load() {
  // One request at a time; what changes meanwhile is asked for after it.
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  const query = new URLSearchParams({ limit: shown });
  const code = byId("code").value.trim();
  if (code) query.set("code", code);
  const reply = await call("GET", `/api/admin/dead?${query}`);
  if (reply) showLetters(reply.data, reply.page);
  loading = false;
  if (again) {
    again = false;
    load();
  }
}

function showLetters(letters, page) {
  byId("letters").replaceChildren(...letters.map(letterOf));
  byId("no-letters").hidden = letters.length > 0;
  byId("no-letters").textContent = byId("code").value.trim() ? "None with this code." : "None.";
  byId("filter").hidden = !letters.length && !byId("code").value.trim();
  byId("more").hidden = page.next_cursor === null || shown >= MOST;
  byId("requeue-all").hidden = !letters.length;
  calm(byId("requeue-all"));
  const known = new Set([...byId("codes").children].map((option) => option.value));
  for (const { code } of letters) {
    if (known.has(code)) continue;
    known.add(code);
    const option = document.createElement("option");
    option.value = code;
    byId("codes").append(option);
  }
}

function letterOf(letter) {
  const node = byId("letter").content.firstElementChild.cloneNode(true);
  const part = (name) => node.querySelector(`.${name}`);
  part("name").textContent = letter.file_name;
  part("error").textContent = letter.error;
  const facts = [
    letter.code,
    `${letter.state} in ${letter.queue}`,
    many(letter.attempts, "attempt"),
    letter.crashes ? `${many(letter.crashes, "worker")} lost` : "",
    new Date(letter.finished_at).toLocaleString(),
  ];
  part("facts").textContent = facts.filter(Boolean).join(" · ");
  const button = part("requeue");
  button.setAttribute("aria-label", `Requeue ${letter.file_name}`);
  button.onclick = () => requeue(button, { job_ids: [letter.job_id] });
  return node;
}

function many(count, thing) {
  return `${number.format(count)} ${thing}${count === 1 ? "" : "s"}`;
}

async function requeue(button, which) {
  button.disabled = true;
  await call("POST", "/api/admin/dead/requeue", which);
  button.disabled = false;
  load();
}

byId("requeue-all").onclick = ({ target }) => {
  if (!target.dataset.sure) {
    target.dataset.sure = "yes";
    target.textContent = "Click again to requeue";
    setTimeout(calm, SURE_MS, target);
    return;
  }
  calm(target);
  const code = byId("code").value.trim();
  requeue(target, code ? { code } : { all: true });
};

function calm(button) {
  delete button.dataset.sure;
  button.textContent = byId("code").value.trim() ? "Requeue all with this code" : "Requeue all";
}

byId("more").onclick = () => {
  shown = Math.min(shown + PAGE, MOST);
  load();
};
byId("code").oninput = () => {
  shown = PAGE;
  load();
};

// ---- the API ----

// The reply, or nothing; what went wrong is said at the top.
async function call(method, path, body) {
  const request = { method };
  if (body) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  try {
    const reply = await (await fetch(path, request)).json();
    byId("problem").textContent = reply.success ? "" : reply.error;
    return reply.success ? reply : null;
  } catch {
    byId("problem").textContent = "The server did not answer. Try again.";
    return null;
  }
}

connect(0);
