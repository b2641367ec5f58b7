// The proof that a picture is a copy: each picture outlined in the other, and the photo faded or blinked over the other.

import { $, el, load } from "./dom.js";

const LONGER = 640, EDGE = 10; // of a canvas; the edge is for outlines along the picture's sides
const WHOLE = [{ x: 0, y: 0 }, { x: 1, y: 0 }, { x: 1, y: 1 }, { x: 0, y: 1 }];
let timer = 0, latest = null;

// What was done to the photo, in words.
export function done({ mirrored, turned, cropped, bordered, stretched, ofImage, recoloured, covered }) {
  return [
    mirrored && "mirrored",
    Math.abs(turned) >= 2 && `turned by ${Math.abs(turned).toFixed(0)}°`,
    cropped && `cropped to ${(100 * ofImage).toFixed(0)} %`,
    bordered && "framed",
    stretched >= 1.04 && "stretched",
    recoloured >= 4 && "recoloured",
    covered && "partly covered",
  ].filter(Boolean).join(", ");
}

// A button that shows the proof of a result; `shown` gives the picture that is the copy, or null. Both have names there.
export const button = (result, name, shown, names = ["Your picture", "The photo"]) =>
  el("button", { type: "button", className: "prove", "aria-label": `Proof: ${name}`, onclick: () => open(result, name, shown, names) }, "Proof");

async function open(result, name, shown, names) {
  const dialog = $("proof");
  latest = result;
  $("proof-title").textContent = `A copy of ${name}`;
  $("proof-words").textContent = done(result.proof) || "recompressed or resized";
  $("proof-sides").replaceChildren();
  if (!dialog.open) dialog.showModal();
  const [picture, photo] = await Promise.all([shown(), loaded(result)]);
  if (latest === result) $("proof-sides").replaceChildren(...sides(result.proof, picture, photo, names));
}

// The largest picture of an image that can be had, or null.
export function loaded(result) {
  const image = new Image();
  return new Promise((found) => {
    image.onload = () => found(image);
    load(image, result, 640, () => found(null));
  });
}

function sides(proof, picture, photo, [its, theirs]) {
  const [one, other] = [picture && new Sheet(picture, its), photo && new Sheet(photo, theirs)];
  one?.outline(proof.cornersInQuery);
  if (one && proof.covered) {
    const { left, top, right, bottom } = proof.covered;
    one.outline([[left, top], [right, top], [right, bottom], [left, bottom]].map(([x, y]) => ({ x, y })), true);
  }
  other?.outline(proof.cornersInImage);
  const none = (label) => el("p", { className: "blank" }, `${label} cannot be shown.`);
  return [
    figure(one?.canvas ?? none(its), `${its}, and where ${lower(theirs)} lies in it`),
    figure(other?.canvas ?? none(theirs), `${theirs}, and where ${lower(its)} lies in it`),
    ...(one && other ? [overlay(proof, picture, photo, [its, theirs])] : []),
  ];
}

const lower = (text) => text[0].toLowerCase() + text.slice(1);

const figure = (shown, caption, ...more) => el("figure", {}, shown, el("figcaption", {}, caption, ...more));

// The photo over the picture. In a copy everything stays in its place.
function overlay(proof, picture, photo, [its, theirs]) {
  const sheet = new Sheet(picture, `${theirs} laid over ${lower(its)}`);
  const draw = (share) => {
    sheet.pen.clearRect(-EDGE, -EDGE, sheet.canvas.width, sheet.canvas.height);
    sheet.lay(picture, WHOLE, 1);
    sheet.lay(photo, proof.cornersInQuery, share);
  };
  const slider = el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `Fade from ${lower(its)} to ${lower(theirs)}` });
  const blink = el("button", { type: "button", "aria-pressed": "false" }, "Blink");
  slider.oninput = () => {
    still(blink);
    draw(slider.value / 100);
  };
  blink.onclick = () => {
    if (timer) return slider.oninput();
    let on = false;
    blink.setAttribute("aria-pressed", "true");
    timer = setInterval(() => draw((on = !on) ? 1 : 0), 700); // slower than what may harm: three in a second
  };
  draw(0.5);
  return figure(sheet.canvas, "Laid over each other", el("div", { className: "row" }, slider, blink));
}

function still(blink) {
  clearInterval(timer);
  timer = 0;
  blink?.setAttribute("aria-pressed", "false");
}

// A picture to draw on, by shares of its sides.
class Sheet {
  constructor(image, label) {
    const scale = LONGER / Math.max(image.naturalWidth, image.naturalHeight);
    this.width = image.naturalWidth * scale;
    this.height = image.naturalHeight * scale;
    this.canvas = el("canvas", { width: this.width + 2 * EDGE, height: this.height + 2 * EDGE, role: "img", "aria-label": label });
    this.pen = this.canvas.getContext("2d");
    this.pen.translate(EDGE, EDGE);
    this.lay(image, WHOLE, 1);
  }

  #at = ({ x, y }) => [x * this.width, y * this.height];

  lay(image, corners, share) {
    const { naturalWidth: width, naturalHeight: height } = image;
    const [first, second, third, fourth] = corners.map(this.#at);
    // no canvas draws in perspective: the affine transform that is nearest to the four corners
    const across = [0, 1].map((i) => (second[i] - first[i] + third[i] - fourth[i]) / 2);
    const down = [0, 1].map((i) => (fourth[i] - first[i] + third[i] - second[i]) / 2);
    const start = [0, 1].map((i) => (first[i] + second[i] + third[i] + fourth[i]) / 4 - (across[i] + down[i]) / 2);
    this.pen.save();
    this.pen.globalAlpha = share;
    this.pen.transform(...across.map((part) => part / width), ...down.map((part) => part / height), ...start);
    this.pen.drawImage(image, 0, 0, width, height);
    this.pen.restore();
  }

  outline(corners, dashed = false) {
    const path = new Path2D();
    for (const corner of corners) path.lineTo(...this.#at(corner));
    path.closePath();
    for (const [width, colour, dash] of [[8, "#fff", []], [4, dashed ? "#a3261d" : "#0b5c56", dashed ? [12, 8] : []]]) {
      this.pen.lineWidth = width;
      this.pen.strokeStyle = colour;
      this.pen.setLineDash(dash);
      this.pen.stroke(path);
    }
  }
}

export function listen() {
  $("proof-close").onclick = () => $("proof").close();
  $("proof").addEventListener("close", () => still());
}
