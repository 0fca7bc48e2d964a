/**
 * When nobody would earn by one's tip: up to the page's load as `unpaid` of payouts/tip_place.py
 * has it. A live room goes on from there, where its host has left Encore: else the host earns always.
 */
export class Unpaid {
  /** `unpaid`: `[from, until before]` in room time, null for open; `earners`: user ids, or null. */
  constructor({ unpaid, earners }) {
    this.stretches = unpaid;
    this.earners = earners && new Set(earners);
  }

  /** `roomMs`: Infinity is now. */
  at(roomMs) {
    return this.stretches.some(([from, to]) => roomMs >= from && (to === null || roomMs < to));
  }

  /** Takes one durable event: somebody with a share comes on stage, or leaves it. */
  apply({ kind, room_ms: at, data }, ownId) {
    if (!this.earners) return;
    if (kind === "stage.joined" && data.share_bps > 0 && data.user_id !== ownId) this.earners.add(data.user_id);
    if (kind === "stage.left") this.earners.delete(data.user_id);
    const last = this.stretches.at(-1);
    const open = last?.[1] === null;
    if (this.earners.size && open) last[1] = at;
    if (!this.earners.size && !open) this.stretches.push([at, null]);
  }
}
