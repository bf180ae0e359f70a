(() => {
  "use strict";
  const root = document.documentElement;
  const quiet = { displayModeBar: false, responsive: true };

  // Figures name their colours as CSS variables; plotly needs the values of the theme in force.
  const paint = (part, style) => {
    if (typeof part === "string") {
      const variable = /^var\((--[a-z-]+)\)$/.exec(part);
      return variable ? style.getPropertyValue(variable[1]).trim() : part;
    }
    if (Array.isArray(part)) return part.map((inner) => paint(inner, style));
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, paint(inner, style)]));
  };

  // On a phone as many dots share a smaller map, and names in large letters would need a line each.
  const shrink = ({ data, layout }) => {
    for (const { marker } of data) if (marker?.size) marker.size *= 0.8;
    layout.legend.font = { size: 11 };
  };

  const drawAll = () => {
    const style = getComputedStyle(root);
    for (const plot of document.querySelectorAll(".plot")) {
      const figure = paint(JSON.parse(document.getElementById(plot.dataset.figure).textContent), style);
      if (plot.clientWidth < 480) shrink(figure);
      Plotly.react(plot, figure.data, figure.layout, quiet);
    }
  };

  const print = (starting) => {
    root.classList.toggle("printing", starting);
    for (const detail of document.querySelectorAll(starting ? "details:not([open])" : "details[data-closed]")) {
      detail.toggleAttribute("data-closed", starting);
      detail.open = starting;
    }
    drawAll();
  };

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
