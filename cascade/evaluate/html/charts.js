"use strict";
// Texts that come from outside go through `element`, which makes text nodes: nothing is ever parsed as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); // for plotly's labels

function element(tag, classes, ...children) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}

function layout(more) {
  const line = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
  return {
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", showlegend: false, hovermode: "closest",
    font: { color: colour("text"), family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("text") } },
    modebar: { bgcolor: "transparent", color: colour("dim"), activecolor: colour("first") },
    legend: { orientation: "h", x: 0, y: 1.12 },
    ...more,
    xaxis: { ...line, ...more.xaxis }, yaxis: { ...line, ...more.yaxis },
  };
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };

// Powers of ten as people read durations; plotly would count in µ and m.
function ticks(values) {
  const low = Math.floor(Math.log10(Math.min(...values))), high = Math.ceil(Math.log10(Math.max(...values)));
  const tickvals = [];
  for (let power = low; power <= high; power++) tickvals.push(...[1, 2, 5].map((n) => n * 10 ** power));
  const name = (v) => (v >= 1 ? +v.toPrecision(2) + " s" : +(v * 1000).toPrecision(2) + " ms");
  return { tickvals, ticktext: tickvals.map(name) };
}
