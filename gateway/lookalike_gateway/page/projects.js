// The projects view: what is indexed, live, and the switch.

import { $, el, number, plural, trouble } from "./dom.js";
import { call } from "./api.js";

const INTERVAL = 2000;
const STATES = {
  none: "ranked exactly, no index needed",
  pending: "ranked exactly until its index is built",
  building: "index is being built",
  ready: "ranked through its index",
  other: "index in an unknown state",
};
const cards = new Map();
let limit = 24, timer = 0, shown = false, opened = () => {};

export function show(choose) {
  opened = choose;
  shown = true;
  look();
}

export function leave() {
  shown = false;
  clearTimeout(timer);
}

// Read all anew, and again in a while: cards are changed, not replaced, so that focus stays.
async function look() {
  clearTimeout(timer);
  try {
    const page = document.hidden ? null : await call("", { limit });
    if (page) {
      const detailed = await Promise.all(page.projects.map((one) => call(`/${one.name}`).catch(() => one)));
      trouble($("projects-trouble"));
      draw(detailed, page.nextPageToken);
    }
  } catch (error) {
    trouble($("projects-trouble"), error, look);
  }
  if (shown) timer = setTimeout(look, INTERVAL);
}

function draw(projects, next) {
  const names = new Set(projects.map((one) => one.name));
  for (const [name, card] of cards) if (!names.has(name)) {
    card.item.remove();
    cards.delete(name);
  }
  for (const project of projects) {
    if (!cards.has(project.name)) cards.set(project.name, new Card(project.name));
    cards.get(project.name).update(project);
    $("cards").append(...(cards.get(project.name).item.isConnected ? [] : [cards.get(project.name).item]));
  }
  const images = projects.reduce((sum, one) => sum + one.imagesIndexed, 0);
  const text = projects.length ? `${plural(projects.length, "project")}, ${plural(images, "image")}` : "None yet: `lookalike project create shop` makes one.";
  if ($("projects-status").textContent !== text) $("projects-status").textContent = text;
  $("projects-more").hidden = !next;
}

class Card {
  constructor(name) {
    this.count = el("b", { className: "count" });
    this.rate = el("span", { className: "detail" });
    this.when = el("span", { className: "detail" });
    this.index = el("p", { className: "detail" });
    this.bar = el("progress", { max: 1, "aria-label": `Index of ${name}` });
    this.toggle = el("button", { type: "button", className: "switch", role: "switch", "aria-label": `Searches of ${name}` });
    this.toggle.onclick = () => this.flip(name);
    const link = el("a", { href: `#search/${name}` }, name);
    this.item = el("li", { className: "project" },
      el("div", { className: "line" }, el("h2", {}, link), this.toggle),
      el("p", {}, this.count, " ", this.rate), this.when, this.index, this.bar);
    this.seen = null;
  }

  update(project) {
    const now = performance.now();
    const grown = this.seen ? (project.imagesIndexed - this.seen.images) / ((now - this.seen.at) / 1000) : 0;
    this.seen = { images: project.imagesIndexed, at: now };
    this.count.textContent = plural(project.imagesIndexed, "image");
    this.rate.textContent = grown > 0 ? `+${number(Math.max(1, Math.round(grown)))} a second` : `in ${plural(project.references, "place")}`;
    this.when.textContent = project.lastIndexedAt ? `changed ${ago(project.lastIndexedAt)}` : "nothing indexed yet";
    this.toggle.setAttribute("aria-checked", String(project.searchEnabled));
    this.toggle.textContent = project.searchEnabled ? "Search on" : "Search off";
    const index = project.spaces[0]?.index;
    this.index.textContent = index ? STATES[index.state] + (index.state === "building" ? ` (${index.phase || "starting"})` : "") : "";
    if (index?.recall) this.index.textContent += `, recall ${index.recall.toFixed(3)}`;
    this.index.textContent += `, tuning ${project.tuning?.space ? project.tuning.stage : project.tuningPolicy}`;
    this.bar.hidden = index?.state !== "building";
    this.bar.value = index?.progress ?? 0;
  }

  async flip(name) {
    const on = this.toggle.getAttribute("aria-checked") !== "true";
    const body = JSON.stringify({ searchEnabled: on });
    try {
      this.update(await call(`/${name}`, {}, { method: "PATCH", body, headers: { "content-type": "application/json" } }));
    } catch (error) {
      trouble($("projects-trouble"), error);
    }
  }
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const [unit, size] = units.find(([, length]) => seconds >= length) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
}

export function listen() {
  $("projects-more").onclick = () => {
    limit += 24;
    look();
  };
}
