// The copies view: many suspicious files, each of which is looked for among the project's photos and verified.

import { $, el, isPicture, plural, number, title, words } from "./dom.js";
import { copies } from "./api.js";
import { button, done } from "./proof.js";

const AT_ONCE = 3, TRIES = 5;
const KINDS = { exact: "Same file", "near-duplicate": "Copy", recoloured: "Recoloured" };
let project = "", waiting = [], running = 0, stopped = new AbortController(), counts = none();
const urls = new Set();

export function show(name) {
  if (name !== project) clear();
  project = name;
}

function none() {
  return { given: 0, copies: 0, others: 0, failed: 0 };
}

function clear() {
  cancel();
  counts = none();
  for (const url of urls) URL.revokeObjectURL(url);
  urls.clear();
  $("verdicts").replaceChildren();
  tell();
}

function cancel() {
  stopped.abort();
  stopped = new AbortController();
  counts.given -= waiting.length + running;
  waiting = [];
  running = 0;
  tell();
}

export function add(files) {
  waiting.push(...files);
  counts.given += files.length;
  while (running < AT_ONCE && waiting.length) work(stopped.signal);
  tell();
}

// The entries of a drop are gone after its event, so they are taken first. What a page made itself has none.
async function addDropped(items) {
  const entries = items.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found = await Promise.all(entries.map((entry) => (entry instanceof File ? [entry] : files(entry))));
  add(found.flat());
}

// Return a file, or the pictures of a folder and of those in it; the browser gives some of a folder's entries at a time.
async function files(entry) {
  try {
    if (entry.isFile) return [await new Promise((got, not) => entry.file(got, not))];
    const reader = entry.createReader(), entries = [];
    const some = () => new Promise((got, not) => reader.readEntries(got, not));
    for (let part = await some(); part.length; part = await some()) entries.push(...part);
    const found = (await Promise.all(entries.map(files))).flat();
    return found.filter(isPicture);
  } catch (error) {
    unread(entry, error);
    return [];
  }
}

function unread(entry, error) {
  counts.given += 1;
  counts.failed += 1;
  note(row({ name: entry.fullPath }, "", "failed", words(error)), true);
  tell();
}

async function work(signal) {
  running += 1;
  while (waiting.length && !signal.aborted) {
    const file = waiting.shift();
    try {
      const { copies: found } = await patiently(file, signal);
      if (signal.aborted) return;
      counts[found.length ? "copies" : "others"] += 1;
      note(verdict(file, found), found.length);
    } catch (error) {
      if (signal.aborted) return;
      counts.failed += 1;
      note(row(file, "", "failed", words(error)), true);
    }
    tell();
  }
  if (signal.aborted) return;
  running -= 1;
  tell();
}

// Where there is too much to do at the moment, it is tried again.
async function patiently(file, signal, tries = TRIES) {
  try {
    return await copies(project, { thorough: String($("thorough").checked) }, file, signal);
  } catch (error) {
    if (![429, 503].includes(error.status) || tries === 1 || signal.aborted) throw error;
    await new Promise((passed) => setTimeout(passed, 500 * 2 ** (TRIES - tries)));
    signal.throwIfAborted();
    return patiently(file, signal, tries - 1);
  }
}

// What needs a person comes first, in the order in which it was found; what is no copy follows.
function note(item, wanted) {
  const first = wanted ? $("verdicts").querySelector(".other") : null;
  $("verdicts").insertBefore(item, first);
}

function verdict(file, found) {
  if (!found.length) return row(file, "", "other", "no copy");
  const url = URL.createObjectURL(file);
  urls.add(url);
  const shown = () => new Promise((drawn) => {
    const image = new Image();
    image.onload = () => drawn(image);
    image.onerror = () => drawn(null); // the embedder may know more formats
    image.src = url;
  });
  const list = found.map((copy) => {
    const name = title(copy);
    const link = el("a", { href: `#search/${project}?like=${copy.sha256}`, title: copy.imageUrl }, name);
    const kind = el("span", { className: `match ${copy.match}` }, KINDS[copy.match]);
    const what = copy.proof ? done(copy.proof) || "recompressed or resized" : "";
    return el("p", {}, kind, " of ", link, what && ` · ${what} `, copy.proof ? button(copy, name, shown) : null);
  });
  const picture = el("img", { alt: "", src: url, loading: "lazy", decoding: "async" });
  picture.onerror = () => picture.remove();
  return row(file, picture, "copy", ...list);
}

const row = (file, picture, kind, ...said) =>
  el("li", { className: `verdict ${kind}` },
    el("span", { className: "frame" }, picture),
    el("div", {}, el("b", { className: "name" }, file.webkitRelativePath || file.name), ...said.map((text) => (text.nodeType ? text : el("p", {}, text)))));

// Only the end is said aloud, not each file.
function tell() {
  const { given, copies: found, others, failed } = counts;
  const ended = found + others + failed;
  $("copies-examined").hidden = $("cancel").hidden = !running;
  $("copies-clear").hidden = running || !ended;
  $("copies-examined").value = given ? ended / given : 0;
  const text = `${number(ended)} of ${plural(given, "file")}: ${number(found)} ${found === 1 ? "is a copy" : "are copies"}, ${number(others)} no copy`;
  $("copies-count").textContent = given ? text + (failed ? `, ${number(failed)} failed` : "") : "";
  $("copies-status").textContent = running ? "" : $("copies-count").textContent;
}

export function listen() {
  const take = (event, { items }) => {
    const given = [...items].filter((item) => item.kind === "file");
    if ($("copies").hidden || !given.length) return;
    event.preventDefault();
    event.stopPropagation(); // else the search view would take it
    document.body.classList.remove("dragging");
    addDropped(given);
  };
  addEventListener("drop", (event) => take(event, event.dataTransfer), true);
  addEventListener("paste", (event) => take(event, event.clipboardData), true);
  for (const id of ["suspects", "suspects-folder"]) $(id).addEventListener("change", ({ target }) => {
    add([...target.files].filter(isPicture));
    target.value = "";
  });
  $("cancel").onclick = cancel;
  $("copies-clear").onclick = clear;
}
