// The search view. The address says what is searched for: `like` is an image's hash, `photo` one that was dropped here,
// `text` words.

import { $, el, isPicture, load, local, number, picture, plural, title, trouble } from "./dom.js";
import { call, model, search as ask } from "./api.js";
import { Crop, cut } from "./crop.js";
import { button as proofButton, done } from "./proof.js";

const PAGE = 24;
const MATCHES = { exact: "Same file", "near-duplicate": "Near duplicate", recoloured: "Recoloured", similar: "Similar" };
const photos = new Map(); // what was dropped since the page was opened, for going back to

let project = "", asked = {}, more = null, pending = null, region = null, sent = null;
const form = $("filters"), words = $("words");
const crop = new Crop($("stage"), $("crop"), () => run());

// Show the view for a project, and what the address asks for.
export async function show(name, given) {
  const same = name === project && given.get("like") === asked.like && given.get("photo") === asked.photo
    && given.get("text") === asked.text;
  if (same && asked.shown) return;
  project = name;
  asked = { like: given.get("like"), photo: given.get("photo"), text: given.get("text"), shown: true };
  if (asked.photo && !photos.has(asked.photo)) asked.photo = null; // the page was loaded again
  crop.set(null);
  $("drop").hidden = Boolean(asked.like || asked.photo);
  $("asked").hidden = !$("drop").hidden;
  words.elements.text.value = asked.text ?? "";
  await run(true);
}

export function add(file) {
  if (!file) return;
  const id = String(photos.size + 1);
  photos.set(id, { file, url: URL.createObjectURL(file) });
  location.hash = `search/${project}?photo=${id}`;
}

function filters() {
  const given = Object.fromEntries(new FormData(form));
  const several = (text) => (text || "").split(",").map((part) => part.trim()).filter(Boolean);
  return {
    product: several(given.product),
    variant: several(given.variant),
    label: several(given.label),
    uri_prefix: given.uri_prefix,
    staged: given.staged,
  };
}

function ranking() {
  const { grouped, exact, similarity } = form.elements;
  return {
    ...filters(),
    group_by: grouped.checked ? "product" : "",
    exact: exact.checked,
    min_similarity: Number(similarity.value) ? similarity.value : "",
  };
}

// Ask anew; `fresh` if the picture is another one.
async function run(fresh = false) {
  pending?.abort();
  const mine = (pending = new AbortController());
  const { signal } = mine;
  $("cut").setAttribute("aria-pressed", String(Boolean(crop.region)));
  trouble($("trouble"));
  busy(true);
  try {
    if (fresh) await stage(signal);
    const page = asked.like || asked.photo || asked.text ? await first(signal) : await catalogue("");
    if (signal.aborted) return;
    $("results").replaceChildren();
    append(page);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    $("results").replaceChildren();
    $("more").hidden = true;
    $("status").textContent = "";
    trouble($("trouble"), error, () => run(fresh));
  } finally {
    if (pending === mine) busy(false);
  }
}

// Put the query on the stage.
async function stage(signal) {
  $("found-title").textContent = asked.like || asked.photo || asked.text ? "Most similar" : "From the catalogue";
  const image = $("query");
  image.removeAttribute("src");
  image.classList.remove("unseen");
  if (asked.photo) {
    image.onerror = () => image.classList.add("unseen"); // it is sent all the same; the embedder may know more formats
    image.src = photos.get(asked.photo).url;
    image.alt = "Your photo";
    crop.enabled = true;
  } else if (asked.like) {
    const found = await call(`/${project}/images/${asked.like}`, {}, { signal });
    load(image, found, 1280, () => (image.src = "assets/icon.svg"));
    image.alt = title(found);
    crop.enabled = local(found); // pixels of other sites cannot be read
  }
  $("cut").disabled = !crop.enabled;
  $("crop-help").hidden = !crop.enabled;
}

// What a page of results is asked for, the first and those that go on. To be verified, each needs the photo; words have no
// copies.
function paged() {
  return { ...ranking(), limit: PAGE, rerank: "auto", verify: asked.text ? 0 : PAGE };
}

async function first(signal) {
  const query = paged();
  region = crop.region;
  sent = null;
  if (region) {
    await $("query").decode();
    sent = await cut($("query"), region);
  } else if (asked.photo) {
    sent = photos.get(asked.photo).file;
  }
  if (sent) return ask(project, query, sent, signal);
  if (asked.text) return ask(project, { ...query, text: asked.text }, null, signal);
  return ask(project, { ...query, sha256: asked.like }, null, signal);
}

async function catalogue(token) {
  const page = await call(`/${project}/images`, { ...filters(), limit: PAGE, page_token: token });
  return { ...page, results: page.images };
}

