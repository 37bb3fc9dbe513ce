const stages = data.stages, PAGE = 50;
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(3);
const direction = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");
const FORMAT = {
  seconds: (v) => (v >= 1 ? v.toFixed(2) + " s" : (v * 1000).toPrecision(3) + " ms"),
  tokens: (v) => Math.round(v).toLocaleString("en") + " tokens",
  money: (v) => v.toPrecision(3) + " per 1,000 queries",
};
let axis = Object.keys(data.fronts)[0];

function drawPareto() {
  const several = data.cascades.length > 1, front = data.fronts[axis], onFront = new Set(front), costs = stages.map((s) => s.cost[axis] * (axis === "money" ? 1000 : 1));
  const smallest = Math.min(...costs);
  const log = smallest > 0 && Math.max(...costs) / smallest > 20;
  const title = (axis === "money" ? "money per 1,000 queries" : axis + " per query") + (log ? ", log scale" : "");
  const line = {
    x: front.map((n) => costs[n]), y: front.map((n) => stages[n].quality.mean), mode: "lines", hoverinfo: "skip", showlegend: false,
    line: { color: colour("dim"), width: 1.5, dash: "dot", shape: "hv" },
  };
  const points = data.cascades.map((_, which) => {
    const own = stages.map((_, n) => n).filter((n) => stages[n].cascade === which);
    const hue = colour(which ? "second" : "first"), of = (key) => own.map((n) => stages[n].quality[key]);
    const mean = of("mean");
    return {
      x: own.map((n) => costs[n]), y: mean, mode: "markers+text", name: plain(data.cascades[which]),
      text: own.map((n) => plain(stages[n].name)), textfont: { color: hue, size: 12.5 },
      textposition: own.map((n, row) => (row % 2 ? "bottom " : "top ") + (which ? "right" : several ? "left" : "right")),
      customdata: own.map((n) => [FORMAT[axis](costs[n]), stages[n].quality.low.toFixed(3), stages[n].quality.high.toFixed(3), plain(stages[n].kind)]),
      hovertemplate: "<b>%{text}</b> (%{customdata[3]})<br>" + plain(data.measure) + " %{y:.3f} [%{customdata[1]}, %{customdata[2]}]<br>%{customdata[0]}<extra></extra>",
      error_y: {
        type: "data", symmetric: false, color: hue, thickness: 1.2, width: 4,
        array: of("high").map((v, row) => v - mean[row]), arrayminus: of("low").map((v, row) => mean[row] - v),
      },
      marker: { color: own.map((n) => (onFront.has(n) ? hue : colour("back"))), size: 11, line: { color: hue, width: 2 } },
      cliponaxis: false,
    };
  });
  const xaxis = { title: { text: title }, type: log ? "log" : "linear", ...(log && axis === "seconds" ? ticks(costs) : {}) };
  if (log) xaxis.range = [Math.log10(smallest) - 0.5, Math.log10(Math.max(...costs)) + 0.7];
  else xaxis.rangemode = "tozero";
  const yaxis = { title: { text: plain(data.measure) } };
  Plotly.react("pareto", [line, ...points], layout({ margin: { l: 60, r: 30, t: 30, b: 50 }, showlegend: several, xaxis, yaxis }), CONFIG);
  for (const button of byId("axes").children) button.setAttribute("aria-pressed", String(button.value === axis));
}

// The queries, as the two chosen stages and the order put them.
const chosen = () => [Number(byId("from").value), Number(byId("to").value)];
const delta = (query, [from, to]) => query.values[to] - query.values[from];
const ORDERS = {
  "moved most": (pair) => (a, b) => Math.abs(delta(b, pair)) - Math.abs(delta(a, pair)),
  "gained most": (pair) => (a, b) => delta(b, pair) - delta(a, pair),
  "lost most": (pair) => (a, b) => delta(a, pair) - delta(b, pair),
  "worst in the end": ([, to]) => (a, b) => a.values[to] - b.values[to],
  "as in the collection": () => () => 0,
};
let shown = PAGE, listed = [];

