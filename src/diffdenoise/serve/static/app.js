"use strict";
const API = "/api/v1";
const $ = (id) => document.getElementById(id);
let info = null, chosen = [], upload = null, shownFrom = null, changes = null, waiting = null, asking = null;
const jobs = new Map();

/* What programs say, in words. */
const MOST_TRIES = 3;
const size = (bytes) => bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1e3))} kB`;
const time = (seconds) => seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const when = (stamp) => new Date(1000 * stamp).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function show(element, text) {
  element.textContent = text || "";
  element.hidden = !text;
}

async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401) { signIn(); throw new Error("token"); }
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `the server says ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

/* The token. */
function signIn() {
  $("inside").hidden = true;
  $("sign-in").hidden = false;
  if (changes) { changes.close(); changes = null; }
  $("token").focus();
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch(`${API}/session`, { method: "POST", body: new URLSearchParams({ token: $("token").value }) });
  show($("sign-in-problem"), answer.ok ? "" : "This token is not the server's.");
  if (!answer.ok) return;
  $("token").value = "";
  $("sign-in").hidden = true;
  start();
});

/* What is to be sent. */
async function* entries(entry, path) {
  if (entry.isFile) {
    yield [await new Promise((done, fail) => entry.file(done, fail)), path + entry.name];
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const each of some) yield* entries(each, `${path}${entry.name}/`);
  }
}

function choose(found) {
  chosen = found.filter(([, name]) => !name.split("/").pop().startsWith("."));
  const bytes = chosen.reduce((sum, [file]) => sum + file.size, 0);
  const first = chosen.length ? chosen[0][1].split("/")[0] : "";
  const what = chosen.length === 1 ? chosen[0][1] : `${first}: ${count(chosen.length, "file")}`;
  $("chosen").textContent = chosen.length ? `${what}, ${size(bytes)}` : "Drop scans here: files, a folder or a zip.";
  const isTooLarge = info && bytes > info.upload_bytes;
  show($("send-problem"), isTooLarge ? `This is ${size(bytes)}; the server takes ${size(info.upload_bytes)} at once. Send less, or a smaller scan.` : "");
  $("go").disabled = !chosen.length || isTooLarge;
}

$("choose-files").addEventListener("click", () => $("files").click());
$("choose-folder").addEventListener("click", () => $("folder").click());
for (const id of ["files", "folder"]) {
  $(id).addEventListener("change", () => {
    choose([...$(id).files].map((file) => [file, file.webkitRelativePath || file.name]));
    $(id).value = "";
    if (!$("go").disabled) $("go").focus();
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if ($("inside").hidden || upload) return;
  const found = [];
  const given = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  for (const entry of given) for await (const each of entries(entry, "")) found.push(each);
  choose(found);
});

/* How. */
const isLearning = () => document.querySelector("input[name=how]:checked").value === "learn";
$("how").addEventListener("input", () => {
  $("minutes").disabled = !isLearning();
  $("minutes").required = isLearning();
  $("minutes-line").hidden = $("seed-line").hidden = !isLearning();
  $("model").disabled = isLearning();
  $("strength-said").textContent = `${Math.round(100 * $("strength").value)} %`;
});

/* Send. */
$("send").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!chosen.length || upload) return;
  const form = new FormData();
  if (isLearning()) { form.append("minutes", $("minutes").value); form.append("seed", $("seed").value || "0"); }
  else if ($("model").value) form.append("model", $("model").value);
  form.append("strength", $("strength").value);
  form.append("report", $("report").checked);
  for (const [file, name] of chosen) form.append("files", file, name);
  send(form, [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join(""), 1);
});

function send(form, key, tries) {
  upload = new XMLHttpRequest();
  sending(true);
  upload.open("POST", `${API}/jobs`);
  upload.setRequestHeader("Idempotency-Key", key);
  upload.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) return;
    $("upload").value = event.loaded / event.total;
    $("upload-said").textContent = event.loaded < event.total ? `Sending: ${size(event.loaded)} of ${size(event.total)}` : "Sent; the server writes it down";
  });
  upload.addEventListener("load", () => {
    const { status, responseText } = upload;
    let answer = {};
    try { answer = JSON.parse(responseText); } catch { /* a proxy's words */ }
    upload = null;
    sending(false);
    if (status === 401) return signIn();
    if (status !== 202) return show($("send-problem"), `Not taken: ${answer.detail || `the server says ${status}`}`);
    choose([]);
    put(answer);
    $("upload-said").textContent = answer.is_new ? "" : "This was sent before; here it is.";
    const card = $(`job-${answer.id}`);
    card.scrollIntoView({ block: "nearest" });
  });
  upload.addEventListener("error", () => {
    upload = null;
    sending(false);
    // The key makes it one job, whatever the server got of the first try.
    if (tries < MOST_TRIES) { setTimeout(() => upload || send(form, key, tries + 1), 1000 * tries); return; }
    show($("send-problem"), "The upload broke off. Is the server there, and has it room? Try again.");
  });
  upload.addEventListener("abort", () => { upload = null; sending(false); });
  upload.send(form);
}

