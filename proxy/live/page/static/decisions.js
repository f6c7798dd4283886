/* The last decisions, and all of one of them. */

const MOST_ROWS = 60;
const VERDICT_WORDS = { served: ["kept", "good"], shed: ["refused", "bad"], failed: ["failed", "bad"], cancelled: ["client left", "warn"] };

function verdict(one) {
  if (one.verdict === "served" && one.missed?.length) return [`late: ${one.missed.join(", ").toUpperCase()}`, "warn"];
  return VERDICT_WORDS[one.verdict] || [one.verdict, "warn"];
}

class Decisions {
  constructor() {
    this.rows = byId("decision-rows");
    this.list = "decisions";
    this.held = null;
    byId("show-all").addEventListener("click", () => this.choose("decisions"));
    byId("show-notable").addEventListener("click", () => this.choose("notable"));
    byId("hold-list").addEventListener("click", () => this.hold());
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) openDecision(`seq=${row.dataset.seq}`);
    });
  }
  choose(list) {
    this.list = list;
    byId("show-all").setAttribute("aria-pressed", String(list === "decisions"));
    byId("show-notable").setAttribute("aria-pressed", String(list === "notable"));
    if (this.state) this.show(this.state, true);
  }
  hold() {
    this.held = this.held ? null : { decisions: this.state?.decisions || [], notable: this.state?.notable || [] };
    byId("hold-list").setAttribute("aria-pressed", String(Boolean(this.held)));
    if (this.state) this.show(this.state, true);
  }
  show(state) {
    this.state = state;
    const found = (this.held || state)[this.list].slice(0, MOST_ROWS);
    const bySeq = new Map(found.map((one) => [String(one.seq), one]));
    keyed(this.rows, [...bySeq.keys()], (seq) => ({ node: this.row(bySeq.get(seq)) }));
    const empty = byId("no-decisions");
    empty.hidden = found.length > 0;
    if (!found.length) this.explainEmpty(empty, state);
  }
  explainEmpty(empty, state) {
    const words = state.decisions_seq ? ["Nothing notable: no request was refused, retried, hedged, sent elsewhere or held for long."] : ["No request yet. Point an OpenAI client's base_url at", `${state.listen}/v1`, "or ask something in the playground below."];
    if (empty.dataset.words === words.join()) return;
    empty.dataset.words = words.join();
    empty.replaceChildren(...words.map((word) => el(word.startsWith("http") ? "code" : "span", word)));
  }
  row(one) {
    const [word, tone] = verdict(one), open = el("button", clock(one.ended_at));
    open.type = "button";
    open.setAttribute("aria-label", `Decision ${one.seq}, ended ${clock(one.ended_at)}: show all of it`);
    const cells = [
      el("td", open), el("td", one.class), this.named(one.model), this.named(one.backend || ABSENT), el("td", one.why || "policy"),
      el("td.n", seconds(one.queued_s)), el("td.n", seconds(one.ttft_s)), el("td.n", seconds(one.tpot_s)), el("td.n", count(one.output_tokens)), el("td", el(`span.pill.${tone}`, word)),
    ];
    const row = el("tr", cells);
    row.dataset.seq = one.seq;
    return row;
  }
  named(text) { const cell = el("td", text); cell.title = plain(text); return cell; }
}

/* --- stages: one bar, one key */

function stack(stages) {
  const total = stages.reduce((sum, stage) => sum + stage.s, 0) || 1;
  const bar = el("div.stack"), key = el("ul.stack-key");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", `Time spent: ${stages.map((stage) => `${stage.stage} ${seconds(stage.s)}`).join(", ")}`);
  for (const stage of stages) {
    const part = el(`i.stage-${stage.stage}`);
    part.style.flexGrow = String(stage.s / total);
    if (stage.s / total >= 0.001) bar.append(part);
    key.append(el("li", el(`i.stage-${stage.stage}`), `${stage.stage} ${seconds(stage.s)}`));
  }
  return el("div", bar, key);
}

/* --- the whole of one */

