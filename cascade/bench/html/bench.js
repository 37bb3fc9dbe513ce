// One row for each label, the first on top; the height follows from how many there are.
function area(id, count) {
  const place = byId(id);
  if (place) place.style.height = 110 + 34 * count + "px";
  return place;
}

const HUE = { aim: "up", floor: "second", neither: "down", "": "first" };
const rowOf = (all, place) => all.length - 1 - place;

function labels(all) {
  return { tickvals: all.map((_, place) => rowOf(all, place)), ticktext: all.map((one) => plain(one.label)), automargin: true, range: [-0.6, all.length - 0.4], zeroline: false };
}

function drawRatios(bench, number) {
  const all = bench.ratios;
  if (!area("ratios-" + number, all.length)) return;
  const y = all.map((_, place) => rowOf(all, place));
  const hues = all.map((one) => colour(HUE[one.met]));
  const rounds = { type: "scatter", mode: "markers", name: "each round", hoverinfo: "skip", marker: { size: 5, color: colour("zero"), opacity: 0.5 }, x: all.flatMap((one) => one.rounds), y: all.flatMap((one, place) => one.rounds.map(() => rowOf(all, place))) };
  const lines = all.map((one, place) => ({ type: "scatter", mode: "lines", showlegend: false, hoverinfo: "skip", x: [one.low, one.high], y: [y[place], y[place]], line: { width: 4, color: hues[place] } }));
  const dots = { type: "scatter", mode: "markers", name: "median and 95 % interval", x: all.map((one) => one.median), y, marker: { size: 12, color: hues }, customdata: all.map((one) => [one.low, one.high]), hovertemplate: "%{x:.2f} times (%{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>" };
  const goals = ["floor", "aim"].map((which) => {
    const with_goal = all.map((one, place) => [one[which], y[place]]).filter(([value]) => value !== null);
    return { type: "scatter", mode: "markers", name: which, x: with_goal.map(([value]) => value), y: with_goal.map(([, row]) => row), marker: { symbol: which === "floor" ? "line-ns" : "diamond-open", size: which === "floor" ? 20 : 12, color: colour("text"), line: { width: 2, color: colour("text") } }, hovertemplate: which + " %{x}<extra></extra>" };
  }).filter((trace) => trace.x.length);
  const one = { type: "line", x0: 1, x1: 1, y0: 0, y1: 1, yref: "paper", line: { color: colour("zero"), width: 1, dash: "dot" } };
  const xaxis = { type: "log", title: { text: "times as fast as the peer (log scale)" }, tickvals: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], ticktext: ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1,000", "2,000", "5,000"] };
  Plotly.react("ratios-" + number, [rounds, ...lines, dots, ...goals], layout({ showlegend: true, margin: { l: 20, r: 20, t: 30, b: 50 }, shapes: [one], xaxis, yaxis: labels(all) }), CONFIG);
}

function drawSpeeds(bench, number) {
  const all = bench.speeds;
  if (!area("speeds-" + number, all.length)) return;
  const bars = { type: "bar", orientation: "h", x: all.map((one) => one.median), y: all.map((_, place) => rowOf(all, place)), marker: { color: all.map((one) => colour(one.ours ? "first" : "zero")) }, error_x: { type: "data", symmetric: false, array: all.map((one) => one.high - one.median), arrayminus: all.map((one) => one.median - one.low), color: colour("dim"), thickness: 1.5 }, customdata: all.map((one) => plain(one.unit)), hovertemplate: "%{x:.4g} %{customdata}<extra></extra>" };
  const units = [...new Set(all.map((one) => one.unit))];
  const wide = Math.max(...all.map((one) => one.median)) > 50 * Math.min(...all.map((one) => one.median));
  const xaxis = { type: wide ? "log" : "linear", title: { text: plain(units.join(", ")) + ": median, slowest and fastest round" } };
  Plotly.react("speeds-" + number, [bars], layout({ margin: { l: 20, r: 20, t: 10, b: 50 }, xaxis, yaxis: labels(all) }), CONFIG);
}

function drawAll() {
  data.forEach((bench, number) => { drawRatios(bench, number); drawSpeeds(bench, number); });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
