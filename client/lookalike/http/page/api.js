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

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "This page's server cannot be reached.", status: 0, reason: "UNREACHABLE" });
  }
}

export const search = (project, query, body, signal) =>
  call(`/${project}/image-search`, query, body
    ? { method: "POST", body, signal, headers: { "content-type": body.type.startsWith("image/") ? body.type : "application/octet-stream" } }
    : { signal });
