/**
 * Makes `list` hold `items`, in this order. Those that are there already are not taken out:
 * what has the focus keeps it, and a click that has begun on them counts.
 */
export function arrange(list, items) {
  const kept = new Set(items);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  items.forEach((item, n) => {
    if (list.children[n] !== item) list.insertBefore(item, list.children[n] ?? null);
  });
}

/** What `make` makes of a key, the same as long as `facts` of it are. */
export class Kept {
  #items = new Map();

  /** Forgets what is not among `things`; `[key, facts, make]` of each. */
  of(things) {
    const before = this.#items;
    this.#items = new Map();
    return things.map(([key, facts, make]) => {
      const known = before.get(key);
      const one = known?.facts === facts ? known : { facts, item: make() };
      this.#items.set(key, one);
      return one.item;
    });
  }
}

/** Whoever pressed a button of `card` that `change` hides goes on at the heading, not at the top. */
export function keepFocus(card, change) {
  const { activeElement: pressed } = document;
  change();
  if (!pressed?.hidden || !card.contains(pressed)) return;
  const heading = card.querySelector("h2");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
