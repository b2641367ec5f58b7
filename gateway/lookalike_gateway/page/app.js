// Which view is shown: the address says it, as `#search/shop?like=…`, `#duplicates/shop` or `#projects`.

import { $, el, trouble } from "./dom.js";
import { call } from "./api.js";
import * as search from "./search.js";
import * as copies from "./copies.js";
import * as duplicates from "./duplicates.js";
import * as projects from "./projects.js";
import * as proof from "./proof.js";

const views = { search, copies, duplicates, projects };
const select = $("project");
let current = "";

function address() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [view, project = ""] = path.split("/");
  return { view: views[view] ? view : "search", project, given: new URLSearchParams(query) };
}

async function names() {
  const found = [];
  let token = "";
  do {
    const page = await call("", { limit: 500, page_token: token });
    found.push(...page.projects.map((one) => one.name));
    token = page.nextPageToken;
  } while (token && found.length < 5000);
  select.replaceChildren(...found.map((name) => el("option", {}, name)));
  return found;
}

// Show what the address says. A project that is not named is the one that was chosen last, or the first.
async function route() {
  const { view, project, given } = address();
  for (const name of Object.keys(views)) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view !== current && current) views[current].leave?.();
  current = view;
  document.title = `${view[0].toUpperCase()}${view.slice(1)} · Lookalike`;
  if (view === "projects") return projects.show();
  const place = $(view === "search" ? "trouble" : `${view}-trouble`);
  try {
    const known = select.options.length ? [...select.options].map((one) => one.value) : await names();
    const named = project || select.value;
    if (!known.length) throw new Error("There are no projects yet: `lookalike project create shop` makes one.");
    if (!known.includes(named) && !(await names()).includes(named)) throw new Error(`There is no project ${named}.`);
    select.value = named;
    for (const link of document.querySelectorAll("nav a:not([data-view=projects])")) link.hash = `${link.dataset.view}/${named}`;
    await views[view].show(named, given);
  } catch (error) {
    trouble(place, error, route);
  }
}

select.addEventListener("change", () => (location.hash = `${current === "projects" ? "search" : current}/${select.value}`));
addEventListener("hashchange", route);
for (const part of [...Object.values(views), proof]) part.listen();
names().catch(() => {}).finally(route);
