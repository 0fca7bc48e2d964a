/** The JSON API of this origin. The session cookie goes along by itself. */

const AGAIN_MS = 1000;
const AGAIN_AT_MOST_MS = 15_000;

/** A refusal of the API (RFC 9457); `status` is 0 when no answer came at all. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "Something went wrong. Try again.");
    this.status = status;
    this.code = body.code || "";
    this.fields = body.fields || [];
    this.body = body;
  }

  /** True when the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body);
}

/** Resolves with the parsed body (null when empty), rejects with a `Problem`. */
export async function call(method, path, body) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(0, { detail: "No connection to the server. Try again in a moment." });
  }
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** What `ask` resolves with, however often it takes; `told` hears what is in the way. */
export async function insist(ask, told) {
  for (let waitMs = AGAIN_MS; ; waitMs = Math.min(2 * waitMs, AGAIN_AT_MOST_MS)) {
    try {
      return await ask();
    } catch (problem) {
      if (!problem.passing) throw problem;
      told(problem.status ? problem.message : "No connection to the server. It is tried again…");
    }
    await new Promise((go) => {
      setTimeout(go, waitMs);
    });
  }
}
