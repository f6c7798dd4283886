/* The parts of the page, each true to one state. Nodes are made once and changed where something changed. */

const STATE_WORDS = { healthy: ["healthy", "good"], probation: ["on trial", "warn"], ejected: ["ejected", "bad"], away: ["away", "bad"] };
const TIME_NAMES = ["p50", "p95", "p99"];

function pairs(...names) {
  const values = {}, list = el("dl.pairs");
  for (const name of names) list.append(el("dt", name), (values[name] = el("dd", ABSENT)));
  return { list, values };
}

function gauge(name) {
  const value = el("b", ABSENT), bar = el("i"), meter = el("div.meter", bar);
  return { node: el("div.gauge", el("div.gauge-head", el("span", name), value), meter), value, bar, meter };
}

function setGauge(made, used, most, format) {
  const known = isNumber(most) && most > 0;
  setText(made.value, known ? `${format(used)} of ${format(most)}` : format(used));
  made.value.dataset.v = isNumber(used) ? String(used) : "";
  made.meter.hidden = !known;
  const share = known ? used / most : 0;
  setWidth(made.bar, share);
  setClass(made.bar, "warn", share > 0.8 && share <= 1);
  setClass(made.bar, "bad", share > 1);
}

/* --- now */

class Figures {
  constructor(parent) {
    this.made = {};
    for (const [name, title] of [["goodput", "Goodput"], ["requests", "Requests"], ["flight", "In flight"], ["waiting", "Waiting here"], ["kept", "Promises kept"]]) {
      const value = el("dd.value"), note = el("dd.note");
      value.dataset.figure = name;
      const figure = el("div.figure", el("dt", title), value, note);
      setClass(figure, "first", name === "goodput");
      parent.append(figure);
      this.made[name] = { value, note };
    }
  }
  show(state, sums) {
    const { goodput, requests, flight, waiting, kept } = this.made;
    this.figure(goodput, sums.good, rate, "tok/s");
    setText(goodput.note, sums.all > 0 ? `of ${rate(sums.all)} tok/s output` : "no output in the last 10 s");
    this.figure(requests, sums.requests, rate, "per s");
    setText(requests.note, `${count(state.totals.offered)} since the start`);
    this.figure(flight, state.totals.in_flight, count, "");
    setText(flight.note, `${count(state.totals.client_connections)} client connections`);
    this.figure(waiting, state.totals.held, count, "");
    setText(waiting.note, state.totals.backfill ? `${count(state.totals.backfill)} of them bulk` : "held for a place or a window");
    this.figure(kept, sums.attainment, percent, "");
    setText(kept.note, `${count(sums.refused)} refused since the start`);
  }
  figure(made, value, format, unit) {
    setNumber(made.value, value, format);
    if (unit) { made.unit ||= el("small"); setText(made.unit, ` ${unit}`); if (!made.unit.isConnected) made.value.append(made.unit); }
  }
}

/* --- promises */

class Slos {
  constructor(parent) { this.parent = parent; this.empty = el("p.muted", "No class promises anything yet. Give one an slo, such as slo: chatbot, and what it keeps shows here."); }
  show(state) {
    const budgets = Object.entries(state.slos || {}).map(([name, slo]) => [name, slo, true]);
    const classes = Object.entries(state.classes).filter(([, one]) => Object.keys(one.promise || {}).length).map(([name, one]) => [name, one, false]);
    const shown = budgets.length ? budgets : classes;
    const made = keyed(this.parent, shown.map(([name]) => name), (name) => this.make(name));
    for (const [name, slo, isBudget] of shown) (isBudget ? this.budget : this.class)(made.get(name), slo);
    if (!shown.length) this.parent.append(this.empty); else this.empty.remove();
  }
  make(name) {
    const value = el("b", ABSENT), bar = el("i"), note = el("p.muted");
    return { node: el("div.slo", el("div.slo-head", el("b", name), value), el("div.meter", bar), note), value, bar, note };
  }
  budget(made, slo) {
    const left = slo.budget_left ?? slo.error_budget_left;
    setNumber(made.value, left, (share) => (share < 0 ? `${percent(-share)} over the budget` : `${percent(share)} of the budget left`));
    setWidth(made.bar, left < 0 ? 1 : left);
    setClass(made.bar, "good", left > 0.5); setClass(made.bar, "warn", left <= 0.5 && left > 0.1); setClass(made.bar, "bad", left <= 0.1);
    const parts = [`attained ${percent(slo.attainment)}`];
    if (isNumber(slo.objective)) parts.push(`objective ${percent(slo.objective)}`);
    if (slo.exhausted_in_s > 0) parts.push(`spent in ${seconds(slo.exhausted_in_s)} at this rate`);
    setText(made.note, parts.join(", "));
  }
  class(made, one) {
    setNumber(made.value, one.attainment, percent);
    setWidth(made.bar, one.attainment);
    setClass(made.bar, "good", one.attainment >= 0.95); setClass(made.bar, "warn", one.attainment < 0.95 && one.attainment >= 0.8); setClass(made.bar, "bad", one.attainment < 0.8);
    const missed = Object.entries(one.missed || {}).map(([name, times]) => `${count(times)} late by ${name.toUpperCase()}`);
    const ended = one.ended || {};
    for (const name of ["refused", "failed"]) if (ended[name]) missed.push(`${count(ended[name])} ${name}`);
    setText(made.note, isNumber(one.attainment) ? (missed.length ? missed.join(", ") : "every job so far") : "no job has ended yet");
  }
}

