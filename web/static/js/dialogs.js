/** Questions before something that can't be taken back. */

/** Opens a `<dialog>` and resolves with the value of the button that closed it; `no` by Escape. */
export function ask(dialog) {
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

/** Asks in the page's `#confirm`; `label` is the button that does it. */
export async function sure(text, label) {
  document.querySelector("#confirm-text").textContent = text;
  document.querySelector("#confirm-yes").textContent = label;
  return (await ask(document.querySelector("#confirm"))) === "yes";
}
