// The duplicates view: clusters side by side.

import { $, el, number, picture, plural, title, trouble } from "./dom.js";
import { call } from "./api.js";

const PAGE = 12;
const form = $("how");
let project = "", token = "", pending = null;

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
  const { similarity, same } = form.elements;
  const least = same.checked ? "" : similarity.value;
  return { min_similarity: least, same_file_only: same.checked, limit, max_seconds: 3, resume_token: token };
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

function cluster(found) {
  const [first] = found.images;
  const heading = found.imageCount > 1 ? plural(found.imageCount, "image") : `1 file in ${plural(first.referenceCount, "place")}`;
  const hidden = found.imageCount - found.images.length;
  const rest = hidden > 0 ? el("li", { className: "state" }, `and ${number(hidden)} more`) : null;
  const list = el("ul", { className: "strip", tabIndex: 0, "aria-label": heading }, ...found.images.map(member), rest);
  return el("li", { className: "cluster" }, el("h2", {}, heading), list);
}

function member(image, place) {
  const similarity = place ? image.similarity.toFixed(3) : "first indexed";
  const link = el("a", { className: "card", href: `#search/${project}?like=${image.sha256}`, title: image.imageUrl },
    el("span", { className: "frame" }, picture(image)),
    el("span", { className: "rank" }, el("b", { className: "similarity" }, similarity)),
    el("span", { className: "name" }, title(image)));
  const variants = image.productVariants.map((one) => one.variantId).filter(Boolean).join(", ");
  link.append(el("span", { className: "detail" }, variants || (image.width ? `${image.width} × ${image.height}` : "")));
  return el("li", {}, link);
}

export function listen() {
  let wait = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    $("how-least").textContent = Number(form.elements.similarity.value).toFixed(3).replace(/0$/, "");
    form.elements.similarity.disabled = form.elements.same.checked;
    clearTimeout(wait);
    wait = setTimeout(begin, 300);
  });
  $("clusters-more").onclick = go;
}
