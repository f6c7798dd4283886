/* A chat through this proxy: one or two at once, each measured as its reader sees it. */

const MOST_TURNS = 20;
const KEY_PLACE = "tidegate-playground-key";

/* A Response's server-sent events, as parsed data; ends with [DONE] or the body. */
async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      try { yield JSON.parse(data); } catch { /* not ours to judge */ }
    }
  }
}

async function errorOf(answer) {
  const text = await answer.text();
  try { const told = JSON.parse(text).error; return told.message || told; } catch { return text.slice(0, 300) || `HTTP ${answer.status}`; }
}

class Side {
  constructor(at) {
    this.turns = [];
    this.route = el("select"); this.class = el("select");
    this.route.dataset.side = this.class.dataset.side = String(at);
    this.talk = el("div.talk");
    this.talk.tabIndex = 0;
    this.talk.setAttribute("role", "log");
    this.talk.setAttribute("aria-live", "off");
    this.talk.setAttribute("aria-label", `Conversation ${at + 1}`);
    this.measured = el("div.measured");
    this.stages = el("div");
    this.more = el("button", "Expand the short answer");
    this.more.type = "button"; this.more.hidden = true;
    this.node = el("div.side", el("div.side-fields", el("label", "Goes to", this.route), el("label", "Class", this.class)), this.talk, this.measured, this.stages, this.more);
    this.clear();
  }
  options(backends, classes) {
    setOptions(this.route, [["", "wherever the policy says"], ...backends.map((name) => [name, `only ${name}`])]);
    setOptions(this.class, [["", "by the rules"], ...classes.map((name) => [name, name])]);
  }
  clear() {
    this.turns = [];
    this.talk.replaceChildren(el("p.muted", "The answer appears here as its tokens arrive."));
    this.measured.replaceChildren(); this.stages.replaceChildren();
    this.more.hidden = true;
  }
  bubble(kind, text) {
    if (!this.turns.length || this.talk.firstElementChild?.tagName === "P") this.talk.querySelector("p")?.remove();
    const node = el(`div.said.${kind}`, text);
    this.talk.append(node);
    while (this.talk.children.length > 2 * MOST_TURNS) this.talk.firstElementChild.remove();
    this.talk.scrollTop = this.talk.scrollHeight;
    return node;
  }
  headers(key) {
    const headers = { "content-type": "application/json", "cache-control": "no-store" };
    if (key) headers.authorization = `Bearer ${key}`;
    if (this.class.value) headers["x-tidegate-class"] = this.class.value;
    if (this.route.value) headers["x-tidegate-backend"] = this.route.value;
    return headers;
  }
  async send(text, { model, most, key, signal }) {
    this.bubble("user", text);
    this.turns.push({ role: "user", content: text });
    this.turns = this.turns.slice(-MOST_TURNS);
    const body = { messages: this.turns, stream: true, stream_options: { include_usage: true }, max_tokens: most };
    if (model) body.model = model;
    await this.stream("/play/v1/chat/completions", body, { key, signal });
  }
  async expand(id, { key, signal }) {
    await this.stream(`/play/v1/tidegate/requests/${encodeURIComponent(id)}/expand`, { stream: true }, { key, signal });
  }
  async stream(path, body, { key, signal }) {
    const said = this.bubble("assistant", ""), run = { start: performance.now(), first: null, last: null, events: 0, tokens: null };
    setClass(said, "streaming", true);
    this.more.hidden = true;
    this.stages.replaceChildren();
    let text = "", ended = "";
    try {
      const answer = await fetch(path, { method: "POST", headers: this.headers(key), body: JSON.stringify(body), signal });
      run.id = answer.headers.get("x-request-id");
      run.route = answer.headers.get("x-tidegate-route") || "";
      run.timing = answer.headers.get("server-timing") || "";
      run.expandable = answer.headers.get("x-tidegate-expandable");
      if (!answer.ok) throw new Error(await errorOf(answer));
      for await (const event of eventsOf(answer)) {
        if (event.error) throw new Error(event.error.message || "The stream ended with an error.");
        if (event.usage) run.tokens = event.usage.completion_tokens;
        const delta = event.choices?.[0]?.delta || {};
        const thought = delta.reasoning_content || delta.reasoning, words = delta.content;
        if (!thought && !words) continue;
        run.last = performance.now();
        run.first ??= run.last;
        run.events += 1;
        if (words) { text += words; said.append(plain2(words)); } else said.append(el("span.thought", thought));
        this.talk.scrollTop = this.talk.scrollHeight;
        this.measure(run);
      }
    } catch (error) { ended = error.name === "AbortError" ? "stopped" : String(error.message || error); }
    setClass(said, "streaming", false);
    if (ended && ended !== "stopped") { if (!text) said.remove(); this.bubble("error", ended); }
    if (text) this.turns.push({ role: "assistant", content: text });
    run.end = performance.now();
    run.stopped = ended === "stopped";
    this.measure(run);
    if (run.id) await this.spent(run);
    if (run.expandable && !ended) this.offer(run.expandable);
  }
  offer(id) {
    this.more.hidden = false;
    this.more.onclick = () => playground.run((how) => this.expand(id, how), [this]);
  }
  measure(run) {
    const tokens = run.tokens ?? run.events, tpot = tokens > 1 && run.last > run.first ? (run.last - run.first) / (tokens - 1) / 1e3 : null;
    const backend = /backend=([^;]*)/.exec(run.route)?.[1] || ABSENT;
    const facts = [["TTFT", run.first ? seconds((run.first - run.start) / 1e3) : ABSENT], ["TPOT", seconds(tpot)], ["tokens", count(tokens)], ["backend", backend]];
    if (run.end) facts.push(["whole", seconds((run.end - run.start) / 1e3)]);
    if (run.stopped) facts.push(["stopped", "by you"]);
    if (!this.facts || this.facts.length !== facts.length || !this.measured.firstChild) {
      this.facts = facts.map(([name]) => { const value = el("b"); value.dataset.measure = name; return [name, value]; });
      this.measured.replaceChildren(...this.facts.map(([name, value]) => el("div", el("span", `${name} `), value)));
    }
    facts.forEach(([, value], at) => setText(this.facts[at][1], value));
  }
  /* The proxy's own account of the request; until that is there, what was measured here. */
  async spent(run) {
    for (let times = 0; times < 5; times += 1) {
      try {
        const answer = await fetch(`/decisions?id=${encodeURIComponent(run.id)}`, { cache: "no-store" });
        if (answer.ok) {
          const open = el("button.link", "Why it went there"), told = await answer.json();
          open.type = "button";
          open.addEventListener("click", () => openDecision(`seq=${told.seq}`));
          this.stages.replaceChildren(stack(told.stages), open);
          return;
        }
      } catch { break; }
      await new Promise((done) => setTimeout(done, 100));
    }
    if (!run.first) return;
    const queued = Number(/queued=(\d+)ms/.exec(run.route)?.[1] || 0) / 1e3, first = (run.first - run.start) / 1e3;
    this.stages.replaceChildren(stack([{ stage: "queue", s: queued }, { stage: "prefill", s: Math.max(0, first - queued) }, { stage: "decode", s: (run.last - run.first) / 1e3 }]));
  }
}

