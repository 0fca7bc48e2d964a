/**
 * The room as its durable events make it: the same fold for the live room and for the replay.
 *
 * A person is `{id, user_id, display_name, role, invited_role, present, muted, hand_raised,
 * consented}`. Events may come twice: each sets facts, none counts.
 */

const STAGE_ROLES = new Set(["host", "cohost", "speaker"]);
const RECORDING = {
  "recording.started": "on",
  "recording.resumed": "on",
  "recording.paused": "paused",
  "recording.stopped": "off",
};

/** What each kind sets on the person it names, besides name and role. */
const FACTS = {
  "participant.joined": () => ({ present: true }),
  "participant.left": () => ({ present: false, hand_raised: false }),
  "participant.removed": () => ({ present: false, hand_raised: false, invited_role: null }),
  "stage.joined": () => ({ present: true, hand_raised: false }),
  "stage.left": () => ({ muted: false }),
  "hand.raised": () => ({ hand_raised: true }),
  "hand.lowered": () => ({ hand_raised: false }),
  "speaker.muted": () => ({ muted: true }),
  "speaker.unmuted": () => ({ muted: false }),
  "invitation.sent": ({ role = "speaker", share_bps = 0 }) => ({ invited_role: role, share_bps }),
  "invitation.accepted": () => ({ invited_role: null, hand_raised: false }),
  "invitation.declined": () => ({ invited_role: null }),
  "invitation.withdrawn": () => ({ invited_role: null }),
  "consent.given": () => ({ consented: true }),
  "consent.withdrawn": () => ({ consented: false }),
};

function stranger(id) {
  return {
    id, user_id: null, display_name: "Somebody", role: "listener", invited_role: null,
    present: false, muted: false, hand_raised: false, consented: false,
  };
}

function known(facts) {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

export class Stage {
  constructor({ state = "scheduled", recording = "off", stopped = false, people = [] } = {}) {
    this.state = state;
    this.recording = recording;
    this.stopped = stopped; // for good: it can't be started again
    this.people = new Map(people.map((person) => [person.id, { ...person }]));
  }

  /** Takes one durable event; unknown kinds change nothing. */
  apply({ kind, data }) {
    if (kind === "room.went_live") this.state = "live";
    if (kind === "room.ended") this.state = "ended";
    if (RECORDING[kind]) this.recording = RECORDING[kind];
    if (kind === "recording.stopped") this.stopped = true;
    const offered = kind === "invitation.sent"; // its role is not the person's own yet
    const about = offered ? { ...data, role: undefined } : data;
    if (FACTS[kind] && data.participant_id) this.#set(about, FACTS[kind](data));
  }

  #set(data, facts) {
    const person = this.people.get(data.participant_id) ?? stranger(data.participant_id);
    const { display_name, user_id, role } = data;
    this.people.set(person.id, { ...person, ...known({ display_name, user_id, role }), ...facts });
  }

  /** People as the API lists them. What events said of somebody since may be newer: it stays. */
  meet(people) {
    for (const person of people) {
      if (!this.people.has(person.id)) this.people.set(person.id, { ...person });
    }
  }

  get onStage() {
    return [...this.people.values()].filter((p) => p.present && STAGE_ROLES.has(p.role));
  }

  get hands() {
    return [...this.people.values()].filter((p) => p.present && p.hand_raised);
  }

  get listeners() {
    return [...this.people.values()].filter((p) => p.present && !STAGE_ROLES.has(p.role));
  }

  byUser(userId) {
    return [...this.people.values()].find((person) => person.user_id === userId) ?? null;
  }
}

/** The stage at a room time: every event up to it, in order. */
export function stageAt(events, roomMs) {
  const stage = new Stage();
  for (const event of events) {
    if (event.room_ms !== null && event.room_ms > roomMs) break;
    stage.apply(event);
  }
  return stage;
}

class Span {
  constructor() {
    this.open = null;
    this.closed = [];
  }

  set(on, at) {
    if (on && this.open === null) this.open = at;
    if (!on && this.open !== null) {
      this.closed.push({ from: this.open, to: at });
      this.open = null;
    }
  }
}

/** For the timeline: per person who was ever on the stage `{id, name, spans, muted, hands}` in ms. */
export function lanesOf(events, durationMs) {
  const stage = new Stage();
  const lanes = new Map();
  const laneOf = (p) => {
    if (!lanes.has(p.id)) lanes.set(p.id, { id: p.id, spans: new Span(), muted: new Span(), hands: [] });
    return lanes.get(p.id);
  };
  const look = (at) => {
    const up = new Set(stage.onStage.map((p) => p.id));
    for (const person of stage.people.values()) {
      if (!up.has(person.id) && !lanes.has(person.id)) continue;
      laneOf(person).spans.set(up.has(person.id), at);
      laneOf(person).muted.set(up.has(person.id) && person.muted, at);
    }
  };
  for (const event of events) {
    const at = event.room_ms ?? 0;
    stage.apply(event);
    look(at);
    if (event.kind === "hand.raised") laneOf(stage.people.get(event.data.participant_id)).hands.push(at);
  }
  return [...lanes.values()].map((lane) => {
    lane.spans.set(false, durationMs);
    lane.muted.set(false, durationMs);
    const name = stage.people.get(lane.id).display_name;
    return { id: lane.id, name, spans: lane.spans.closed, muted: lane.muted.closed, hands: lane.hands };
  });
}

/** Stretches that are off the record, in ms; `to` is the end where nobody resumed. */
export function cutsOf(events, durationMs) {
  const off = new Span();
  let live = false;
  for (const event of events) {
    if (event.kind === "room.went_live") {
      live = true;
      off.set(true, 0);
    }
    if (live && RECORDING[event.kind]) off.set(RECORDING[event.kind] !== "on", event.room_ms ?? 0);
  }
  off.set(false, durationMs);
  return off.closed.filter((span) => span.to > span.from);
}