function sending(isSending) {
  for (const id of ["choose-files", "choose-folder", "how"]) $(id).disabled = isSending;
  $("go").disabled = isSending || !chosen.length;
  $("stop-upload").hidden = $("upload").hidden = !isSending;
  $("upload").value = 0;
  $("upload-said").textContent = isSending ? "Sending" : "";
  if (isSending) show($("send-problem"), "");
}
$("stop-upload").addEventListener("click", () => upload && upload.abort());

/* The list. */
const WORDS = { queued: "waits", running: "is being denoised", done: "done", failed: "failed", cancelled: "cancelled" };

function said(job) {
  const how = job.options.minutes ? `learns for ${time(60 * job.options.minutes)}` : job.options.model ? `at once, model ${job.options.model}` : "at once";
  const what = `${count(job.files, "file")}, ${size(job.bytes)}, ${how}`;
  if (job.state === "failed") return job.error.detail;
  if (job.state === "queued") return `${job.position ? `${count(job.position, "scan")} before it` : "next"} · ${what}`;
  if (job.state === "running") {
    const left = job.progress.seconds_left === null ? "" : `, about ${time(job.progress.seconds_left)} left`;
    return `${job.progress.stage || "begins"}${left} · ${what}`;
  }
  const took = job.started && job.finished ? ` · took ${time(job.finished - job.started)}` : "";
  const clean = job.scans && job.scans.length && job.scans.every((scan) => scan.left_as_it_is) ? " · left as it was: see the report" : "";
  const failed = job.failed && job.failed.length ? ` · ${count(job.failed.length, "scan")} could not be denoised: ${job.failed[0].reason}` : "";
  return `${when(job.created)} · ${what}${took}${clean}${failed}`;
}

function put(job) {
  const known = jobs.get(job.id);
  jobs.set(job.id, job);
  let card = $(`job-${job.id}`);
  if (!card) {
    card = $("job").content.firstElementChild.cloneNode(true);
    card.id = `job-${job.id}`;
    const after = [...$("jobs").children].find((each) => jobs.get(each.id.slice(4)).created < job.created);
    $("jobs").insertBefore(card, after || null);
  }
  card.querySelector("h3").textContent = job.title;
  const state = card.querySelector(".state");
  state.textContent = job.state === "done" && job.verdict ? `done: ${job.verdict}` : WORDS[job.state];
  state.dataset.state = job.state;
  state.dataset.verdict = job.verdict || "";
  const line = card.querySelector(".said");
  line.textContent = said(job);
  line.classList.toggle("bad", job.state === "failed");
  const bar = card.querySelector("progress");
  bar.hidden = job.state !== "running";
  bar.setAttribute("aria-label", `progress of ${job.title}`);
  if (job.progress.share === null) bar.removeAttribute("value"); else bar.value = job.progress.share;
  if (!known || known.state !== job.state || !card.querySelector(".actions").children.length) actions(card, job);
  // The places of others in the queue change, whoever was told of it first.
  if (known && known.state !== job.state) refresh();
  arrange();
}

function actions(card, job) {
  const had = card.contains(document.activeElement);
  const line = card.querySelector(".actions");
  line.replaceChildren();
  const add = (name, words, does) => {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.does = name;
    made.textContent = words;
    made.setAttribute("aria-label", `${words}: ${job.title}`);
    made.addEventListener("click", () => does(made));
    line.append(made);
  };
  const link = (words, address) => {
    const made = document.createElement("a");
    Object.assign(made, { className: "button", textContent: words, href: address, download: "" });
    made.setAttribute("aria-label", `${words}: ${job.title}`);
    line.append(made);
  };
  if (job.state === "done") {
    const pages = job.reports || [];
    pages.forEach((name, place) => {
      const words = pages.length === 1 ? "Trust report" : name.replace(/\.html$/, "");
      add("report", words, (made) => look(card, job, place + 1, made));
    });
    if (job.links.result) link("Download result", job.links.result);
    if (job.links.residual) link("Download residual", job.links.residual);
  }
  if (job.state === "queued" || job.state === "running") add("cancel", "Cancel", () => remove(job, card));
  else add("delete", "Delete", () => confirm(`Delete ${job.title} and its results from the server?`) && remove(job, card));
  if (had && line.firstElementChild) line.firstElementChild.focus();
}

