// The threshold slider of a report: <form data-thresholds data-points="[[right, wrong, missed], …]"
// data-rows="150" data-one-label>. The server counted every hundredth; moving the slider or a cost
// only divides and multiplies, as training/queries/report/thresholds.py does.
(() => {
  const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)}%` : "—");

  function costs(form) {
    const of = (name) => Math.max(0, Number(form.elements[name].value) || 0);
    return { wrong: of("cost_wrong"), missed: of("cost_missed") };
  }

  function cheapestPlace(points, cost) {
    const all = points.map(([, wrong, missed]) => wrong * cost.wrong + missed * cost.missed);
    const lowest = Math.min(...all);
    const places = [...all.keys()].filter((place) => all[place] === lowest);
    return places[Math.floor(places.length / 2)];
  }

  function show(form) {
    const points = JSON.parse(form.dataset.points);
    const steps = points.length - 1;
    const threshold = Number(form.elements.threshold.value);
    const [right, wrong, missed] = points[Math.round(threshold * steps)];
    const rows = Number(form.dataset.rows);
    const answered = right + wrong;
    const cost = costs(form);
    const values = {
      threshold: threshold.toFixed(2),
      precision: percent(right, answered),
      recall: "oneLabel" in form.dataset ? percent(right, right + missed) : percent(answered, rows),
      cost: ((1000 * (wrong * cost.wrong + missed * cost.missed)) / (rows || 1)).toLocaleString("en", { maximumFractionDigits: 2 }),
      right: right.toLocaleString("en"),
      wrong: wrong.toLocaleString("en"),
      missed: missed.toLocaleString("en"),
      cheapest: (cheapestPlace(points, cost) / steps).toFixed(2),
    };
    for (const place of form.querySelectorAll("[data-out]")) place.textContent = values[place.dataset.out];
    form.elements.threshold.style.setProperty("--slider-value", `${100 * threshold}%`);
    const marker = form.querySelector(".marker");
    const width = form.querySelector(".frame").width.baseVal.value;
    marker.setAttribute("x1", threshold * width);
    marker.setAttribute("x2", threshold * width);
  }

  function reveal() {
    for (const button of document.querySelectorAll("[data-cheapest][hidden]")) button.hidden = false;
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-thresholds]");
    if (form && event.target.tagName !== "SELECT") show(form);
  });
  document.addEventListener("click", (event) => {
    const form = event.target.closest("[data-cheapest]")?.closest("[data-thresholds]");
    if (!form) return;
    const points = JSON.parse(form.dataset.points);
    form.elements.threshold.value = cheapestPlace(points, costs(form)) / (points.length - 1);
    show(form);
  });
  document.addEventListener("DOMContentLoaded", reveal);
  document.addEventListener("htmx:after:swap", reveal);
})();