/* Text of a model: its line ends stay, other control characters are shown. */
function plain2(text) { return text.split("\n").map(plain).join("\n"); }

function setOptions(select, options) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options === wanted) return;
  const chosen = select.value;
  select.dataset.options = wanted;
  select.replaceChildren(...options.map(([value, text]) => { const option = el("option", text); option.value = value; return option; }));
  select.value = options.some(([value]) => value === chosen) ? chosen : options[0]?.[0] ?? "";
}

class Playground {
  constructor() {
    this.sides = [new Side(0), new Side(1)];
    this.stopper = null;
    byId("sides").append(this.sides[0].node);
    byId("play-two").addEventListener("change", () => this.layout());
    byId("play-form").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    byId("play-text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.send(); } });
    byId("play-stop").addEventListener("click", () => this.stopper?.abort());
    byId("play-clear").addEventListener("click", () => this.sides.forEach((side) => side.clear()));
    const key = byId("play-key");
    try { key.value = sessionStorage.getItem(KEY_PLACE) || ""; } catch { /* a browser that keeps nothing */ }
    key.addEventListener("change", () => { try { sessionStorage.setItem(KEY_PLACE, key.value); } catch { /* the same */ } });
  }
  layout() {
    const two = byId("play-two").checked;
    byId("sides").classList.toggle("two", two);
    if (two) byId("sides").append(this.sides[1].node); else this.sides[1].node.remove();
  }
  show(state) {
    for (const side of this.sides) side.options(Object.keys(state.backends), Object.keys(state.classes));
    setOptions(byId("play-model"), state.models.length ? state.models.map((name) => [name, name]) : [["", "as the proxy chooses"]]);
    byId("play-send").disabled = !state.playground || Boolean(this.stopper);
    setText(byId("play-note"), state.playground ? "" : "Off: the admin port is not on loopback alone. console.playground: true allows it.");
  }
  send() {
    const text = byId("play-text").value.trim();
    if (!text || this.stopper || byId("play-send").disabled) return;
    byId("play-text").value = "";
    const sides = byId("play-two").checked ? this.sides : this.sides.slice(0, 1);
    this.run((how, side) => side.send(text, how), sides);
  }
  async run(ask, sides) {
    if (this.stopper) return;
    this.stopper = new AbortController();
    byId("play-send").disabled = true; byId("play-stop").disabled = false;
    const how = { model: byId("play-model").value, most: Math.max(1, Math.min(4096, Number(byId("play-max").value) || 160)), key: byId("play-key").value, signal: this.stopper.signal };
    await Promise.allSettled(sides.map((side) => ask(how, side)));
    this.stopper = null;
    byId("play-send").disabled = false; byId("play-stop").disabled = true;
  }
}
