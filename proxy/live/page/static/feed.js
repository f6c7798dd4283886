/* What the proxy says of itself, kept true: events while somebody looks, the whole after any gap. */

const SILENT_MS = 12000;
const RETRY_MS = 30000;
const POLL_MS = 5000;
const MOST_KEPT = 200;

function applyPatch(known, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (name === "__proto__") continue;
    if (value === null) delete known[name];
    else if (typeof value === "object" && !Array.isArray(value)) {
      const inner = Object.hasOwn(known, name) ? known[name] : null;
      known[name] = applyPatch(inner && typeof inner === "object" && !Array.isArray(inner) ? inner : {}, value);
    } else known[name] = value;
  }
  return known;
}

function newestFirst(fresh, known) {
  const last = known.length ? known[0].seq : 0;
  return [...fresh.filter((one) => one.seq > last), ...known].slice(0, MOST_KEPT);
}

class Feed {
  /* shown(state, isWhole): after each event; link(state): `live`, `lost`, `full`, `paused`. */
  constructor(shown, link) {
    Object.assign(this, { shown, link, state: null, source: null, heard: 0, timer: 0, fullSince: 0 });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.open()));
    addEventListener("pageshow", () => { if (!document.hidden) this.open(); });
    setInterval(() => this.look(), 1000);
    early?.then((status) => { if (status && !this.state) this.begin(status); });
    if (document.hidden) this.link("paused"); else this.open();
  }
  open() {
    this.close();
    this.heard = performance.now();
    const source = this.source = new EventSource("/events");
    source.addEventListener("status", (event) => this.whole(JSON.parse(event.data)));
    source.addEventListener("change", (event) => this.change(JSON.parse(event.data)));
    source.addEventListener("error", () => { if (source === this.source) this.failed(); });
  }
  close() { this.source?.close(); this.source = null; }
  pause() { this.close(); this.link("paused"); }
  /* What was asked for before the stream: its first event tells all of it again, and the past. */
  begin(status) { this.state = { ...status, past: null }; this.shown(this.state, true); }
  whole(status) {
    this.heard = performance.now();
    this.state = status;
    this.fullSince = 0;
    this.link("live");
    this.shown(status, true);
  }
  change(patch) {
    this.heard = performance.now();
    if (!this.state) return;
    const { decisions = [], notable = [], ...rest } = patch;
    applyPatch(this.state, rest);
    this.state.decisions = newestFirst(decisions, this.state.decisions);
    this.state.notable = newestFirst(notable, this.state.notable);
    this.link("live");
    this.shown(this.state, false);
  }
  failed() {
    if (this.source.readyState !== EventSource.CLOSED) { this.link("lost"); return; }
    this.close();
    this.poll();
  }
  /* A refused stream: nobody is there, or too many are watching. */
  async poll() {
    this.heard = performance.now();
    try {
      const answer = await fetch("/status", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      this.fullSince ||= performance.now();
      this.state = { ...(await answer.json()), past: null };
      this.link("full");
      this.shown(this.state, false);
    } catch { this.fullSince = 0; this.link("lost"); }
  }
  /* Once a second: a stream that fell silent is opened anew, one that was refused is tried again. */
  look() {
    if (document.hidden) return;
    const silent = performance.now() - this.heard;
    if (this.source) {
      if (silent > SILENT_MS) { this.link("lost"); this.open(); }
    } else if (this.fullSince && performance.now() - this.fullSince < RETRY_MS) {
      if (silent > POLL_MS) this.poll();
    } else if (silent > 1000) { this.fullSince = 0; this.open(); }
  }
}