/* --- classes */

const PROMISE_WORDS = { ttft_s: "TTFT", tpot_s: "TPOT", e2e_s: "whole answer", deadline_s: "deadline" };

function times(label) {
  const cells = {}, spark = el("div.spark");
  spark.setAttribute("role", "img");
  const node = el("div.times", el("div.label", label));
  for (const name of TIME_NAMES) { cells[name] = el("b", ABSENT); node.append(el("div", el("span", name.toUpperCase()), cells[name])); }
  node.append(spark);
  return { node, cells, chart: new Chart(spark, { height: 38, zero: true, lines: [{ color: "accent", width: 1.5 }] }), spark };
}

function setTimes(made, found, promised, label) {
  for (const name of TIME_NAMES) {
    setNumber(made.cells[name], found?.[name], seconds);
    setClass(made.cells[name], "late", isNumber(promised) && found?.[name] > promised);
  }
  made.spark.setAttribute("aria-label", `${label}, 95th percentile, last 5 minutes; now ${seconds(found?.p95)}`);
}

class Lanes {
  constructor(parent) { this.parent = parent; this.history = new Map(); }
  show(state, now, whole) {
    const names = Object.keys(state.classes);
    const made = keyed(this.parent, names, (name) => this.make(name));
    for (const name of this.history.keys()) if (!names.includes(name)) this.history.delete(name);
    for (const name of names) {
      const one = state.classes[name], lane = made.get(name), promise = one.promise || {};
      const past = this.past(name);
      if (whole) { past.ttft.gap(now - 0.5); past.tpot.gap(now - 0.5); }
      past.ttft.add(now, [one.ttft_s?.p95]);
      past.tpot.add(now, [one.tpot_s?.p95]);
      this.chips(lane.chips, one, promise);
      setNumber(lane.open.values["in flight"], one.in_flight, count);
      setNumber(lane.open.values.waiting, one.held, count);
      setText(lane.open.values["longest wait"], one.held ? seconds(one.longest_wait_s) : ABSENT);
      setNumber(lane.open.values["requests/s"], one.requests_per_s, rate);
      setTimes(lane.ttft, one.ttft_s, promise.ttft_s, "Time to first token");
      setTimes(lane.tpot, one.tpot_s, promise.tpot_s, "Time per output token");
      lane.ttft.chart.show(past.ttft, now);
      lane.tpot.chart.show(past.tpot, now);
      this.tokens(lane, one);
    }
  }
  past(name) {
    if (!this.history.has(name)) this.history.set(name, { ttft: new Series(1), tpot: new Series(1) });
    return this.history.get(name);
  }
  forget() { this.history.clear(); }
  chips(holder, one, promise) {
    const words = Object.entries(PROMISE_WORDS).filter(([key]) => isNumber(promise[key])).map(([key, word]) => `${word} ≤ ${seconds(promise[key])}`);
    if (one.bulk) words.push("bulk: waits for room");
    if (!words.length) words.push("promises nothing");
    const text = words.join("\n");
    if (holder.dataset.words === text) return;
    holder.dataset.words = text;
    holder.replaceChildren(...words.map((word) => el("span.chip", word)));
  }
  tokens(lane, one) {
    setText(lane.tokens.value, `${rate(one.good_tokens_per_s)} of ${rate(one.tokens_per_s)} tok/s`);
    lane.tokens.value.dataset.v = String(one.good_tokens_per_s ?? "");
    setWidth(lane.tokens.bar, one.tokens_per_s > 0 ? one.good_tokens_per_s / one.tokens_per_s : 0);
    setText(lane.ended.values.kept, count(one.ended?.kept ?? 0));
    lane.ended.values.kept.dataset.v = String(one.ended?.kept ?? 0);
    setText(lane.ended.values.late, count(one.ended?.late ?? 0));
    setText(lane.ended.values.refused, count((one.ended?.refused ?? 0) + (one.ended?.failed ?? 0)));
  }
  make(name) {
    const chips = el("div.chips"), open = pairs("in flight", "waiting", "longest wait", "requests/s");
    const ttft = times("TTFT, time to first token"), tpot = times("TPOT, time per output token");
    const tokens = gauge("goodput"), ended = pairs("kept", "late", "refused");
    const node = el("article.panel.lane", el("div", el("h3", name), chips), open.list, ttft.node, tpot.node, el("div.share", tokens.node, ended.list));
    node.dataset.lane = name;
    return { node, chips, open, ttft, tpot, tokens, ended, gone() { ttft.chart.destroy(); tpot.chart.destroy(); } };
  }
}

