// The duplicates view: clusters side by side, and what is to become of them.

import { $, el, number, picture, plural, title, trouble } from "./dom.js";
import { call } from "./api.js";
import { button as proofButton, loaded } from "./proof.js";

const PAGE = 12;
const form = $("how");
let project = "", token = "", least = "", pending = null;

export function show(name) {
  if (name === project && $("clusters").children.length) return;
  project = name;
  begin();
}

export const leave = () => pending?.abort();

function begin() {
  token = "";
  $("clusters").replaceChildren();
  go();
}

// Look on until there is a page of clusters, or the end.
async function go() {
  pending?.abort();
  const { signal } = (pending = new AbortController());
  trouble($("duplicates-trouble"));
  $("clusters-more").hidden = true;
  $("clusters").setAttribute("aria-busy", "true");
  const wanted = $("clusters").children.length + PAGE;
  try {
    let page;
    do {
      page = await call(`/${project}/duplicates`, asked(wanted - $("clusters").children.length), { signal });
      token = page.progress?.resumeToken ?? "";
      $("clusters").append(...page.clusters.map(cluster));
      tell(page);
    } while (!page.complete && $("clusters").children.length < wanted);
    $("clusters-more").hidden = page.complete;
    $("clusters").setAttribute("aria-busy", "false");
  } catch (error) {
    if (error.name !== "AbortError") trouble($("duplicates-trouble"), error, go);
  }
}

function asked(limit) {
  const { same, products, keep } = form.elements;
  const near = same.checked ? {} : { min_similarity: least, across_products: products.checked, keep: keep.value };
  return { ...near, same_file_only: same.checked, limit, max_seconds: 3, resume_token: token };
}

function tell(page) {
  const { imagesExamined = 0, images = 0 } = page.progress ?? {};
  const count = $("clusters").children.length;
  const found = count ? plural(count, "cluster") : "No duplicates";
  const far = page.complete ? `among ${plural(images, "image")}` : `after ${number(imagesExamined)} of ${plural(images, "image")}`;
  $("duplicates-status").textContent = `${found} ${far}`;
  $("examined").hidden = page.complete;
  $("examined").value = images ? imagesExamined / images : 0;
}

// A cluster: one image is kept, the others are merged into it, or are no duplicates of it.
function cluster(found) {
  const { images } = found;
  const several = found.imageCount > 1;
  const heading = el("h2", { tabIndex: -1 }, several ? plural(found.imageCount, "image") : `1 file in ${plural(images[0].referenceCount, "place")}`);
  const hidden = found.imageCount - images.length;
  const rest = hidden > 0 ? el("li", { className: "state" }, `and ${number(hidden)} more`) : null;
  const item = el("li", { className: "cluster" });
  const keep = `keep-${images[0].sha256}`;
  const chosen = () => images[[...item.querySelectorAll(`input[name="${keep}"]`)].findIndex((radio) => radio.checked)];
  const separate = (image) => {
    const left = images.filter((one) => one !== image);
    const other = image === chosen() ? left.find((one) => one.sha256 === image.nearestSha256) ?? left[0] : chosen();
    const instead = () => cluster({ ...found, images: left, imageCount: found.imageCount - 1 });
    decide(item, () => dismiss([image, other]), `${title(image)} is no duplicate.`, instead);
  };
  const members = images.map((image, place) => member(image, images, several && { keep, place, separate: images.length > 2 && separate }));
  item.append(heading, el("ul", { className: "strip", tabIndex: 0, "aria-label": heading.textContent }, ...members, rest));
  if (several) item.append(el("div", { className: "row" },
    el("button", { type: "button", onclick: () => merge(item, chosen(), images.filter((image) => image !== chosen())) }, "Keep one, delete the others"),
    images.length <= 100 ? el("button", { type: "button", onclick: () => decide(item, () => dismiss(images), "These are no duplicates.") }, "Not duplicates") : null));
  return item;
}

function member(image, images, choice) {
  const nearest = images.find((one) => one.sha256 === image.nearestSha256);
  const name = title(image);
  const link = el("a", { className: "card", href: `#search/${project}?like=${image.sha256}`, title: image.imageUrl },
    el("span", { className: "frame" }, picture(image)),
    nearest ? el("span", { className: "rank" }, el("b", { className: "similarity" }, image.similarity.toFixed(3)), kind(image)) : null,
    el("span", { className: "name" }, name));
  const variants = image.productVariants.map((one) => one.variantId).filter(Boolean).join(", ");
  const size = image.width ? `${image.width} × ${image.height}` : "";
  const bytes = image.fileSize ? `${number(Math.ceil(image.fileSize / 1000))} kB` : "";
  link.append(el("span", { className: "detail" }, [variants, size, bytes, plural(image.referenceCount, "place")].filter(Boolean).join(" · ")));
  if (!choice) return el("li", {}, link);
  const radio = el("input", { type: "radio", name: choice.keep, checked: !choice.place, "aria-label": `Keep ${name}, ${choice.place + 1}` });
  return el("li", {}, link, el("div", { className: "row" }, el("label", { className: "check" }, radio, "Keep"),
    image.proof && nearest ? proofButton({ ...nearest, proof: image.proof }, title(nearest), () => loaded(image), ["This image", "The nearest one"]) : null,
    choice.separate ? el("button", { type: "button", className: "prove", "aria-label": `${name}, ${choice.place + 1}: not a duplicate`, onclick: () => choice.separate(image) }, "Not a duplicate") : null));
}

const kind = ({ match, matchBasis }) =>
  el("span", { className: `match ${match}` }, matchBasis === "fingerprint" ? { recoloured: "Recoloured" }[match] ?? "Proven" : "By similarity");

const post = (path, body) =>
  call(`/${project}/duplicates/${path}`, {}, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
const dismiss = (images) => post("dismissals", { images: images.map((one) => one.sha256) });

async function merge(item, kept, others) {
  const body = { keep: kept.sha256, duplicates: others.map((one) => one.sha256) };
  await decide(item, async () => {
    const { referencesMoved, imagesDeleted } = await post("merge", { ...body, dryRun: true });
    const what = `Delete ${plural(imagesDeleted, "image")}, and let ${plural(referencesMoved, "place")} show ${title(kept)} instead? It cannot be undone.`;
    if (!confirm(what)) return false;
    await post("merge", body);
  }, `${title(kept)} is kept, ${plural(others.length, "image")} deleted.`);
}

// Do it, say so, and go on to the next cluster. What was decided is not shown any more.
async function decide(item, act, said, instead) {
  try {
    if ((await act()) === false) return;
    const next = instead?.() ?? item.nextElementSibling ?? item.previousElementSibling;
    if (instead) item.replaceWith(next);
    else item.remove();
    $("duplicates-status").textContent = said;
    (next?.querySelector("h2") ?? $("duplicates-title")).focus();
  } catch (error) {
    trouble($("duplicates-trouble"), error);
  }
}

export function listen() {
  let wait = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    const { similarity, same } = form.elements;
    if (target === similarity) least = similarity.value;
    $("how-least").textContent = least ? Number(least).toFixed(3).replace(/0$/, "") : "default";
    for (const other of ["similarity", "products", "keep"]) form.elements[other].disabled = same.checked;
    clearTimeout(wait);
    wait = setTimeout(begin, 300);
  });
  $("clusters-more").onclick = go;
}
