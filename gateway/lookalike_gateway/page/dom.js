// Small helpers for the document.

import { source } from "./api.js";

export const $ = (id) => document.getElementById(id);

// An element with properties (or attributes, where the name has a dash), and children.
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

// What to say of a failure, with a way to try again.
export function trouble(place, error, again) {
  if (!error) return place.replaceChildren();
  const button = again ? el("button", { type: "button", onclick: again }, "Try again") : null;
  const id = error.requestId ? el("small", {}, `Request ${error.requestId}`) : null;
  place.replaceChildren(el("div", { className: "state bad" }, el("p", {}, words(error)), id, button));
}

// What went wrong, in a sentence.
export function words(error) {
  const known = {
    SEARCH_DISABLED: "Searches of this project are switched off. They can be switched on under Projects.",
    UNSUPPORTED_FORMAT: "That is no photo of a kind that can be read here: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.",
    CORRUPT_IMAGE: "The photo is broken and cannot be read.",
    BODY_TOO_LARGE: "The photo is too large to be sent.",
    PROJECT_NOT_FOUND: "There is no such project any more.",
  };
  if (known[error.reason]) return known[error.reason];
  if (error.status === 503) return "The servers behind this page cannot be reached at the moment.";
  return error.message || "Something went wrong.";
}

// Whether a file may be a picture; the browser does not know the types of all.
export const isPicture = (file) => !file.type || file.type.startsWith("image/");

// Whether an image is a file on the server's machine, of which it may have a large picture.
export const local = (image) => image.references.some(({ uri }) => uri.startsWith("file:"));

// Show an image by the first of its pictures that loads: the file's, the one where it lives, its fingerprint's.
export function load(shown, image, size, none) {
  const small = `${image.thumbnailUrl.slice(1)}?size=${size}`;
  const web = /^https?:/.test(image.imageUrl) ? [image.imageUrl] : [];
  const left = local(image) ? [small, ...web] : [...web, small];
  const next = () => {
    if (left.length) return source(left.shift()).then((url) => (shown.src = url), next);
    shown.onerror = null;
    none();
  };
  shown.onerror = next;
  next();
}

// An image of a project.
export function picture(image, size = 320) {
  const shown = el("img", { alt: "", loading: "lazy", decoding: "async" });
  load(shown, image, size, () => shown.replaceWith(el("span", { className: "blank" }, "no preview")));
  return shown;
}

// How an image is called: by its products, or the end of its URL.
export function title(image) {
  const products = [...new Set(image.productVariants.map((one) => tail(one.product)))];
  return products.join(", ") || tail(image.imageUrl);
}

// A product may be called by a path or a URL: then its end is telling.
function tail(text) {
  const last = text.replace(/\/+$/, "").split("/").pop() || text;
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

export const number = (value) => value.toLocaleString("en");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
