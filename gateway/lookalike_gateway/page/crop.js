// A region of a picture, chosen by pointer or keys. Sides are shares of the picture's width and height.

const LEAST = 0.06;
const STEP = 0.03;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const within = (value, least, most) => Math.min(Math.max(value, least), most);

export class Crop {
  // `chosen` is called with the region, or null for the whole picture.
  constructor(stage, box, chosen) {
    Object.assign(this, { stage, box, chosen, region: null, enabled: true });
    stage.addEventListener("pointerdown", (event) => this.#grab(event));
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  set(region) {
    this.region = region;
    this.box.hidden = !region;
    if (!region) return;
    for (const [side, value] of Object.entries({ left: region.x, top: region.y, width: region.w, height: region.h }))
      this.box.style[side] = `${value * 100}%`;
  }

  #grab(event) {
    if (!this.enabled || event.button) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const from = this.#at(event), before = this.region;
    const corner = event.target.dataset.corner;
    const moving = !corner && event.target === this.box;
    const anchor = corner
      ? { x: before.x + (corner.includes("w") ? before.w : 0), y: before.y + (corner.includes("n") ? before.h : 0) }
      : from;
    const move = (moved) => {
      const to = this.#at(moved);
      this.set(moving ? shifted(before, to.x - from.x, to.y - from.y) : between(anchor, to));
    };
    const end = () => {
      this.stage.removeEventListener("pointermove", move);
      const { region } = this;
      if (region && (region.w < LEAST || region.h < LEAST)) this.set(before); // a click, not a region
      if (this.region !== before) this.chosen(this.region);
    };
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", end, { once: true });
  }

  #key(event) {
    if (event.key === "Escape") this.set(null);
    else if (event.key in KEYS) {
      const [x, y] = KEYS[event.key].map((way) => way * STEP);
      const { region } = this;
      this.set(event.shiftKey
        ? { ...region, w: within(region.w + x, LEAST, 1 - region.x), h: within(region.h + y, LEAST, 1 - region.y) }
        : shifted(region, x, y));
      event.preventDefault();
      return;
    } else if (event.key !== "Enter") return;
    event.preventDefault();
    this.chosen(this.region);
  }

  #at(event) {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return { x: within((event.clientX - left) / width, 0, 1), y: within((event.clientY - top) / height, 0, 1) };
  }
}

const shifted = (region, x, y) =>
  ({ ...region, x: within(region.x + x, 0, 1 - region.w), y: within(region.y + y, 0, 1 - region.h) });

const between = (one, other) => ({
  x: Math.min(one.x, other.x),
  y: Math.min(one.y, other.y),
  w: Math.abs(one.x - other.x),
  h: Math.abs(one.y - other.y),
});

// The region of a picture that is loaded, as a file.
export function cut(image, region) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(region.w * width));
  canvas.height = Math.max(1, Math.round(region.h * height));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, region.x * width, region.y * height, canvas.width, canvas.height, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}
