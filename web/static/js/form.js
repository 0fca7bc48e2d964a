/**
 * Forms that speak to the API: `data-api="POST /v1/..."` sends the named fields as JSON.
 *
 * `{name}` in an address is the field of that name, which is then not sent beside it.
 * `data-then` is a second request with the same fields, `data-else` what to say when that one is
 * refused; `data-next` is where to go afterwards (`{id}` comes from the answer), `data-said` what
 * to say instead of going anywhere. In a dialog the form closes it and fires `answered`.
 * A field's `data-as` may be `list` (commas), `number`, `percent` (sent in basis points) or
 * `instant` (local time, sent with its zone); what it sends when it is empty, if anything, stands as JSON in `data-empty`.
 */
import { call } from "./api.js";

const READ = {
  list: (field) => field.value.split(",").map((part) => part.trim()).filter(Boolean),
  instant: (field) => new Date(field.value).toISOString(),
  number: (field) => Number(field.value),
  percent: (field) => Math.round(100 * Number(field.value)),
  checkbox: (field) => field.checked,
};

function valueOf(field) {
  if (field.type === "checkbox") return READ.checkbox(field);
  if (field.value === "") return field.dataset.empty ? JSON.parse(field.dataset.empty) : undefined;
  return (READ[field.dataset.as] ?? (() => field.value))(field);
}

/** `data-needs="visibility=group"`: the field counts only beside that choice. */
function unneeded(form, field) {
  const [name, value] = (field.dataset.needs ?? "").split("=");
  return Boolean(name) && form.elements[name].value !== value;
}

/** The form's fields as an object; empty ones and unchosen radios are left out. */
export function fieldsOf(form) {
  const body = {};
  for (const field of form.elements) {
    const unchosen = field.type === "radio" && !field.checked;
    const skip = !field.name || field.disabled || unchosen || unneeded(form, field);
    const value = skip ? undefined : valueOf(field);
    if (value !== undefined) body[field.name] = value;
  }
  return body;
}

function say(form, name, text) {
  const line = form.querySelector(`[data-${name}]`);
  if (!line) return;
  line.textContent = text;
  line.hidden = !text;
}

function mark(form, problem) {
  const named = new Map(problem.fields?.map((f) => [f.field, f.message]) ?? []);
  for (const field of form.elements) {
    if (field.name) field.toggleAttribute("aria-invalid", false);
    if (named.has(field.name)) field.setAttribute("aria-invalid", "true");
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
}

function request(text, body) {
  const [method, template] = text.split(" ");
  const rest = { ...body };
  const path = template.replace(/\{(\w+)\}/g, (_, name) => {
    delete rest[name];
    return encodeURIComponent((body[name] ?? "").trim());
  });
  return call(method, path, rest);
}

function finish(form, answer) {
  const dialog = form.closest("dialog");
  if (dialog) {
    dialog.close();
    form.dispatchEvent(new CustomEvent("answered", { detail: answer }));
    return;
  }
  if (form.dataset.said) {
    say(form, "done", form.dataset.said);
    form.reset();
    return;
  }
  const next = (form.dataset.next || "/").replace("{id}", encodeURIComponent(answer?.id ?? ""));
  location.assign(next);
}

async function send(form, body) {
  const answer = await request(form.dataset.api, body);
  if (!form.dataset.then) return finish(form, answer);
  try {
    finish(form, await request(form.dataset.then, body));
  } catch {
    say(form, "done", form.dataset.else);
  }
}

async function submit(form) {
  const button = form.querySelector("button:not([type=button])");
  const body = fieldsOf(form);
  button.disabled = true;
  say(form, "problem", "");
  try {
    await send(form, body);
  } catch (problem) {
    mark(form, problem);
    say(form, "problem", problem.message);
  } finally {
    button.disabled = false;
  }
}

/** Wires every form of the page. */
export function wireForms() {
  for (const form of document.querySelectorAll("form[data-api]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form);
    });
  }
}
