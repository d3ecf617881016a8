// The page at "/": uploads a file with a question and shows what the socket says about the job.
//
// It speaks the plain contract only (four frames without sequence numbers), as a client that knows nothing else would.
// Every text comes from outside and is set with textContent, never as markup.
"use strict";

// Pause before dialling again: short at first, so that a restart of the server is hardly seen.
const REDIAL_MS = [250, 1000, 3000];

// Jobs of earlier visits that are shown.
const RECENT = 10;

// Errors that a password mends.
const LOCKED = ["password_needed", "wrong_password"];

const byId = (id) => document.getElementById(id);
const form = byId("ask");
const cards = new Map();

// The file to send; kept here because a dropped file cannot be put into the input everywhere.
let file = null;
// Makes a repeated upload safe: the same key as long as the form is the same.
let key = null;

// ---- the form ----

function choose(chosen) {
  file = chosen;
  key = null;
  byId("chosen").textContent = file
    ? `${file.name} (${size(file.size)})`
    : "Drop a PDF, table, image or document here, or choose one";
  byId("remove").hidden = !file;
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

byId("file").addEventListener("change", (event) => choose(event.target.files[0] ?? null));
byId("remove").addEventListener("click", () => {
  byId("file").value = "";
  choose(null);
});
byId("prompt").addEventListener("input", () => { key = null; });

const drop = byId("drop");
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragenter" || name === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  const dropped = event.dataTransfer?.files[0];
  if (dropped) choose(dropped);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const prompt = byId("prompt").value;
  if (!file) return say("Choose a file first.");
  if (!prompt.trim()) return say("Type a question first.");
  say("");
  send(file, prompt);
});
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

function say(problem) {
  byId("problem").textContent = problem;
}

// ---- the upload ----

// XMLHttpRequest, because fetch does not tell how much of a body has been sent.
function send(file, prompt) {
  const body = new FormData();
  body.append("prompt", prompt);
  body.append("file", file, file.name);
  key ??= globalThis.crypto?.randomUUID?.() ?? null;

  const request = new XMLHttpRequest();
  const bar = byId("sending");
  request.open("POST", "/api/upload");
  if (key) request.setRequestHeader("Idempotency-Key", key);
  request.upload.onprogress = (event) => { bar.value = (100 * event.loaded) / event.total; };
  request.onloadend = () => {
    bar.hidden = true;
    byId("send").disabled = false;
    uploaded(request, file, prompt);
  };
  bar.value = 0;
  bar.hidden = false;
  byId("send").disabled = true;
  request.send(body);
}

function uploaded(request, file, prompt) {
  const reply = parsed(request.responseText);
  if (request.status !== 200 || !reply?.success) {
    return say(reply?.error ?? "The server did not answer. Try again.");
  }
  key = null;
  byId("prompt").value = "";
  const card = cardOf(reply.data.job_id, file.name, true);
  card.prompt.textContent = prompt;
  show(card, reply.data);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// ---- the cards ----

function cardOf(id, name, first) {
  const known = cards.get(id);
  if (known) return known;
  const node = byId("card").content.firstElementChild.cloneNode(true);
  const part = (name) => node.querySelector(`.${name}`);
  const card = {
    id, node, name: part("name"), state: part("state"), prompt: part("prompt"),
    progress: part("progress"), answer: part("answer"), stop: part("stop"), result: part("result"),
    unlock: part("unlock"),
  };
  card.name.textContent = name;
  card.result.href = `/api/jobs/${encodeURIComponent(id)}/result?format=text`;
  card.stop.addEventListener("click", () => cancel(card));
  card.unlock.addEventListener("submit", (event) => {
    event.preventDefault();
    unlock(card);
  });
  cards.set(id, card);
  byId("jobs")[first ? "prepend" : "append"](node);
  return card;
}

// A job as GET /api/jobs/{id} and the upload's reply tell it.
function show(card, job) {
  const ended = ["completed", "failed", "cancelled"].includes(job.status);
  card.ended = ended;
  card.state.textContent = job.status;
  card.progress.value = job.progress;
  card.progress.hidden = ended;
  card.stop.hidden = ended;
  card.result.hidden = job.status !== "completed";
  card.node.classList.toggle("failed", job.status === "failed");
  if (job.ai_response != null) card.answer.textContent = job.ai_response;
  if (job.error != null) card.answer.textContent = job.error;
  card.unlock.hidden = !LOCKED.includes(job.error_code);
}

// The password goes with the new try only: the server forgets it when the job ends.
async function unlock(card) {
  const field = card.unlock.elements.password;
  const job = await call(`/api/jobs/${encodeURIComponent(card.id)}/retry`, "POST", { password: field.value });
  field.value = "";
  if (!job) return;
  card.answer.textContent = "";
  show(card, job);
}

async function cancel(card) {
  card.stop.disabled = true;
  const job = await call(`/api/jobs/${encodeURIComponent(card.id)}/cancel`, "POST");
  card.stop.disabled = false;
  if (job) show(card, job);
}

async function refresh(card) {
  const job = await call(`/api/jobs/${encodeURIComponent(card.id)}?expand=error`, "GET");
  if (job) show(card, job);
}

async function call(path, method, fields) {
  const request = { method };
  if (fields) {
    request.body = JSON.stringify(fields);
    request.headers = { "Content-Type": "application/json" };
  }
  try {
    const reply = await (await fetch(path, request)).json();
    if (reply.success) return reply.data;
    say(reply.error);
  } catch {
    // The connection line at the top says that the server is away.
  }
  return null;
}

// ---- the socket ----

const frames = {
  job_update: (card, frame) => {
    if (card.ended) return;
    card.state.textContent = "processing";
    card.progress.value = frame.progress;
  },
  ai_chunk: (card, frame) => {
    if (card.ended) return;
    card.state.textContent = "answering";
    card.answer.textContent = frame.partial;
  },
  job_completed: (card, frame) => show(card, { status: "completed", progress: 100, ai_response: frame.ai_response }),
  // A cancelled job has no frame of its own; its state is asked for.
  job_failed: (card, frame) => {
    show(card, { status: "failed", progress: 0, error: frame.error });
    refresh(card);
  },
};

function connect(tries) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws`);
  socket.onopen = () => {
    tries = 0;
    connection("Connected", true);
    // What happened while nobody listened, beyond what the server repeats by itself.
    for (const card of cards.values()) if (!card.ended) refresh(card);
  };
  socket.onmessage = (event) => {
    const frame = parsed(event.data);
    const card = cards.get(frame?.job_id);
    if (card) frames[frame.type]?.(card, frame);
  };
  socket.onclose = () => {
    connection("Reconnecting…", false);
    setTimeout(connect, REDIAL_MS[Math.min(tries, REDIAL_MS.length - 1)], tries + 1);
  };
}

function connection(text, open) {
  byId("connection").textContent = text;
  byId("connection").classList.toggle("open", open);
}

async function start() {
  const recent = await call(`/api/jobs?limit=${RECENT}`, "GET");
  for (const job of recent ?? []) {
    const card = cardOf(job.job_id, job.file_name, false);
    show(card, job);
    // The list does not tell why: a password may mend it.
    if (job.status === "failed") refresh(card);
  }
  connect(0);
}

start();
