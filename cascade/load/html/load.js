const flows = [...new Set(data.phases.flatMap((phase) => phase.flows.map((flow) => flow.name)))];
const HUES = ["first", "second", "up", "down", "failed", "degraded", "dim"];

// One entry for each second of each phase that has the flow, at the second of the run; null between two phases.
function seconds(name, pick) {
  const x = [], y = [];
  for (const phase of data.phases) {
    const flow = phase.flows.find((flow) => flow.name === name);
    if (!flow) continue;
    pick(flow).forEach((value, n) => { x.push(phase.started + n); y.push(value); });
    x.push(phase.started + pick(flow).length); y.push(null);
  }
  return { x, y };
}

function edges() {
  return data.phases.map((phase) => ({ type: "line", x0: phase.started, x1: phase.started, y0: 0, y1: 1, yref: "paper", line: { color: colour("line"), width: 1 } }));
}

function drawSeconds() {
  const name = byId("flow").value;
  const bars = data.outcomes.map((outcome, place) => ({
    type: "bar", name: outcome, width: 1, offset: 0, marker: { color: colour(outcome) }, hovertemplate: "%{y} " + outcome + "<extra>second %{x:.0f}</extra>",
    ...seconds(name, (flow) => flow.counts.map((counts) => counts[place])),
  })).filter((bar) => bar.y.some((value) => value));
  const labels = data.phases.filter((phase) => phase.flows.some((flow) => flow.name === name)).map((phase) => ({
    x: phase.started, y: 1, yref: "paper", text: plain(phase.label), textangle: -90, showarrow: false,
    xanchor: "left", yanchor: "top", font: { size: 10.5, color: colour("dim") },
  }));
  const xaxis = { title: { text: "second of the run, by when requests should have been sent" } };
  Plotly.react("counts", bars, layout({ barmode: "stack", bargap: 0, showlegend: true, margin: { l: 60, r: 20, t: 30, b: 40 }, shapes: edges(), annotations: labels, xaxis, yaxis: { title: { text: "requests a second" } } }), CONFIG);
  const lines = ["p99", "p50"].map((which, place) => {
    const found = seconds(name, (flow) => flow[which]);
    return { type: "scatter", mode: "lines", name: which, line: { color: colour(HUES[1 - place]), width: 1.5 }, x: found.x, y: found.y.map((v) => (v === null ? null : v * 1000)), hovertemplate: which + " %{y:.1f} ms<extra></extra>" };
  });
  Plotly.react("times", lines, layout({ showlegend: true, margin: { l: 60, r: 20, t: 20, b: 30 }, shapes: edges(), xaxis: {}, yaxis: { title: { text: "ms" }, rangemode: "tozero" } }), CONFIG);
}

// A percentile's distance from 100, so that the tail has as much room as the rest.
const place = (percent) => -Math.log10(1 - percent / 100);

function drawSpread() {
  const shown = [0, 50, 90, 95, 99, 99.9, 99.99];
  const traces = data.spreads.filter((spread) => spread.points.length > 1).map((spread, n) => ({
    type: "scatter", mode: "lines", name: plain(spread.name), line: { color: colour(HUES[n % HUES.length]), width: 1.6, dash: n < HUES.length ? "solid" : "dot" },
    x: spread.points.map(([percent]) => place(percent)), y: spread.points.map(([, s]) => s * 1000),
    text: spread.points.map(([percent]) => "p" + percent), hovertemplate: "%{text} %{y:.1f} ms<extra>" + plain(spread.name) + "</extra>",
  }));
  const xaxis = { tickvals: shown.map(place), ticktext: shown.map(String), title: { text: "percentile" } };
  Plotly.react("spread", traces, layout({ showlegend: true, margin: { l: 60, r: 20, t: 30, b: 50 }, xaxis, yaxis: { type: "log", title: { text: "ms, log scale" } } }), CONFIG);
}

function drawAll() {
  drawSeconds();
  drawSpread();
}

byId("flow").append(...flows.map((name) => new Option(name)));
byId("flow").addEventListener("change", drawSeconds);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
