// Calls to our own API.

export class Problem extends Error {
  constructor(body) {
    super(body.detail);
    Object.assign(this, { status: body.status, reason: body.reason, requestId: body.requestId });
  }
}

// The JSON at a path below /v1/projects; `query` leaves out what is empty. Throws Problem.
export async function call(path, query = {}, options = {}) {
  const given = new URLSearchParams();
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values].flat()) if (value !== "" && value !== false && value !== undefined) given.append(name, value);
  }
  const answer = await send(`v1/projects${path}?${given}`, options);
  const body = await answer.json().catch(() => ({ detail: answer.statusText, status: answer.status }));
  if (!answer.ok) throw new Problem(body);
  return body;
}

// The embedder's model; null where it cannot be asked.
export const model = () => send("v1/model").then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);

// The token that the servers ask for stays in this tab, and is asked for when there is none that they accept.
const token = () => sessionStorage.getItem("token");

async function send(url, options = {}) {
  const used = token();
  const headers = used ? { ...options.headers, authorization: `Bearer ${used}` } : options.headers;
  const answer = await reach(url, { ...options, headers });
  if (answer.status !== 401) return answer;
  if (token() === used) sessionStorage.setItem("token", prompt("This server asks for a token.")?.trim() ?? "");
  return token() && token() !== used ? send(url, options) : answer;
}

async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "This page's server cannot be reached.", status: 0, reason: "UNREACHABLE" });
  }
}

// Where an element may load a picture from: it sends no token itself, which nobody else gets.
export async function source(url) {
  if (!token() || /^https?:/.test(url)) return url;
  const answer = await send(url);
  if (!answer.ok) throw new Problem({ detail: answer.statusText, status: answer.status });
  return URL.createObjectURL(await answer.blob());
}

const photo = (body, signal) =>
  ({ method: "POST", body, signal, headers: { "content-type": body.type.startsWith("image/") ? body.type : "application/octet-stream" } });

export const search = (project, query, body, signal) =>
  call(`/${project}/image-search`, query, body ? photo(body, signal) : { signal });

export const copies = (project, query, body, signal) => call(`/${project}/copies`, query, photo(body, signal));