/* --- backends */

class Backends {
  constructor(parent) { this.parent = parent; }
  show(state) {
    const byPool = new Map();
    for (const [name, one] of Object.entries(state.backends)) {
      if (!byPool.has(one.pool)) byPool.set(one.pool, []);
      byPool.get(one.pool).push(name);
    }
    const made = keyed(this.parent, [...byPool.keys()], (name) => this.pool(name));
    for (const [name, names] of byPool) {
      const pool = made.get(name), facts = state.pools[name] || {};
      const parts = [`${names.length} backend${names.length > 1 ? "s" : ""}`];
      if (isNumber(facts.utilisation)) parts.push(`${percent(facts.utilisation)} used`);
      if (facts.predicted_wait_s > 0.001) parts.push(`predicted wait ${seconds(facts.predicted_wait_s)}`);
      parts.push(facts.enforces ? "refuses what would be late" : "refuses nothing for time yet");
      setText(pool.note, parts.join(" · "));
      const tiles = keyed(pool.tiles, names, (backend) => this.tile(backend));
      for (const backend of names) this.fill(tiles.get(backend), state.backends[backend]);
    }
  }
  pool(name) {
    const note = el("span.muted"), tiles = el("div.tiles");
    return { node: el("div.pool", el("div.pool-head", el("h3", name), note), tiles), note, tiles };
  }
  tile(name) {
    const state = el("span.pill"), note = el("p.muted");
    const flight = gauge("in flight"), kv = gauge("KV tokens"), backlog = gauge("prefill backlog");
    const prefill = el("b"), tpot = el("b");
    const learned = el("div.learned", el("div", el("span", "learned prefill"), prefill), el("div", el("span", "learned TPOT"), tpot));
    const node = el("article.panel.tile", el("div.tile-head", el("h4", name), state), flight.node, kv.node, backlog.node, learned, note);
    node.dataset.backend = name;
    return { node, state, note, flight, kv, backlog, prefill, tpot };
  }
  fill(tile, one) {
    const paused = isNumber(one.paused_for_s);
    const [word, tone] = paused ? ["asked for a pause", "warn"] : one.leaving ? ["leaving", "warn"] : STATE_WORDS[one.state] || [one.state, "warn"];
    setText(tile.state, word);
    for (const name of ["good", "warn", "bad"]) { setClass(tile.state, name, name === tone); setClass(tile.node, name, name === tone); }
    const bounds = [one.permits, one.places, one.seats].filter(isNumber);
    setGauge(tile.flight, one.in_flight, bounds.length ? Math.min(...bounds) : null, count);
    setGauge(tile.kv, one.kv_used_tokens, one.kv_tokens, short);
    setNumber(tile.backlog.value, one.backlog_s, seconds);
    tile.backlog.meter.hidden = true;
    setNumber(tile.prefill, one.learned_prefill_tokens_per_s, (value) => `${short(value)} tok/s`);
    setNumber(tile.tpot, one.learned_tpot_s, seconds);
    setText(tile.note, this.notes(one).join(" · "));
  }
  notes(one) {
    const notes = [];
    if (isNumber(one.ejected_for_s)) notes.push(`back in ${seconds(one.ejected_for_s)}`);
    if (paused(one)) notes.push(`for ${seconds(one.paused_for_s)}`);
    if (one.slowness > 1.05) notes.push(`prefills ${one.slowness.toFixed(1)}× slower than predicted`);
    if (one.decode_slowness > 1.05) notes.push(`decodes ${one.decode_slowness.toFixed(1)}× slower`);
    if (one.share < 1) notes.push(`slow start, ${percent(one.share)} of its share`);
    if (one.foreign > 0.5) notes.push(`${count(one.foreign)} requests of others`);
    if (one.failures_in_a_row) notes.push(`${one.failures_in_a_row} failures in a row`);
    notes.push(one.ttft_samples ? `${count(one.ttft_samples)} first tokens seen` : "nothing learned yet");
    return notes;
  }
}

function paused(one) { return isNumber(one.paused_for_s); }