function drawMoves(pair) {
  const sorted = [...data.queries].sort(ORDERS["gained most"](pair)), values = sorted.map((q) => delta(q, pair));
  const won = values.filter((v) => v > 0).length, lost = values.filter((v) => v < 0).length;
  const mean = values.reduce((sum, v) => sum + v, 0) / (values.length || 1);
  const [from, to] = pair.map((n) => stages[n].label);
  byId("verdict").replaceChildren(
    `${to} against ${from}: `, element("b", "up", `${won} wins`), ", ", element("b", "down", `${lost} losses`),
    `, ${values.length - won - lost} ties; ${data.measure} ${signed(mean)} on average.`);
  const bars = {
    type: "bar", y: values, marker: { color: values.map((v) => colour(v > 0 ? "up" : "down")) },
    text: sorted.map((q) => plain(q.text.slice(0, 80))), textposition: "none", hovertemplate: "%{text}<br>%{y:+.3f}<extra></extra>",
  };
  const xaxis = { showticklabels: false, showgrid: false, title: { text: "queries, by what they gained" } };
  const yaxis = { title: { text: "Δ " + plain(data.measure) }, range: [-1.05, 1.05] };
  Plotly.react("moves", [bars], layout({ margin: { l: 60, r: 30, t: 10, b: 30 }, bargap: values.length > 200 ? 0 : 0.1, xaxis, yaxis }), CONFIG);
}

function results(query, which) {
  const list = element("ol"), { top, further } = query.stages[which];
  for (const [place, grade] of top) {
    const known = data.documents[place];
    const mark = element("span", "grade", grade === null ? "–" : String(grade));
    mark.title = grade === null ? "not judged" : "grade " + grade;
    const passage = element("div", "passage", known.title ? element("b", "", known.title, " ") : "", known.text);
    passage.addEventListener("click", () => passage.classList.toggle("whole"));
    list.append(element("li", grade > 0 ? "relevant" : grade === null ? "unjudged" : "",
      mark, element("span", "doc", known.id), passage));
  }
  const found = top.filter(([, grade]) => grade > 0).length;
  const box = element("section", "", element("h3", "", stages[which].label, element("span", "", query.values[which].toFixed(3))), list);
  const missing = query.relevant - found - further.length;
  const rest = [];
  if (further.length) rest.push("relevant further down: rank " + further.slice(0, 8).join(", ") + (further.length > 8 ? " …" : ""));
  if (missing > 0) rest.push(missing + " relevant not found");
  if (rest.length) box.append(element("p", "note", rest.join("; ")));
  return box;
}

function row(query, pair) {
  const moved = delta(query, pair);
  const made = element("details", "", element("summary", "",
    element("span", "text", query.text, " ", element("span", "id", query.id)),
    element("span", "values", query.values.map((v) => v.toFixed(2)).join("  ·  ")),
    element("span", "n delta " + direction(moved), signed(moved))));
  made.addEventListener("toggle", () => {
    if (made.open && made.children.length === 1)
      made.append(element("div", "results", ...stages.map((_, which) => results(query, which))));
  });
  return made;
}

function drawQueries() {
  const pair = chosen(), words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  listed = data.queries.filter((q) => words.every((word) => (q.text + " " + q.id).toLowerCase().includes(word)));
  listed.sort(ORDERS[byId("order").value](pair));
  byId("queries").replaceChildren(...listed.slice(0, shown).map((query) => row(query, pair)));
  byId("count").textContent = `${Math.min(shown, listed.length)} of ${listed.length} queries; values: ${stages.map((s) => s.label).join(" · ")}`;
  byId("more").hidden = shown >= listed.length;
}

function drawAll() {
  drawPareto();
  drawMoves(chosen());
  drawQueries();
}

for (const name of Object.keys(data.fronts)) {
  const button = element("button", "", name);
  button.type = "button";
  button.value = name;
  button.addEventListener("click", () => { axis = name; drawPareto(); });
  byId("axes").append(button);
}
// Two cascades are compared by their last stages, one by what its last tier adds.
const last = stages.length - 1, before = stages.findLastIndex((s) => s.cascade !== stages[last].cascade);
for (const [id, start] of [["from", before >= 0 ? before : Math.max(0, last - 1)], ["to", last]]) {
  byId(id).append(...stages.map((stage, n) => new Option(stage.label, n, n === start, n === start)));
  byId(id).addEventListener("change", () => { drawMoves(chosen()); drawQueries(); });
}
byId("order").append(...Object.keys(ORDERS).map((name) => new Option(name)));
byId("order").addEventListener("change", () => { shown = PAGE; drawQueries(); });
byId("filter").addEventListener("input", () => { shown = PAGE; drawQueries(); });
byId("more").addEventListener("click", () => { shown += PAGE; drawQueries(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