function look(card, job, number, button) {
  const place = card.querySelector(".place");
  const isOpen = button.getAttribute("aria-expanded") === "true";
  for (const each of document.querySelectorAll(".place")) { each.replaceChildren(); each.hidden = true; }
  for (const each of document.querySelectorAll("[data-does=report]")) each.setAttribute("aria-expanded", "false");
  if (isOpen) return;
  const frame = document.createElement("iframe");
  frame.title = `trust report of ${job.title}`;
  frame.src = `${job.links.report}?number=${number}`;
  place.append(frame);
  place.hidden = false;
  button.setAttribute("aria-expanded", "true");
  card.scrollIntoView({ block: "start" });
}

async function remove(job, card) {
  try {
    const answer = await ask(job.links.self, { method: "DELETE" });
    if (answer) return put(answer);
    const next = card.nextElementSibling || card.previousElementSibling;
    jobs.delete(job.id);
    card.remove();
    const button = next && next.querySelector("button, a");
    (button || $("choose-files")).focus();
    arrange();
  } catch (error) {
    const line = card.querySelector(".said");
    line.textContent = error.message;
    line.classList.add("bad");
  }
}

function arrange() {
  const words = $("search").value.trim().toLowerCase();
  let seen = 0;
  for (const card of $("jobs").children) {
    const job = jobs.get(card.id.slice(4));
    card.hidden = Boolean(words) && !`${job.title} ${job.state} ${job.verdict || ""}`.toLowerCase().includes(words);
    seen += !card.hidden;
  }
  const all = [...jobs.values()];
  const queued = all.filter((job) => job.state === "queued").length, running = all.filter((job) => job.state === "running").length;
  $("counts").textContent = queued || running ? `${running} running, ${queued} waiting` : "";
  $("empty").hidden = jobs.size > 0;
  $("none").hidden = !(jobs.size && !seen);
}
$("search").addEventListener("input", arrange);

async function list(address) {
  const page = await ask(address);
  page.jobs.forEach((job) => put({ ...jobs.get(job.id), ...job, links: { ...(jobs.get(job.id) || {}).links, ...job.links } }));
  // What lists leave out is asked for when it is there.
  for (const job of page.jobs) if (job.state === "done" && !jobs.get(job.id).reports) complete(job.id);
  arrange();
  return page;
}

async function complete(id) {
  try {
    const job = await ask(`${API}/jobs/${id}`);
    jobs.delete(id);
    put(job);
  } catch { /* deleted meanwhile, or its files are gone */ }
}

function refresh() {
  clearTimeout(waiting);
  waiting = setTimeout(() => list(`${API}/jobs?state=queued`).catch(() => {}), 300);
}

function listen(since) {
  changes = new EventSource(`${API}/events?since=${since}`);
  changes.addEventListener("job", (event) => {
    put(JSON.parse(event.data));
  });
  changes.addEventListener("open", () => { $("lost").hidden = true; });
  changes.addEventListener("error", () => {
    $("lost").hidden = false;
    if (changes.readyState !== EventSource.CLOSED) return;
    clearTimeout(asking);
    asking = setTimeout(start, 2000);
  });
}

$("older").addEventListener("click", async () => {
  const page = await list(shownFrom);
  shownFrom = page.next;
  $("older").hidden = !shownFrom;
});

async function start() {
  try {
    info = await ask(`${API}/info`);
    $("version").textContent = `Version ${info.version}.`;
    if (!info.trains) {
      document.querySelector("input[value=learn]").disabled = true;
      $("learn-label").title = "PyTorch is not installed on the server";
    }
    $("minutes").max = info.most_minutes;
    const { models } = await ask(`${API}/models`);
    $("model").replaceChildren($("model").firstElementChild, ...models.map(({ name }) => Object.assign(document.createElement("option"), { value: name, textContent: name })));
    const page = await list(`${API}/jobs`);
    shownFrom = page.next;
    $("older").hidden = !shownFrom;
    $("inside").hidden = false;
    $("lost").hidden = true;
    if (changes) changes.close();
    listen(page.revision);
    document.body.dataset.ready = "yes";
  } catch (error) {
    if (error.message === "token") return;
    $("lost").hidden = false;
    clearTimeout(asking);
    asking = setTimeout(start, 2000);
  }
}
start();