const FACTS = [
  ["request", (one) => one.id], ["class", (one) => `${one.class} (by ${one.rule || one.class_by || "default"})`], ["endpoint", (one) => one.endpoint],
  ["model", (one) => one.model], ["served as", (one) => one.model_served], ["backend", (one) => one.backend], ["status", (one) => `${one.status} ${one.end_code}`],
  ["because", (one) => one.why || "policy"], ["tenant", (one) => one.tenant], ["attempts", (one) => one.attempts > 1 ? one.attempts : null], ["hedge", (one) => one.hedge],
  ["fallback", (one) => one.fallback], ["resumed", (one) => one.resumed || null], ["cache", (one) => one.cache], ["fault", (one) => one.fault],
  ["TTFT", (one) => isNumber(one.ttft_s) ? seconds(one.ttft_s) : null], ["TPOT", (one) => isNumber(one.tpot_s) ? seconds(one.tpot_s) : null], ["whole", (one) => seconds(one.e2e_s)],
  ["prompt tokens", (one) => isNumber(one.prompt_tokens) ? count(one.prompt_tokens) : null], ["of them cached", (one) => isNumber(one.cached_tokens) ? count(one.cached_tokens) : null],
  ["output tokens", (one) => isNumber(one.output_tokens) ? count(one.output_tokens) : null], ["in company of", (one) => one.company ? `${one.company.jobs} jobs` : null],
];

async function openDecision(query) {
  const dialog = byId("detail"), body = byId("detail-body");
  body.replaceChildren(el("p.muted", "Asking the proxy …"));
  if (!dialog.open) dialog.showModal();
  try {
    const answer = await fetch(`/decisions?${query}`, { cache: "no-store" });
    const one = await answer.json();
    body.replaceChildren(...(answer.ok ? wholeDecision(one) : [el("p.muted", one.error)]));
  } catch { body.replaceChildren(el("p.muted", "The proxy did not answer.")); }
}

function wholeDecision(one) {
  const facts = el("dl.facts", FACTS.map(([name, read]) => [name, read(one)]).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => el("div", el("dt", name), el("dd", value))));
  const promise = Object.entries(one.promise || {}).filter(([name]) => PROMISE_WORDS[name]).map(([name, value]) => `${PROMISE_WORDS[name]} ≤ ${seconds(value)}`);
  const parts = [facts, el("p.muted", promise.length ? `Promised: ${promise.join(", ")}${one.missed.length ? `; missed: ${one.missed.join(", ")}` : ""}` : "Nothing was promised."), el("h3", "How its time was spent"), stack(one.stages)];
  if (one.explain) parts.push(...explained(one.explain));
  return parts;
}

function explained(told) {
  const where = told.backend ? ` to ${told.backend}` : "";
  const why = told.reason ? `, because of ${told.reason}` : "";
  const head = ["Backend", "Removed by", "Hits", "Prefill", "Backlog", "TTFT", "TPOT", "Score", "In flight"];
  const rows = told.candidates.map((one) => el("tr",
    el("td", one.backend), el("td", one.removed_by ? one.removed_by + (one.enforced ? "" : " (not enforced)") : ABSENT), el("td.n", `${count(one.hit_tokens)}/${count(one.prompt_tokens)}`),
    el("td.n", seconds(one.prefill_s)), el("td.n", seconds(one.backlog_s)), el("td.n", seconds(one.ttft_s)), el("td.n", seconds(one.tpot_s)), el("td.n", isNumber(one.score) ? one.score.toFixed(4) : ABSENT), el("td.n", count(one.in_flight))));
  const table = el("table", el("thead", el("tr", head.map((name, at) => el(at > 1 ? "th.n" : "th", name)))), el("tbody", rows));
  const all = el("details", el("summary", "All that explain says"), el("pre", JSON.stringify(told, null, 2).split("\n").map((line) => `${line}\n`)));
  all.querySelector("pre").textContent = JSON.stringify(told, null, 2);
  return [el("h3", `If the same came now: ${told.outcome}${where}${why}`), el("p.muted", `Policy ${told.policy}, admission ${told.mode}. An answer of about ${count(told.answer_tokens)} tokens is expected.`), el("div.inner", table), all];
}