function append(page) {
  $("results").append(...page.results.map(card));
  const count = $("results").children.length;
  $("status").textContent = page.timing ? summary(page, count) : count ? "Start from any of these, or drop a photo." : "";
  if (!count) $("results").append(el("li", { className: "state" }, nothing(page)));
  $("more").hidden = !page.nextPageToken;
  const query = { ...paged(), page_token: page.nextPageToken };
  const photo = sent;
  more = page.timing ? () => ask(project, query, photo) : () => catalogue(page.nextPageToken);
}

function nothing(page) {
  const filtered = Object.values(ranking()).some((value) => value.length);
  if (filtered) return "Nothing passes these filters.";
  return page.timing ? "Nothing is found." : "This project holds no images yet. `lookalike index` brings some.";
}

function summary(page, count) {
  const { embedMs, searchMs } = page.timing;
  const time = (embedMs ? `embedded in ${Math.round(embedMs)} ms, ` : "") + `searched in ${searchMs.toFixed(1)} ms`;
  const how = page.mode === "exact" ? "compared with" : "through the index of";
  const blank = page.queryFeatureless ? "The photo shows nothing but one colour, so likeness means nothing. " : "";
  return `${blank}${number(count)} shown, ${how} ${plural(page.imagesRanked, "image")}; ${time}`;
}

function card(result) {
  const name = result.product ? title({ ...result, productVariants: [{ product: result.product }] }) : title(result);
  const variants = [...new Set(result.productVariants.map((one) => one.variantId).filter(Boolean))].join(", ");
  const staged = result.productVariants.some((one) => one.staged) ? "staged" : "";
  const places = result.referenceCount > 1 ? `${number(result.referenceCount)} places` : "";
  const blank = result.featureless ? "one colour only" : "";
  const altered = result.proof ? done(result.proof) : "";
  const ranked = result.match
    ? el("span", { className: "rank" },
      el("b", { className: "similarity" }, result.similarity.toFixed(3)),
      el("span", { className: `match ${result.match}` }, MATCHES[result.match]))
    : null;
  const button = el("button", { type: "button", className: "card", onclick: () => like(result.sha256) },
    el("span", { className: "frame" }, picture(result)),
    ranked,
    el("span", { className: "name" }, name),
    el("span", { className: "detail" }, [variants, staged, places, blank, altered].filter(Boolean).join(" · ")));
  button.title = result.imageUrl;
  return el("li", {}, button, result.proof ? proofButton(result, name, shown) : null);
}

// The picture that was searched with, if it can be shown.
async function shown() {
  const picture = $("query");
  await picture.decode().catch(() => {});
  if (!picture.naturalWidth || !region) return picture.naturalWidth ? picture : null;
  const part = new Image();
  part.src = URL.createObjectURL(await cut(picture, region));
  await part.decode();
  URL.revokeObjectURL(part.src);
  return part;
}

export function like(sha256) {
  location.hash = `search/${project}?like=${sha256}`;
  scrollTo({ top: 0, behavior: "smooth" });
}

function busy(is) {
  $("results").setAttribute("aria-busy", String(is));
  if (is) $("status").textContent = "Searching…";
}

// What the visitor does.
export function listen() {
  const over = (event) => {
    event.preventDefault();
    document.body.classList.toggle("dragging", event.type === "dragover" && event.dataTransfer.types.includes("Files"));
  };
  for (const kind of ["dragover", "dragleave"]) addEventListener(kind, over);
  addEventListener("drop", (event) => {
    over(event);
    add([...event.dataTransfer.files].find(isPicture) ?? event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => add([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))));
  for (const id of ["file", "camera"]) $(id).addEventListener("change", ({ target }) => {
    add(target.files[0]);
    target.value = "";
  });
  $("clear").onclick = () => (location.hash = `search/${project}`);
  $("cut").onclick = () => {
    crop.set(crop.region ? null : { x: 0.2, y: 0.2, w: 0.6, h: 0.6 });
    if (crop.region) $("crop").focus();
    run();
  };
  $("more").onclick = async () => {
    $("more").disabled = true;
    const last = $("results").lastElementChild;
    try {
      append(await more());
      last.nextElementSibling?.firstElementChild.focus({ preventScroll: true });
    } catch (error) {
      trouble($("trouble"), error);
    } finally {
      $("more").disabled = false;
    }
  };
  model().then((found) => {
    if (!found?.textEncoder) return;
    words.elements.text.maxLength = found.textEncoder.maxCharacters;
    words.hidden = false;
  });
  words.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.elements.text.value.trim();
    location.hash = `search/${project}` + (text && `?${new URLSearchParams({ text })}`);
  });
  let wait = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const value = Number(form.elements.similarity.value);
    $("least").textContent = value ? value.toFixed(2) : "any";
    clearTimeout(wait);
    wait = setTimeout(run, 250);
  });
}
