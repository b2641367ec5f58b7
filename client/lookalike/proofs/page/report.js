// Fade or blink the shop's photo over the picture. Without this script both are shown half and half.
for (const overlay of document.querySelectorAll(".overlay")) {
  const over = overlay.querySelector(".over"), slider = overlay.querySelector("input"), blink = overlay.querySelector("button");
  let timer = 0;
  const show = (share) => over.setAttribute("opacity", share / 100);
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    blink.setAttribute("aria-pressed", "false");
    show(slider.value);
  };
  slider.addEventListener("input", stop);
  blink.addEventListener("click", () => {
    if (timer) return stop();
    blink.setAttribute("aria-pressed", "true");
    let on = false;
    timer = setInterval(() => show((on = !on) ? 100 : 0), 700); // slower than what may harm: three in a second
  });
  overlay.querySelector(".controls").hidden = false;
}
