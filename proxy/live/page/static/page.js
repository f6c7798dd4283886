/* The page as a whole: theme, connection, and who is told of a new state. */

const THEMES = ["auto", "light", "dark"];
const THEME_PLACE = "tidegate-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = "auto";
try { theme = THEMES.includes(localStorage.getItem(THEME_PLACE)) ? localStorage.getItem(THEME_PLACE) : "auto"; } catch { /* not kept */ }

function applyTheme() {
  document.documentElement.dataset.theme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  setText(byId("theme"), `Theme: ${theme}`);
  redrawAll();
}
byId("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try { localStorage.setItem(THEME_PLACE, theme); } catch { /* not kept */ }
  applyTheme();
});
dark.addEventListener("change", applyTheme);
applyTheme();

const LINKS = {
  live: ["live", "on", ""],
  lost: ["reconnecting", "off", "The proxy does not answer. What you see is from before; the page reconnects by itself."],
  full: ["every 5 s", "", "As many pages are watching as may. This one asks every five seconds instead."],
  paused: ["paused", "", ""],
};
function showLink(state) {
  const [word, tone, text] = LINKS[state], live = byId("live"), banner = byId("banner");
  setText(live.querySelector("span"), word);
  setClass(live, "on", tone === "on"); setClass(live, "off", tone === "off");
  setText(banner, text);
  banner.hidden = !text;
}

const figures = new Figures(byId("figures")), slos = new Slos(byId("slos")), lanes = new Lanes(byId("lane-list"));
const backends = new Backends(byId("pools")), small = new Small(), decisions = new Decisions(), playground = new Playground();
const tide = new Chart(byId("tide"), { height: 190, axes: true, zero: true, lines: [{ color: "muted", fill: "all", width: 1 }, { color: "accent", fill: "accent-soft", width: 2 }] });
const tokens = new Series(2);
let instance = null;

function sum(classes, name) { return classes.reduce((total, one) => total + (one[name] || 0), 0); }

function sums(state) {
  const classes = Object.values(state.classes);
  const promising = classes.filter((one) => Object.keys(one.promise || {}).length);
  const ended = (name) => (promising.length ? promising : classes).reduce((total, one) => total + (one.ended?.[name] || 0), 0);
  const all = ended("kept") + ended("late") + ended("refused") + ended("failed");
  return { good: sum(classes, "good_tokens_per_s"), all: sum(classes, "tokens_per_s"), requests: sum(classes, "requests_per_s"), attainment: all ? ended("kept") / all : null, refused: classes.reduce((total, one) => total + (one.ended?.refused || 0), 0) };
}

/* Rates from before this page looked, as the proxy kept them. */
function remember(past, now) {
  tokens.clear();
  const series = Object.values(past || {});
  if (!series.length) return;
  const steps = series[0].tokens_per_s.length;
  for (let at = 0; at < steps; at += 1) {
    tokens.add(now - (steps - at) * series[0].step_s, [sum(series.map((one) => ({ v: one.tokens_per_s[at] })), "v"), sum(series.map((one) => ({ v: one.good_tokens_per_s[at] })), "v")]);
  }
}

/* The first state is shown whole and at once, so that one layout and one frame do; later a burst of events, such as after
   a sleep, is drawn once. */
let frame = 0, wholeWaits = false;
function showSoon(state, whole) {
  if (instance === null) {
    showState(state, true);
    document.documentElement.dataset.ready = String(Math.round(performance.now()));
    return;
  }
  wholeWaits ||= whole;
  frame ||= requestAnimationFrame(() => {
    const isWhole = wholeWaits;
    frame = 0; wholeWaits = false;
    showState(feed.state, isWhole);
  });
}

function showState(state, whole) {
  const now = pageSeconds(), total = sums(state);
  if (whole) remember(state.past, now);
  if (state.instance !== instance) { lanes.forget(); instance = state.instance; }
  tokens.add(now, [total.all, total.good]);
  const ready = byId("ready");
  setText(ready, state.not_ready || "ready");
  setClass(ready, "good", !state.not_ready); setClass(ready, "warn", Boolean(state.not_ready));
  figures.show(state, total);
  tide.show(tokens, now);
  byId("tide").setAttribute("aria-label", `Goodput against throughput, last 5 minutes; now ${rate(total.good)} of ${rate(total.all)} output tokens per second`);
  slos.show(state); lanes.show(state, now, whole); backends.show(state); small.show(state); decisions.show(state); playground.show(state);
  setText(byId("footer-line"), `Tidegate ${plain(state.version)}, ${plain(state.build)} · clients connect to ${plain(state.listen)}/v1 · up ${seconds(Math.max(0, state.at - state.started_at))}`);
  makeCharts();
}

const feed = new Feed(showSoon, showLink);
