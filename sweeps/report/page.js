"use strict";
(() => {
  const root = document.documentElement;
  const drawn = [];

  // -- light and dark ---------------------------------------------------------------------------
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const dress = () => {
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--grid"),
                   tickcolor: colour("--line"), zeroline: false };
    return { layout: {
      font: { color: colour("--ink") }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: axis, yaxis: axis, annotationdefaults: { bgcolor: colour("--veil") },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    } };
  };
  const wear = (theme) => {
    root.dataset.theme = theme;
    drawn.forEach((div) => Plotly.relayout(div, { template: dress() }));
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  root.dataset.theme = dark.matches ? "dark" : "light";
  dark.addEventListener("change", (event) => wear(event.matches ? "dark" : "light"));
  document.getElementById("theme").addEventListener("click", () =>
    wear(root.dataset.theme === "dark" ? "light" : "dark"));

  // -- tables: a click on a heading sorts -------------------------------------------------------
  const number = (text) => (text === "" ? NaN : Number(text.replace(/[$,%]/g, "").split(" ")[0]));
  document.querySelectorAll("table.sortable th").forEach((head) => head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const at = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const cell = (row) => row.cells[at].textContent.trim();
    const order = (a, b) => {
      const [x, y] = [number(cell(a)), number(cell(b))];
      if (isNaN(x) || isNaN(y)) return isNaN(x) && isNaN(y) ? cell(a).localeCompare(cell(b)) : isNaN(x) ? 1 : -1;
      return x - y;
    };
    const rows = [...body.rows].sort(order);
    (up ? rows : rows.reverse()).forEach((row) => body.append(row));
  }));

  // -- the navigation shows where one is --------------------------------------------------------
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((seen) => seen.forEach((one) => {
    if (!one.isIntersecting) return;
    links.forEach((a) => a.classList.remove("here"));
    links.get(one.target.id)?.classList.add("here");
  }), { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("section").forEach((one) => watch.observe(one));

  // -- figures: one after the other, so that the page can be read meanwhile ---------------------
  // In a figure with a spotlight the line that is pointed at is seen alone.
  const spotlight = (div) => {
    const lines = () => [...div.querySelectorAll(".scatterlayer > .trace")];
    div.on("plotly_hover", (event) => {
      const uid = event.points[0].fullData.uid;
      lines().forEach((line) => { line.style.opacity = line.classList.contains(`trace${uid}`) ? 1 : 0.07; });
    });
    div.on("plotly_unhover", () => lines().forEach((line) => { line.style.opacity = ""; }));
  };
  // On a phone a finger scrolls the page: no zooming, no buttons.
  const narrow = innerWidth <= 760;
  const options = { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover",
                    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const figures = Object.entries(JSON.parse(document.getElementById("figures").textContent));
  const next = async () => {
    if (!figures.length) {
      root.dataset.height = document.body.scrollHeight;
      root.dataset.complete = Math.round(performance.now());
      return;
    }
    const [name, figure] = figures.shift();
    const div = document.getElementById(`figure-${name}`);
    try {
      await Plotly.newPlot(div, figure.data, { ...figure.layout, template: dress(), ...(narrow && { dragmode: false }) }, options);
      if (figure.layout.meta?.spotlight) spotlight(div);
      drawn.push(div);
    } catch (error) {
      div.textContent = `this figure cannot be drawn: ${error.message}`;
      console.error(`figure ${name}: ${error.message}`);
    }
    setTimeout(next, 0);
  };
  setTimeout(next, 0);
})();
