/* Series of the last minutes, bounded, and the charts over them. */

const POINTS = 600;
const SPAN_S = 300;

/* x: seconds of this page's own clock, which no setting of a wall clock turns back. */
function pageSeconds() { return performance.now() / 1000; }

class Series {
  constructor(lines) { this.x = []; this.lines = Array.from({ length: lines }, () => []); }
  add(x, values) {
    const last = this.x[this.x.length - 1];
    if (last !== undefined && x <= last) return;
    this.x.push(x);
    this.lines.forEach((line, at) => line.push(isNumber(values[at]) ? values[at] : null));
    if (this.x.length > POINTS) { this.x.shift(); this.lines.forEach((line) => line.shift()); }
  }
  gap(x) { this.add(x, []); }
  clear() { this.x = []; this.lines = this.lines.map(() => []); }
  data(now) {
    const from = this.x.findIndex((x) => x >= now - SPAN_S - 5);
    if (from < 0) return [[], ...this.lines.map(() => [])];
    return [this.x.slice(from), ...this.lines.map((line) => line.slice(from))];
  }
}

function color(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

let plotLibrary = null;
const charts = new Set(), unmade = new Set();

/* Asked for together: each width asked between two changes would lay out the page once more. */
function makeCharts() {
  const found = [...unmade].map((chart) => [chart, chart.holder.clientWidth]).filter(([, width]) => width > 0);
  for (const [chart, width] of found) { unmade.delete(chart); chart.make(width); }
}

class Chart {
  /* lines: [{color, fill, width}] by names of the style sheet. */
  constructor(holder, { height, lines, axes, zero }) {
    Object.assign(this, { holder, height, lines, axes, zero, plot: null, last: null });
    charts.add(this);
  }
  make(width) {
    this.plot?.destroy();
    this.width = Math.max(40, width);
    const font = "11px system-ui, sans-serif";
    const grid = { stroke: color("line"), width: 1 };
    const axis = { stroke: color("muted"), font, ticks: { show: false } };
    const options = {
      width: this.width, height: this.height, legend: { show: false }, cursor: { show: false },
      padding: this.axes ? [8, 18, 0, 0] : [3, 0, 3, 0],
      scales: { x: { time: false, range: () => [this.from(), this.now] }, y: { range: (u, low, high) => [this.zero ? 0 : Math.min(0, low || 0), (high || 1) * 1.12] } },
      series: [{}, ...this.lines.map((line) => ({ stroke: color(line.color), width: line.width ?? 1.5, fill: line.fill ? color(line.fill) : undefined, points: { show: false }, spanGaps: false }))],
      axes: this.axes
        ? [{ ...axis, grid: { show: false }, size: 24, splits: () => [-240, -180, -120, -60, 0].map((s) => this.now + s), values: () => ["4 min ago", "3", "2", "1 min ago", "now"] },
           { ...axis, grid, size: 46, values: (u, found) => found.map((value) => short(value)) }]
        : [{ show: false }, { show: false }],
    };
    plotLibrary ||= loadPlotLibrary();
    this.plot = new plotLibrary(options, this.last, this.holder);
  }
  /* A chart without an axis begins where its line does. */
  from() {
    const first = this.last?.[0]?.[0];
    return this.axes || first === undefined ? this.now - SPAN_S : Math.max(this.now - SPAN_S, Math.min(first, this.now - 10));
  }
  show(series, now) {
    this.now = now;
    this.last = series.data(now);
    if (this.plot) this.plot.setData(this.last);
    else unmade.add(this);
  }
  resize(width) { if (this.plot && width) { this.width = width; this.plot.setSize({ width, height: this.height }); } }
  destroy() { this.plot?.destroy(); charts.delete(this); unmade.delete(this); }
}

function redrawAll() { for (const chart of charts) if (chart.plot) chart.make(chart.width); }
addEventListener("resize", () => {
  for (const [chart, width] of [...charts].map((one) => [one, one.holder.clientWidth])) chart.resize(width);
});