/* --- batches: lines, and a bar for each that runs */

const MOST_BATCHES = 8;

class Batches {
  constructor(parent) {
    this.parent = parent;
    this.told = pairs("lines queued", "running", "done", "failed", "disk", "until all are done");
    this.pause = el("p.trouble", "The disk of the store, or its budget, is full: batches pause.");
    this.rows = Array.from({ length: MOST_BATCHES }, () => gauge(""));
    this.more = el("p.muted");
    parent.append(this.told.list, this.pause, ...this.rows.map((row) => row.node), this.more);
  }
  show(view) {
    this.parent.hidden = !view;
    if (!view) return;
    const values = this.told.values, etas = view.batches.map((one) => one.eta_s).filter(isNumber);
    setNumber(values["lines queued"], view.queued, count);
    setNumber(values.running, view.running, count);
    setNumber(values.done, view.done, count);
    setNumber(values.failed, view.failed, count);
    setText(values.disk, `${bytes(view.used_b)} of ${bytes(view.size_b)}`);
    setText(values["until all are done"], etas.length ? seconds(Math.max(...etas)) : ABSENT);
    this.pause.hidden = !view.is_paused;
    this.rows.forEach((row, at) => {
      const one = view.batches[at];
      row.node.hidden = !one;
      if (!one) return;
      setText(row.node.querySelector("span"), [one.tenant, one.model, one.id].filter(Boolean).join(" · "));
      setGauge(row, one.done + one.failed, one.total, count);
      setClass(row.bar, "warn", false);
    });
    const hidden = view.batches.length - MOST_BATCHES;
    this.more.hidden = hidden <= 0;
    setText(this.more, hidden > 0 ? `and ${count(hidden)} more` : "");
  }
}

/* --- the three small ones */

class Small {
  constructor() {
    this.waiting = pairs("held", "of them bulk", "waiting for others (windows)", "longest wait", "bodies held", "sent back for others");
    byId("waiting").append(this.waiting.list);
    this.cache = pairs("answers kept", "memory", "stored", "evicted", "waited for the same");
    this.noCache = el("p.muted", "No answers are kept. cache.size in the configuration switches it on.");
    byId("cache").append(this.cache.list, this.noCache);
    this.batches = new Batches(byId("batches"));
    this.config = pairs("policy", "hash", "read", "reloads", "started");
    this.reload = el("p.muted");
    byId("config").append(this.config.list, this.reload);
  }
  show(state) {
    const classes = Object.values(state.classes), waiting = this.waiting.values, totals = state.totals;
    setNumber(waiting.held, totals.held, count);
    setNumber(waiting["of them bulk"], totals.backfill, count);
    setNumber(waiting["waiting for others (windows)"], classes.reduce((sum, one) => sum + (one.gathering || 0), 0), count);
    setText(waiting["longest wait"], totals.held ? seconds(Math.max(0, ...classes.map((one) => one.longest_wait_s || 0))) : ABSENT);
    setNumber(waiting["bodies held"], totals.held_b, bytes);
    setNumber(waiting["sent back for others"], totals.preempted, count);
    this.cache.list.hidden = !state.cache; this.noCache.hidden = Boolean(state.cache);
    if (state.cache) this.kept(state.cache);
    this.batches.show(state.batches);
    const config = this.config.values;
    setText(config.policy, state.policy);
    setText(config.hash, state.config.hash ? state.config.hash.slice(0, 12) : "no file");
    setText(config.read, day(state.config.loaded_at));
    setNumber(config.reloads, Object.values(state.config.reloads || {}).reduce((sum, times) => sum + times, 0), count);
    setText(config.started, day(state.started_at));
    this.attempt(state.config.last_attempt, state.config.restart_needed || []);
  }
  attempt(last, waiting) {
    const words = [];
    if (last && !last.successful) words.push(`The last reload (${last.trigger}, ${clock(last.at)}) changed nothing: ${last.errors.join("; ")}`);
    else if (last && last.trigger !== "start") words.push(`Last reload: ${last.trigger}, ${clock(last.at)}.`);
    if (waiting.length) words.push(`Waits for a restart: ${waiting.join("; ")}`);
    this.reload.hidden = !words.length;
    setClass(this.reload, "trouble", last && !last.successful);
    setText(this.reload, words.join(" "));
  }
  kept(cache) {
    const values = this.cache.values;
    setNumber(values["answers kept"], cache.entries, count);
    setText(values.memory, `${bytes(cache.used_b)} of ${bytes(cache.size_b)}`);
    setNumber(values.stored, cache.stored, count);
    setNumber(values.evicted, cache.evicted, count);
    setNumber(values["waited for the same"], cache.waiting, count);
  }
}
